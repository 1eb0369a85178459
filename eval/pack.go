package eval

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// OfPack is the suite of a policy's cases, each a conversation played as package audit plays it. The labels are the outcomes wanted at its steps and of its results;
// a case passes where the names behind them are right as well. Its group is the name of its file. Cases of one name are told apart by a number.
func OfPack(name string, p *policy.Policy, cases []pack.Case) *Suite {
	s := &Suite{Name: name, Subject: p.Digest()}
	times := map[string]int{}
	for i := range cases {
		c := &cases[i]
		times[c.Name]++
		id := c.Name
		if n := times[c.Name]; n > 1 {
			id = fmt.Sprintf("%s #%d", c.Name, n)
		}
		want := []string{}
		for j := range c.Steps {
			eachWant(&c.Steps[j], func(w *pack.Want, _ bool) { want = append(want, w.Outcome.String()) })
		}
		s.Cases = append(s.Cases, Case{ID: id, Group: path.Base(c.Pos.File), Pos: c.Pos, Want: want, Digest: digestOf(*c)})
	}
	s.Play = func(_ context.Context, i int) (Answer, error) {
		c := &cases[i]
		res := audit.Test(p, cases[i:i+1])[0]
		a := Answer{Pass: res.Passed()}
		for j := range res.Steps {
			eachWant(&c.Steps[j], func(_ *pack.Want, result bool) {
				got := "not played"
				switch r := &res.Steps[j]; {
				case !result:
					got = r.Decision.Outcome.String()
				case r.Result != nil:
					got = r.Result.Outcome.String()
				}
				a.Got = append(a.Got, got)
			})
		}
		var notes []string
		for _, f := range res.Failures {
			notes = append(notes, strings.TrimPrefix(f.Msg, fmt.Sprintf("case %q: ", c.Name)))
		}
		a.Note = strings.Join(notes, "\n")
		return a, nil
	}
	return s
}

// eachWant calls f for what a step wants of its event and of its result.
func eachWant(s *pack.Step, f func(w *pack.Want, result bool)) {
	if s.Want != nil {
		f(s.Want, false)
	}
	if s.ResultWant != nil {
		f(s.ResultWant, true)
	}
}

// digestOf is a digest of what a case plays and wants, wherever it stands.
func digestOf(c pack.Case) string {
	c.Pos = proviso.Pos{}
	steps := make([]pack.Step, len(c.Steps))
	for i, s := range c.Steps {
		s.Pos = proviso.Pos{}
		for _, w := range []**pack.Want{&s.Want, &s.ResultWant} {
			if *w != nil {
				there := **w
				there.Pos = proviso.Pos{}
				*w = &there
			}
		}
		steps[i] = s
	}
	c.Steps = steps
	b, err := json.Marshal(c)
	if err != nil {
		b = fmt.Append(nil, err) // unreachable: cases hold what was read from YAML
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
