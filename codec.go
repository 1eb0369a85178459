package proviso

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"
)

// DecodeStrict reads one JSON value into what v points to, with all that DecodeJSON refuses refused, and besides: keys that the type does not have, in exactly this case (PV007, with the nearest name), values of another type, and null where the type has no nil (PV008).
// Fields of type any get what DecodeResultJSON gives. Raw fields of type JSON are kept byte for byte without looking inside; the decision on them does.
// Errors are *JSONError. On an error v may be partly written. The strings of the result share the memory of a text given as a string, and one copy of bytes; bytes are not kept.
func DecodeStrict[T ~string | ~[]byte](text T, v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return fmt.Errorf("decode JSON: %T is not a pointer to write to", v)
	}
	d := newDecoder(string(text), true)
	defer d.release()
	if !d.start() || !d.into(rv.Elem()) || !d.finish() {
		return d.err
	}
	return nil
}

// AppendJSON appends v as JSON on one line and returns the extended slice. It is the counterpart of DecodeStrict for records and what they hold: the struct tags of encoding/json count, text is not escaped for HTML, and the keys of maps are sorted.
// A raw field of type JSON is written as it is. Where it is not JSON or spans lines it is written as text under its name with "_text" behind it, or "_base64" where it is not UTF-8 either, so that the very bytes come back.
// It fails for NaN, infinities and types that have no JSON form.
func AppendJSON(b []byte, v any) ([]byte, error) {
	if r, ok := v.(*Record); ok && r != nil {
		return appendObject(b, r, (*object).record)
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	return appendValue(b, rv)
}

// MarshalJSON writes the event; its body is an object with one key that names the kind, such as {"tool_call": {…}}.
// json.Marshal removes white space from raw arguments afterwards; AppendJSON keeps them.
func (e Event) MarshalJSON() ([]byte, error) { return AppendJSON(nil, &e) }

// UnmarshalJSON reads what MarshalJSON or AppendJSON wrote, strictly.
func (e *Event) UnmarshalJSON(b []byte) error { return DecodeStrict(b, e) }

// bodyKinds are the names of the bodies in records.
var bodyKinds = []struct {
	name string
	typ  reflect.Type // what a Body of this kind points to
}{
	{"lifecycle", reflect.TypeFor[Lifecycle]()},
	{"message", reflect.TypeFor[Message]()},
	{"model_request", reflect.TypeFor[ModelRequest]()},
	{"model_response", reflect.TypeFor[ModelResponse]()},
	{"tool_call", reflect.TypeFor[ToolCall]()},
	{"tool_list", reflect.TypeFor[ToolList]()},
	{"tool_result", reflect.TypeFor[ToolResult]()},
}

var (
	eventType = reflect.TypeFor[Event]()
	bodyType  = reflect.TypeFor[Body]()
	rawType   = reflect.TypeFor[JSON]()
	bytesType = reflect.TypeFor[[]byte]()
	anyType   = reflect.TypeFor[any]()
	timeType  = reflect.TypeFor[time.Time]()

	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	marshaler       = reflect.TypeFor[json.Marshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
)

// plan is how a struct type is read and written.
type plan struct {
	fields []field
	keys   map[string]int // every key that may occur → field
	names  []string
	write  func(b []byte, v reflect.Value) ([]byte, error) // nil: field by field
}

type field struct {
	name      string
	lead      string // the name as it stands before a value
	index     []int
	form      form
	raw       bool
	omitEmpty bool
	omitZero  bool
}

const (
	textSuffix   = "_text"
	base64Suffix = "_base64"
)

var plans sync.Map // reflect.Type → *plan

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{keys: map[string]int{}, write: byHand(t)}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" || !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		options = "," + options + ","
		n := field{name: name, lead: string(append(appendText(nil, name), ':')), index: f.Index, form: formOf(f.Type), raw: f.Type == rawType, omitEmpty: strings.Contains(options, ",omitempty,"), omitZero: strings.Contains(options, ",omitzero,")}
		p.keys[name] = len(p.fields)
		if n.raw {
			p.keys[name+textSuffix] = len(p.fields)
			p.keys[name+base64Suffix] = len(p.fields)
		}
		p.fields = append(p.fields, n)
		p.names = append(p.names, name)
	}
	got, _ := plans.LoadOrStore(t, p)
	return got.(*plan)
}

// form says which way of reading and which of writing a type takes; finding it out is slow, so it is kept.
type form struct{ read, write way }

type way uint8

const (
	byKind way = iota
	asAny
	asRaw
	asBytes
	asBody
	asEvent
	asPointer
	asTime
	byMethod     // the type's own MarshalJSON or UnmarshalJSON
	byTextMethod // the type's own MarshalText or UnmarshalText
)

var forms sync.Map // reflect.Type → form

var fixedForms = map[reflect.Type]way{anyType: asAny, rawType: asRaw, bytesType: asBytes, bodyType: asBody, eventType: asEvent}

