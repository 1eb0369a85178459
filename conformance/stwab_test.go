package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/eval/scorer"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// webAudit audits the trajectories of cases as recorded conversations; the sessions are in the order of the cases.
func webAudit(t testing.TB, p *policy.Policy, cases []webCase) []audit.Session {
	t.Helper()
	rep, err := audit.Run(t.Context(), audit.Config{Policy: p, Paths: []string{writeConversations(t, cases)}, Workers: 1, Traces: true})
	must(t, err)
	if len(rep.Sessions) != len(cases) || len(rep.Diagnostics) > 0 {
		t.Fatalf("%d sessions of %d trajectories: %v", len(rep.Sessions), len(cases), rep.Diagnostics)
	}
	return rep.Sessions
}

// webFound is what an audited session shows about a policy. A policy without a rule never comes into play.
func webFound(s *audit.Session, p webPolicy) (v webVerdict, status proviso.Status) {
	for _, x := range s.Verdicts {
		if x.Clause.ID != p.clause() {
			continue
		}
		status = x.Status
		for _, e := range x.Evidence {
			if e.Status != proviso.Violated || e.Point != proviso.ToolCallPoint {
				continue
			}
			if step := stepOf(s, e.Seq); v.Step == nil || step < *v.Step {
				v.Step = &step
			}
		}
	}
	v.Violated, v.Dormant = status == proviso.Violated, status == proviso.Dormant
	return v, status
}

// stepOf is the step of the trajectory whose call is the event of that number.
func stepOf(s *audit.Session, seq uint64) int {
	step := -1
	for i := range s.Trace.Records {
		e := &s.Trace.Records[i].Event
		if c, ok := e.Body.(*proviso.ToolCall); ok && c.Tool == "act" && e.Seq <= seq {
			step++
		}
	}
	return step
}

// webGroups are the cases with the policies that are in force: those of a task all together, each unit case's alone.
func webGroups(policies []webPolicy, cases []webCase) (inForce map[string][]webPolicy, of map[string][]webCase) {
	inForce, of = map[string][]webPolicy{}, map[string][]webCase{}
	task := map[string]string{}
	for _, p := range policies {
		key := fmt.Sprint("task ", p.Task)
		task[p.ID] = key
		inForce[key] = append(inForce[key], p)
	}
	for _, c := range cases {
		key, ok := task[c.policy.ID]
		if !ok {
			key = c.policy.ID
			inForce[key] = []webPolicy{c.policy}
		}
		of[key] = append(of[key], c)
	}
	return inForce, of
}

// An audit of a trajectory, with the policies of all ranks of its task in force, says of each policy what the suite's evaluators say: violated or not, at which step first, or never in play.
func TestWebAgent(t *testing.T) {
	policies, cases := readWeb(t)
	inForce, of := webGroups(policies, cases)
	var agree, dormant, first tally
	byKind := map[string]*tally{}
	var ours, theirs []scorer.Run
	category := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(of)) {
		sessions := webAudit(t, webCompile(t, webPacks(t, inForce[key])...), of[key])
		for i, c := range of[key] {
			got, status := webFound(&sessions[i], c.policy)
			right := reflect.DeepEqual(got, c.webVerdict) && status != proviso.Errored && status != proviso.Undetermined
			if !right {
				t.Errorf("%s: %s, %s; want %s", c.id, status, got, c.webVerdict)
			}
			agree.add(right)
			dormant.add(got.Dormant == c.Dormant)
			if c.Step != nil {
				first.add(got.Step != nil && *got.Step == *c.Step)
			}
			if byKind[c.policy.kind()] == nil {
				byKind[c.policy.kind()] = &tally{}
			}
			byKind[c.policy.kind()].add(right)
			id := c.policy.clause()
			category[id] = c.policy.Category
			ours = append(ours, scorer.Run{Task: c.id, Verdicts: verdictOn(id, status), Right: map[string]proviso.Status{id: c.status()}})
			theirs = append(theirs, scorer.Run{Task: c.id, Verdicts: verdictOn(id, c.status())})
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		exactly("stwab.agreement_"+kind, *byKind[kind])
	}
	exactly("stwab.agreement", agree)
	exactly("stwab.dormant", dormant)
	exactly("stwab.first_step", first)
	for _, s := range []*scorer.Scorer{scorer.WrongfulDenials, scorer.MissedViolations} {
		for _, x := range s.Score(ours, scorer.Options{}) {
			fmt.Printf("figure: stwab.%s = %.6g (n=%d)\n", x.Name, x.Value, x.N)
		}
	}
	o := scorer.Options{Dimension: func(v *proviso.Verdict) string { return category[v.Clause.ID] }}
	for _, s := range []*scorer.Scorer{scorer.RiskRatio, scorer.ActiveRiskRatio, scorer.Clauses} {
		if a, b := s.Score(ours, o), s.Score(theirs, o); !reflect.DeepEqual(a, b) {
			t.Errorf("%s of our verdicts is %v, of theirs %v", s.Name, a, b)
		}
	}
	if agree.n == 0 {
		t.Error("nothing was compared")
	}
}

