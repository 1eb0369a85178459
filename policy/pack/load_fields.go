package pack

import (
	"fmt"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/tree"
)

// The names of a pack.
var (
	identPattern = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)
	idPattern    = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	packPattern  = lazyregexp.New(`^[a-z0-9][a-z0-9-]*$`)
)

// The names that cannot be given: those that CEL reserves, those that conditions know as variables of Proviso, and the attributes that every session has.
var (
	celReserved     = wordSet("true false null in as break const continue else for function if import let loop package namespace return var void while")
	variableNames   = wordSet("now tz session data args tool call result text role is_error tools judged item")
	sessionBuiltins = wordSet("user id turns started")
)

func wordSet(s string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(s) {
		out[w] = true
	}
	return out
}

var (
	identShape = named("a name that conditions can use", identPattern.String(), "use letters, digits and _, begin with a letter, and none of the words that conditions know already", func(s string) bool {
		return identPattern.MatchString(s) && !celReserved[s] && !variableNames[s]
	})
	attributeShape = named("a name for a session attribute", identPattern.String(), "use letters, digits and _, begin with a letter, and leave out user, id, turns and started, which every session has", func(s string) bool {
		return identPattern.MatchString(s) && !celReserved[s] && !sessionBuiltins[s]
	})
	keyPartShape = named("a name for a key part", identPattern.String(), "use letters, digits and _, and begin with a letter", identPattern.MatchString)
	idShape      = named("a name for a rule or a scope", idPattern.String(), "use letters, digits, '-', '_' and '.'", idPattern.MatchString)
	packShape    = named("a name for a pack", packPattern.String(), "use lower-case letters, digits and '-'", packPattern.MatchString)

	textsShape = oneOrMany(textShape)
	pointShape = oneOf(pointsByName())
	rankShape  = oneOf(map[string]Rank{"org": Org, "user": UserRank, "task": Task})
	modeShape  = oneOf(map[string]Mode{"enforce": Enforce, "audit": Audit, "off": Off})
	classShape = oneOf(map[string]proviso.Class{"never": proviso.Never, "with_change": proviso.WithChange, "with_approval": proviso.WithApproval, "needs_info": proviso.NeedsInfo, "transient": proviso.Transient})
	allowDeny  = oneOf(map[string]proviso.Outcome{"allow": proviso.Allow, "deny": proviso.Deny})
)

func pointsByName() map[string]proviso.Point {
	out := map[string]proviso.Point{}
	for _, p := range proviso.Points() {
		out[p.String()] = p
	}
	return out
}

func makeLet(name, expr Text) Let { return Let{Name: name, Expr: expr} }

var letsShape = entries(identShape, exprShape, makeLet)

// condOps are the connectives of a condition tree.
var condOps = map[string]tree.Op{"all": tree.All, "any": tree.Any, "chain": tree.Chain, "gate": tree.Gate, "not": tree.Not}

var condShape = form[*Cond]{condSchema, readCond}

func condSchema(d defs) map[string]any {
	return d.ref("condition", func() map[string]any {
		self := map[string]any{"$ref": "#/$defs/condition"}
		many := map[string]any{"type": "array", "items": self, "minItems": 1}
		props := map[string]any{"not": self}
		for op := range condOps {
			if op != "not" {
				props[op] = many
			}
		}
		return map[string]any{
			"description": "A CEL expression, a list (all of them), or one of all, any, chain, gate, not.",
			"anyOf": []any{
				exprShape.schema(d), many,
				map[string]any{"type": "object", "properties": props, "additionalProperties": false, "minProperties": 1, "maxProperties": 1},
			},
		}
	})
}

func readCond(l *loader, n *yamlNode) (*Cond, bool) {
	switch n.kind {
	case yamlList:
		kids, ok := readConds(l, n)
		return &Cond{Op: tree.All, Kids: kids, Pos: n.pos()}, ok
	case yamlMap:
		if len(n.fields) != 1 {
			l.fail(n.pos(), CodeValue, fmt.Sprintf("a condition has exactly one of all, any, chain, gate, not; this one has %d keys", len(n.fields)), "join the keys with all: or any:, and put an expression that holds a ':' in quotes")
			return nil, false
		}
		f := n.fields[0]
		op, known := condOps[f.key.text]
		if !known {
			l.fail(f.key.pos(), CodeUnknownKey, fmt.Sprintf("unknown connective %q in a condition", f.key.text), unknownHint(f.key.text, []string{"all", "any", "chain", "gate", "not"}))
			return nil, false
		}
		if op == tree.Not {
			kid, ok := readCond(l, f.value)
			return &Cond{Op: op, Kids: []*Cond{kid}, Pos: n.pos()}, ok
		}
		kids, ok := readConds(l, f.value)
		return &Cond{Op: op, Kids: kids, Pos: n.pos()}, ok
	}
	t, ok := exprShape.read(l, n)
	return &Cond{Op: tree.Atom, Expr: t, Pos: t.Pos}, ok
}

