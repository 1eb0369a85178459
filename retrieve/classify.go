package retrieve

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Example is a text with the categories that somebody gave it.
type Example struct {
	Text   string
	Labels []string
}

// Classifier sorts texts into categories that it learnt from examples. It is immutable and may be used by several goroutines at once.
type Classifier struct {
	labels []string
	ids    map[string]int32
	idf    []float32
	linear [][]float32 // by label: a weight for each feature, the last one the bias
	second [][]float64 // by label: weights for what the linear models say
}

// The settings of learning.
const (
	penalty   = 0.2  // C of the support vector machines
	naive     = 0.5  // how far features are scaled by their log-count ratio (Wang and Manning, "Baselines and Bigrams", ACL 2012)
	epochs    = 8    // passes of dual coordinate descent
	rare      = 3    // texts that a feature must occur in
	folds     = 4    // for what the second stage learns from
	threshold = 0.43 // probability from which a category is given; near half of the F1 that is to be expected, which is where F1 is greatest
)

// Learn makes a classifier of examples with any number of labels. Learning is deterministic and takes about a second for each label and 2,000 short texts.
//
// Features are stemmed words and pairs, the first words, runs of three to five characters, and signs of form such as addresses or questions, each block at unit length. For every label a linear support vector machine with squared hinge loss
// (dual coordinate descent: Hsieh et al., ICML 2008) is learnt, and from what all of them say of texts that they did not see, a logistic regression.
func Learn(examples []Example) *Classifier {
	c := &Classifier{ids: map[string]int32{}}
	for _, e := range examples {
		for _, l := range e.Labels {
			if !slices.Contains(c.labels, l) {
				c.labels = append(c.labels, l)
			}
		}
	}
	slices.Sort(c.labels)
	texts := c.index(examples)
	said := make([][]float64, len(examples)) // by the models that did not see the example
	for i := range said {
		said[i] = make([]float64, len(c.labels))
	}
	c.linear, c.second = make([][]float32, len(c.labels)), make([][]float64, len(c.labels))
	var wg sync.WaitGroup
	for l, label := range c.labels {
		wg.Go(func() {
			truth := make([]bool, len(examples))
			all := make([]int, len(examples))
			for i, e := range examples {
				truth[i], all[i] = slices.Contains(e.Labels, label), i
			}
			for f := range folds {
				seen := slices.DeleteFunc(slices.Clone(all), func(i int) bool { return i%folds == f })
				w := train(texts, truth, seen, len(c.idf))
				for i := f; i < len(examples); i += folds {
					said[i][l] = dot(w, texts[i])
				}
			}
			c.linear[l] = train(texts, truth, all, len(c.idf))
		})
	}
	wg.Wait()
	inputs := make([][]float64, len(said))
	for i := range said {
		inputs[i] = second(said[i])
	}
	for l, label := range c.labels {
		c.second[l] = logistic(inputs, func(i int) bool { return slices.Contains(examples[i].Labels, label) })
	}
	return c
}

// Classify returns the categories of a text: those that are likely, and always the likeliest one. A classifier of no examples gives none.
func (c *Classifier) Classify(text string) []string {
	if len(c.labels) == 0 {
		return nil
	}
	v := c.vector(features(text))
	said := make([]float64, len(c.labels))
	for l := range c.labels {
		said[l] = dot(c.linear[l], v)
	}
	in := second(said)
	var out []string
	best, most := 0, -1.0
	for l, w := range c.second {
		p := probability(w, in)
		if p > threshold {
			out = append(out, c.labels[l])
		}
		if p > most {
			best, most = l, p
		}
	}
	if out == nil {
		out = []string{c.labels[best]}
	}
	return out
}

// entry is a feature with its value.
type entry struct {
	id    int32
	value float32
}

// blockWeights are the lengths of the blocks of features: words, first words, characters, form.
var blockWeights = [...]float64{1, .5, 1.5, .4}

// signs are marks and words whose presence tells of the form of a text.
var signs = []string{"@", "http", "www.", "?", ":", ";", "(", "$", "your", "you ", "we ", "our ", "not ", "may ", "will ", "if ", "e.g", "such as", "including"}

// features counts the features of a text, by block.
func features(text string) [len(blockWeights)]map[string]float64 {
	var out [len(blockWeights)]map[string]float64
	for i := range out {
		out[i] = map[string]float64{}
	}
	words := tokens(text)
	last := ""
	for i, w := range words {
		s := Stem(w)
		out[0]["w"+s]++
		if i > 0 {
			out[0]["w"+last+" "+s]++
		}
		if i < 8 {
			out[1]["f"+s] = 1
		}
		last = s
	}
	run := " " + strings.Join(words, " ") + " "
	for n := 3; n <= 5; n++ {
		for i := 0; i+n <= len(run); i++ {
			out[2][run[i:i+n]]++
		}
	}
	size := 1
	for n := len(words); n > 4; n /= 2 {
		size++
	}
	out[3]["size "+strconv.Itoa(size)] = 1
	lower := strings.ToLower(text)
	for _, s := range signs {
		if n := strings.Count(lower, s); n > 3 {
			out[3]["many "+s], out[3]["sign "+s] = 1, 1
		} else if n > 0 {
			out[3]["sign "+s] = 1
		}
	}
	if strings.ContainsAny(text, "0123456789") {
		out[3]["digits"] = 1
	}
	if strings.ToUpper(text) == text {
		out[3]["capitals"] = 1
	}
	return out
}

