package testkit

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// killWithin is how long a process may take until it is killed; where it needs longer it hangs.
const killWithin = time.Minute

// Kill starts the test of that name again, in a process of its own with one more variable (NAME=value) in its environment, and ends it as kill -9 does once now is true, which is asked every millisecond.
// It reports whether the process was killed; where it ended before, it succeeded. A process that fails, or does not get so far within a minute, fails the test.
func Kill(t testing.TB, test, variable string, now func() bool) (killed bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^"+test+"$")
	child.Env = append(os.Environ(), variable)
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(killWithin); !now(); {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("the process that was to be killed failed: %v", err)
			}
			return false
		case <-tick.C:
			if time.Now().After(deadline) {
				_ = child.Process.Kill()
				<-ended
				t.Fatal("the process that was to be killed did not come so far")
			}
		}
	}
	_ = child.Process.Kill() // it may have ended in the meantime
	return <-ended != nil
}

// Grown returns a function that reports whether the file at path is longer by so many bytes than it was when Grown was called; one that does not exist has none.
func Grown(path string, by int64) func() bool {
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	before := size()
	return func() bool { return size() >= before+by }
}
