package policy

import (
	"fmt"
	"reflect"
	"time"

	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/condition"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
)

// This file compiles what packs declare before any rule: settings, tools, session attributes, tables and questions.

// settings reads what stands in proviso.yaml. Overlays of lower rank may only make defaults stricter.
func (c *compiler) settings() {
	p := c.p
	p.loc, p.zone = time.UTC, "UTC"
	for _, pk := range p.packs {
		if pk.Timezone.S != "" {
			loc, err := time.LoadLocation(pk.Timezone.S)
			if err != nil {
				c.diag(pk.Timezone.Pos, condition.CodeTime, fmt.Sprintf("unknown time zone %q", pk.Timezone.S), "use an IANA name such as Europe/Berlin")
				continue
			}
			p.loc, p.zone = loc, pk.Timezone.S
			break
		}
	}
	for _, pk := range p.packs {
		if pk.Clock.S == "" || pk.Clock.S == "event" {
			continue
		}
		t, err := schema.ParseTime(pk.Clock.S, p.loc)
		if err != nil {
			c.diag(pk.Clock.Pos, condition.CodeTime, fmt.Sprintf("clock: %v", err), "write event, or a time such as 2025-03-01T10:00:00Z")
			continue
		}
		if p.clock.IsZero() {
			p.clock = t
		}
	}
	for i, pk := range p.packs {
		for pt, o := range pk.Defaults.Outcome {
			if cur, ok := p.outcome[pt]; !ok || o < cur {
				p.outcome[pt] = o
			}
		}
		for pt, o := range pk.Defaults.OnError {
			// Every pack of the highest rank may open a point on errors, no overlay may.
			if o == proviso.Allow && pk.Rank == p.packs[0].Rank && i == 0 {
				p.onError[pt] = true
			}
		}
		p.atomic = p.atomic || pk.Defaults.Parallel == "atomic"
	}
}

func (c *compiler) tools() {
	p := c.p
	for _, pk := range p.packs {
		for _, t := range pk.Tools {
			if old := p.tools[t.Name]; old != nil {
				if !reflect.DeepEqual(old.decl.Args, t.Args) || !reflect.DeepEqual(old.decl.Result, t.Result) {
					c.diag(t.Pos, codeConflict, fmt.Sprintf("tool %s is defined differently in two packs", t.Name), "an overlay leaves tools out, or repeats them exactly")
				}
				continue
			}
			if ct := c.tool(t, pk); ct != nil {
				p.tools[t.Name] = ct
			}
		}
	}
	c.toolNames = sortedKeys(p.tools)
	p.names = c.toolNames
	c.space.Tools = make(map[string]*schema.Shape, len(p.tools))
	for n, t := range p.tools {
		c.space.Tools[n] = t.args
	}
	for _, pk := range p.packs {
		for n, t := range p.tools {
			t.read = t.read || t.decl.ReadOnly || pack.MatchAny(pk.Reads, n)
			for _, k := range pk.Keys {
				if pack.Match(k.Tool.S, n) {
					t.keys = c.keyArguments(k, t)
				}
			}
		}
	}
}

func (c *compiler) keyArguments(k pack.KeyArgs, t *tool) []string {
	for _, a := range k.Args {
		if t.args.Fields[a.S] == nil {
			c.diag(a.Pos, condition.CodeUndeclared, fmt.Sprintf("tool %s has no argument %q", t.decl.Name, a.S), proviso.DidYouMean(a.S, t.args.Names))
		}
	}
	return texts(k.Args)
}

func (c *compiler) tool(t pack.Tool, pk *pack.Pack) *tool {
	params := t.Args
	if params == nil {
		params = map[string]any{}
	}
	if params["properties"] == nil {
		params = withEmptyProperties(params)
	}
	args, err := c.shaper.Compile("tool."+t.Name, params, pk.Defaults.Extra == "allow")
	if err == nil && args.Kind != schema.ObjectKind {
		err = fmt.Errorf("arguments must be an object")
	}
	if err != nil {
		c.diag(t.Pos, codeToolSchema, fmt.Sprintf("tool %s: %v", t.Name, err), "the parameters of a tool are a JSON Schema of type object")
		return nil
	}
	ct := &tool{decl: t, args: args}
	if t.Result != nil {
		if ct.result, err = c.shaper.Compile("result."+t.Name, t.Result, true); err != nil {
			c.diag(t.Pos, codeToolSchema, fmt.Sprintf("tool %s: output schema: %v", t.Name, err), "")
		}
	}
	return ct
}

func withEmptyProperties(s map[string]any) map[string]any {
	out := map[string]any{"type": "object"}
	for k, v := range s {
		out[k] = v
	}
	out["properties"] = map[string]any{}
	if _, ok := s["additionalProperties"]; !ok {
		out["additionalProperties"] = false
	}
	return out
}

var builtinSession = []struct {
	name string
	typ  *types.Type
	kind schema.Kind
	def  any
}{
	{"id", types.StringType, schema.StringKind, ""},
	{"started", types.TimestampType, schema.TimeKind, nil},
	{"turns", types.IntType, schema.IntKind, int64(0)},
	{"user", types.StringType, schema.StringKind, ""},
}

