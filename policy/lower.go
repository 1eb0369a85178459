package policy

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/ast"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/policy/condition"
	"github.com/proviso-dev/proviso/tree"
)

// This file lowers conditions to trees: connectives of YAML and of CEL become nodes, everything between them becomes atoms.

// hoist replaces every fully indexed look-up of a fact whose keys are plain paths by a slot, so that equal look-ups are resolved once.
func (u *unit) hoist(x *condition.Checked) {
	ast.PostOrderVisit(x.AST.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		name, keys, ok := condition.IndexChain(e)
		if !ok {
			return
		}
		i, isFact := u.c.p.factIndex[name]
		if !isFact || len(keys) != len(u.c.p.facts[i].keys) {
			return
		}
		n, ok := u.slot(x, u.c.p.facts[i], e, keys)
		if !ok {
			return
		}
		ident := fmt.Sprintf("@f%d", n)
		e.SetKindCase(factory.NewIdent(e.ID(), ident))
		x.AST.SetReference(e.ID(), ast.NewIdentReference(ident, nil))
	}))
}

func (u *unit) slot(x *condition.Checked, f *fact, e ast.Expr, keys []ast.Expr) (int, bool) {
	key := condition.Key(e)
	if n, ok := u.prog.slotKey[key]; ok {
		return n, true
	}
	s := &slot{fact: f, exprs: keys}
	var names []string
	for i, k := range keys {
		g := u.keyGetter(x, k, f.keys[i].Type)
		if g == nil {
			return 0, false
		}
		s.keys = append(s.keys, g)
		s.deps = append(s.deps, slotsBelow(k)...)
		names = append(names, u.pathText(k))
	}
	s.text = f.name
	if len(names) > 0 {
		s.text += "[" + strings.Join(names, "][") + "]"
	}
	n := len(u.prog.slots)
	u.prog.slots = append(u.prog.slots, s)
	u.prog.slotKey[key] = n
	return n, true
}

// lower turns a checked formula into a tree and registers its atoms. occurs receives the written text of every leaf.
func (u *unit) lower(f *condition.Formula, occurs map[*tree.Node]string) (*tree.Node, bool) {
	if f == nil {
		return nil, true
	}
	if f.Op != tree.Atom {
		kids := make([]*tree.Node, len(f.Kids))
		ok := true
		for i, k := range f.Kids {
			var kok bool
			kids[i], kok = u.lower(k, occurs)
			ok = ok && kok
		}
		if !ok {
			return nil, false
		}
		if f.Op == tree.Not {
			// Kept where it undoes the negation of a normalised comparison: the leaf below is explained as it was written.
			return &tree.Node{Op: tree.Not, Kids: kids}, true
		}
		return tree.New(f.Op, kids...), true
	}
	if v, ok := condition.BoolLiteral(f.E); ok {
		if v {
			return &tree.Node{Op: tree.All}, true
		}
		return &tree.Node{Op: tree.Any}, true
	}
	text := f.X.Source[f.E.ID()]
	if text == "" {
		text = u.pathText(f.E)
	}
	e, negated := condition.Normalise(f.E)
	i, ok := u.atom(f.X, e, text, negated)
	if !ok {
		return nil, false
	}
	n := tree.Leaf(i)
	if negated {
		n = &tree.Node{Op: tree.Not, Kids: []*tree.Node{n}}
	}
	if occurs != nil {
		occurs[n] = text
	}
	return n, true
}

// atom registers an atom, or finds the equal one. negated says that the text was written for its negation.
func (u *unit) atom(x *condition.Checked, e ast.Expr, text string, negated bool) (int, bool) {
	key := condition.Key(e)
	if i, ok := u.prog.byKey[key]; ok {
		return i, true
	}
	a := &atom{key: key, text: text, negated: negated, expr: e, checked: x}
	if q, ok := condition.QuestionOf(e); ok {
		if !u.questionAtom(x, e, a, q) {
			return 0, false
		}
	} else {
		if q := condition.MentionsQuestion(e); q != "" {
			u.c.diag(x.At(e), condition.CodeQuestion, fmt.Sprintf("judged.%s stands inside a larger expression", q), "a question is a condition of its own: join it with && || ! or in a tree")
			return 0, false
		}
		var ok bool
		if a.plan, ok = u.Plan(x, e); !ok || !u.Patterns(x, e) {
			return 0, false
		}
		a.native = u.nativeAtom(x, e)
		if a.native == nil {
			if _, err := a.plan(); err != nil {
				u.c.diag(x.At(e), condition.CodeConstant, condition.PlainMessage(err.Error()), "literals such as duration('24h') and timestamp('2025-01-01T00:00:00Z') must be valid")
				return 0, false
			}
			a.prg, _ = a.plan()
		}
		a.inputs = u.inputs(x, e, nil, map[string]bool{})
		a.confirm = mentionsCall(e, "confirmed")
		u.c.p.consents = u.c.p.consents || a.confirm
	}
	a.slots = slotsBelow(e)
	i := len(u.prog.atoms)
	u.prog.atoms = append(u.prog.atoms, a)
	u.prog.byKey[key] = i
	return i, true
}

func mentionsCall(e ast.Expr, fn string) (found bool) {
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(k ast.Expr) {
		found = found || k.Kind() == ast.CallKind && k.AsCall().FunctionName() == fn
	}))
	return found
}

func slotsBelow(e ast.Expr) (out []int) {
	seen := map[int]bool{}
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(k ast.Expr) {
		if n, ok := condition.SlotNumber(k); ok && !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}))
	return out
}

// questionAtom compiles what a question is asked about.
func (u *unit) questionAtom(x *condition.Checked, e ast.Expr, a *atom, id string) bool {
	q, ok := u.c.p.questions[id]
	if !ok {
		u.c.diag(x.At(e), condition.CodeQuestion, fmt.Sprintf("unknown question %q", id), proviso.DidYouMean(id, sortedKeys(u.c.p.questions)))
		return false
	}
	a.question = q
	a.inputs = nil
	for _, t := range q.about {
		if turnsOnly.MatchString(t.S) {
			continue
		}
		ax, ok := u.Check(t)
		if !ok || !u.FactsIndexedExpr(ax, ax.AST.Expr()) || !u.PresentExpr(ax, ax.AST.Expr(), nil) {
			return false
		}
		u.hoist(ax)
		get := u.anyGetter(ax, ax.AST.Expr())
		if get == nil {
			if get = u.programGetter(ax, ax.AST.Expr()); get == nil {
				return false
			}
		}
		a.inputs = append(a.inputs, input{t.S, get})
		for _, s := range slotsBelow(ax.AST.Expr()) {
			a.slots = append(a.slots, s)
		}
	}
	return true
}

var turnsOnly = lazyregexp.New(`^\s*turns\(\s*\d+\s*\)\s*$`)
