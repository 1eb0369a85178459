package session

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/proviso-dev/proviso"
)

// answers holds what was answered to judged questions. It implements policy.Answers.
// An answer is about the conversation as it stood and about the values that it was asked about: it does not count for other values, nor once something more was said.
type answers struct {
	by    map[string]proviso.Tri // by hash
	order []string               // of hashes, the oldest first
	fresh []proviso.Answer       // given since the last record, which will carry them
	asked []Asked                // open since the last View
	talk  *talk
}

// Asked is a judged question that a decision needed and had no answer to. Hash binds an answer to the values it is asked about.
type Asked struct {
	proviso.Question
	Hash    string
	Clauses []proviso.Clause
}

// Answer returns the answer to a question about these values; where there is none, it notes that it was asked.
func (a *answers) Answer(question string, about []any) proviso.Tri {
	h := questionHash(question, about, a.talk.count)
	if t, ok := a.by[h]; ok {
		return t
	}
	if !slices.ContainsFunc(a.asked, func(q Asked) bool { return q.Hash == h }) {
		a.asked = append(a.asked, Asked{Question: proviso.Question{ID: question, About: slices.Clone(about)}, Hash: h})
	}
	return proviso.Unknown
}

func questionHash(question string, about []any, messages uint64) string {
	b := strconv.AppendUint(proviso.CanonicalJSON(question), messages, 10)
	sum := sha256.Sum256(append(b, proviso.CanonicalJSON(about)...))
	return hex.EncodeToString(sum[:])
}

func (a *answers) keep(as []proviso.Answer) {
	for _, x := range as {
		if x.Value == proviso.Unknown || x.Hash == "" {
			continue
		}
		if a.by == nil {
			a.by = map[string]proviso.Tri{}
		}
		if _, ok := a.by[x.Hash]; !ok {
			a.order = append(a.order, x.Hash)
		}
		a.by[x.Hash] = x.Value
	}
	for len(a.order) > MaxAnswers {
		delete(a.by, a.order[0])
		a.order = a.order[1:]
	}
	a.fresh = nil
}

// Questions returns the questions among the missing things that the last decision asked, each with the values it is about.
func (s *State) Questions(missing []proviso.Missing) []Asked {
	var out []Asked
	for _, m := range missing {
		if m.Kind != proviso.MissingQuestion {
			continue
		}
		for _, q := range s.answers.asked {
			if q.ID == m.Question {
				q.Ask, q.Clauses = m.Ask, m.Clauses
				out = append(out, q)
			}
		}
	}
	return out
}

// Answer makes answers count from the next View on; the next Record carries them.
func (s *State) Answer(as []proviso.Answer) {
	fresh := append(s.answers.fresh, as...)
	s.answers.keep(as)
	s.answers.fresh = fresh
}
