package proviso

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	drawText = rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z_<>&" ]{0,12}`))
	drawTime = rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()
	})
	drawAny = rapid.Custom(func(t *rapid.T) any { return anyValue(t, 3) })
	drawRaw = rapid.Custom(func(t *rapid.T) JSON {
		return JSON(rapid.OneOf(
			rapid.Map(drawAny, func(v any) string { return string(CanonicalJSON(v)) }),
			rapid.SampledFrom([]string{`{"a": 1, "b" : [ ]}`, "{\n \"a\":1}", `{"a":1,"a":2}`, `{"x":1e999}`, `{cut`, `null`, ` {}`, "\xff", `"<\u003c>"`, strings.Repeat("[", 127) + strings.Repeat("]", 127), strings.Repeat("[", 200)}),
		).Draw(t, "raw"))
	})
	drawCall = rapid.Custom(func(t *rapid.T) ToolCall {
		return ToolCall{drawText.Draw(t, "id"), drawText.Draw(t, "tool"), drawRaw.Draw(t, "args"), drawText.Draw(t, "response"), rapid.IntRange(-1, 9).Draw(t, "index")}
	})
)

func anyValue(t *rapid.T, depth int) any {
	switch k := rapid.IntRange(0, 6).Draw(t, "kind"); {
	case k == 0:
		return nil
	case k == 1:
		return rapid.Bool().Draw(t, "bool")
	case k == 2:
		return rapid.Int64().Draw(t, "int")
	case k == 3:
		return rapid.Float64().Draw(t, "float")
	case k == 4 && depth > 0:
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			out = append(out, anyValue(t, depth-1))
		}
		return out
	case k == 5 && depth > 0:
		out := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			out[drawText.Draw(t, "key")] = anyValue(t, depth-1)
		}
		return out
	}
	return drawText.Draw(t, "text")
}

// fill draws a value for every field, so that a field added to a noun is tested without a change here.
func fill(t *rapid.T, v reflect.Value, depth int) {
	switch t0 := v.Type(); t0 {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(drawTime.Draw(t, "time")))
		return
	case rawType:
		v.Set(reflect.ValueOf(drawRaw.Draw(t, "raw")))
		return
	case anyType:
		if x := drawAny.Draw(t, "any"); x != nil {
			v.Set(reflect.ValueOf(x))
		}
		return
	case bodyType:
		p := reflect.New(rapid.SampledFrom(bodyKinds).Draw(t, "kind").typ)
		fill(t, p.Elem(), depth)
		v.Set(p)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), depth)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "there") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), depth-1)
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 2).Draw(t, "n")
		if n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range n {
			fill(t, v.Index(i), depth-1)
		}
	case reflect.Map:
		for range rapid.IntRange(0, 2).Draw(t, "n") {
			if v.IsNil() {
				v.Set(reflect.MakeMap(v.Type()))
			}
			e := reflect.New(v.Type().Elem()).Elem()
			fill(t, e, depth-1)
			v.SetMapIndex(reflect.ValueOf(drawText.Draw(t, "key")), e)
		}
	case reflect.String:
		v.SetString(drawText.Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int:
		v.SetInt(int64(rapid.IntRange(-5, 1<<40).Draw(t, "int")))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64Range(0, math.MaxInt64).Draw(t, "uint"))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.IntRange(0, 2).Draw(t, "enum")))
	default:
		panic("draw no " + v.Type().String())
	}
}

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want, got Record
		fill(t, reflect.ValueOf(&want).Elem(), 3)
		b, err := AppendJSON(nil, &want)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsAny(b, "\n\r") || !json.Valid(b) {
			t.Fatalf("not one line of JSON: %q", b)
		}
		if err := DecodeStrict(b, &got); err != nil {
			t.Fatalf("%v in %q", err, b)
		}
		if !reflect.DeepEqual(got, want) {
			again, _ := AppendJSON(nil, &got)
			t.Fatalf("\n%s\n%s\n%#v\n%#v", b, again, want, got)
		}
	})
}

// encoding/json may strip white space from raw arguments, and nothing else.
func TestEventThroughEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want, got Event
		fill(t, reflect.ValueOf(&want).Elem(), 3)
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if wc, ok := want.Body.(*ToolCall); ok {
			gc := got.Body.(*ToolCall)
			w, werr := DecodeJSON(wc.Args)
			g, gerr := DecodeJSON(gc.Args)
			if !reflect.DeepEqual(w, g) || (werr == nil) != (gerr == nil) {
				t.Fatalf("%s\n%s", wc.Args, gc.Args)
			}
			gc.Args = wc.Args
		}
		if _, ok := want.Body.(*ToolCall); ok && !reflect.DeepEqual(got, want) {
			t.Fatalf("%s", b)
		}
	})
}

