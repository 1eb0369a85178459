package policy

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
)

// This file reads facts out of tool results, and the keys that a call makes stale.

// MaxGrown bounds the value of a fact that is made of its former one, in bytes of JSON; one that grows beyond is in error.
const MaxGrown = 64 << 10

// sourceView is the activation of a fact's source expressions.
type sourceView struct {
	args   map[string]any
	result any
	item   any
	former any // the entry so far; nil where it is not known
}

func (v *sourceView) Parent() cel.Activation { return nil }

func (v *sourceView) ResolveName(n string) (any, bool) {
	switch n {
	case "args":
		return v.args, true
	case "result":
		return nilSafe(v.result), true
	case "item":
		return nilSafe(v.item), true
	case "former":
		return v.former, v.former != nil
	}
	return nil, false
}

// Observe returns the facts that a bound result supplies, converted to their schemas, in the order in which they come to be. Error results, and results that answer no bound call, supply none.
// so holds the facts as they were before the result, for those that are made of their former value; nil stands for none.
// A value that does not conform, and a key that cannot be computed where the rest of the source applies, gives a FactValue with Err set.
func (p *Policy) Observe(in *Input, so Facts) []proviso.FactValue {
	if in.tool == nil || in.call == nil || in.isError() || in.Fault != nil {
		return nil
	}
	// Expressions are checked against the tool's output schema, so what they compute with is converted to it. What is taken over as it stands is converted by the fact's own schema alone.
	typed := in.Value
	if in.tool.result != nil && len(in.tool.sources) > 0 {
		if v, err := in.tool.result.Convert(in.Value, ""); err == nil {
			typed = v
		}
	}
	var out []proviso.FactValue
	for _, s := range in.tool.sources {
		out = s.observe(in, typed, so, out)
	}
	return out
}

func (s *source) observe(in *Input, typed any, so Facts, out []proviso.FactValue) []proviso.FactValue {
	raw := &sourceView{args: in.Args, result: in.Value, item: in.Value}
	if s.each == nil {
		return s.one(raw, typed, so, out)
	}
	list, _, err := s.each.Eval(raw)
	if err != nil {
		return out // the list is not there: nothing was observed
	}
	it, ok := list.(traits.Lister)
	if !ok {
		return out
	}
	for i := it.Iterator(); i.HasNext() == types.True; {
		item := *raw
		item.item = i.Next()
		out = s.one(&item, typed, so, out)
	}
	return out
}

func (s *source) one(raw *sourceView, typed any, so Facts, out []proviso.FactValue) []proviso.FactValue {
	v := &sourceView{args: raw.args, result: typed, item: raw.item}
	if s.fact.initial == nil && !s.applies(v) {
		return out
	}
	fv := proviso.FactValue{FactKey: proviso.FactKey{Fact: s.fact.name}}
	for i, k := range s.keys {
		val, _, err := k.Eval(v)
		if err != nil {
			return out // without its key an entry cannot be stored; what is not stored stays unobserved
		}
		part, ok := keyPart(val.Value())
		if !ok || s.fact.keys[i].Type == "integer" && val.Type() != types.IntType {
			return out
		}
		fv.Key = append(fv.Key, part)
	}
	if s.fact.initial != nil {
		if v.former = s.fact.so(fv.Key, so, out); !s.applies(v) {
			return out
		}
	}
	if s.verbatim {
		v = raw
	}
	val, _, err := s.value.Eval(v)
	if err != nil {
		fv.Err = err.Error()
		return append(out, fv)
	}
	conv, err := s.shape.Convert(schema.Revert(schema.FromCEL(val)), "")
	if err != nil {
		fv.Err = err.Error()
		return append(out, fv)
	}
	if s.fact.initial != nil && !s.verbatim && len(proviso.CanonicalJSON(conv)) > MaxGrown {
		fv.Err = fmt.Sprintf("the value has more than %d bytes; let it grow no further", MaxGrown)
		return append(out, fv)
	}
	fv.Value = conv
	return append(out, fv)
}

// applies reports whether the source supplies anything; one whose condition fails supplies nothing.
func (s *source) applies(v *sourceView) bool {
	if s.when == nil {
		return true
	}
	holds, _, err := s.when.Eval(v)
	return err == nil && holds == types.True
}

// so is an entry as it was before, by what the same result has shown of it already or else by the session; nil where it is in error or not known.
func (f *fact) so(key []string, so Facts, shown []proviso.FactValue) any {
	for _, v := range slices.Backward(shown) {
		if v.Fact == f.name && slices.Equal(v.Key, key) {
			return v.Value
		}
	}
	k := Key{N: len(key)}
	copy(k.Part[:], key)
	if so != nil {
		if v, st := so.Fact(f.index, k); st == Observed {
			return v
		}
	}
	return nil
}

// Spoils returns the fact entries that the release of a bound call makes stale. A key that cannot be computed spoils everything below the keys before it.
func (p *Policy) Spoils(in *Input) []proviso.FactKey {
	if in.tool == nil || in.Fault != nil || len(in.tool.spoilers) == 0 {
		return nil
	}
	var out []proviso.FactKey
	v := &sourceView{args: in.Args}
	for _, s := range in.tool.spoilers {
		if s.when != nil {
			// A condition that fails spoils: staleness is the careful side.
			if holds, _, err := s.when.Eval(v); err == nil && holds == types.False {
				continue
			}
		}
		fk := proviso.FactKey{Fact: s.fact.name}
		for _, k := range s.keys {
			val, _, err := k.Eval(v)
			if err != nil {
				break
			}
			part, ok := keyPart(val.Value())
			if !ok {
				break
			}
			fk.Key = append(fk.Key, part)
		}
		out = append(out, fk)
	}
	return out
}

// ScopeMoves returns the names of scopes that the event pushes, and whether it pops the scope named top.
func (p *Policy) ScopeMoves(in *Input, top string) (push []string, pop bool) {
	for _, s := range p.scopes {
		for _, m := range s.push {
			if moves(m, in) {
				push = append(push, s.name)
				break
			}
		}
		if s.name != top {
			continue
		}
		for _, m := range s.pop {
			pop = pop || moves(m, in)
		}
	}
	if lc, ok := in.Event.Body.(*proviso.Lifecycle); ok && lc.Kind == "return" {
		pop = true
	}
	return push, pop
}

// moves reports whether the event is the one that a scope waits for.
func moves(m pack.Matcher, in *Input) bool {
	switch b := in.Event.Body.(type) {
	case *proviso.Lifecycle:
		return m.Kind == "handoff" && b.Kind == "handoff" && pack.Match(m.Name, b.Name)
	case *proviso.ToolCall:
		return m.Kind == "call" && pack.Match(m.Name, b.Tool)
	case *proviso.ToolResult:
		return m.Kind == "result" && !b.IsError && pack.Match(m.Name, in.name)
	}
	return false
}
