package proviso

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDecodeJSONValues(t *testing.T) {
	for _, c := range []struct {
		in   string
		want any
	}{
		{`null`, nil},
		{` true `, true},
		{"\tfalse\n", false},
		{`0`, int64(0)},
		{`-0`, int64(0)},
		{`9007199254740993`, int64(9007199254740993)},
		{`9223372036854775807`, int64(math.MaxInt64)},
		{`-9223372036854775808`, int64(math.MinInt64)},
		{`1.0`, 1.0},
		{`1e2`, 100.0},
		{`-1.5E-3`, -0.0015},
		{`1e-400`, 0.0},
		{`""`, ""},
		{`"a\"\\\/\b\f\n\r\tz"`, "a\"\\/\b\f\n\r\tz"},
		{`"\u00e9\u20ac\uD83D\ude00"`, "é€😀"},
		{`"\u0000"`, "\x00"},
		{`"grün"`, "grün"},
		{`[]`, []any{}},
		{`[ 1 , [ ] ]`, []any{int64(1), []any{}}},
		{`{}`, map[string]any{}},
		{`{"a":{"b":[{"c":1}]},"d":""}`, map[string]any{"a": map[string]any{"b": []any{map[string]any{"c": int64(1)}}}, "d": ""}},
		{`{"a":{"x":1},"b":{"x":2}}`, map[string]any{"a": map[string]any{"x": int64(1)}, "b": map[string]any{"x": int64(2)}}},
		{strings.Repeat("[", 128) + strings.Repeat("]", 128), nested(128)},
	} {
		got, err := DecodeJSON([]byte(c.in))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("DecodeJSON(%s) = %#v, %v; want %#v", c.in, got, err, c.want)
		}
	}
}

func nested(n int) any {
	v := []any{}
	for range n - 1 {
		v = []any{v}
	}
	return v
}

func TestDecodeJSONRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in, code string
		offset         int
	}{
		{"empty", ``, CodeJSON, 0},
		{"only white space", `  `, CodeJSON, 2},
		{"duplicate keys", `{"a":1,"a":1}`, CodeDuplicate, 7},
		{"duplicate keys, one escaped", `{"a":1,"\u0061":2}`, CodeDuplicate, 7},
		{"duplicate keys, nested", `[{"x":{"b":1, "b":2}}]`, CodeDuplicate, 14},
		{"duplicate keys with capitals", `{"A":1,"A":2}`, CodeDuplicate, 7},
		{"case-folded keys", `{"amount":1,"Amount":2}`, CodeFoldedTwin, 12},
		{"case-folded keys by the Kelvin sign", `{"k":1,"K":2}`, CodeFoldedTwin, 7},
		{"case-folded keys among many", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"B":2}`, CodeFoldedTwin, 79},
		{"case-folded keys behind a nested object", `{"a":{"B":1},"A":2}`, CodeFoldedTwin, 13},
		{"1e400", `{"a":1e400}`, CodeNumberRange, 5},
		{"-1e400", `-1e400`, CodeNumberRange, 0},
		{"integer beyond int64", `[9223372036854775808]`, CodeNumberRange, 1},
		{"integer below int64", `-9223372036854775809`, CodeNumberRange, 0},
		{"depth 129", strings.Repeat("[", 129) + strings.Repeat("]", 129), CodeTooDeep, 128},
		{"depth 10,000", strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), CodeTooDeep, 640},
		{"lone high surrogate", `"x\ud800"`, CodeText, 2},
		{"lone high surrogate before text", `"\ud800abcdef"`, CodeText, 1},
		{"lone low surrogate", `"\udc00"`, CodeText, 1},
		{"swapped surrogates", `"\ude00\ud83d"`, CodeText, 1},
		{"surrogate and another escape", `"\ud83d\u0041"`, CodeText, 1},
		{"surrogate in a key", `{"\ud800":1}`, CodeText, 2},
		{"invalid UTF-8", "\"a\xffb\"", CodeText, 2},
		{"surrogate encoded as UTF-8", "\"\xed\xa0\x80\"", CodeText, 1},
		{"overlong UTF-8", "\"\xc0\xaf\"", CodeText, 1},
		{"trailing data", `{} {}`, CodeJSON, 3},
		{"trailing bracket", `[]]`, CodeJSON, 2},
		{"NaN", `{"a":NaN}`, CodeJSON, 5},
		{"Infinity", `Infinity`, CodeJSON, 0},
		{"-Infinity", `-Infinity`, CodeJSON, 0},
		{"single quotes", `{'a':1}`, CodeJSON, 1},
		{"bare key", `{a:1}`, CodeJSON, 1},
		{"trailing comma in an object", `{"a":1,}`, CodeJSON, 6},
		{"trailing comma in an array", `[1,]`, CodeJSON, 2},
		{"leading comma", `[,1]`, CodeJSON, 1},
		{"missing colon", `{"a" 1}`, CodeJSON, 5},
		{"missing comma", `[1 2]`, CodeJSON, 3},
		{"comment", `[1 /* x */]`, CodeJSON, 3},
		{"leading zero", `01`, CodeJSON, 0},
		{"leading zero after minus", `-01`, CodeJSON, 1},
		{"plus", `+1`, CodeJSON, 0},
		{"bare minus", `-`, CodeJSON, 1},
		{"no digit after the point", `1.`, CodeJSON, 2},
		{"no digit before the point", `.5`, CodeJSON, 0},
		{"empty exponent", `1e+`, CodeJSON, 3},
		{"hexadecimal", `0x10`, CodeJSON, 1},
		{"raw newline in a string", "\"a\nb\"", CodeJSON, 2},
		{"raw newline behind an escape", "\"\\ta\nb\"", CodeJSON, 4},
		{"unknown escape", `"\x41"`, CodeJSON, 1},
		{"short unicode escape", `"\u12"`, CodeJSON, 6},
		{"bad unicode escape", `"\u12g4"`, CodeJSON, 1},
		{"cut-off string", `"abc`, CodeJSON, 4},
		{"cut-off escape", `"abc\`, CodeJSON, 5},
		{"cut-off object", `{"a":1`, CodeJSON, 6},
		{"cut-off literal", `tru`, CodeJSON, 3},
		{"wrong literal", `trux`, CodeJSON, 0},
		{"byte order mark", "\ufeff{}", CodeJSON, 0},
		{"zero byte", "\x00", CodeJSON, 0},
		{"zero byte after the value", "1\x00", CodeJSON, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := DecodeJSON([]byte(c.in))
			var je *JSONError
			if !errors.As(err, &je) {
				t.Fatalf("DecodeJSON(%.60s) = %v, %v; want a *JSONError", c.in, v, err)
			}
			if je.Code != c.code || je.Offset != c.offset {
				t.Errorf("DecodeJSON(%.60s): %v; want %s at %d", c.in, err, c.code, c.offset)
			}
		})
	}
}

func TestDecodeResultJSONAllowsTwins(t *testing.T) {
	got, err := DecodeResultJSON([]byte(`{"a":1,"A":{"b":2,"B":3}}`))
	want := map[string]any{"a": int64(1), "A": map[string]any{"b": int64(2), "B": int64(3)}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := DecodeResultJSON([]byte(`{"a":1,"a":2}`)); err == nil {
		t.Error("duplicate keys were accepted in a result")
	}
}

func TestErrorSaysWhatToDo(t *testing.T) {
	_, err := DecodeJSON([]byte(`{"id": 12345678901234567890}`))
	want := "offset 7: integer 12345678901234567890 does not fit 64 bits; send it as a string [PV005]"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestLineCol(t *testing.T) {
	b := []byte("ab\ncd\n")
	for _, c := range []struct{ offset, line, col int }{{-1, 1, 1}, {0, 1, 1}, {2, 1, 3}, {3, 2, 1}, {4, 2, 2}, {6, 3, 1}, {99, 3, 1}} {
		if l, col := LineCol(b, c.offset); l != c.line || col != c.col {
			t.Errorf("LineCol(%d) = %d:%d, want %d:%d", c.offset, l, col, c.line, c.col)
		}
	}
}

func TestCanonicalJSON(t *testing.T) {
	for _, c := range []struct {
		in   any
		want string
	}{
		{nil, `null`},
		{map[string]any{"b": int64(1), "a": []any{true, 1.5, "x"}, "B": nil}, `{"B":null,"a":[true,1.5,"x"],"b":1}`},
		{int64(9007199254740993), `9007199254740993`},
		{1.0, `1`},
		{math.Copysign(0, -1), `0`},
		{1e21, `1e+21`},
		{1e20, `100000000000000000000`},
		{1e-7, `1e-07`},
		{0.1, `0.1`},
		{math.NaN(), `NaN`},
		{math.Inf(-1), `-Inf`},
		{"\"\\\b\t\n\f\r\x01</é", `"\"\\\b\t\n\f\r\u0001</é"`},
		{7, `7`},
		{time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)), `"2026-01-02T02:04:05Z"`},
		{struct{ A int }{1}, `<struct { A int }{A:1}>`},
	} {
		if got := string(CanonicalJSON(c.in)); got != c.want {
			t.Errorf("CanonicalJSON(%v) = %s, want %s", c.in, got, c.want)
		}
	}
}

var sample = []byte(`{"reservation_id":"ZFA04Y","cabin":"economy","flights":[{"flight_number":"HAT187","date":"2024-05-18"},{"flight_number":"HAT204","date":"2024-05-19"}],"payment_id":"credit_card_7434610","total":1234,"insurance":false,"passengers":["mia_li_3668"]}`)

func BenchmarkDecodeJSON(b *testing.B) {
	b.SetBytes(int64(len(sample)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeJSON(sample); err != nil {
			b.Fatal(err)
		}
	}
}
