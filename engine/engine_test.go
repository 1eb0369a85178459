package engine

import (
	"context"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestTable(t *testing.T) {
	TestEngine(t, func(testing.TB) Engine { return NewTable(16, 3, 32) }, 0)
}

// plain hides that an engine is a Weigher.
type plain struct{ Engine }

func TestTableInTwoPasses(t *testing.T) {
	TestEngine(t, func(testing.TB) Engine { return plain{NewTable(16, 3, 32)} }, 0)
}

func TestContinue(t *testing.T) {
	d, first := Continue([]int32{1, 2}, []int32{3, 4})
	if !slices.Equal(d.Input, []int32{1, 2, 3}) || !slices.Equal(d.Target, []int32{NoTarget, 3, 4}) || d.Target[first] != 3 {
		t.Errorf("got %+v, %d", d, first)
	}
	if d, first := Continue(nil, []int32{3}); len(d.Input) != 0 || first != -1 {
		t.Errorf("nothing to predict: %+v, %d", d, first)
	}
}

// The gradient of the entropy: a bonus brings the distribution back to the uniform one.
func TestTableEntropy(t *testing.T) {
	e, ctx := NewTable(16, 1, 8), context.Background()
	row := Datum{Input: []int32{1}, Target: []int32{2}, Weight: []float64{1}}
	for range 50 {
		step(t, e, row)
	}
	before, err := e.LogProbs(ctx, "", []Datum{row})
	must(t, before, err)
	for range 2000 {
		step(t, e, Datum{Input: row.Input, Target: row.Target, Entropy: []float64{1}})
	}
	after, err := e.LogProbs(ctx, "", []Datum{row})
	must(t, after, err)
	if got := after.Entropy[0][0]; got <= before.Entropy[0][0] || math.Abs(got-math.Log(16)) > 1e-3 {
		t.Errorf("the entropy went from %g to %g, want %g", before.Entropy[0][0], got, math.Log(16))
	}
}

func TestDraw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		logits := rapid.SliceOfN(rapid.Float64Range(-20, 20), 1, 12).Draw(t, "logits")
		req := SampleRequest{
			Temperature: rapid.SampledFrom([]float64{0, 0.1, 1, 3}).Draw(t, "temperature"),
			TopK:        rapid.IntRange(0, 14).Draw(t, "k"),
			TopP:        rapid.SampledFrom([]float64{0, 0.1, 0.9, 1}).Draw(t, "p"),
		}
		// The log-probabilities that Draw states are the measure of the numbers that lead to each token.
		const n = 2000
		hits, said := map[int32]int{}, map[int32]float64{}
		for i := range n {
			token, l := Draw(logits, req, (float64(i)+0.5)/n)
			hits[token]++
			said[token] = l
		}
		for token, k := range hits {
			want := math.Exp(said[token])
			if req.Temperature == 0 {
				want = 1
			}
			if math.Abs(float64(k)/n-want) > 1.5/n {
				t.Fatalf("token %d is drawn %d times in %d, but says %g", token, k, n, want)
			}
		}
		if req.TopK > 0 && len(hits) > req.TopK {
			t.Fatalf("top-k %d gave %d tokens", req.TopK, len(hits))
		}
	})
}
