package nn

import (
	"errors"
	"fmt"
	"math"
)

// Marks in the lists of a Sequence.
const (
	PatchInput int32 = -1 // in Tokens: the input here is the next patch
	NoTarget   int32 = -1 // in Targets: nothing is predicted here
)

// Sequence is one text, alone with itself: attention does not cross sequences, and positions count from 0. The slices stay the caller's and are not kept.
type Sequence struct {
	Tokens []int32 // inputs, each below Vocab or PatchInput
	// Targets says what each position predicts, NoTarget where nothing: such positions cost no output layer. nil: each predicts the next token, none before a patch or at the end.
	Targets []int32
	// Patches holds Config.Patch values for each PatchInput, in order.
	Patches []float32
	// Candidates lists further tokens whose log-probability is wanted at a position, as distillation on the likeliest few needs. nil, or parallel to Tokens.
	Candidates [][]int32
}

// Output is what the network says about a batch: slices parallel to the sequences and their positions, 0 where nothing was asked. It is the caller's.
type Output struct {
	LogProbs   [][]float32   // natural log of the target's probability
	Entropy    [][]float32   // of the whole distribution where there is a target or a candidate, in nats
	Candidates [][][]float32 // parallel to Sequence.Candidates; nil where the sequence has none
}

// Weights is the gradient of a loss with respect to Output, negated, so that a positive number makes its token likelier. Slices are parallel to Output's.
type Weights struct {
	LogProbs   [][]float32   // W = -dLoss/dlogp of the target
	Entropy    [][]float32   // -dLoss/dentropy; nil: the loss has no such term
	Candidates [][][]float32 // -dLoss/dlogp of the candidates; nil: no such term; one sequence's may be nil
}

// ErrNotFinite says that a number is NaN or infinite. Errors that wrap it name the place.
var ErrNotFinite = errors.New("not a finite number")

// asked is one position with a target or candidates.
type asked struct {
	seq, pos, row int
	target        int32
	candidates    []int32
}

// check returns an error for the first thing in the batch that the network cannot take.
func (n *Net) check(batch []Sequence) error {
	for i, s := range batch {
		if err := n.checkSequence(s); err != nil {
			return fmt.Errorf("nn: sequence %d: %w", i, err)
		}
	}
	return nil
}

func (n *Net) checkSequence(s Sequence) error {
	if len(s.Tokens) > n.cfg.Context {
		return fmt.Errorf("%d tokens are longer than the context of %d; cut the sequence", len(s.Tokens), n.cfg.Context)
	}
	if s.Targets != nil && len(s.Targets) != len(s.Tokens) {
		return fmt.Errorf("%d targets for %d tokens; give one for each, %d where nothing is predicted", len(s.Targets), len(s.Tokens), NoTarget)
	}
	if s.Candidates != nil && len(s.Candidates) != len(s.Tokens) {
		return fmt.Errorf("candidates at %d positions of %d; give a list for each, nil where there are none", len(s.Candidates), len(s.Tokens))
	}
	if err := n.checkTokens(s.Tokens, s.Patches); err != nil {
		return err
	}
	for i, t := range s.Targets {
		if t < NoTarget || int(t) >= n.cfg.Vocab {
			return fmt.Errorf("target %d at position %d is not below the vocabulary of %d", t, i, n.cfg.Vocab)
		}
	}
	for i, list := range s.Candidates {
		for _, t := range list {
			if t < 0 || int(t) >= n.cfg.Vocab {
				return fmt.Errorf("candidate %d at position %d is not below the vocabulary of %d", t, i, n.cfg.Vocab)
			}
		}
	}
	return nil
}

func (n *Net) checkTokens(tokens []int32, values []float32) error {
	patches := 0
	for i, t := range tokens {
		if t == PatchInput {
			patches++
		}
		if t < PatchInput || int(t) >= n.cfg.Vocab {
			return fmt.Errorf("token %d at position %d is not below the vocabulary of %d", t, i, n.cfg.Vocab)
		}
	}
	switch {
	case patches > 0 && n.cfg.Patch == 0:
		return errors.New("the network takes no patches; set Config.Patch")
	case len(values) != patches*n.cfg.Patch:
		return fmt.Errorf("%d values for %d patches of %d", len(values), patches, n.cfg.Patch)
	}
	for i, v := range values {
		if !finite(v) {
			return fmt.Errorf("patch value %d: %w", i, ErrNotFinite)
		}
	}
	return nil
}

