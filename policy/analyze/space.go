package analyze

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/schema"
	"github.com/proviso-dev/proviso/tree"
)

// space is the set of atoms that the trees of one tool share, over one policy or two.
type space struct {
	atoms []*atom
	byKey map[string]int
	vars  map[string]*variable
	// blocked are tools of which no call can have been permitted.
	blocked map[string]bool
	// solved remembers what was found for a conjunction of patterns: a search asks for the same ones again and again.
	solved map[string]solution
}

// atom is one condition of the shared set.
type atom struct {
	key  string
	text string
	lit  literal  // nil: opaque
	uses []string // paths that may be absent, which it reads
}

// source is one policy's program, as far as atoms are read from it.
type source struct {
	p *policy.Policy
	a policy.Anatomy
}

func newSpace() *space {
	return &space{byKey: map[string]int{}, vars: map[string]*variable{}, solved: map[string]solution{}}
}

// mapped returns a tree of src with the numbers of the space.
func (s *space) mapped(src *source, n *tree.Node) *tree.Node {
	if n == nil {
		return nil
	}
	if n.Op == tree.Atom {
		return tree.Leaf(s.atom(src, n.Atom))
	}
	kids := make([]*tree.Node, len(n.Kids))
	for i, k := range n.Kids {
		kids[i] = s.mapped(src, k)
	}
	return &tree.Node{Op: n.Op, Kids: kids}
}

// atom returns the shared number of an atom of src.
func (s *space) atom(src *source, i int) int {
	from := src.a.Atoms[i]
	r := &reader{s: s, src: src, typeOf: from.TypeOf}
	key := r.canonical(from.Expr)
	if n, ok := s.byKey[key]; ok {
		return n
	}
	a := &atom{key: key, text: from.Text}
	a.lit = r.literal(from.Expr)
	a.uses = r.uses
	s.byKey[key] = len(s.atoms)
	s.atoms = append(s.atoms, a)
	return len(s.atoms) - 1
}

// reader reads one atom.
type reader struct {
	s      *space
	src    *source
	typeOf func(ast.Expr) *types.Type
	uses   []string
}

// canonical writes an expression so that it is the same text wherever it means the same: look-ups and questions about the past in words, tables by their values.
func (r *reader) canonical(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		if n, ok := slotNumber(e); ok {
			s := r.src.a.Slots[n]
			keys := make([]string, len(s.Keys))
			for i, k := range s.Keys {
				keys[i] = "[" + r.canonical(k) + "]"
			}
			return r.src.p.Facts()[s.Fact].Name + strings.Join(keys, "")
		}
		switch e.AsIdent() {
		case "tz":
			return strconv.Quote(r.src.p.TimeZone())
		case "data":
			return "data" // only inside something that is not a path: its values are read below
		}
		return e.AsIdent()
	case ast.LiteralKind:
		return fmt.Sprintf("%s(%v)", e.AsLiteral().Type().TypeName(), schema.Show(e.AsLiteral().Value()))
	case ast.SelectKind:
		if v, ok := r.table(e); ok {
			return "const(" + schema.Show(v) + ")"
		}
		sel := e.AsSelect()
		text := r.canonical(sel.Operand()) + "." + sel.FieldName()
		if sel.IsTestOnly() {
			return "has(" + text + ")"
		}
		return text
	case ast.CallKind:
		return r.canonicalCall(e.AsCall())
	case ast.ListKind:
		return "[" + r.join(e.AsList().Elements()) + "]"
	case ast.MapKind:
		var parts []string
		for _, m := range e.AsMap().Entries() {
			parts = append(parts, r.canonical(m.AsMapEntry().Key())+":"+r.canonical(m.AsMapEntry().Value()))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case ast.ComprehensionKind:
		q := e.AsComprehension()
		return fmt.Sprintf("fold(%s,%s,%s;%s=%s;%s;%s;%s)", r.canonical(q.IterRange()), q.IterVar(), q.IterVar2(), q.AccuVar(), r.canonical(q.AccuInit()),
			r.canonical(q.LoopCondition()), r.canonical(q.LoopStep()), r.canonical(q.Result()))
	}
	// A struct cannot be built in a condition; were it, the atom would be one of its own.
	return fmt.Sprintf("?%p", e)
}

func (r *reader) canonicalCall(call ast.CallExpr) string {
	name := call.FunctionName()
	if pastFunctions[name] {
		return r.past(call)
	}
	args := call.Args()
	if call.IsMemberFunction() {
		return r.canonical(call.Target()) + "." + name + "(" + r.join(args) + ")"
	}
	if name == operators.Index {
		return r.canonical(args[0]) + "[" + r.canonical(args[1]) + "]"
	}
	return name + "(" + r.join(args) + ")"
}

func (r *reader) join(es []ast.Expr) string {
	parts := make([]string, len(es))
	for i, e := range es {
		parts[i] = r.canonical(e)
	}
	return strings.Join(parts, ",")
}

// pastFunctions ask the history.
var pastFunctions = map[string]bool{"@called": true, "@count": true, "@sum": true, "@last": true, "@since": true}

// past writes a question about the past without its number, which is one policy's own.
func (r *reader) past(call ast.CallExpr) string {
	q := r.src.p.Queries()[call.Args()[1].AsLiteral().Value().(int64)]
	return call.FunctionName() + "(" + queryText(q) + ";" + r.join(call.Args()[2].AsList().Elements()) + ")"
}

func queryText(q policy.Query) string {
	return fmt.Sprintf("%q,%q,%q,%s,%s", q.Tools, q.Filter, q.Field, q.Phase, q.Within)
}

// table reads data.name.field as the value that it has.
func (r *reader) table(e ast.Expr) (any, bool) {
	path, ok := pathOf(e, "data")
	if !ok {
		return nil, false
	}
	return r.src.p.Table(path...)
}

// pathOf recognises root.a.b and root['a'].b.
func pathOf(e ast.Expr, root string) (path []string, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return nil, e.AsIdent() == root
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return nil, false
		}
		path, ok = pathOf(e.AsSelect().Operand(), root)
		return append(path, e.AsSelect().FieldName()), ok
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() != operators.Index {
			return nil, false
		}
		name, isText := textLiteral(call.Args()[1])
		if !isText {
			return nil, false
		}
		path, ok = pathOf(call.Args()[0], root)
		return append(path, name), ok
	}
	return nil, false
}

func textLiteral(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().Value().(string)
	return s, ok
}

func slotNumber(e ast.Expr) (int, bool) {
	if e.Kind() != ast.IdentKind || !strings.HasPrefix(e.AsIdent(), "@f") {
		return 0, false
	}
	n, err := strconv.Atoi(e.AsIdent()[2:])
	return n, err == nil
}

// neverMade reports whether a question about the past is about calls that cannot have been made: all of its tools are blocked. Attempts can be made all the same.
func (s *space) neverMade(at place) bool {
	q := at.asked
	if q == nil || q.Phase == proviso.Attempted || q.Phase == proviso.Denied {
		return false
	}
	for _, t := range q.Tools {
		if !s.blocked[t] {
			return false
		}
	}
	return true
}

func sortedNames[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for n := range m {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}
