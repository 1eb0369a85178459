package proviso

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anyFact draws values of every Go type that a conversion to a schema can yield.
func anyFact(t *rapid.T, depth int) any {
	kinds := 9
	if depth == 0 {
		kinds = 7
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.StringOf(rapid.RuneFrom([]rune("aZ0/~\"\\\n é😀"))).Draw(t, "string")
	case 3:
		return rapid.Int64().Draw(t, "int")
	case 4:
		return rapid.OneOf(rapid.Float64Range(-1e300, 1e300), rapid.SampledFrom([]float64{0, 10, 1e21, 1e-7, math.MaxFloat64})).Draw(t, "float")
	case 5:
		return time.Unix(rapid.Int64Range(-1<<33, 1<<33).Draw(t, "sec"), rapid.Int64Range(0, 999999999).Draw(t, "nsec")).UTC()
	case 6:
		return time.Duration(rapid.Int64().Draw(t, "duration"))
	case 7:
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "len") {
			out = append(out, anyFact(t, depth-1))
		}
		return out
	default:
		out := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "size") {
			out[rapid.StringOf(rapid.RuneFrom([]rune("ab/~0 "))).Draw(t, "key")] = anyFact(t, depth-1)
		}
		return out
	}
}

// A fact that went through a record is the same fact: same values, same Go types.
func TestFactValueRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := FactValue{FactKey: FactKey{"f", []string{"k"}}, Value: anyFact(t, 3)}
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out FactValue
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if !reflect.DeepEqual(in, out) {
			t.Fatalf("%#v\n%s\n%#v", in, b, out)
		}
	})
}

func TestFactValueRefuses(t *testing.T) {
	for _, v := range []any{math.NaN(), math.Inf(1), []string{"a"}, map[string]any{"x": struct{}{}}} {
		if b, err := json.Marshal(FactValue{FactKey: FactKey{Fact: "f"}, Value: v}); err == nil {
			t.Errorf("%#v was written as %s", v, b)
		}
	}
	for in, want := range map[string]string{
		`{"fact":"f","value":"x","types":{"":"time"}}`:          "x",
		`{"fact":"f","value":1,"types":{"":"time"}}`:            "written as text",
		`{"fact":"f","value":{"a":1},"types":{"/b":"time"}}`:    "leads nowhere",
		`{"fact":"f","value":["1s"],"types":{"/7":"duration"}}`: "leads nowhere",
		`{"fact":"f","value":"1s","types":{"":"hours"}}`:        "unknown type",
		`{"fact":"f","value":{"a":1,"a":2}}`:                    "PV002",
	} {
		var f FactValue
		if err := json.Unmarshal([]byte(in), &f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}
