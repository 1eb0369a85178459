package policy

import (
	"fmt"
	"reflect"
	"sort"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/condition"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
)

// This file compiles facts: their types, where they come from, what spoils them, and which reads can supply them.

func (c *compiler) declareFacts() {
	c.space.Facts = map[string][]string{}
	for _, pk := range c.p.packs {
		for _, f := range pk.Facts {
			if old, ok := c.factPacks[f.Name.S]; ok {
				if !reflect.DeepEqual(old.Schema.Doc, f.Schema.Doc) || !reflect.DeepEqual(old.Initial, f.Initial) || !sameKeys(old.Key, f.Key) {
					c.diag(f.Name.Pos, codeConflict, fmt.Sprintf("fact %s is defined differently in two packs", f.Name.S), "rename one")
				}
				continue
			}
			c.factPacks[f.Name.S] = f
			cf := &fact{index: len(c.p.facts), name: f.Name.S, keys: f.Key, keepFirst: f.Keep == "first"}
			doc, pos := f.Schema.Doc, f.Schema.Pos
			if doc == nil {
				doc, pos = c.outputSchema(f), f.Name.Pos
			}
			if doc != nil {
				sh, err := c.shaper.Compile("fact."+f.Name.S, doc, true)
				if err != nil {
					c.diag(pos, codeToolSchema, fmt.Sprintf("fact %s: %v", f.Name.S, err), "")
				}
				cf.shape = sh
			}
			if cf.shape == nil {
				cf.shape = &schema.Shape{Type: types.DynType, Loc: c.p.loc}
			}
			if f.Initial != nil {
				var err error
				if cf.initial, err = cf.shape.Convert(f.Initial, ""); err != nil {
					cf.initial = f.Initial // its sources may be right
					c.diag(f.Name.Pos, codeToolSchema, fmt.Sprintf("fact %s: the initial value does not conform: %v", f.Name.S, err), "change the value or the schema")
				}
			}
			c.p.factIndex[f.Name.S] = cf.index
			c.p.facts = append(c.p.facts, cf)
			c.space.Facts[cf.name] = cf.keyNames()
		}
	}
}

// outputSchema is the schema of a fact without one: the output schema of the tools that supply it whole, where they agree.
func (c *compiler) outputSchema(f pack.Fact) map[string]any {
	var out map[string]any
	for _, s := range f.From {
		if s.Each != nil || s.Value != nil && s.Value.S != "result" {
			return nil
		}
		for _, n := range c.toolNames {
			if !pack.Match(s.Tool.S, n) {
				continue
			}
			r := c.p.tools[n].decl.Result
			if r == nil || out != nil && !reflect.DeepEqual(out, r) {
				return nil
			}
			out = r
		}
	}
	return out
}

func sameKeys(a, b []pack.KeyPart) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name.S != b[i].Name.S || a[i].Type != b[i].Type {
			return false
		}
	}
	return true
}

// sources compiles the extraction of every fact for every tool that its globs match.
func (c *compiler) sources() {
	for _, pk := range c.p.packs {
		for _, f := range pk.Facts {
			cf := c.p.facts[c.p.factIndex[f.Name.S]]
			for _, s := range f.From {
				c.eachTool(s.Tool, fmt.Sprintf("fact %s", f.Name.S), func(t *tool) {
					if cs, ok := c.source(cf, s, t, true); ok {
						t.sources = append(t.sources, cs)
						cf.sources = append(cf.sources, cs)
						c.supplier(cf, s, t)
					}
				})
			}
			for _, s := range f.Stale {
				c.eachTool(s.Tool, fmt.Sprintf("stale of fact %s", f.Name.S), func(t *tool) {
					if cs, ok := c.source(cf, s, t, false); ok {
						t.spoilers = append(t.spoilers, cs)
					}
				})
			}
		}
	}
}

func (c *compiler) eachTool(glob pack.Text, what string, do func(*tool)) {
	found := false
	for _, n := range c.toolNames {
		if pack.Match(glob.S, n) {
			found = true
			do(c.p.tools[n])
		}
	}
	if !found {
		c.diag(glob.Pos, codeSource, fmt.Sprintf("%s: no tool matches %q", what, glob.S), proviso.DidYouMean(glob.S, c.toolNames))
	}
}