func (c *compiler) sessionShape() {
	sh := &schema.Shape{Kind: schema.ObjectKind, Fields: map[string]*schema.Field{}}
	for _, b := range builtinSession {
		sh.Fields[b.name] = &schema.Field{Name: b.name, Shape: &schema.Shape{Kind: b.kind, Type: b.typ, Loc: c.p.loc}, Required: true, Default: b.def, HasDefault: b.def != nil}
	}
	for _, pk := range c.p.packs {
		for _, s := range pk.Session {
			fs, err := c.shaper.Compile("session."+s.Name.S, s.Schema, true)
			if err != nil {
				c.diag(s.Name.Pos, codeToolSchema, fmt.Sprintf("session attribute %s: %v", s.Name.S, err), "")
				continue
			}
			if sh.Fields[s.Name.S] != nil {
				if _, own := c.builtin(s.Name.S); own {
					c.diag(s.Name.Pos, codeConflict, fmt.Sprintf("session attribute %s is built in", s.Name.S), "choose another name")
				}
				continue
			}
			f := &schema.Field{Name: s.Name.S, Shape: fs}
			if d := s.Default; d != nil {
				if f.Default, err = fs.Convert(d, s.Name.S); err != nil {
					c.diag(s.Name.Pos, codeToolSchema, fmt.Sprintf("session attribute %v: the default does not conform", err), "")
					continue
				}
				f.HasDefault = true
			}
			sh.Fields[s.Name.S] = f
		}
	}
	sh.Names = sortedKeys(sh.Fields)
	sh.Type = c.shaper.Declare(sh, "session")
	c.p.session = sh
}

func (c *compiler) builtin(name string) (int, bool) {
	for i, b := range builtinSession {
		if b.name == name {
			return i, true
		}
	}
	return 0, false
}

func (c *compiler) tables() {
	sh := &schema.Shape{Kind: schema.ObjectKind, Fields: map[string]*schema.Field{}}
	c.p.data = map[string]any{}
	for _, pk := range c.p.packs {
		for _, t := range pk.Tables {
			if sh.Fields[t.Name] != nil {
				c.diag(t.Pos, codeConflict, fmt.Sprintf("table %s exists twice", t.Name), "rename one file")
				continue
			}
			ts := c.shaper.OfValue("data."+t.Name, t.Value)
			v, err := ts.Convert(t.Value, t.Name)
			if err != nil {
				c.diag(t.Pos, codeToolSchema, fmt.Sprintf("table %v", err), "")
				continue
			}
			sh.Fields[t.Name] = &schema.Field{Name: t.Name, Shape: ts, Required: true}
			c.p.data[t.Name] = v
		}
	}
	sh.Names = sortedKeys(sh.Fields)
	sh.Type = c.shaper.Declare(sh, "data")
	c.data = sh
}

func (c *compiler) questions() {
	for _, pk := range c.p.packs {
		for _, q := range pk.Questions {
			if c.p.questions[q.ID.S] != nil {
				c.diag(q.ID.Pos, codeConflict, fmt.Sprintf("question %s exists twice", q.ID.S), "rename one")
				continue
			}
			c.p.questions[q.ID.S] = &question{id: q.ID.S, ask: q.Ask.S, about: q.About, clauses: c.cite(pk, q.Clause)}
		}
		for _, u := range pk.Unenforceable { // they decide nothing, but have to name clauses that are there
			c.cite(pk, u.Clause)
		}
	}
}

// cite resolves clause ids to clauses; one that the document lacks is an error at its line.
func (c *compiler) cite(pk *pack.Pack, ids []pack.Text) []proviso.Clause {
	var out []proviso.Clause
	for _, id := range ids {
		cl, ok := c.clause(pk, id.S)
		if !ok {
			c.diag(id.Pos, codeClauseUnseen, fmt.Sprintf("the document has no clause %q", id.S), c.clauseHint(pk, id.S))
			continue
		}
		out = append(out, cl)
	}
	return out
}

func (c *compiler) clause(pk *pack.Pack, id string) (proviso.Clause, bool) {
	if pk.Document != nil {
		if cl, ok := pk.Document.Find(id); ok {
			return cl.Cite(), true
		}
		return proviso.Clause{}, false
	}
	for _, other := range c.p.packs {
		if other.Document != nil {
			if cl, ok := other.Document.Find(id); ok {
				return cl.Cite(), true
			}
		}
	}
	return proviso.Clause{}, false
}

func (c *compiler) clauseHint(pk *pack.Pack, id string) string {
	var ids []string
	for _, p := range c.p.packs {
		if p.Document != nil && (p == pk || pk.Document == nil) {
			ids = append(ids, p.Document.IDs()...)
		}
	}
	if len(ids) == 0 {
		return "the pack has no policy document"
	}
	if h := proviso.DidYouMean(id, ids); h != "" {
		return h
	}
	return "list the clauses with `proviso explain --clauses`"
}