func TestEventText(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		body Body
		want string
	}{
		{&Message{Role: User, Text: "a<b"}, `{"message":{"role":"user","text":"a<b"}}`},
		{&ToolCall{ID: "c1", Tool: "t", Args: JSON(`{"a": 1}`)}, `{"tool_call":{"id":"c1","tool":"t","args":{"a": 1}}}`},
		{&ToolCall{Tool: "t", Args: JSON("{\n}")}, `{"tool_call":{"tool":"t","args_text":"{\n}"}}`},
		{&ToolCall{Tool: "t", Args: JSON("\xff")}, `{"tool_call":{"tool":"t","args_base64":"/w=="}}`},
		{&ToolCall{Tool: "t"}, `{"tool_call":{"tool":"t","args":null}}`},
		{&ToolResult{Tool: "t", Content: JSON(`[1]`)}, `{"tool_result":{"tool":"t","content":[1]}}`},
		{&ToolList{}, `{"tool_list":{"tools":null}}`},
		{&ModelRequest{Text: "x"}, `{"model_request":{"text":"x"}}`},
		{&ModelResponse{Calls: []ToolCall{{Tool: "t", Args: JSON(`{}`)}}}, `{"model_response":{"text":"","calls":[{"tool":"t","args":{}}]}}`},
		{&Lifecycle{Kind: "start", Attributes: map[string]any{"b": 1.0, "a": int64(2)}}, `{"lifecycle":{"kind":"start","attributes":{"a":2,"b":1.0}}}`},
		{nil, `null`},
	} {
		b, err := AppendJSON(nil, Event{Session: "s", Seq: 3, Time: at, Point: ToolCallPoint, Body: c.body})
		want := `{"session":"s","seq":3,"time":"2026-01-02T03:04:05Z","point":"tool_call","body":` + c.want + `}`
		if err != nil || string(b) != want {
			t.Errorf("got  %s, %v\nwant %s", b, err, want)
		}
	}
	if _, err := AppendJSON(nil, math.NaN()); err == nil {
		t.Error("NaN was written")
	}
	if _, err := AppendJSON(nil, Lifecycle{Attributes: map[string]any{"f": func() {}}}); err == nil {
		t.Error("a function was written")
	}
}

