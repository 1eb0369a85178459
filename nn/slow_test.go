package nn

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Without assembly the first network says once that it will be slow, and results are the same within rounding (every other test runs on every set of kernels).
func TestSaysThatItIsSlow(t *testing.T) {
	if os.Getenv("PROVISO_TEST_SLOW") != "" {
		made(t, tiny(), LoRA{})
		made(t, tiny(), LoRA{})
		return
	}
	for simd, want := range map[string]int{"off": 1, "": 0} {
		if simd == "" && supported()[0] == &plain {
			want = 1
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestSaysThatItIsSlow$")
		cmd.Env = append(os.Environ(), "PROVISO_TEST_SLOW=1", "PROVISO_SIMD="+simd)
		said, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if got := strings.Count(string(said), "nn: no AVX2 or AVX-512 kernels in use"); got != want {
			t.Errorf("PROVISO_SIMD=%q: said %d times, want %d: %s", simd, got, want, said)
		}
	}
}