func readConds(l *loader, n *yamlNode) ([]*Cond, bool) {
	return listOf(form[*Cond]{condSchema, readCond}).read(l, n)
}

var grantObject = &object[Grant]{
	name: "grant", doc: "What may be done at all.",
	place: func(g *Grant, p proviso.Pos) { g.Pos = p },
	props: []prop[Grant]{
		req("tools", textsShape, func(g *Grant) *[]Text { return &g.Tools }, "Globs of the tools that are granted."),
		opt("agents", textsShape, func(g *Grant) *[]Text { return &g.Agents }, "Globs of the agents that the grant is for; left out: all."),
		opt("let", letsShape, func(g *Grant) *[]Let { return &g.Lets }, "Named expressions of this grant."),
		opt("when", condShape, func(g *Grant) **Cond { return &g.When }, "The grant holds where this is true."),
	},
}

var sourceNames = wordSet("tool each value when")

func sourceObject(name, doc string) *object[Source] {
	return &object[Source]{
		name: name, doc: doc,
		place: func(s *Source, p proviso.Pos) { s.Pos = p },
		props: []prop[Source]{
			req("tool", textShape, func(s *Source) *Text { return &s.Tool }, "A glob of the tools."),
			opt("each", as(exprShape, ref), func(s *Source) **Text { return &s.Each }, "A list in the result whose members (item) become facts of their own."),
			opt("value", as(exprShape, ref), func(s *Source) **Text { return &s.Value }, "The value of the fact; left out: item, or result."),
			opt("when", as(exprShape, ref), func(s *Source) **Text { return &s.When }, "Only results for which this holds count."),
		},
		rest: &rest[Source]{
			schema: map[string]any{"type": []any{"string", "number", "boolean"}, "description": "The expression of one key part."},
			read: func(l *loader, key, value *yamlNode, s *Source) bool {
				t, ok := exprShape.read(l, value)
				if s.Keys == nil {
					s.Keys = map[string]Text{}
				}
				s.Keys[key.text] = t
				return ok
			},
		},
	}
}

func ref[T any](t T) *T { return &t }

var factObject = &object[Fact]{
	name: "fact", doc: "What the session has shown to be true.",
	props: []prop[Fact]{
		opt("schema", schemaShape, func(f *Fact) *Schema { return &f.Schema }, "JSON Schema of the fact, inline or {$ref: \"file.json#/pointer\"}; left out: the output schema of the tool."),
		opt("key", entries(keyPartShape, oneOf(map[string]string{"string": "string", "integer": "integer"}), func(n Text, t string) KeyPart { return KeyPart{n, t} }), func(f *Fact) *[]KeyPart { return &f.Key }, "The parts of the key, in order, at most four."),
		req("from", listOf(sourceObject("source", "A tool whose result supplies the fact.").form()), func(f *Fact) *[]Source { return &f.From }, "The tools whose results supply the fact."),
		opt("stale", listOf(sourceObject("stale", "A tool whose release makes the fact stale.").form()), func(f *Fact) *[]Source { return &f.Stale }, "The tools whose release makes the fact stale."),
		opt("keep", oneOf(map[string]string{"first": "first", "last": "last"}), func(f *Fact) *string { return &f.Keep }, "Which observation counts; default last."),
		opt("initial", anyShape, func(f *Fact) *any { return &f.Initial }, "The value until a result shows one; left out, the fact is unknown until then. Its sources can read the value so far as former."),
	},
	finish: finishFact,
}

func finishFact(l *loader, n *yamlNode, f *Fact) bool {
	names := make([]string, len(f.Key))
	for i, k := range f.Key {
		names[i] = k.Name.S
		if sourceNames[k.Name.S] {
			l.fail(k.Name.Pos, CodeValue, fmt.Sprintf("a key part cannot be called %q, a source has a key of that name", k.Name.S), "call it something else")
			return false
		}
	}
	if in := n.get("initial"); in != nil && (f.Initial == nil || len(f.Stale) > 0) {
		l.fail(in.pos(), CodeValue, "a fact with an initial value always has one: it can neither be null nor go stale", "let a source set the value that holds after the call, or leave initial out")
		return false
	}
	if len(f.Key) > MaxKey {
		l.fail(f.Key[MaxKey].Name.Pos, CodeLimit, fmt.Sprintf("a fact's key has at most %d parts", MaxKey), "join parts into one text")
		return false
	}
	ok := true
	for _, list := range []struct {
		of    []Source
		stale bool
	}{{f.From, false}, {f.Stale, true}} {
		for _, s := range list.of {
			ok = checkSourceKeys(l, s, names, list.stale) && ok
		}
	}
	return ok
}

