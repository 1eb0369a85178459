package guard

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/session"
)

// Judge answers questions that only language understanding can answer.
type Judge interface {
	// Answer answers the questions of an inquiry, as far as it can: an answer carries the id and the hash of its question, quotes from the transcript and from the question's clauses.
	// A question without an answer, or with the answer Unknown, stays open.
	Answer(ctx context.Context, q Inquiry) ([]proviso.Answer, error)
}

// Inquiry is the questions that one decision needs, put together, and the newest messages of the conversation.
type Inquiry struct {
	Session    string
	Policy     string // the digest of the policy whose questions they are
	Questions  []session.Asked
	Transcript []proviso.Message
}

// Script is a Judge that knows its answers by question, for tests and for trying things out. It quotes the first message and the first clause.
type Script map[string]proviso.Tri

// Answer looks the answers up.
func (s Script) Answer(_ context.Context, q Inquiry) ([]proviso.Answer, error) {
	var out []proviso.Answer
	for _, a := range q.Questions {
		v, ok := s[a.ID]
		if !ok {
			continue
		}
		answer := proviso.Answer{Question: a.ID, Hash: a.Hash, Value: v, By: "script"}
		if len(q.Transcript) > 0 {
			answer.Quotes = []string{q.Transcript[0].Text}
		}
		for _, c := range a.Clauses[:min(1, len(a.Clauses))] {
			answer.Cites = []string{c.Text}
		}
		out = append(out, answer)
	}
	return out, nil
}

const (
	defaultTimeout = 30 * time.Second
	transcriptSize = session.MaxMessages
	maxRounds      = 3 // an answer may open the next question of a chain
)

// decide decides, and puts questions that can still change the outcome to the judge, each once.
// It asks nobody while a fact is missing: the agent has to come back with it anyway.
// approved names the escalating rules that an approval satisfies.
func (g *Guard) decide(ctx context.Context, s *entry, in *policy.Input, approved []string) proviso.Decision {
	d := s.rules.Decide(in, s.viewed(in, approved))
	var faults []proviso.Fault
	var put map[string]bool
	for round := 0; round < maxRounds && g.Judge != nil && len(d.Missing) > 0; round++ {
		open := unasked(s.state.Questions(d.Missing), d.Missing, put)
		if len(open) == 0 {
			break
		}
		if put == nil {
			put = map[string]bool{}
		}
		for _, q := range open {
			put[q.Hash] = true
		}
		answers, bad := g.ask(ctx, s, open)
		faults = append(faults, bad...)
		if len(answers) == 0 {
			break
		}
		s.state.Answer(answers)
		d = s.rules.Decide(in, s.viewed(in, approved))
	}
	if len(faults) > 0 {
		d.Errors = append(d.Errors, faults...)
	}
	return d
}

// viewed shows the session to a decision, with the rules that an approval satisfies.
func (s *entry) viewed(in *policy.Input, approved []string) *policy.View {
	v := s.state.View(in)
	v.Approved = approved
	return v
}

// unasked returns the questions to put now: none while a fact is missing, and none twice.
func unasked(asked []session.Asked, missing []proviso.Missing, put map[string]bool) []session.Asked {
	for _, m := range missing {
		if m.Kind == proviso.MissingFact {
			return nil
		}
	}
	var out []session.Asked
	for _, q := range asked {
		if !put[q.Hash] {
			out = append(out, q)
		}
	}
	return out
}

// ask puts the questions to the judge and keeps the answers that can be checked.
func (g *Guard) ask(ctx context.Context, s *entry, open []session.Asked) ([]proviso.Answer, []proviso.Fault) {
	q := Inquiry{Session: s.id, Policy: s.state.Digest(), Questions: open, Transcript: s.state.Messages(transcriptSize)}
	got, err := g.judged(ctx, q)
	if err != nil {
		g.counts.judge.Add(1)
		return nil, []proviso.Fault{{Code: CodeJudge, Msg: "judge: " + err.Error(), Hint: "ask again later, or ask a person"}}
	}
	var answers []proviso.Answer
	var faults []proviso.Fault
	for _, a := range got {
		if a.Value == proviso.Unknown {
			continue
		}
		if why := q.check(a); why != "" {
			g.counts.quotes.Add(1)
			faults = append(faults, proviso.Fault{Code: CodeQuote, Expr: a.Question, Msg: fmt.Sprintf("judge: the answer to %s by %q %s", a.Question, a.By, why), Hint: "the answer does not count"})
			continue
		}
		answers = append(answers, a)
	}
	return answers, faults
}

// judged runs the judge under its timeout. A judge that ignores the end of its context is left behind; its answer does not count any more.
func (g *Guard) judged(ctx context.Context, q Inquiry) ([]proviso.Answer, error) {
	limit := g.JudgeTimeout
	if limit == 0 {
		limit = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type reply struct {
		answers []proviso.Answer
		err     error
	}
	done := make(chan reply, 1)
	go func() {
		var r reply
		defer func() {
			if p := recover(); p != nil {
				g.counts.panics.Add(1)
				r = reply{nil, fmt.Errorf("panic: %v", p)}
			}
			done <- r
		}()
		r.answers, r.err = g.Judge.Answer(ctx, q)
	}()
	select {
	case r := <-done:
		return r.answers, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// check says what is wrong with an answer, empty where it counts: it must be to a question that was put, quote the transcript, and cite the question's clauses where it has any with a text.
func (q *Inquiry) check(a proviso.Answer) string {
	to := q.find(a)
	if to == nil {
		return "is to no question that was put"
	}
	if len(a.Quotes) == 0 {
		return "quotes nothing of the transcript"
	}
	for _, s := range a.Quotes {
		if !contains(q.Transcript, s, func(m proviso.Message) string { return m.Text }) {
			return fmt.Sprintf("quotes %q, which is not in the transcript", s)
		}
	}
	citable := false
	for _, c := range to.Clauses {
		citable = citable || c.Text != ""
	}
	if citable && len(a.Cites) == 0 {
		return "cites no clause"
	}
	for _, s := range a.Cites {
		if !contains(to.Clauses, s, func(c proviso.Clause) string { return c.Text }) {
			return fmt.Sprintf("cites %q, which is in no clause of the question", s)
		}
	}
	return ""
}

// contains reports whether s, which must say something, stands verbatim in one of the texts.
func contains[T any](list []T, s string, text func(T) string) bool {
	if strings.TrimSpace(s) == "" {
		return false
	}
	for _, x := range list {
		if strings.Contains(text(x), s) {
			return true
		}
	}
	return false
}
