package world

import (
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// The marks of thoughts in an answer.
const (
	ThinkOpen  = "<think>"
	ThinkClose = "</think>"
)

// Said is what a model answered, taken apart.
type Said struct {
	Thought string   // between the marks; empty where there are none
	Final   string   // the answer itself, without space around it
	Cited   []string // the ids of clauses in the thought, in order, with repetitions
}

var citation = lazyregexp.New(`\[([A-Za-z0-9][A-Za-z0-9_.-]*)\]`)

// Read takes an answer apart. An answer has at most one thought, which comes first, and something after it; anything else is an error, so that a judge can tell an answer that is wrong from one that is none.
func Read(text string) (Said, error) {
	text = strings.TrimSpace(text)
	var s Said
	s.Final = text
	if rest, thinks := strings.CutPrefix(text, ThinkOpen); thinks {
		thought, final, closed := strings.Cut(rest, ThinkClose)
		if !closed {
			return Said{}, fmt.Errorf("answer: the thought does not end with %s", ThinkClose)
		}
		s.Thought, s.Final = strings.TrimSpace(thought), strings.TrimSpace(final)
	}
	for _, mark := range []string{ThinkOpen, ThinkClose} {
		if strings.Contains(s.Thought, mark) || strings.Contains(s.Final, mark) {
			return Said{}, fmt.Errorf("answer: %s stands where it does not belong", mark)
		}
	}
	if s.Final == "" {
		return Said{}, fmt.Errorf("answer: nothing is said after the thought")
	}
	for _, m := range citation.FindAllStringSubmatch(s.Thought, -1) {
		s.Cited = append(s.Cited, m[1])
	}
	return s, nil
}

// Write is the inverse of Read.
func Write(thought, final string) string {
	if thought == "" {
		return final
	}
	return ThinkOpen + thought + ThinkClose + final
}
