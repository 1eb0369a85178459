package policy

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
	"github.com/proviso-dev/proviso/tree"
)

// redaction replaces what it finds; without a replacement the kind of what was found stands there, in brackets.
type redaction struct {
	find builtin.Finder
	with string
}

// effects computes the edits and notices of every rule that fires or may fire, on the original; then the edited body is decided once more without edits, and the stricter outcome stands.
func (f *frame) effects(d *proviso.Decision) {
	for i := range f.prog.rules {
		r := &f.prog.rules[i]
		if r.effect.Outcome != proviso.Allow || r.mode != pack.Enforce || !f.takesPart(r) {
			continue
		}
		v := tree.Eval(r.root, f.ruleErr(), f.atomSet)
		if v == tree.IsFalse {
			continue
		}
		for _, n := range r.effect.Notice {
			d.Notices = append(d.Notices, proviso.Notice{Rule: r.id, To: n.To, Text: n.Text})
		}
		for _, p := range r.redact {
			for _, m := range p.find(f.in.Text) {
				d.Edits = append(d.Edits, proviso.Edit{Rule: r.id, Start: m.Start, End: m.End, Text: cmp.Or(p.with, "["+m.Kind+"]")})
			}
		}
		for _, s := range r.sets {
			val, st := s.get(f)
			if st != known {
				f.refuseEdit(d, r.id, fmt.Sprintf("the value for %s could not be computed", s.path), "require first what the value is computed from, so that it is looked up")
				return
			}
			d.Edits = append(d.Edits, proviso.Edit{Rule: r.id, Path: s.path, Value: val})
		}
	}
	if len(d.Edits) == 0 {
		return
	}
	if msg := proviso.EditConflict(d.Edits); msg != "" {
		f.refuseEdit(d, editRule, msg, "let one rule set the value")
		return
	}
	d.Edits = proviso.UniteEdits(d.Edits)
	f.decideEdited(d)
}

func (f *frame) refuseEdit(d *proviso.Decision, rule, msg, hint string) {
	d.Outcome, d.Edits = proviso.Deny, nil
	d.Errors = append(d.Errors, proviso.Fault{Code: codeEdit, Rule: rule, Msg: msg, Hint: hint})
	d.Reasons = append(d.Reasons, proviso.Reason{Rule: rule, Outcome: proviso.Deny, Class: proviso.WithChange, Agent: msg})
}

// decideEdited decides what will really be forwarded.
func (f *frame) decideEdited(d *proviso.Decision) {
	ev, err := Apply(f.in, d.Edits)
	if err != nil {
		f.refuseEdit(d, editRule, err.Error(), "set a path that the arguments have")
		return
	}
	again := f.pol.Bind(&ev, f.in.call)
	if again.Fault != nil {
		f.refuseEdit(d, editRule, "the edited event is not acceptable: "+again.Fault.Msg, "set what the tool's schema admits")
		return
	}
	g := f.pol.frame(f.prog, again, f.v)
	defer f.pol.release(g)
	second := proviso.Decision{Policy: d.Policy}
	s, _ := g.outcomes()
	if !s.single() {
		var relevant func(int) bool
		if s, relevant = g.complete(s, &second); !s.single() {
			g.needInfo(s, relevant, &second)
		}
	}
	if s.single() {
		second.Outcome = s.lowest()
		g.reasons(&second)
	}
	if second.Outcome < d.Outcome {
		d.Outcome, d.Reasons, d.Missing = second.Outcome, second.Reasons, second.Missing
		d.Errors = append(d.Errors, second.Errors...)
	}
	if d.Outcome == proviso.Deny {
		d.Edits = nil
	}
}

// Apply returns the event with the edits of a decision carried out: exactly what may be forwarded. The input is not changed.
// Arguments are encoded canonically. It returns an error for an edit that does not fit the body.
func Apply(in *Input, edits []proviso.Edit) (proviso.Event, error) {
	ev := *in.Event
	if len(edits) == 0 {
		return ev, nil
	}
	switch b := ev.Body.(type) {
	case *proviso.ToolCall:
		args := in.Raw
		for _, e := range edits {
			var err error
			if args, err = setPath(args, strings.Split(e.Path, "."), e.Value); err != nil {
				return ev, fmt.Errorf("set %s: %w", e.Path, err)
			}
		}
		call := *b
		call.Args = proviso.CanonicalJSON(args)
		ev.Body = &call
		return ev, nil
	case *proviso.Message:
		m := *b
		m.Text = proviso.RedactText(m.Text, edits)
		ev.Body = &m
	case *proviso.ModelRequest:
		m := *b
		m.Text = proviso.RedactText(m.Text, edits)
		ev.Body = &m
	case *proviso.ModelResponse:
		m := *b
		m.Text = proviso.RedactText(m.Text, edits)
		ev.Body = &m
	case *proviso.ToolResult:
		r := *b
		r.Text, r.Content = proviso.RedactText(in.Text, edits), nil
		if len(b.Content) > 0 {
			if err := proviso.CheckResultJSON(r.Text); err == nil {
				r.Content, r.Text = proviso.JSON(r.Text), ""
			}
		}
		ev.Body = &r
	default:
		return ev, fmt.Errorf("a %s event has nothing to edit", ev.Point)
	}
	return ev, nil
}

// setPath returns m with the value at path replaced; only the maps on the way are copied.
func setPath(m map[string]any, path []string, v any) (map[string]any, error) {
	out := make(map[string]any, len(m)+1)
	for k, x := range m {
		out[k] = x
	}
	if len(path) == 1 {
		out[path[0]] = schema.Revert(v)
		return out, nil
	}
	inner, ok := out[path[0]].(map[string]any)
	if !ok && out[path[0]] != nil {
		return nil, fmt.Errorf("%s is not an object", path[0])
	}
	set, err := setPath(inner, path[1:], v)
	if err != nil {
		return nil, err
	}
	out[path[0]] = set
	return out, nil
}
