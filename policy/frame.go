package policy

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	celref "cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/schema"
	"github.com/proviso-dev/proviso/tree"
)

// A frame is the working memory of one decision. Frames are pooled; nothing of one is kept in a Decision.
// It is the CEL activation of the atoms that are not native, and the value of `call` and `@frame` inside conditions.
type frame struct {
	pol  *Policy
	prog *program
	in   *Input
	v    *View
	now  time.Time

	sets    []tree.Set // of atoms; 0 is not evaluated yet
	slots   []slotValue
	atomSet func(int) tree.Set
	faults  []atomFault
	plain   bool // evaluate by CEL only, for the reference
	result  resultValue

	// misses are look-ups of unobserved facts that were not hoisted, by atom.
	misses []miss
	cur    int

	// open and causal are scratch space.
	open   []int
	causal []proviso.Cause
}

type slotValue struct {
	state state
	val   any
	key   Key
}

// resultValue is the result of a tool as conditions read it, converted when the first one does.
type resultValue struct {
	done bool
	val  any
	err  error
}

type miss struct {
	atom int
	fact *fact
	key  Key
}

type atomFault struct {
	atom int
	err  error
}

// state says how the evaluation of a path went. The zero value of a slotValue is "not looked up".
type state uint8

const (
	notYet  state = iota
	known         // a value
	unknown       // not observed
	failed        // an error
	absent        // an error of kind "no such key", which is not kept
)

var (
	errAbsent  = errors.New("no such field")
	errBroken  = errors.New("the observed value did not conform to the fact's schema")
	errOrigins = errors.New("origins are not tracked here")
	celUnknown = types.NewUnknown(0, nil)
)

func (p *Policy) frame(prog *program, in *Input, v *View) *frame {
	f, _ := p.frames.Get().(*frame)
	if f == nil {
		f = &frame{}
		f.atomSet = f.atom
	}
	f.pol, f.prog, f.in, f.v = p, prog, in, v
	f.now = p.Now(v.Now)
	f.sets = zeroed(f.sets, len(prog.atoms))
	f.slots = zeroed(f.slots, len(prog.slots))
	return f
}

