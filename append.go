package proviso

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func appendValue(b []byte, v reflect.Value) ([]byte, error) {
	if !v.IsValid() {
		return append(b, "null"...), nil
	}
	return appendAs(b, formOf(v.Type()), v)
}

// appendAs is appendValue for a value whose form is known.
func appendAs(b []byte, f form, v reflect.Value) ([]byte, error) {
	if nilable(v) && v.IsNil() || f.write == asRaw && v.Len() == 0 {
		return append(b, "null"...), nil
	}
	switch f.write {
	case asRaw:
		return append(b, v.Bytes()...), nil
	case asBody:
		return appendBody(b, v.Interface().(Body))
	case asBytes:
		b = append(b, '"')
		return append(base64.StdEncoding.AppendEncode(b, v.Bytes()), '"'), nil
	case asTime:
		b, err := timeOf(v).AppendText(append(b, '"'))
		return append(b, '"'), err
	case byMethod:
		out, err := v.Interface().(json.Marshaler).MarshalJSON()
		return append(b, out...), err
	case byTextMethod:
		out, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		return appendText(b, validText(string(out))), err
	}
	switch v.Kind() {
	case reflect.String:
		return appendText(b, validText(v.String())), nil
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(b, v.Uint(), 10), nil
	case reflect.Float32, reflect.Float64:
		return appendNumber(b, v.Float())
	case reflect.Interface, reflect.Pointer:
		return appendValue(b, v.Elem())
	case reflect.Struct:
		return appendStruct(b, v)
	case reflect.Slice:
		return appendList(b, v)
	case reflect.Map:
		return appendMap(b, v)
	}
	return b, fmt.Errorf("encode JSON: type %s has no JSON form", v.Type())
}

// timeOf is the time in v, without a copy on the heap where it need not be one.
func timeOf(v reflect.Value) time.Time {
	if v.CanAddr() {
		return *v.Addr().Interface().(*time.Time)
	}
	return v.Interface().(time.Time)
}

// appendNumber writes a float so that it reads back as a float and not as an integer.
func appendNumber(b []byte, f float64) ([]byte, error) {
	if f-f != 0 {
		return b, fmt.Errorf("encode JSON: %v has no JSON form; leave it out", f)
	}
	n := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !strings.ContainsAny(string(b[n:]), ".e") {
		b = append(b, ".0"...)
	}
	return b, nil
}

// validText replaces what JSON cannot carry, as encoding/json does.
func validText(s string) string {
	if utf8.ValidString(s) { // which is several times as fast
		return s
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

func appendStruct(b []byte, v reflect.Value) ([]byte, error) {
	p := planOf(v.Type())
	if p.write != nil {
		return p.write(b, v)
	}
	return appendFields(b, p, v)
}

// appendFields writes a struct as the tags of its fields say.
func appendFields(b []byte, p *plan, v reflect.Value) ([]byte, error) {
	b = append(b, '{')
	sep := false
	for i := range p.fields {
		f := &p.fields[i]
		fv := f.at(v)
		if f.omitEmpty && empty(fv) || f.omitZero && fv.IsZero() {
			continue
		}
		if sep {
			b = append(b, ',')
		}
		sep = true
		if f.raw && fv.Len() > 0 && !inline(fv.Bytes()) {
			b = appendRaw(b, f.name, fv.Bytes())
			continue
		}
		b = append(b, f.lead...)
		var err error
		if b, err = appendAs(b, f.form, fv); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// inline reports whether raw text can stand in a line of JSON as it is and be read back from there.
func inline(raw []byte) bool {
	for _, c := range raw {
		if c < ' ' {
			return false
		}
	}
	if raw[0] == ' ' || raw[len(raw)-1] == ' ' || string(raw) == "null" || !utf8.Valid(raw) {
		return false
	}
	d := newDecoder(string(raw), true)
	defer d.release()
	return d.skip() && d.finish()
}

func appendRaw(b []byte, name string, raw []byte) []byte {
	if utf8.Valid(raw) {
		b = append(appendText(b, name+textSuffix), ':')
		return appendText(b, string(raw))
	}
	b = append(appendText(b, name+base64Suffix), ':', '"')
	return append(base64.StdEncoding.AppendEncode(b, raw), '"')
}

func appendBody(b []byte, body Body) ([]byte, error) {
	o := object{b: b}
	o.body(body)
	return o.b, o.err
}

func appendList(b []byte, v reflect.Value) ([]byte, error) {
	b = append(b, '[')
	elem := formOf(v.Type().Elem())
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendAs(b, elem, v.Index(i)); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

func appendMap(b []byte, v reflect.Value) ([]byte, error) {
	if v.Type().Key().Kind() != reflect.String {
		return b, fmt.Errorf("encode JSON: type %s has no JSON form", v.Type())
	}
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, validText(k.String())), ':')
		var err error
		if b, err = appendValue(b, v.MapIndex(k)); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}
