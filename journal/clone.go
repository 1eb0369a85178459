package journal

import (
	"slices"

	"github.com/proviso-dev/proviso"
)

// Clone copies a record with everything that a caller could change later. Back ends that encode later take a copy first.
func Clone(r *proviso.Record) *proviso.Record { return cloneRecord(r) }

// cloneRecord copies everything that a caller could change later, and the texts of the body.
func cloneRecord(r *proviso.Record) *proviso.Record {
	c := *r
	c.Event.Agents = slices.Clone(r.Event.Agents)
	c.Event.Body = proviso.CloneBody(r.Event.Body)
	c.Decision = cloneDecision(r.Decision)
	c.Facts = each(r.Facts, cloneFact)
	c.Stale = each(r.Stale, func(k proviso.FactKey) proviso.FactKey {
		k.Key = slices.Clone(k.Key)
		return k
	})
	if r.Approval != nil {
		use := *r.Approval
		use.Rules = slices.Clone(use.Rules)
		c.Approval = &use
	}
	c.Answers = each(r.Answers, func(a proviso.Answer) proviso.Answer {
		a.Quotes, a.Cites = slices.Clone(a.Quotes), slices.Clone(a.Cites)
		return a
	})
	if r.Kept != nil {
		k := *r.Kept
		k.Args, k.Sent = each(k.Args, cloneFact), each(k.Sent, cloneFact)
		c.Kept = &k
	}
	return &c
}

func cloneFact(f proviso.FactValue) proviso.FactValue {
	f.Key, f.Value = slices.Clone(f.Key), proviso.CloneValue(f.Value)
	return f
}

// each copies a list with its members; nil stays nil.
func each[T any](list []T, clone func(T) T) []T {
	out := slices.Clone(list)
	for i := range out {
		out[i] = clone(out[i])
	}
	return out
}

func cloneDecision(d proviso.Decision) proviso.Decision {
	d.Edits = each(d.Edits, func(e proviso.Edit) proviso.Edit {
		e.Value = proviso.CloneValue(e.Value)
		return e
	})
	d.Notices = slices.Clone(d.Notices)
	d.Errors = slices.Clone(d.Errors)
	d.Reasons = each(d.Reasons, func(r proviso.Reason) proviso.Reason {
		r.Clauses = slices.Clone(r.Clauses)
		r.Because = each(r.Because, func(c proviso.Cause) proviso.Cause {
			c.Inputs = each(c.Inputs, cloneNamed)
			return c
		})
		return r
	})
	d.Missing = each(d.Missing, func(m proviso.Missing) proviso.Missing {
		m.Key = each(m.Key, cloneNamed)
		m.Suppliers = each(m.Suppliers, func(s proviso.Supplier) proviso.Supplier {
			s.Args, s.Open = cloneArgs(s.Args), slices.Clone(s.Open)
			return s
		})
		m.Rules, m.Clauses = slices.Clone(m.Rules), slices.Clone(m.Clauses)
		return m
	})
	return d
}

func cloneNamed(v proviso.Value) proviso.Value {
	v.Val = proviso.CloneValue(v.Val)
	return v
}

func cloneArgs(m map[string]any) map[string]any {
	c, _ := proviso.CloneValue(m).(map[string]any)
	return c
}