func TestDecodeStrictRefuses(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"unknown key", `{"sessoin":"s"}`, `offset 1: unknown key "sessoin"; did you mean "session"? [PV007]`},
		{"key in another case", `{"Session":"s"}`, `offset 1: unknown key "Session"; did you mean "session"? [PV007]`},
		{"nested unknown key", `{"body":{"message":{"role":"user","txt":""}}}`, `offset 34: unknown key "txt"; did you mean "text"? [PV007]`},
		{"duplicate key", `{"session":"s","session":"s"}`, `offset 15: key "session" occurs twice in one object; keep one [PV002]`},
		{"raw given twice", `{"body":{"tool_call":{"tool":"t","args":{},"args_text":""}}}`, `offset 43: key "args" occurs twice in one object; keep one [PV002]`},
		{"duplicate key of a map", `{"body":{"lifecycle":{"kind":"start","attributes":{"a":1,"a":2}}}}`, `offset 57: key "a" occurs twice in one object; keep one [PV002]`},
		{"unknown kind of body", `{"body":{"toolcall":{}}}`, `offset 9: unknown key "toolcall"; did you mean "tool_call"? [PV007]`},
		{"two kinds of body", `{"body":{"message":{"role":"user","text":""},"message":{}}}`, `offset 45: want one kind of body only [PV008]`},
		{"no kind of body", `{"body":{}}`, `offset 9: want one key that names the kind of body [PV008]`},
		{"body is no object", `{"body":[]}`, `offset 8: want an object whose one key names the kind of body [PV008]`},
		{"kind is no object", `{"body":{"message":"x"}}`, `offset 19: want an object [PV008]`},
		{"null text", `{"session":null}`, `offset 11: want a text in double quotes [PV008]`},
		{"number for text", `{"session":7}`, `offset 11: want a text in double quotes [PV008]`},
		{"fraction for an integer", `{"seq":1.5}`, `offset 7: want an integer that fits uint64 [PV008]`},
		{"negative", `{"seq":-1}`, `offset 7: want an integer that fits uint64 [PV008]`},
		{"object for an integer", `{"seq":{}}`, `offset 7: want an integer that fits uint64 [PV008]`},
		{"bad time", `{"time":"yesterday"}`, `offset 8: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006" [PV008]`},
		{"bad point", `{"point":"toolcall"}`, `offset 9: unknown point "toolcall"; did you mean "tool_call"? [PV008]`},
		{"text for a list", `{"agents":"a"}`, `offset 10: want a list [PV008]`},
		{"bad raw value", `{"body":{"tool_call":{"args":{"a":}}}}`, `offset 34: '}' where a value is expected [PV001]`},
		{"trailing data", `{} x`, `offset 3: something follows the value; send exactly one JSON value [PV001]`},
		{"cut off", `{"session":"s"`, `offset 14: the text ends where ',' or '}' is expected; it was probably cut off [PV001]`},
		{"cut off before a value", `{"session":`, `offset 11: the text ends where a value is expected; it was probably cut off [PV001]`},
		{"deep", `{"body":{"lifecycle":{"kind":"x","attributes":{"a":` + strings.Repeat("[", 200), `offset 175: nested deeper than 128; flatten the value [PV004]`},
		{"not UTF-8", "{\"session\":\"\xff\"}", `offset 12: byte 0xff is not valid UTF-8; send the text as UTF-8 [PV006]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e Event
			err := DecodeStrict([]byte(c.in), &e)
			var je *JSONError
			if !errors.As(err, &je) || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	if err := DecodeStrict([]byte(`{}`), Event{}); err == nil {
		t.Error("decoded into a value that is not a pointer")
	}
}

func TestDecodeStrictOtherTypes(t *testing.T) {
	type inner struct {
		N *int8
		F float64 `json:"f"`
		B bool    `json:"b,omitempty"`
	}
	var got struct {
		Maps map[string]inner `json:"maps"`
		Raw  []byte           `json:"raw"`
		Std  json.RawMessage  `json:"std"`
		Skip int              `json:"-"`
	}
	in := `{"maps":{"a":{"N":3,"f":2,"b":true},"A":{"N":null,"f":-0.5}},"raw":"AAE=","std":{"x":[1 ,2]}}`
	if err := DecodeStrict([]byte(in), &got); err != nil {
		t.Fatal(err)
	}
	if a := got.Maps["a"]; *a.N != 3 || a.F != 2 || !a.B || got.Maps["A"].N != nil || got.Maps["A"].F != -0.5 || string(got.Raw) != "\x00\x01" || string(got.Std) != `{"x":[1 ,2]}` {
		t.Errorf("got %+v", got)
	}
	for _, bad := range []string{`{"maps":{"a":{"N":128}}}`, `{"raw":"?"}`, `{"maps":{"a":{"b":1}}}`, `{"maps":{"a":{"f":"1"}}}`, `{"Skip":1}`, `{"maps":[]}`} {
		if err := DecodeStrict([]byte(bad), &got); err == nil {
			t.Errorf("accepted %s", bad)
		}
	}
}

// oneKilobyte is a record of about 1,000 bytes, as long as records usually are.
func oneKilobyte() []byte {
	r := Record{
		Event: Event{Session: "session-0001", Seq: 12, Time: time.Unix(1e9, 0).UTC(), Point: ToolCallPoint, Agents: []string{"desk"}, Body: &ToolCall{ID: "call_1", Tool: "cancel_reservation", Args: JSON(sample)}},
		Decision: Decision{Outcome: Deny, Policy: strings.Repeat("ab", 32), Reasons: []Reason{{Rule: "cancel-window", Clauses: []Clause{{ID: "cancel-flight/2", Text: "A flight can be cancelled within 24 hours."}},
			Because: []Cause{{Expr: "r.created_at > now - duration('24h')", Value: "false", Inputs: []Value{{"r.created_at", "2024-05-01T00:00:00Z"}}}}, Agent: "offer the insurance terms", Class: WithChange}}},
		Phase: Denied, ArgsHash: strings.Repeat("cd", 32), DecidedAt: time.Unix(1e9, 0).UTC(),
	}
	b, err := AppendJSON(nil, &r)
	if err != nil {
		panic(err)
	}
	return b
}

func BenchmarkDecodeRecord(b *testing.B) {
	in := oneKilobyte()
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		var r Record
		if err := DecodeStrict(in, &r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendRecord(b *testing.B) {
	var r Record
	if err := DecodeStrict(oneKilobyte(), &r); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		var err error
		if buf, err = AppendJSON(buf[:0], &r); err != nil {
			b.Fatal(err)
		}
	}
}