// status is the verdict in our words.
func (v webVerdict) status() proviso.Status {
	switch {
	case v.Violated:
		return proviso.Violated
	case v.Dormant:
		return proviso.Dormant
	}
	return proviso.Satisfied
}

func verdictOn(clause string, s proviso.Status) []proviso.Verdict {
	return []proviso.Verdict{{Clause: proviso.Clause{ID: clause}, Status: s}}
}

// Decided step by step through the guard, with nothing known of what comes later, the first call that is stopped is the step at which the whole trajectory is first in violation; where the suite names no step, no call is stopped.
func TestWebAgentLive(t *testing.T) {
	_, cases := readWeb(t)
	compiled := map[string]*policy.Policy{}
	var right tally
	for _, c := range cases {
		same := c.policy // policies that differ in nothing but where they stand make one pack
		same.ID, same.Task = "one", 0
		key := string(encode(t, same))
		p := compiled[key]
		if p == nil {
			p = webCompile(t, webPacks(t, []webPolicy{same})...)
			compiled[key] = p
		}
		line := newLine(t, p, nil)
		var stopped *int
		for i, s := range c.Steps {
			d := line.callJSON("act", proviso.JSON(s.args(t)), func() (json.RawMessage, error) { return s.page(t), nil })
			if d.Outcome != proviso.Allow {
				stopped = &i
				break
			}
		}
		if !reflect.DeepEqual(stopped, c.Step) {
			t.Errorf("%s: %s, want %s", c.id, webVerdict{Step: stopped}, c.webVerdict)
		}
		right.add(reflect.DeepEqual(stopped, c.Step))
	}
	exactly("stwab.first_step_live", right)
}