// target returns what position i of s predicts.
func (s *Sequence) target(i int) int32 {
	switch {
	case s.Targets != nil:
		return s.Targets[i]
	case i+1 < len(s.Tokens):
		return s.Tokens[i+1] // a patch is NoTarget, too
	}
	return NoTarget
}

// questions lists the positions of the batch that ask for something, in order.
func questions(batch []Sequence) []asked {
	var out []asked
	row := 0
	for i := range batch {
		s := &batch[i]
		for t := range s.Tokens {
			q := asked{seq: i, pos: t, row: row, target: s.target(t)}
			if s.Candidates != nil {
				q.candidates = s.Candidates[t]
			}
			if q.target != NoTarget || len(q.candidates) > 0 {
				out = append(out, q)
			}
			row++
		}
	}
	return out
}

// newOutput allocates zeros for the batch.
func newOutput(batch []Sequence) *Output {
	o := &Output{LogProbs: make([][]float32, len(batch)), Entropy: make([][]float32, len(batch)), Candidates: make([][][]float32, len(batch))}
	for i, s := range batch {
		both := make([]float32, 2*len(s.Tokens))
		o.LogProbs[i], o.Entropy[i] = both[:len(s.Tokens):len(s.Tokens)], both[len(s.Tokens):]
		if s.Candidates == nil {
			continue
		}
		o.Candidates[i] = make([][]float32, len(s.Tokens))
		for t, list := range s.Candidates {
			o.Candidates[i][t] = make([]float32, len(list))
		}
	}
	return o
}

// terms returns, for a position that was asked, -dLoss/dlogp of its target and candidates and -dLoss/dentropy.
func (w Weights) terms(q asked) (target float32, candidates []float32, entropy float32) {
	if q.target != NoTarget {
		target = w.LogProbs[q.seq][q.pos]
	}
	if w.Candidates != nil && w.Candidates[q.seq] != nil {
		candidates = w.Candidates[q.seq][q.pos]
	}
	if w.Entropy != nil {
		entropy = w.Entropy[q.seq][q.pos]
	}
	return target, candidates, entropy
}

// check returns an error where the weights do not fit the sequences that Forward saw, or are not finite.
func (w Weights) check(lengths []int, asked []asked) error {
	fit := func(what string, lists [][]float32) error {
		if len(lists) != len(lengths) {
			return fmt.Errorf("nn: %s weights for %d sequences; the last Forward had %d", what, len(lists), len(lengths))
		}
		for i, l := range lists {
			if len(l) != lengths[i] {
				return fmt.Errorf("nn: %d %s weights for the %d positions of sequence %d", len(l), what, lengths[i], i)
			}
		}
		return nil
	}
	if err := fit("log-probability", w.LogProbs); err != nil {
		return err
	}
	if w.Entropy != nil {
		if err := fit("entropy", w.Entropy); err != nil {
			return err
		}
	}
	if w.Candidates != nil && len(w.Candidates) != len(lengths) {
		return fmt.Errorf("nn: candidate weights for %d sequences; the last Forward had %d", len(w.Candidates), len(lengths))
	}
	for _, q := range asked {
		if w.Candidates != nil && w.Candidates[q.seq] != nil {
			if c := w.Candidates[q.seq]; len(c) != lengths[q.seq] || len(c[q.pos]) != len(q.candidates) {
				return fmt.Errorf("nn: the candidate weights of sequence %d do not fit its %d candidates at position %d", q.seq, len(q.candidates), q.pos)
			}
		}
		t, cs, e := w.terms(q)
		sum := t + e
		for _, c := range cs {
			sum += c
		}
		if !finite(sum) {
			return fmt.Errorf("nn: weight at position %d of sequence %d: %w", q.pos, q.seq, ErrNotFinite)
		}
	}
	return nil
}

func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }
