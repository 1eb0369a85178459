package retrieve

import (
	"slices"
	"strings"
)

// answered is the cover of the best hit from which a question counts as answered. It was set on half of ObliQA's questions, each asked of the rule book that answers it and of one that does not; the other half gives the figures in docs/documents.md.
const answered = 0.36

// Answer returns the at most n passages that fit a question best, and whether the best of them answer it: where none covers enough of what the question asks, nothing is found rather than something near.
// Hits that cover less than half of what the best one covers are left out.
func (ix *Index) Answer(question string, n int) (hits []Hit, ok bool) {
	hits = ix.Search(question, n)
	best := 0.0
	for _, h := range hits {
		best = max(best, h.Cover)
	}
	if best < answered {
		return hits, false
	}
	return slices.DeleteFunc(hits, func(h Hit) bool { return h.Cover < best/2 }), true
}

// Quote returns the sentence of a passage that holds most of what a question asks, as it stands in the passage's text.
func (ix *Index) Quote(question string, h Hit) string {
	weight := map[string]float64{}
	for _, t := range terms(question) {
		weight[t.stem] = ix.tells(0)
		if id, ok := ix.ids[t.stem]; ok {
			weight[t.stem] = ix.tells(len(ix.words.postings[id]))
		}
	}
	best, most := "", -1.0
	for _, s := range sentences(ix.passages[h.Passage].Text) {
		seen := map[string]bool{}
		told := 0.0
		for _, t := range terms(s) {
			if !seen[t.stem] {
				seen[t.stem] = true
				told += weight[t.stem]
			}
		}
		if told > most {
			best, most = s, told
		}
	}
	return best
}

// sentences cuts text behind a mark that ends a sentence and is followed by a space.
func sentences(text string) []string {
	var out []string
	start := 0
	for i := 0; i < len(text); i++ {
		if strings.IndexByte(".!?;\n", text[i]) >= 0 && (i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\n' || text[i] == '\n') {
			if s := strings.TrimSpace(text[start : i+1]); s != "" {
				out = append(out, s)
			}
			start = i + 1
		}
	}
	if s := strings.TrimSpace(text[start:]); s != "" {
		out = append(out, s)
	}
	return out
}