// checkSourceKeys checks that a source gives every part of the key; a stale source may leave parts out from the right.
func checkSourceKeys(l *loader, s Source, names []string, stale bool) bool {
	ok, given := true, 0
	for i, name := range names {
		if _, has := s.Keys[name]; has {
			if stale && given != i {
				l.fail(s.Pos, CodeValue, fmt.Sprintf("the key part %q is given, but %q before it is not", name, names[given]), "leave key parts out from the right only")
				return false
			}
			given++
		} else if !stale {
			l.fail(s.Pos, CodeValue, fmt.Sprintf("this source does not give the key part %q", name), fmt.Sprintf("add %s: an expression over args, result or item", name))
			ok = false
		}
	}
	known := append([]string{"tool", "each", "value", "when"}, names...)
	for k, t := range s.Keys {
		if !contains(names, k) {
			l.fail(t.Pos, CodeUnknownKey, fmt.Sprintf("unknown key %q in a source: neither a key part of the fact nor a key of sources", k), unknownHint(k, known))
			ok = false
		}
	}
	return ok
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

var questionObject = &object[Question]{
	name: "question", doc: "What only language understanding can answer.",
	props: []prop[Question]{
		req("ask", textShape, func(q *Question) *Text { return &q.Ask }, "The question, answered by yes or no."),
		opt("about", oneOrMany(exprShape), func(q *Question) *[]Text { return &q.About }, "Expressions, and turns(n), whose values the question is about."),
		opt("clause", textsShape, func(q *Question) *[]Text { return &q.Clause }, "The clauses that the question comes from."),
	},
}

var messageObject = &object[Messages]{
	name: "message", doc: "The texts for the three readers of a denial.",
	props: []prop[Messages]{
		opt("agent", stringShape, func(m *Messages) *string { return &m.Agent }, "For the agent."),
		opt("user", stringShape, func(m *Messages) *string { return &m.User }, "For the user."),
		opt("auditor", stringShape, func(m *Messages) *string { return &m.Auditor }, "For the auditor."),
	},
}

// messageShape is one text, for the agent, or a text for each reader.
var messageShape = form[Messages]{
	func(d defs) map[string]any {
		return map[string]any{"anyOf": []any{textShape.schema(d), messageObject.schema(d)}}
	},
	func(l *loader, n *yamlNode) (Messages, bool) {
		if n.kind == yamlMap {
			return messageObject.read(l, n)
		}
		s, ok := stringShape.read(l, n)
		return Messages{Agent: s}, ok
	},
}

var ruleObject = &object[Rule]{
	name: "rule", doc: "What must hold.",
	place: func(r *Rule, p proviso.Pos) { r.Pos = p },
	props: []prop[Rule]{
		req("id", idShape, func(r *Rule) *Text { return &r.ID }, "The rule's stable name."),
		opt("clause", textsShape, func(r *Rule) *[]Text { return &r.Clauses }, "The clauses of the document that the rule implements."),
		opt("on", oneOrMany(pointShape), func(r *Rule) *[]proviso.Point { return &r.On }, "Where the rule is asked; default tool_call."),
		opt("tools", textsShape, func(r *Rule) *[]Text { return &r.Tools }, "Globs of tools; left out: all."),
		opt("agents", textsShape, func(r *Rule) *[]Text { return &r.Agents }, "Globs of agents; left out: all."),
		opt("let", letsShape, func(r *Rule) *[]Let { return &r.Lets }, "Named expressions of this rule."),
		opt("when", condShape, func(r *Rule) **Cond { return &r.When }, "The rule is silent where this is false."),
		opt("require", condShape, func(r *Rule) **Cond { return &r.Require }, "What must hold; left out: the rule always yields its else."),
		opt("else", effectShape, func(r *Rule) *Effect { return &r.Else }, "What follows where require is false; default deny."),
		opt("message", messageShape, func(r *Rule) *Messages { return &r.Message }, "What the agent, the user and the auditor are told."),
		opt("hint", stringShape, func(r *Rule) *string { return &r.Hint }, "What the agent can do instead."),
		opt("class", classShape, func(r *Rule) *proviso.Class { return &r.Class }, "What the agent can do about a denial; default: derived."),
		opt("mode", modeShape, func(r *Rule) *Mode { return &r.Mode }, "enforce (default), audit (only records) or off."),
	},
}

var scopeObject = &object[Scope]{
	name: "scope", doc: "A frame of the agent's work.",
	props: []prop[Scope]{
		opt("push", oneOrMany(matcherShape), func(s *Scope) *[]Matcher { return &s.Push }, "The events that enter the scope."),
		opt("pop", oneOrMany(matcherShape), func(s *Scope) *[]Matcher { return &s.Pop }, "The events that leave the scope."),
		opt("rules", textsShape, func(s *Scope) *[]Text { return &s.Rules }, "Globs of the rules that apply only in this scope."),
		opt("grants", section(grantObject.form()), func(s *Scope) *[]Grant { return &s.Grants }, "Grants that hold only in this scope."),
	},
}

var overrideObject = &object[Override]{
	name: "override", doc: "Lifts one deny of a pack of lower rank.",
	place: func(o *Override, p proviso.Pos) { o.Pos = p },
	props: []prop[Override]{
		req("lifts", textShape, func(o *Override) *Text { return &o.Lifts }, "The rule, or pack:rule."),
		req("by", textShape, func(o *Override) *Text { return &o.By }, "Who answers for it."),
		req("until", timeShape, func(o *Override) *time.Time { return &o.Until }, "When it ends."),
		opt("clause", textsShape, func(o *Override) *[]Text { return &o.Clause }, "The clauses that permit it."),
	},
}

var unenforceableObject = &object[Unenforceable]{
	name: "unenforceable", doc: "Clauses that no rule and no question can enforce.",
	place: func(u *Unenforceable, p proviso.Pos) { u.Pos = p },
	props: []prop[Unenforceable]{
		req("clause", textsShape, func(u *Unenforceable) *[]Text { return &u.Clause }, "The clauses."),
		req("reason", textShape, func(u *Unenforceable) *Text { return &u.Reason }, "Why nothing can enforce them, for whoever reads the coverage."),
	},
}

// rulesFile is one file of rules.
type rulesFile struct {
	Lets      []Let
	Grants    []Grant
	HasGrants bool
	Facts     []Fact
	Questions []Question
	Labels    []Label
	Rules     []Rule
	Scopes    []Scope
	Overrides []Override

	Unenforceable []Unenforceable
}

var rulesObject = &object[rulesFile]{
	name: "rules file", doc: "Grants, facts, questions and rules of a policy pack.",
	props: []prop[rulesFile]{
		opt("let", letsShape, func(f *rulesFile) *[]Let { return &f.Lets }, "Named expressions that every rule sees."),
		opt("grants", section(grantObject.form()), func(f *rulesFile) *[]Grant { f.HasGrants = true; return &f.Grants }, "What may be done at all."),
		opt("facts", entries(identShape, factObject.form(), func(n Text, f Fact) Fact { f.Name = n; return f }), func(f *rulesFile) *[]Fact { return &f.Facts }, "What the session has shown to be true."),
		opt("questions", entries(identShape, questionObject.form(), func(n Text, q Question) Question { q.ID = n; return q }), func(f *rulesFile) *[]Question { return &f.Questions }, "What only language understanding can answer."),
		opt("labels", entries(labelShape, labelObject.form(), func(n Text, x Label) Label { x.Name = n; return x }), func(f *rulesFile) *[]Label { return &f.Labels }, "What the sources of values are called, such as private or trusted."),
		opt("rules", section(ruleObject.form()), func(f *rulesFile) *[]Rule { return &f.Rules }, "What must hold."),
		opt("scopes", entries(idShape, scopeObject.form(), func(n Text, s Scope) Scope { return nameScope(n, s) }), func(f *rulesFile) *[]Scope { return &f.Scopes }, "A stack of frames with rules and grants of their own."),
		opt("overrides", section(overrideObject.form()), func(f *rulesFile) *[]Override { return &f.Overrides }, "Denials of lower ranks that are lifted."),
		opt("unenforceable", section(unenforceableObject.form()), func(f *rulesFile) *[]Unenforceable { return &f.Unenforceable }, "Clauses that nothing can enforce, and why."),
	},
}

func nameScope(name Text, s Scope) Scope {
	s.Name = name
	for i := range s.Grants {
		s.Grants[i].Scope = name.S
	}
	return s
}