func zeroed[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

func (p *Policy) release(f *frame) {
	clear(f.slots)
	f.in, f.v, f.prog = nil, nil, nil
	f.faults, f.misses = f.faults[:0], f.misses[:0]
	f.result = resultValue{}
	f.plain = false
	clear(f.causal)
	p.frames.Put(f)
}

// atom returns the values of an atom, evaluating it at most once.
func (f *frame) atom(i int) tree.Set {
	if s := f.sets[i]; s != 0 {
		return s
	}
	s := f.evaluate(i)
	f.sets[i] = s
	return s
}

func (f *frame) evaluate(i int) tree.Set {
	s := f.evaluated(i)
	if s == tree.Open && f.spoilt(f.prog.atoms[i]) {
		return f.fail(i, errBroken)
	}
	return s
}

// spoilt reports whether a fact that an open atom reads is broken. Such an atom errs whatever is still to come: were it open until then,
// knowing less could permit more.
func (f *frame) spoilt(a *atom) bool {
	for _, n := range a.slots {
		if f.slot(n).state >= failed {
			return true
		}
	}
	return false
}

func (f *frame) evaluated(i int) tree.Set {
	a := f.prog.atoms[i]
	switch {
	case a.question != nil:
		return f.answer(i, a)
	case a.native != nil && !f.plain:
		s := a.native(f)
		if s == tree.Err {
			f.faults = append(f.faults, atomFault{i, nil})
		}
		return s
	}
	prg := a.prg
	if prg == nil {
		var err error
		if prg, err = a.plan(); err != nil {
			return f.fail(i, err)
		}
	}
	outer := f.cur
	f.cur = i
	out, _, err := prg.Eval(f)
	f.cur = outer
	switch {
	case err != nil:
		return f.fail(i, err)
	case out == types.True:
		return tree.IsTrue
	case out == types.False:
		return tree.IsFalse
	case types.IsUnknown(out):
		return tree.Open
	}
	return f.fail(i, fmt.Errorf("the value is %s, not true or false", out.Type().TypeName()))
}

func (f *frame) fail(i int, err error) tree.Set {
	f.faults = append(f.faults, atomFault{i, err})
	return tree.Err
}

// answer looks a question's answer up; it is open while one of the values it is asked about is unknown.
func (f *frame) answer(i int, a *atom) tree.Set {
	if f.v.Answers == nil {
		return tree.Open
	}
	about := make([]any, len(a.inputs))
	for j, in := range a.inputs {
		val, st := in.get(f)
		switch st {
		case unknown:
			return tree.Open
		case failed, absent:
			return f.fail(i, fmt.Errorf("%s, which the question is asked about, failed", in.text))
		}
		about[j] = val
	}
	return tree.SetOf(f.v.Answers.Answer(a.question.id, about))
}

// slot looks a fact up, once per decision.
func (f *frame) slot(n int) *slotValue {
	s := &f.slots[n]
	if s.state != notYet {
		return s
	}
	sl := f.prog.slots[n]
	s.key.N = len(sl.keys)
	for i, g := range sl.keys {
		part, st := g(f)
		if st != known {
			s.state = st
			s.key.N = -1 // the key itself is not known
			return s
		}
		s.key.Part[i] = part
	}
	s.val, s.state = f.fact(sl.fact, s.key)
	return s
}

func (f *frame) fact(fc *fact, key Key) (any, state) {
	if f.v.Facts == nil {
		return nil, unknown
	}
	val, st := f.v.Facts.Fact(fc.index, key)
	switch st {
	case Observed:
		return val, known
	case Broken:
		return nil, failed
	}
	return nil, unknown
}

// Parent makes a frame a CEL activation.
func (f *frame) Parent() cel.Activation { return nil }

// ResolveName gives CEL the value of a variable.
func (f *frame) ResolveName(n string) (any, bool) {
	switch n {
	case "args":
		return f.in.Args, true
	case "now":
		return types.Timestamp{Time: f.now}, true
	case "tz":
		return f.pol.zone, true
	case "session":
		return f.v.Session, true
	case "data":
		return f.pol.data, true
	case "tool":
		return f.in.Tool(), true
	case "text":
		return f.in.Text, true
	case "role":
		return f.in.role(), true
	case "result":
		v, err := f.resultVal()
		if err != nil {
			return types.WrapErr(err), true
		}
		return v, true
	case "is_error":
		return f.in.isError(), true
	case "tools":
		return f.in.offered(), true
	case "call", "@frame":
		return f, true
	}
	if len(n) > 2 && n[0] == '@' && n[1] == 'f' {
		i, err := strconv.Atoi(n[2:])
		if err != nil || i >= len(f.slots) {
			return nil, false
		}
		return f.slotVal(i), true
	}
	if i, ok := f.pol.factIndex[n]; ok {
		fc := f.pol.facts[i]
		if len(fc.keys) == 0 {
			return f.lookup(fc, Key{}), true
		}
		return &factMap{f: f, fact: fc}, true
	}
	return nil, false
}

// resultVal converts the result to the schema that its tool publishes, because that is what conditions were checked against. Facts have schemas of their own and read it as it came.
func (f *frame) resultVal() (any, error) {
	r := &f.result
	if !r.done {
		r.done, r.val = true, f.in.Value
		if t := f.in.tool; t != nil && t.result != nil && !f.in.isError() {
			r.val, r.err = t.result.Convert(f.in.Value, "result")
		}
	}
	return r.val, r.err
}

func (f *frame) slotVal(i int) any {
	s := f.slot(i)
	switch s.state {
	case known:
		return nilSafe(s.val)
	case unknown:
		return celUnknown
	}
	return types.WrapErr(errBroken)
}

func nilSafe(v any) any {
	if v == nil {
		return types.NullValue
	}
	return v
}

// lookup is a look-up by CEL; an unobserved entry is remembered as missing for the atom being evaluated.
func (f *frame) lookup(fc *fact, key Key) any {
	val, st := f.fact(fc, key)
	switch st {
	case known:
		return nilSafe(val)
	case unknown:
		f.misses = append(f.misses, miss{f.cur, fc, key})
		return celUnknown
	}
	return types.WrapErr(errBroken)
}

// A factMap is a fact, indexed as far as key goes, as CEL sees it: a map whose every entry exists and may be unknown.
type factMap struct {
	f    *frame
	fact *fact
	key  Key
	traits.Mapper
}

func (m *factMap) at(part string) any {
	k := m.key
	k.Part[k.N] = part
	k.N++
	if k.N < len(m.fact.keys) {
		return &factMap{f: m.f, fact: m.fact, key: k}
	}
	return m.f.lookup(m.fact, k)
}

// FindStringKey is the fast way of CEL's qualifiers for string keys.
func (m *factMap) FindStringKey(k string) (any, bool) { return m.at(k), true }

// Find is the general way, and the only one for integer keys.
func (m *factMap) Find(k celref.Val) (celref.Val, bool) {
	part, ok := keyPart(k.Value())
	if !ok {
		return types.NewErr("fact %s: %s is not a key", m.fact.name, k.Type().TypeName()), true
	}
	return types.DefaultTypeAdapter.NativeToValue(m.at(part)), true
}

func keyPart(v any) (string, bool) {
	switch k := v.(type) {
	case string:
		return k, true
	case int64:
		return strconv.FormatInt(k, 10), true
	}
	return "", false
}

// Get indexes like Find.
func (m *factMap) Get(k celref.Val) celref.Val {
	v, _ := m.Find(k)
	return v
}

// Contains is always true: that an entry was not observed does not mean that it does not exist.
func (m *factMap) Contains(k celref.Val) celref.Val { return celUnknown }

func (m *factMap) Type() celref.Type           { return types.MapType }
func (m *factMap) Value() any                  { return m }
func (m *factMap) Equal(celref.Val) celref.Val { return celUnknown }
func (m *factMap) Size() celref.Val            { return celUnknown }
func (m *factMap) Iterator() traits.Iterator {
	return types.NewStringList(types.DefaultTypeAdapter, nil).Iterator()
}
func (m *factMap) ConvertToType(celref.Type) celref.Val {
	return types.NewErr("a fact cannot be converted; read it fully indexed")
}
func (m *factMap) ConvertToNative(reflect.Type) (any, error) {
	return nil, errors.New("a fact cannot be converted; read it fully indexed")
}

// ---- a frame as the value of `call`

var frameType = types.NewOpaqueType("proviso.call")

func (f *frame) Type() celref.Type             { return frameType }
func (f *frame) Value() any                    { return f }
func (f *frame) Equal(o celref.Val) celref.Val { return types.Bool(o == celref.Val(f)) }
func (f *frame) ConvertToType(celref.Type) celref.Val {
	return types.NewErr("call cannot be converted")
}
func (f *frame) ConvertToNative(reflect.Type) (any, error) {
	return nil, errors.New("call cannot be converted")
}

// confirmed asks the session whether the user confirmed this very call.
func (f *frame) confirmed() tree.Set {
	if f.v.Consent == nil {
		return tree.Open
	}
	return tree.SetOf(f.v.Consent.Confirmed(f.in))
}

// past asks the session's indexes.
func (f *frame) past(q int, values []any) Past {
	if f.v.History == nil {
		return Past{}
	}
	return f.v.History.Past(q, values, f.now)
}

// Trace asks the session for the labels of a value; it makes a frame a builtin.Tracer.
func (f *frame) Trace(v celref.Val, how builtin.Precision) ([]string, error) {
	switch {
	case f.v.Origins == nil:
		return nil, errOrigins
	case how == builtin.OriginEvery:
		return f.v.Origins.Every(schema.FromCEL(v)), nil
	}
	return f.v.Origins.Of(schema.FromCEL(v), how), nil
}

// never is what last() is where no call matches, and forever what since() is.
var never = time.Unix(0, 0).UTC()

const forever = time.Duration(1<<63 - 1)

func (p Past) last() time.Time {
	if p.Last.IsZero() {
		return never
	}
	return p.Last
}

func (p Past) since(now time.Time) time.Duration {
	if p.Last.IsZero() {
		return forever
	}
	return now.Sub(p.Last)
}

// frameOptions declares the functions that need the frame.
func frameOptions() []cel.EnvOption {
	past := func(name string, out *cel.Type, value func(*frame, Past) celref.Val) cel.EnvOption {
		return cel.Function(name, cel.Overload(name[1:]+"_past", []*cel.Type{frameCELType, cel.IntType, cel.ListType(cel.DynType)}, out,
			cel.FunctionBinding(func(args ...celref.Val) celref.Val {
				f := args[0].(*frame)
				list := args[2].(traits.Lister)
				values := make([]any, 0, 4)
				for it := list.Iterator(); it.HasNext() == types.True; {
					values = append(values, schema.FromCEL(it.Next()))
				}
				return value(f, f.past(int(args[1].(types.Int)), values))
			})))
	}
	return append([]cel.EnvOption{
		cel.Variable("@frame", frameCELType),
		past("@called", cel.BoolType, func(_ *frame, p Past) celref.Val { return types.Bool(p.Count > 0) }),
		past("@count", cel.IntType, func(_ *frame, p Past) celref.Val { return types.Int(p.Count) }),
		past("@sum", cel.DoubleType, func(_ *frame, p Past) celref.Val { return types.Double(p.Sum) }),
		past("@last", cel.TimestampType, func(_ *frame, p Past) celref.Val { return types.Timestamp{Time: p.last()} }),
		past("@since", cel.DurationType, func(f *frame, p Past) celref.Val { return types.Duration{Duration: p.since(f.now)} }),
		cel.Function("confirmed", cel.Overload("confirmed_call", []*cel.Type{frameCELType}, cel.BoolType,
			cel.UnaryBinding(func(c celref.Val) celref.Val {
				switch c.(*frame).confirmed() {
				case tree.IsTrue:
					return types.True
				case tree.IsFalse:
					return types.False
				}
				return celUnknown
			}))),
		builtin.LocalOption(),
	}, builtin.OriginOptions(frameCELType)...)
}

var frameCELType = cel.OpaqueType("proviso.call")

func native(v celref.Val) any { return schema.FromCEL(v) }
