package schema

import (
	"slices"
	"sort"

	"cel.dev/cel-go/common/types"
)

// OfValue infers the type of a table from what it holds: objects whose members differ in type become objects with fields,
// others maps, so that data.fees[r.cabin] and data.limits.day both type-check.
func (c *Compiler) OfValue(name string, v any) *Shape {
	sh := &Shape{Loc: c.Loc}
	switch x := v.(type) {
	case bool:
		sh.Kind = BoolKind
	case int64:
		sh.Kind = IntKind
	case float64:
		sh.Kind = DoubleKind
	case string:
		sh.Kind = StringKind
	case []any:
		sh.Kind = ListKind
		sh.Elem = c.unify(name+".item", x)
	case map[string]any:
		keys := sortedKeys(x)
		vals := make([]any, len(keys))
		for i, k := range keys {
			vals[i] = x[k]
		}
		sh.Elem = c.unify(name+".value", vals)
		if sh.Elem != nil && sh.Elem.Kind != AnyKind || len(x) == 0 {
			sh.Kind = MapKind
			break
		}
		sh.Kind, sh.Elem, sh.Fields = ObjectKind, nil, map[string]*Field{}
		for i, k := range keys {
			sh.Fields[k] = &Field{Name: k, Shape: c.OfValue(name+"."+k, vals[i]), Required: true}
			sh.Names = append(sh.Names, k)
		}
	}
	sh.Type = c.Declare(sh, name)
	return sh
}

// unify returns the one shape of all values, integers and numbers together being numbers; nil for no values, dynamic where they differ.
func (c *Compiler) unify(name string, vs []any) *Shape {
	if len(vs) == 0 {
		return nil
	}
	kinds := map[Kind]bool{}
	for _, v := range vs {
		kinds[plainKind(v)] = true
	}
	if len(kinds) == 2 && kinds[IntKind] && kinds[DoubleKind] && !slices.ContainsFunc(vs, inexact) {
		return &Shape{Kind: DoubleKind, Type: types.DoubleType}
	}
	if len(kinds) != 1 {
		return &Shape{Type: types.DynType}
	}
	switch plainKind(vs[0]) {
	case ListKind:
		var all []any
		for _, v := range vs {
			all = append(all, v.([]any)...)
		}
		sh := &Shape{Kind: ListKind, Elem: c.unify(name+".item", all)}
		sh.Type = c.Declare(sh, name)
		return sh
	case MapKind:
		return c.unifyMaps(name, vs)
	}
	return c.OfValue(name, vs[0])
}

// inexact reports an integer that no double holds.
func inexact(v any) bool {
	i, ok := v.(int64)
	return ok && (i > MaxExact || i < -MaxExact)
}

// unifyMaps joins objects of a list or map: members that are all of one plain type make them maps; else they are one object type, in which a member that some lack is optional.
func (c *Compiler) unifyMaps(name string, vs []any) *Shape {
	members := map[string][]any{}
	var all []any
	for _, v := range vs {
		for k, m := range v.(map[string]any) {
			members[k] = append(members[k], m)
			all = append(all, m)
		}
	}
	if elem := c.unify(name+".value", all); elem != nil && elem.Kind != AnyKind && elem.Kind != ObjectKind {
		sh := &Shape{Kind: MapKind, Elem: elem}
		sh.Type = c.Declare(sh, name)
		return sh
	}
	sh := &Shape{Kind: ObjectKind, Fields: map[string]*Field{}}
	for _, k := range sortedKeys(members) {
		fs := c.unify(name+"."+k, members[k])
		sh.Fields[k] = &Field{Name: k, Shape: fs, Required: len(members[k]) == len(vs)}
		sh.Names = append(sh.Names, k)
	}
	sh.Type = c.Declare(sh, name)
	return sh
}

func plainKind(v any) Kind {
	switch v.(type) {
	case bool:
		return BoolKind
	case int64:
		return IntKind
	case float64:
		return DoubleKind
	case string:
		return StringKind
	case []any:
		return ListKind
	case map[string]any:
		return MapKind
	}
	return AnyKind
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
