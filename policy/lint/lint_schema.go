package lint

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// typing is what the schemas say about the value of an expression.
// keys counts the index steps that lead from a fact's name to its schema.
type typing struct {
	schema map[string]any
	keys   int
}

// schemas returns what is known of an expression, once for each tool that it is evaluated for; none where anything is open.
func (s *Subject) schemas(x *site, e ast.Expr) []map[string]any {
	ks := s.known(x, e, 0)
	out := make([]map[string]any, len(ks))
	for i, k := range ks {
		if k.keys != 0 || k.schema == nil {
			return nil
		}
		out[i] = k.schema
	}
	return out
}

func (s *Subject) known(x *site, e ast.Expr, depth int) []typing {
	if depth > 32 {
		return nil
	}
	switch e.Kind() {
	case ast.IdentKind:
		return s.knownName(x, e.AsIdent(), depth)
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return nil
		}
		return step(s.known(x, e.AsSelect().Operand(), depth+1), e.AsSelect().FieldName())
	case ast.CallKind:
		c := e.AsCall()
		switch c.FunctionName() {
		case operators.Index:
			from := s.known(x, c.Args()[0], depth+1)
			if len(from) > 0 && from[0].keys > 0 {
				out := make([]typing, len(from))
				for i, k := range from {
					out[i] = typing{k.schema, k.keys - 1}
				}
				return out
			}
			if name, isText := textLiteral(c.Args()[1]); isText {
				return step(from, name)
			}
			return items(from)
		case "size":
			return s.sizeOf(x, c, depth)
		case "double":
			return []typing{{schema: map[string]any{"type": "number"}}}
		case "int":
			return []typing{{schema: map[string]any{"type": "integer"}}}
		}
	}
	return nil
}

func (s *Subject) knownName(x *site, name string, depth int) []typing {
	if let := x.lets[name]; let != nil && let.expr != nil {
		use := *let
		use.tools = x.tools
		return s.known(&use, let.expr, depth+1)
	}
	switch name {
	case "args", "result":
		out := make([]typing, 0, len(x.tools))
		for _, t := range x.tools {
			schema := s.tools[t].Args
			if name == "result" {
				schema = s.tools[t].Result
			}
			out = append(out, typing{schema: schema})
		}
		return out
	case "session":
		props := map[string]any{"turns": map[string]any{"type": "integer", "minimum": int64(0)}}
		for _, p := range s.Packs {
			for _, a := range p.Session {
				props[a.Name.S] = a.Schema
			}
		}
		return []typing{{schema: map[string]any{"type": "object", "properties": props}}}
	}
	for _, p := range s.Packs {
		for _, f := range p.Facts {
			if f.Name.S == name && f.Schema.Doc != nil {
				return []typing{{f.Schema.Doc, len(f.Key)}}
			}
		}
	}
	return nil
}

// step goes from objects to one of their properties.
func step(from []typing, name string) []typing {
	out := make([]typing, 0, len(from))
	for _, k := range from {
		props, _ := k.schema["properties"].(map[string]any)
		p, ok := props[name].(map[string]any)
		if !ok || k.keys > 0 {
			return nil
		}
		out = append(out, typing{schema: p})
	}
	return out
}

// items goes from lists to their members.
func items(from []typing) []typing {
	out := make([]typing, 0, len(from))
	for _, k := range from {
		p, ok := k.schema["items"].(map[string]any)
		if !ok {
			return nil
		}
		out = append(out, typing{schema: p})
	}
	return out
}

// sizeKeywords are the bounds of size() by type.
var sizeKeywords = map[string][2]string{"string": {"minLength", "maxLength"}, "array": {"minItems", "maxItems"}, "object": {"minProperties", "maxProperties"}}

// sizeOf gives size(v) the bounds of v's schema; a size is never negative, whatever v is.
func (s *Subject) sizeOf(x *site, c ast.CallExpr, depth int) []typing {
	arg := c.Target()
	if !c.IsMemberFunction() {
		if len(c.Args()) != 1 {
			return nil
		}
		arg = c.Args()[0]
	}
	from := s.known(x, arg, depth+1)
	if len(from) == 0 {
		return []typing{{schema: map[string]any{"type": "integer", "minimum": int64(0)}}}
	}
	out := make([]typing, len(from))
	for i, k := range from {
		schema := map[string]any{"type": "integer", "minimum": int64(0)}
		typ, _ := k.schema["type"].(string)
		if words, ok := sizeKeywords[typ]; ok && k.keys == 0 {
			if v, has := k.schema[words[0]]; has {
				schema["minimum"] = v
			}
			if v, has := k.schema[words[1]]; has {
				schema["maximum"] = v
			}
		}
		out[i] = typing{schema: schema}
	}
	return out
}

// isNumberType reports whether a schema is of type number, which is a double in conditions.
func isNumberType(schema map[string]any) bool { return schema["type"] == "number" }

// enumOf lists the values that a schema admits by name; none where it does not list them.
func enumOf(s map[string]any) []any {
	if e, ok := s["enum"].([]any); ok {
		return e
	}
	if c, ok := s["const"]; ok {
		return []any{c}
	}
	return nil
}
