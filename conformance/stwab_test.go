package conformance

import (
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
)

// verdictOf is what an audited session shows about a clause. A clause without a rule is one that never comes into play.
func verdictOf(s *audit.Session, clause string) (v webVerdict, status proviso.Status) {
	for _, x := range s.Verdicts {
		if x.Clause.ID != clause {
			continue
		}
		status = x.Status
		for _, e := range x.Evidence {
			if e.Status != proviso.Violated || e.Point != proviso.ToolCallPoint {
				continue
			}
			step := -1
			for _, r := range s.Trace.Records {
				if c, ok := r.Event.Body.(*proviso.ToolCall); ok && c.Tool == "act" && r.Event.Seq <= e.Seq {
					step++
				}
			}
			if v.Step == nil || step < *v.Step {
				v.Step = &step
			}
		}
	}
	v.Violated, v.Dormant = status == proviso.Violated, status == proviso.Dormant
	return v, status
}

// The audit of a trajectory under the packs of its task says of every policy what the suite's evaluators say: violated or not, at which step first, or never in play.
func TestWebAgent(t *testing.T) {
	policies, cases := readWeb(t)
	byTask := map[int][]webPolicy{}
	for _, p := range policies {
		byTask[p.Task] = append(byTask[p.Task], p)
	}
	_ = byTask
	var agree, denied, missed, dormant, step tally
	bySet := map[string][]webCase{}
	for _, c := range cases {
		bySet[c.policy.ID] = append(bySet[c.policy.ID], c)
	}
	for _, list := range bySet {
		p := webCompile(t, []webPolicy{list[0].policy})
		rep, err := audit.Run(t.Context(), audit.Config{Policy: p, Paths: []string{writeConversations(t, list)}, Workers: 1, Traces: true})
		must(t, err)
		for i, c := range list {
			got, status := verdictOf(&rep.Sessions[i], c.policy.clause())
			same := got.Violated == c.Violated && got.Dormant == c.Dormant && (got.Step == nil) == (c.Step == nil) && (got.Step == nil || *got.Step == *c.Step)
			agree.add(same)
			dormant.add(got.Dormant == c.Dormant)
			if c.Violated {
				missed.add(!got.Violated)
			} else {
				denied.add(got.Violated)
			}
			if c.Step != nil {
				step.add(got.Step != nil && *got.Step == *c.Step)
			}
			if !same || status > proviso.Satisfied && status < proviso.Violated {
				t.Errorf("%s: %v %v, want %v", c.id, status, got, c.webVerdict)
			}
		}
	}
	exactly("stwab.agreement", agree)
	exactly("stwab.wrongful_denials", denied)
	exactly("stwab.missed_violations", missed)
	exactly("stwab.dormant", dormant)
	exactly("stwab.first_step", step)
}