func formOf(t reflect.Type) form {
	if f, ok := forms.Load(t); ok {
		return f.(form)
	}
	f := form{}
	fixed, isFixed := fixedForms[t]
	switch p := reflect.PointerTo(t); {
	case isFixed:
		f.read = fixed
	case t.Kind() == reflect.Pointer:
		f.read = asPointer
	case p.Implements(unmarshaler):
		f.read = byMethod
	case p.Implements(textUnmarshaler):
		f.read = byTextMethod
	}
	switch {
	case isFixed:
		f.write = fixed
	case t == timeType:
		f.write = asTime
	case t.Implements(marshaler):
		f.write = byMethod
	case t.Implements(textMarshaler):
		f.write = byTextMethod
	}
	forms.Store(t, f)
	return f
}

// at returns the field of v; fields of embedded structs are reached in two steps.
func (f *field) at(v reflect.Value) reflect.Value {
	if len(f.index) == 1 {
		return v.Field(f.index[0])
	}
	return v.FieldByIndex(f.index)
}

// into reads the next value into v.
func (d *decoder) into(v reflect.Value) bool { return d.as(formOf(v.Type()), v) }

// as is into for a value whose form is known.
func (d *decoder) as(f form, v reflect.Value) bool {
	switch c := d.peek(); {
	case c == 0 && d.i >= len(d.s):
		return d.unexpected("a value")
	case c == 'n' && nilable(v):
		v.SetZero()
		return d.literal("null")
	}
	switch f.read {
	case asRaw:
		return d.raw(v)
	case asBody:
		return d.body(v)
	case asAny:
		x, ok := d.value()
		if ok && x != nil {
			v.Set(reflect.ValueOf(x))
		}
		return ok
	case asBytes:
		return d.base64(v)
	case asEvent:
		return d.structure(v)
	case asPointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.into(v.Elem())
	case byMethod:
		at := d.i
		return d.skip() && d.note(at, v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(d.scratch(d.s[at:d.i])))
	case byTextMethod:
		at := d.i
		s, ok := d.wantText()
		return ok && d.note(at, v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(d.scratch(s)))
	}
	return d.plain(v)
}

// scratch returns the text as bytes that are good until the next string is read; the methods that read them copy what they keep.
func (d *decoder) scratch(s string) []byte {
	d.buf = append(d.buf[:0], s...)
	return d.buf
}

func nilable(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return true
	}
	return false
}

func (d *decoder) plain(v reflect.Value) bool {
	at := d.i
	switch v.Kind() {
	case reflect.String:
		s, ok := d.wantText()
		v.SetString(s)
		return ok
	case reflect.Struct:
		return d.structure(v)
	case reflect.Slice:
		return d.slice(v)
	case reflect.Map:
		return d.mapping(v)
	case reflect.Bool:
		x, ok := d.scalar()
		b, is := x.(bool)
		v.SetBool(b)
		return ok && (is || d.mismatch(at, "true or false"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		x, ok := d.scalar()
		n, is := x.(int64)
		if !ok || !is || v.OverflowInt(n) {
			return ok && d.mismatch(at, "an integer that fits "+v.Type().String())
		}
		v.SetInt(n)
		return true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		x, ok := d.scalar()
		n, is := x.(int64)
		if !ok || !is || n < 0 || v.OverflowUint(uint64(n)) {
			return ok && d.mismatch(at, "an integer that fits "+v.Type().String())
		}
		v.SetUint(uint64(n))
		return true
	case reflect.Float32, reflect.Float64:
		x, ok := d.scalar()
		if n, is := x.(int64); is {
			x = float64(n)
		}
		f, is := x.(float64)
		v.SetFloat(f)
		return ok && (is || d.mismatch(at, "a number"))
	}
	return d.fail(at, CodeJSONType, "type "+v.Type().String()+" cannot be read from JSON")
}

// scalar reads a value that is neither object nor array; what is one comes back as nil and a mismatch is left to the caller.
func (d *decoder) scalar() (any, bool) {
	if c := d.peek(); c == '{' || c == '[' {
		return nil, true
	}
	return d.value()
}

func (d *decoder) wantText() (string, bool) {
	if d.peek() != '"' {
		return "", d.mismatch(d.i, "a text in double quotes")
	}
	return d.text()
}

func (d *decoder) mismatch(at int, want string) bool {
	return d.fail(at, CodeJSONType, "want "+want)
}

// note turns the error of a type's own reader into one with an offset; an error that has one already is moved.
func (d *decoder) note(at int, err error) bool {
	if err == nil {
		return true
	}
	var inner *JSONError
	if errors.As(err, &inner) {
		return d.fail(at+inner.Offset, inner.Code, inner.Msg)
	}
	return d.fail(at, CodeJSONType, err.Error())
}

func (d *decoder) structure(v reflect.Value) bool {
	if d.peek() != '{' {
		return d.mismatch(d.i, "an object")
	}
	if !d.enter() {
		return false
	}
	p := planOf(v.Type())
	var few uint64
	var many map[int]bool
	for first := true; ; first = false {
		more, ok := d.more('}', first)
		if !ok || !more {
			return ok
		}
		at := d.i
		key, ok := d.key()
		if !ok {
			return false
		}
		i, known := p.keys[key]
		if !known {
			return d.unknownKey(at, key, p.names)
		}
		twice := false
		if i < 64 {
			twice = few&(1<<i) != 0
			few |= 1 << i
		} else {
			if many == nil {
				many = map[int]bool{}
			}
			twice = many[i]
			many[i] = true
		}
		if twice {
			return d.duplicate(at, p.names[i])
		}
		f := &p.fields[i]
		if f.raw && key != f.name {
			ok = d.rawText(f.at(v), strings.HasSuffix(key, base64Suffix))
		} else {
			ok = d.as(f.form, f.at(v))
		}
		if !ok {
			return false
		}
	}
}

func (d *decoder) unknownKey(at int, key string, names []string) bool {
	msg := fmt.Sprintf("unknown key %q", key)
	if hint := DidYouMean(key, names); hint != "" {
		msg += "; " + hint
	}
	return d.fail(at, CodeUnknownKey, msg)
}

func (d *decoder) slice(v reflect.Value) bool {
	if d.peek() != '[' {
		return d.mismatch(d.i, "a list")
	}
	if !d.enter() {
		return false
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	elem := formOf(v.Type().Elem())
	for n := 0; ; n++ {
		more, ok := d.more(']', n == 0)
		if !ok || !more {
			return ok
		}
		if n >= v.Cap() {
			v.Grow(1)
		}
		v.SetLen(n + 1)
		v.Index(n).SetZero()
		if !d.as(elem, v.Index(n)) {
			return false
		}
	}
}

func (d *decoder) mapping(v reflect.Value) bool {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		return d.fail(d.i, CodeJSONType, "type "+t.String()+" cannot be read from JSON")
	}
	if d.peek() != '{' {
		return d.mismatch(d.i, "an object")
	}
	if !d.enter() {
		return false
	}
	v.Set(reflect.MakeMap(t))
	for n := 0; ; n++ {
		more, ok := d.more('}', n == 0)
		if !ok || !more {
			return ok
		}
		at := d.i
		key, ok := d.key()
		if !ok {
			return false
		}
		e := reflect.New(t.Elem()).Elem()
		if !d.into(e) {
			return false
		}
		v.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), e)
		if v.Len() != n+1 {
			return d.duplicate(at, key)
		}
	}
}

