package conformance

import (
	"slices"
	"testing"

	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/retrieve"
)

// segments reads OPP-115.
func segments(t testing.TB) []retrieve.Example {
	t.Helper()
	var out []retrieve.Example
	testkit.Lines(t, "compliance/opp115.jsonl", func(line []byte) {
		var s struct {
			Split string   `json:"split"`
			Text  string   `json:"text"`
			Label []string `json:"label"`
		}
		strict(t, line, &s)
		out = append(out, retrieve.Example{Text: s.Text, Labels: s.Label})
	})
	return out
}

// Five folds by the number of the line; F1 over all pairs of a segment and a category, and its mean over the categories.
func TestOPP115(t *testing.T) {
	all := segments(t)
	hits, given, wanted := map[string]int{}, map[string]int{}, map[string]int{}
	for fold := range 5 {
		var known []retrieve.Example
		for i, e := range all {
			if i%5 != fold {
				known = append(known, e)
			}
		}
		c := retrieve.Learn(known)
		for i := fold; i < len(all); i += 5 {
			got := c.Classify(all[i].Text)
			for _, l := range got {
				given[l]++
				if slices.Contains(all[i].Labels, l) {
					hits[l]++
				}
			}
			for _, l := range all[i].Labels {
				wanted[l]++
			}
		}
	}
	h, g, w, macro := 0, 0, 0, 0.0
	for l := range wanted {
		h, g, w = h+hits[l], g+given[l], w+wanted[l]
		macro += 2 * float64(hits[l]) / float64(given[l]+wanted[l]) / float64(len(wanted))
	}
	micro := 2 * float64(h) / float64(g+w)
	t.Logf("figure: opp115.micro_f1 = %.4f (n=%d)", micro, len(all))
	t.Logf("figure: opp115.macro_f1 = %.4f (n=%d)", macro, len(all))
	if micro < 0.78 {
		t.Errorf("micro-F1 %.4f, wanted 0.78", micro)
	}
}

func BenchmarkClassify(b *testing.B) {
	all := segments(b)
	c := retrieve.Learn(all[:500])
	i := 0
	for b.Loop() {
		c.Classify(all[i%len(all)].Text)
		i++
	}
}
