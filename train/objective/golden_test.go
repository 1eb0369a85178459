package objective

import (
	"encoding/json"
	"os"
	"testing"
)

// Losses and weights of an independent implementation: PyTorch's autograd over the papers' formulas, made by testdata/golden.py.
func TestGolden(t *testing.T) {
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Old, Ref, LogP [][]float64
		Reward         []float64
		Cases          map[string]struct {
			Loss float64
			W    [][]float64
		}
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Cases) < 10 {
		t.Fatalf("%d cases", len(g.Cases))
	}
	for name, want := range g.Cases {
		t.Run(name, func(t *testing.T) {
			r, err := ByName(name)
			if err != nil {
				t.Fatal(err)
			}
			var batch []Sample
			for i := range g.Old {
				batch = append(batch, Sample{Group: 1, Tokens: make([]int32, len(g.Old[i])), Old: g.Old[i], Ref: g.Ref[i], Rewards: reward(g.Reward[i])})
				for k := range batch[i].Tokens {
					batch[i].Tokens[k] = int32(i*10 + k)
				}
			}
			_, out := run(t, r, batch, g.LogP)
			near(t, "loss", out.Value, want.Loss, 1e-9)
			for i := range want.W {
				near(t, "W", far(out.W[i], want.W[i]), 0, 1e-9)
			}
		})
	}
}