// source compiles one source for one tool.
func (c *compiler) source(f *fact, s pack.Source, t *tool, supplies bool) (*source, bool) {
	vars := []cel.EnvOption{cel.Variable("args", t.args.Type)}
	if supplies {
		res := types.DynType
		if t.result != nil {
			res = t.result.Type
		}
		vars = append(vars, cel.Variable("result", res), cel.Variable("item", cel.DynType))
		if f.initial != nil {
			vars = append(vars, cel.Variable("former", f.shape.Type))
		}
	}
	u := c.unit(&program{vars: vars, tool: t, byKey: map[string]int{}, slotKey: map[string]int{}})
	env := u.Env()
	out := &source{fact: f, tool: t, shape: f.shape, pos: s.Pos}
	ok := true
	compile := func(x *pack.Text, into *cel.Program) *condition.Checked {
		if x == nil {
			return nil
		}
		cx, xok := u.Check(*x)
		if !xok {
			ok = false
			return nil
		}
		prg, err := env.PlanProgram(cx.AST, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			c.diag(x.Pos, condition.CodeConstant, condition.PlainMessage(err.Error()), "")
			ok = false
			return nil
		}
		*into = prg
		return cx
	}
	compile(s.Each, &out.each)
	compile(s.When, &out.when)
	for i, k := range f.keys {
		x, given := s.Keys[k.Name.S]
		if !given {
			if supplies {
				c.diag(s.Pos, codeSource, fmt.Sprintf("fact %s: the source leaves out key %s", f.name, k.Name.S), fmt.Sprintf("add %s: args.… or result.…", k.Name.S))
				return nil, false
			}
			break // staleness of everything below the keys given
		}
		out.keys = append(out.keys, nil)
		if cx := compile(&x, &out.keys[i]); cx != nil {
			c.keyType(f, k, x, cx)
		}
	}
	if supplies {
		value := s.Value
		if value == nil {
			value = &pack.Text{S: "item", Pos: s.Pos}
		}
		if cx := compile(value, &out.value); cx != nil {
			out.verbatim = isPath(cx.AST.Expr())
		}
	}
	return out, ok
}

// isPath recognises a variable and its fields.
func isPath(e ast.Expr) bool {
	if e.Kind() == ast.SelectKind {
		return !e.AsSelect().IsTestOnly() && isPath(e.AsSelect().Operand())
	}
	return e.Kind() == ast.IdentKind
}

func (c *compiler) keyType(f *fact, k pack.KeyPart, x pack.Text, cx *condition.Checked) {
	t := cx.AST.GetType(cx.AST.Expr().ID())
	want := types.StringKind
	if k.Type == "integer" {
		want = types.IntKind
	}
	if t.Kind() != want && t.Kind() != types.DynKind {
		c.diag(x.Pos, codeSource, fmt.Sprintf("fact %s: key %s is %s, but the expression is %s", f.name, k.Name.S, k.Type, condition.PlainMessage(t.String())), "convert it, or declare another key type")
	}
}

// supplier notes how a read can supply a fact: a key that is an argument can be computed backwards.
func (c *compiler) supplier(f *fact, s pack.Source, t *tool) {
	if !t.read {
		return
	}
	sup := supplierOf{tool: t, args: map[string]int{}, typed: map[string]string{}}
	for i, k := range f.keys {
		x := s.Keys[k.Name.S]
		env := c.base
		parsed, iss := env.Parse(x.S)
		if iss.Err() != nil {
			continue
		}
		if arg, ok := argumentOf(parsed.NativeRep().Expr()); ok {
			sup.args[arg] = i
			sup.typed[arg] = k.Type
		}
	}
	for _, n := range t.args.Names {
		if _, ok := sup.args[n]; !ok && t.args.Fields[n].Required {
			sup.open = append(sup.open, n)
		}
	}
	f.suppliers = append(f.suppliers, sup)
}

// argumentOf recognises args.name.
func argumentOf(e ast.Expr) (string, bool) {
	if e.Kind() != ast.SelectKind || e.AsSelect().IsTestOnly() {
		return "", false
	}
	o := e.AsSelect().Operand()
	return e.AsSelect().FieldName(), o.Kind() == ast.IdentKind && o.AsIdent() == "args"
}

// suppliers keeps only reads that some grant covers, those with the fewest open arguments first.
func (c *compiler) suppliers() {
	for _, f := range c.p.facts {
		kept := f.suppliers[:0]
		for _, s := range f.suppliers {
			if s.tool.call.granted() {
				kept = append(kept, s)
			}
		}
		f.suppliers = kept
		sort.SliceStable(kept, func(i, j int) bool {
			if len(kept[i].open) != len(kept[j].open) {
				return len(kept[i].open) < len(kept[j].open)
			}
			return kept[i].tool.decl.Name < kept[j].tool.decl.Name
		})
	}
}

// granted reports whether in every rank some grant covers the program, whatever its condition.
func (p *program) granted() bool {
	for _, rank := range p.grants {
		if len(rank) == 0 {
			return false
		}
	}
	return len(p.grants) > 0
}