// A policy of a lower rank only narrows: with all ranks in force nothing is let through that the organization's policies stop, what they stop is stopped with their clause, and something is stopped exactly where some rank stops it.
// Lifted by the organization, the rules of lower ranks change nothing; no lower rank can lift a rule of the organization.
func TestWebAgentRanks(t *testing.T) {
	policies, cases := readWeb(t)
	inForce, of := webGroups(policies, cases)
	var narrow, lifted tally
	contradictions, tasks := 0, 0
	for _, key := range slices.Sorted(maps.Keys(of)) {
		packs := webPacks(t, inForce[key])
		lower := packs[1:]
		if len(lower) == 0 {
			continue
		}
		if tasks++; !*long && tasks%4 != 1 {
			continue // three policies are compiled for each task, which takes most of the time
		}
		org := packs[0]
		over := *org
		for _, pk := range lower {
			for _, r := range pk.Rules {
				over.Overrides = append(over.Overrides, pack.Override{Lifts: r.ID, By: pack.Text{S: "the organization"}, Until: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)})
			}
		}
		all := webAudit(t, webCompile(t, packs...), of[key])
		alone := webAudit(t, webCompile(t, org), of[key])
		free := webAudit(t, webCompile(t, append([]*pack.Pack{&over}, lower...)...), of[key])
		for i := range all {
			for j := range all[i].Trace.Records {
				d, o, f := &all[i].Trace.Records[j].Decision, &alone[i].Trace.Records[j].Decision, &free[i].Trace.Records[j].Decision
				own := ruleSet(o)
				both := ruleSet(d)
				foreign := len(both) > len(own)
				ok := (d.Outcome == proviso.Deny) == (o.Outcome == proviso.Deny || foreign) && d.Outcome <= o.Outcome
				for r := range own {
					ok = ok && both[r]
				}
				if foreign && o.Outcome == proviso.Allow {
					contradictions++
				}
				narrow.add(ok)
				lifted.add(f.Outcome == o.Outcome && maps.Equal(ruleSet(f), own))
				if !ok {
					t.Errorf("%s, event %d: %s, the organization alone %s", of[key][i].id, j+1, audit.Describe(d), audit.Describe(o))
				}
			}
		}
		for _, pk := range lower {
			if len(org.Rules) == 0 {
				break
			}
			rebel := *pk
			rebel.Overrides = []pack.Override{{Lifts: org.Rules[0].ID, By: pack.Text{S: "the " + pk.Rank.String()}, Until: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}}
			if p, _ := policy.Compile(org, &rebel); p != nil {
				t.Errorf("%s: rank %s lifts a rule of the organization", key, pk.Rank)
			}
		}
	}
	exactly("stwab.lower_ranks_only_narrow", narrow)
	exactly("stwab.lifted_by_organization", lifted)
	t.Logf("%d events are let through by the organization and stopped by a lower rank", contradictions)
	if lifted.n > 0 && lifted.share() < 1 {
		t.Error("lifting the rules of lower ranks has to give the organization's decisions")
	}
}

// ruleSet is the rules that stop an event.
func ruleSet(d *proviso.Decision) map[string]bool {
	out := map[string]bool{}
	for _, r := range d.Reasons {
		if r.Outcome == proviso.Deny {
			out[r.Rule] = true
		}
	}
	return out
}

// How many policies of the suite can be said as rules over what an agent does and sees; the others look at live pages.
func TestWebAgentPolicies(t *testing.T) {
	policies, _ := readWeb(t)
	var said tally
	open := map[string]int{}
	for _, p := range policies {
		said.add(!p.needsPage())
		if p.needsPage() {
			open[p.kind()]++
		}
	}
	exactly("stwab.policies_said", said)
	t.Logf("policies about live pages: %v", open)
}

// The archives of testdata/stwab show for each kind of check the rules that are made of it, and what they say of a few runs. A line of runs is a step: the action, its arguments, the element in brackets, and behind @ the pages that are open afterwards;
// a name with a colon begins a run, and "page" is the page at the end.
func TestWebAgentKinds(t *testing.T) {
	testkit.Archives(t, "testdata/stwab/*.txtar", func(t *testing.T, a *testkit.Archive) {
		record, _ := a.File("policy.json")
		p := parse[webPolicy](t, record)
		text, _ := a.File("runs")
		cases := webRuns(t, p, string(text))
		packs := webPacks(t, []webPolicy{p})
		files, _ := webFiles(t, []webPolicy{p})
		rules, err := yaml.JSONToYAML(files[p.rank()+"/rules.yaml"].Data)
		must(t, err)
		a.Expect(t, "rules.yaml", rules)
		var out strings.Builder
		for i, s := range webAudit(t, webCompile(t, packs...), cases) {
			v, status := webFound(&s, p)
			fmt.Fprintf(&out, "%s: %s", cases[i].id, status)
			if v.Step != nil {
				fmt.Fprintf(&out, " at step %d", *v.Step)
			}
			out.WriteByte('\n')
		}
		a.Expect(t, "want", []byte(out.String()))
	})
}