// index numbers the features that are not rare and returns the vectors of the examples.
func (c *Classifier) index(examples []Example) [][]entry {
	found := make([][len(blockWeights)]map[string]float64, len(examples))
	in := map[string]int{}
	for i, e := range examples {
		found[i] = features(e.Text)
		for _, block := range found[i] {
			for f := range block {
				in[f]++
			}
		}
	}
	var names []string
	for f, n := range in {
		if n >= rare {
			names = append(names, f)
		}
	}
	slices.Sort(names)
	for id, f := range names {
		c.ids[f] = int32(id)
		c.idf = append(c.idf, float32(math.Log(float64(len(examples)+1)/float64(in[f]))))
	}
	out := make([][]entry, len(examples))
	for i := range found {
		out[i] = c.vector(found[i])
	}
	return out
}

// vector weighs counts by 1+ln n and by how rare the feature is, and gives every block its length.
func (c *Classifier) vector(found [len(blockWeights)]map[string]float64) []entry {
	var out []entry
	for b, block := range found {
		start, norm := len(out), 0.0
		for f, n := range block {
			if id, ok := c.ids[f]; ok {
				v := (1 + math.Log(n)) * float64(c.idf[id])
				norm += v * v
				out = append(out, entry{id, float32(v)})
			}
		}
		if norm == 0 {
			continue
		}
		scale := float32(blockWeights[b] / math.Sqrt(norm))
		for i := start; i < len(out); i++ {
			out[i].value *= scale
		}
	}
	slices.SortFunc(out, func(x, y entry) int { return cmp.Compare(x.id, y.id) }) // sums do not depend on the order of maps
	return append(out, entry{int32(len(c.idf)), 1})
}

func dot(w []float32, v []entry) float64 {
	sum := float32(0)
	for _, e := range v {
		sum += w[e.id] * e.value
	}
	return float64(sum)
}

// train learns the weights of one label from the examples that are seen.
func train(texts [][]entry, truth []bool, seen []int, n int) []float32 {
	scale := ratios(texts, truth, seen, n)
	scaled := make([][]entry, len(seen))
	norms := make([]float64, len(seen))
	const diagonal = 0.5 / penalty
	for k, i := range seen {
		scaled[k] = slices.Clone(texts[i])
		for j := range scaled[k] {
			e := &scaled[k][j]
			e.value *= scale[e.id]
			norms[k] += float64(e.value) * float64(e.value)
		}
		norms[k] += diagonal
	}
	w := make([]float32, n+1)
	alpha := make([]float64, len(seen))
	order := make([]int, len(seen))
	for k := range order {
		order[k] = k
	}
	seed := uint64(1)
	for range epochs {
		for k := len(order) - 1; k > 0; k-- {
			seed = seed*6364136223846793005 + 1442695040888963407 // the generator of Knuth's MMIX: the same order in every run
			j := int(seed >> 33 % uint64(k+1))
			order[k], order[j] = order[j], order[k]
		}
		for _, k := range order {
			y := -1.0
			if truth[seen[k]] {
				y = 1
			}
			g := y*dot(w, scaled[k]) - 1 + diagonal*alpha[k]
			if alpha[k] == 0 && g >= 0 {
				continue
			}
			next := max(0, alpha[k]-g/norms[k])
			step := float32((next - alpha[k]) * y)
			alpha[k] = next
			for _, e := range scaled[k] {
				w[e.id] += step * e.value
			}
		}
	}
	for i := range w {
		w[i] *= scale[i]
	}
	return w
}

// ratios are the factors of features: those that are much likelier with or without the label count more.
func ratios(texts [][]entry, truth []bool, seen []int, n int) []float32 {
	with, without := make([]float64, n+1), make([]float64, n+1)
	all, none := 1e-9, 1e-9
	for _, i := range seen {
		for _, e := range texts[i] {
			if truth[i] {
				with[e.id] += float64(e.value)
				all += float64(e.value)
			} else {
				without[e.id] += float64(e.value)
				none += float64(e.value)
			}
		}
	}
	out := make([]float32, n+1)
	for i := range out {
		out[i] = float32(1 - naive + naive*math.Abs(math.Log((with[i]+.1)/all*none/(without[i]+.1))))
	}
	out[n] = 1
	return out
}

// second are the inputs of the second stage: what each model says, bent at two places, and a bias.
func second(said []float64) []float64 {
	out := make([]float64, 0, 3*len(said)+1)
	out = append(out, 1)
	for _, s := range said {
		out = append(out, s, max(0, s), max(0, s+.5))
	}
	return out
}

func probability(w, in []float64) float64 {
	z := 0.0
	for i, x := range in {
		z += w[i] * x
	}
	return 1 / (1 + math.Exp(-z))
}

// logistic learns a logistic regression with a penalty on squared weights by stochastic gradient descent.
func logistic(inputs [][]float64, truth func(int) bool) []float64 {
	if len(inputs) == 0 {
		return nil
	}
	w := make([]float64, len(inputs[0]))
	decay := 1 / (4 * float64(len(inputs)))
	for epoch := range 40 {
		rate := .1 / (1 + float64(epoch)/5)
		for i, in := range inputs {
			miss := -probability(w, in)
			if truth(i) {
				miss++
			}
			for k, x := range in {
				w[k] += rate * (miss*x - decay*w[k])
			}
		}
	}
	return w
}
