package audit

import (
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/session"
)

// NearMiss is a call that was made without the check that the policy wants before it. A guard would have answered it with needs_info; nothing shows that its result was wrong.
type NearMiss struct {
	Seq     uint64           `json:"seq"`
	Tool    string           `json:"tool"`
	Quote   string           `json:"quote"` // of the arguments
	Kind    NearMissKind     `json:"kind"`
	Missing []string         `json:"missing"` // what was not looked up, such as booking["B1"]
	Rules   []string         `json:"rules"`
	Clauses []proviso.Clause `json:"clauses,omitempty"`
	Late    uint64           `json:"late,omitempty"` // the event that showed it afterwards
	// Hint is the call that would have shown it.
	Hint string `json:"hint,omitempty"`
}

// NearMissKind says what became of the check that was missing.
type NearMissKind string

// The kinds of near misses. The value that is seen late may have been changed by the call itself, so that neither of the late kinds is a proof.
const (
	Unchecked   NearMissKind = "unchecked"    // never looked up
	CheckedLate NearMissKind = "checked_late" // looked up only afterwards, and the value would have allowed the call
	WrongLate   NearMissKind = "wrong_late"   // looked up only afterwards, and the value would not have allowed the call
)

// maxNear is how many calls of one session are kept as near misses.
const maxNear = 32

// nears collects the calls of a session that were made without a check.
type nears struct {
	found []NearMiss
	open  []unchecked
	shown map[string]uint64 // entries of facts by the event that showed them last, while something is open
}

// unchecked is a call whose check may still come. state is the session as it was before the call.
type unchecked struct {
	miss    int // place in found
	event   proviso.Event
	missing []proviso.Missing
	state   []byte
}

// note takes down an executed call that lacked a fact. It comes before the call becomes part of the session.
func (n *nears) note(s *session.State, in *policy.Input, d *proviso.Decision, seq uint64) {
	if len(n.found) >= maxNear {
		return
	}
	m := NearMiss{Seq: seq, Tool: in.Tool(), Quote: quote(in, nil), Kind: Unchecked}
	var facts []proviso.Missing
	for _, x := range d.Missing {
		if x.Kind != proviso.MissingFact {
			return // what a person or a judge was not asked is no check that the agent left out
		}
		facts = append(facts, x)
		m.Missing = append(m.Missing, factText(x))
		for _, r := range x.Rules {
			if !contains(m.Rules, r) {
				m.Rules = append(m.Rules, r)
			}
		}
		for _, c := range x.Clauses {
			m.Clauses = addClause(m.Clauses, c)
		}
		if m.Hint == "" && len(x.Suppliers) > 0 {
			m.Hint = "call " + x.Suppliers[0].Tool + " before it"
		}
	}
	if len(facts) == 0 {
		return
	}
	n.found = append(n.found, m)
	if state, err := s.Snapshot(); err == nil {
		n.open = append(n.open, unchecked{len(n.found) - 1, *in.Event, facts, state})
	}
}

func addClause(list []proviso.Clause, c proviso.Clause) []proviso.Clause {
	for _, x := range list {
		if x.ID == c.ID {
			return list
		}
	}
	return append(list, c)
}

// factText names an entry of a fact as a condition would.
func factText(m proviso.Missing) string {
	var b strings.Builder
	b.WriteString(m.Fact)
	for _, k := range m.Key {
		fmt.Fprintf(&b, "[%s]", proviso.CanonicalJSON(k.Val))
	}
	return b.String()
}

// show takes down which facts an event shows.
func (n *nears) show(facts []proviso.FactValue, seq uint64) {
	if len(n.open) == 0 {
		return
	}
	for _, f := range facts {
		if n.shown == nil {
			n.shown = map[string]uint64{}
		}
		n.shown[entryOf(f.Fact, f.Key)] = seq
	}
}

func entryOf(fact string, key []string) string { return fact + "\x00" + strings.Join(key, "\x00") }

// look sees whether what the session knows by now would have decided the calls that lacked it, and closes those that it would have.
func (n *nears) look(p *policy.Policy, now policy.Facts) {
	open := n.open[:0]
	for _, u := range n.open {
		outcome, ok := u.decide(p, now)
		if !ok {
			open = append(open, u)
			continue
		}
		m := &n.found[u.miss]
		m.Kind = WrongLate
		for _, x := range u.missing {
			key, _ := keyOf(x.Key)
			m.Late = max(m.Late, n.shown[entryOf(x.Fact, key.Part[:key.N])])
		}
		if outcome > proviso.NeedInfo {
			m.Kind = CheckedLate
		}
	}
	n.open = open
}

// decide decides the call once more as it was then, but for the facts that were missing, which are taken as they are now. ok is false while one of them is not known.
func (u *unchecked) decide(p *policy.Policy, now policy.Facts) (o proviso.Outcome, ok bool) {
	late := lateFacts{late: map[lateKey]any{}}
	for _, m := range u.missing {
		i, known := p.FactNumber(m.Fact)
		key, fits := keyOf(m.Key)
		if !known || !fits {
			return 0, false
		}
		v, st := now.Fact(i, key)
		if st != policy.Observed {
			return 0, false
		}
		late.late[lateKey{i, key}] = v
	}
	state, err := session.Restore(p, u.state)
	if err != nil {
		return 0, false
	}
	in := state.Bind(&u.event)
	view := state.View(in)
	late.Facts = view.Facts
	view.Facts = late
	view.Consent = &transcript{Consent: view.Consent}
	d := p.Decide(in, view)
	// More may be missing now that this is known; the answer is not known until that is.
	return d.Outcome, d.Outcome != proviso.NeedInfo
}

// keyOf spells the key of a fact as policy does: integers in decimal.
func keyOf(parts []proviso.Value) (k policy.Key, ok bool) {
	if len(parts) > len(k.Part) {
		return k, false
	}
	for i, v := range parts {
		k.Part[i] = fmt.Sprint(v.Val)
	}
	k.N = len(parts)
	return k, true
}

type lateKey struct {
	fact int
	key  policy.Key
}

// lateFacts are the facts of a session with those in place that were seen later.
type lateFacts struct {
	policy.Facts
	late map[lateKey]any
}

// Fact returns what was seen later, else what was known then.
func (l lateFacts) Fact(i int, key policy.Key) (any, policy.FactState) {
	if v, ok := l.late[lateKey{i, key}]; ok {
		return v, policy.Observed
	}
	return l.Facts.Fact(i, key)
}
