package objective

import "fmt"

// Context names a text shown to the model before a sample. The loss scores a sample in one context, whatever it was drawn in.
type Context uint32

// SampleID names a sample in its batch; 0 is none.
type SampleID uint64

// GroupID names the samples that are compared with each other, usually those of one task.
type GroupID uint64

// Span is the tokens [Start, End) of a sample.
type Span struct{ Start, End int }

// Origin says where the tokens of a sample are from.
type Origin uint8

// The origins.
const (
	Policy Origin = iota // drawn from the model being trained
	Edited               // drawn, then changed
	Anchor               // written by somebody else, as an example
	Logged               // drawn by another model, some time ago
)

// Sample is one continuation and what a loss may need of it. Slices are nil or parallel to Tokens.
type Sample struct {
	ID, Parent SampleID    // the first Branch tokens are the parent's
	Branch     int         // where a branch, a second attempt or an edit begins
	Group      GroupID     // compared with whom
	Role       string      // of several agents that are trained together
	Set        int         // samples of one set are judged together
	Tokens     []int32     //
	Live       []bool      // false: a tool, a user or padding wrote the token; nil: all live
	Turns      []Span      // of the model, in order
	Drawn      Context     // shown when sampling
	Scored     Context     // shown in the loss
	Origin     Origin      //
	Version    uint64      // the optimizer step of the weights that drew it
	Truncated  bool        // it was cut off before it ended
	Digest     string      // of policy text, reward rules and weights; a group never mixes digests
	Behaviour  []float64   // log-probabilities by the sampler in Drawn; nil where nobody sampled it
	Old, Ref   []float64   // log-probabilities in Scored: before the update, under the reference
	Stamp      uint64      // Fingerprint of what Old was computed for; 0: unknown
	Hist       [][]float64 // under past policies, the youngest first
	Teacher    []float64   // under a teacher that saw a richer context
	Value      []float64   // expected return before each token, by a critic
	Rewards    []Component
}

// Component is one judged aspect of a sample. Without OK it could not be judged, which is never a zero.
type Component struct {
	Name  string
	At    Span // the turn that is judged; zero: the whole sample
	Value float64
	OK    bool
}

// live reports whether the model wrote token t.
func (s *Sample) live(t int) bool { return s.Live == nil || s.Live[t] }

// Fingerprint identifies a text in a context (64-bit FNV-1a), for Stamp.
func Fingerprint(c Context, tokens []int32) uint64 {
	h := uint64(14695981039346656037)
	add := func(x uint32) {
		for range 4 {
			h = (h ^ uint64(x&0xff)) * 1099511628211
			x >>= 8
		}
	}
	add(uint32(c))
	for _, t := range tokens {
		add(uint32(t))
	}
	return h
}

// check returns an error where a sample contradicts itself or lacks what the recipe reads.
func (s *Sample) check(needs map[Need]bool) error {
	n := len(s.Tokens)
	if n == 0 {
		return fmt.Errorf("it has no tokens")
	}
	for _, f := range []struct {
		name string
		have int
		need Need
		some bool
	}{
		{"Live", len(s.Live), "", s.Live != nil},
		{"Behaviour", len(s.Behaviour), NeedBehaviour, s.Behaviour != nil},
		{"Old", len(s.Old), NeedOld, s.Old != nil},
		{"Ref", len(s.Ref), NeedRef, s.Ref != nil},
		{"Teacher", len(s.Teacher), NeedTeacher, s.Teacher != nil},
		{"Value", len(s.Value), NeedValue, s.Value != nil},
	} {
		switch {
		case f.some && f.have != n:
			return fmt.Errorf("%s has %d entries for %d tokens; was it computed for another text?", f.name, f.have, n)
		case !f.some && needs[f.need] && f.need != "":
			return fmt.Errorf("the recipe reads %s, which is missing", f.name)
		}
	}
	if needs[NeedHist] && len(s.Hist) == 0 {
		return fmt.Errorf("the recipe reads Hist, which is missing")
	}
	for k, h := range s.Hist {
		if len(h) != n {
			return fmt.Errorf("Hist[%d] has %d entries for %d tokens", k, len(h), n)
		}
	}
	if s.Stamp != 0 && s.Stamp != Fingerprint(s.Scored, s.Tokens) {
		return fmt.Errorf("Old was computed for another text or context than the one that is scored; compute it again after an edit")
	}
	if s.Origin != Policy && s.Origin != Logged && s.Behaviour != nil {
		return fmt.Errorf("it was not sampled as it stands, but has log-probabilities of a sampler; leave Behaviour nil")
	}
	if s.Branch < 0 || s.Branch > n {
		return fmt.Errorf("it branches at %d, but has %d tokens", s.Branch, n)
	}
	for _, turn := range s.Turns {
		if turn.Start < 0 || turn.End > n || turn.Start >= turn.End {
			return fmt.Errorf("turn [%d, %d) does not lie within %d tokens", turn.Start, turn.End, n)
		}
	}
	return nil
}