// body reads {"kind": {…}}.
func (d *decoder) body(v reflect.Value) bool {
	if d.peek() != '{' {
		return d.mismatch(d.i, "an object whose one key names the kind of body")
	}
	if !d.enter() {
		return false
	}
	if d.peek() == '}' {
		return d.mismatch(d.i, "one key that names the kind of body")
	}
	at := d.i
	key, ok := d.key()
	if !ok {
		return false
	}
	for _, k := range bodyKinds {
		if k.name != key {
			continue
		}
		p := reflect.New(k.typ)
		if d.peek() != '{' {
			return d.mismatch(d.i, "an object")
		}
		if !d.structure(p.Elem()) {
			return false
		}
		v.Set(p)
		more, ok := d.more('}', false)
		if more {
			return d.mismatch(d.i, "one kind of body only")
		}
		return ok
	}
	names := make([]string, len(bodyKinds))
	for i, k := range bodyKinds {
		names[i] = k.name
	}
	return d.unknownKey(at, key, names)
}

// raw keeps a value as it is written. Its depth counts by itself, because it may come from elsewhere.
func (d *decoder) raw(v reflect.Value) bool {
	d.space()
	at, depth := d.i, d.depth
	d.depth = 0
	ok := d.skip()
	d.depth = depth
	if ok {
		v.SetBytes([]byte(d.s[at:d.i]))
	}
	return ok
}

func (d *decoder) rawText(v reflect.Value, inBase64 bool) bool {
	if inBase64 {
		return d.base64(v)
	}
	s, ok := d.wantText()
	v.SetBytes([]byte(s))
	return ok
}

func (d *decoder) base64(v reflect.Value) bool {
	at := d.i
	s, ok := d.wantText()
	if !ok {
		return false
	}
	b, err := base64.StdEncoding.DecodeString(s)
	v.SetBytes(b)
	return d.note(at, err)
}

// skip passes over one value and checks its syntax, but not its keys nor the range of its numbers.
func (d *decoder) skip() bool {
	switch c := d.peek(); {
	case c == '"':
		_, ok := d.text()
		return ok
	case c == '-' || c >= '0' && c <= '9':
		_, _, ok := d.numberText()
		return ok
	case c == '{' || c == '[':
		return d.skipMembers(c)
	}
	_, ok := d.value()
	return ok
}

func (d *decoder) skipMembers(open byte) bool {
	if !d.enter() {
		return false
	}
	for first := true; ; first = false {
		more, ok := d.more(open+2, first) // in ASCII both closing brackets stand two behind the opening ones
		if !ok || !more {
			return ok
		}
		if open == '{' {
			if _, ok := d.key(); !ok {
				return false
			}
		}
		if !d.skip() {
			return false
		}
	}
}
