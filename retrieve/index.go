package retrieve

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/document"
)

// Passage is a text that can be found.
type Passage struct {
	ID      string
	Text    string
	Context string // what the passage stands under: titles, and the clause that it is a part of. Its words count a tenth.
}

// Hit is a passage that was found.
type Hit struct {
	Passage int    // its place among the passages of the index
	ID      string // its id
	Score   float64
	// Cover is the share, from 0 to 1, of what the question's words tell that the passage holds, its context included; words such as "explain" or "how" tell nothing. A word tells ln(1+(N−n+½)/(n+½)), where n of N passages hold it, so that a word that no passage holds weighs most.
	Cover float64
}

// The parameters of BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009). Clauses are short: that a word comes twice says little, so k1 is far below the usual 1.2.
const (
	saturation   = 0.45 // k1
	lengthWords  = 0.8  // b for words
	lengthPairs  = 0.4  // b for pairs
	pairWeight   = 0.5
	askingWeight = 0.5
	contextTerms = 0.1
)

// Index finds passages. It is immutable and may be used by several goroutines at once.
type Index struct {
	passages []Passage
	ids      map[string]int32 // stem → number of the word
	words    field
	pairs    field
	pairIDs  map[[2]int32]int32
}

// field is the postings of words, or of pairs.
type field struct {
	postings [][]posting
	length   []float64 // of each passage
	mean     float64
	b        float64
}

type posting struct {
	passage int32
	count   float32
}

// New indexes passages. It keeps the slice, which must not be changed afterwards.
func New(passages []Passage) *Index {
	ix := &Index{passages: passages, ids: map[string]int32{}, pairIDs: map[[2]int32]int32{}}
	ix.words.b, ix.pairs.b = lengthWords, lengthPairs
	for i, p := range passages {
		words, pairs := map[int32]float32{}, map[int32]float32{}
		ix.count(p.Text, 1, words, pairs)
		ix.count(p.Context, contextTerms, words, pairs)
		ix.words.add(int32(i), words)
		ix.pairs.add(int32(i), pairs)
	}
	ix.words.finish()
	ix.pairs.finish()
	return ix
}

// Passages makes the clauses of a document findable. The context of a clause is the titles that it stands under and the clauses that have to be read with it.
func Passages(d *document.Document) []Passage {
	if d == nil {
		return nil
	}
	out := make([]Passage, len(d.Clauses))
	for i, c := range d.Clauses {
		context := slices.Clone(c.Heading)
		for up, ok := d.Find(c.Parent); ok; up, ok = d.Find(up.Parent) {
			context = append(context, up.Text)
		}
		out[i] = Passage{ID: c.ID, Text: c.Text, Context: strings.Join(context, "\n")}
	}
	return out
}

// count adds the words and the pairs of a text, numbering those that are new.
func (ix *Index) count(text string, weight float32, words, pairs map[int32]float32) {
	last := int32(-1)
	for _, t := range terms(text) {
		id := number(ix.ids, t.stem)
		words[id] += weight
		if last >= 0 {
			pairs[number(ix.pairIDs, [2]int32{last, id})] += weight
		}
		last = id
	}
}

func number[K comparable](ids map[K]int32, k K) int32 {
	id, ok := ids[k]
	if !ok {
		id = int32(len(ids))
		ids[k] = id
	}
	return id
}

func (f *field) add(passage int32, counts map[int32]float32) {
	length := 0.0
	for id, n := range counts {
		for int(id) >= len(f.postings) {
			f.postings = append(f.postings, nil)
		}
		f.postings[id] = append(f.postings[id], posting{passage, n})
		length += float64(n)
	}
	f.length = append(f.length, length)
	f.mean += length
}

func (f *field) finish() {
	if f.mean /= float64(max(1, len(f.length))); f.mean == 0 {
		f.mean = 1
	}
}

// tells is how much a word says that n of all passages hold.
func (ix *Index) tells(n int) float64 {
	return math.Log(1 + (float64(len(ix.passages)-n)+.5)/(float64(n)+.5))
}

// score adds what a word or a pair gives to the passages that hold it.
func (ix *Index) score(scores []float64, f *field, id int32, weight float64) {
	ps := f.postings[id]
	weight *= ix.tells(len(ps)) * (saturation + 1)
	for _, p := range ps {
		n := float64(p.count)
		scores[p.passage] += weight * n / (n + saturation*(1-f.b+f.b*f.length[p.passage]/f.mean))
	}
}

// asked is a word of a question and how much it says; id is -1 for a word that no passage holds.
type asked struct {
	id     int32
	weight float64
}

// question takes a question apart: each word once.
func (ix *Index) question(text string) (words []asked, pairs []int32) {
	at := map[string]int{}
	last := int32(-1)
	for _, t := range terms(text) {
		id, known := ix.ids[t.stem]
		if !known {
			id = -1
		}
		weight := 1.0
		if t.asking {
			weight = askingWeight
		}
		if i, ok := at[t.stem]; ok {
			words[i].weight += weight
		} else {
			at[t.stem] = len(words)
			words = append(words, asked{id, weight})
		}
		if pair, ok := ix.pairIDs[[2]int32{last, id}]; ok && last >= 0 {
			pairs = append(pairs, pair)
		}
		last = id
	}
	return words, pairs
}

// Search returns the at most n passages that fit a question best, best first; of equal ones the earlier passage comes first. Passages without a word of the question are no hits.
func (ix *Index) Search(question string, n int) []Hit {
	if n <= 0 || len(ix.passages) == 0 {
		return nil
	}
	words, pairs := ix.question(question)
	scores, cover := make([]float64, len(ix.passages)), make([]float64, len(ix.passages))
	all := 0.0
	for _, w := range words {
		told := 0.0 // words that put the question ask for nothing
		if w.weight >= 1 {
			told = ix.tells(0)
			if w.id >= 0 {
				told = ix.tells(len(ix.words.postings[w.id]))
			}
		}
		all += told
		if w.id < 0 {
			continue
		}
		for _, p := range ix.words.postings[w.id] {
			cover[p.passage] += told
		}
		ix.score(scores, &ix.words, w.id, w.weight)
	}
	for _, id := range pairs {
		ix.score(scores, &ix.pairs, id, pairWeight)
	}
	var best []Hit
	for i, s := range scores {
		if s <= 0 || len(best) == n && s <= best[n-1].Score {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, s, func(h Hit, s float64) int {
			if h.Score == s {
				return -1
			}
			return cmp.Compare(s, h.Score)
		})
		if len(best) == n {
			best = best[:n-1]
		}
		best = slices.Insert(best, at, Hit{Passage: i, ID: ix.passages[i].ID, Score: s, Cover: cover[i] / max(all, 1e-9)})
	}
	return best
}
