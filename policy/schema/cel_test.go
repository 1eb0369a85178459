package schema

import (
	"reflect"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"pgregory.net/rapid"
)

// What Convert gave goes into CEL and comes out again, and Revert gives Convert what it had.
func TestFromCELAndRevert(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sh := &Shape{Kind: MapKind, Elem: &Shape{Kind: ListKind, Elem: &Shape{Kind: TimeKind, Nullable: true}}}
		raw := map[string]any{}
		for _, k := range rapid.SliceOfN(rapid.SampledFrom(words), 0, 3).Draw(t, "keys") {
			raw[k] = rapid.SliceOfN(rapid.SampledFrom([]any{nil, "2025-07-01T10:00:00Z", "2025-01-01T00:00:00.25+05:30"}), 1, 3).Draw(t, "times")
		}
		v, err := sh.Convert(raw, "")
		if err != nil {
			t.Fatal(err)
		}
		back := FromCEL(types.DefaultTypeAdapter.NativeToValue(v))
		if !reflect.DeepEqual(back, v) {
			t.Fatalf("%v comes out of CEL as %v", v, back)
		}
		if got := Revert(back); !reflect.DeepEqual(got, any(raw)) {
			t.Fatalf("%v reverts to %v, want %v", v, got, raw)
		}
	})
	plain := map[string]any{"a": []any{int64(1)}}
	if got := Revert(plain); reflect.ValueOf(got).UnsafePointer() != reflect.ValueOf(plain).UnsafePointer() {
		t.Error("a value without times was copied")
	}
	if got := FromCEL(types.Duration{Duration: time.Minute}); got != time.Minute {
		t.Errorf("a minute comes out of CEL as %v", got)
	}
}

func TestPromote(t *testing.T) {
	env, err := cel.NewEnv(cel.Variable("x", cel.DoubleType))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{
		{"x > 2", "true"},
		{"x in [1, 3]", "true"},
		{"x > 9007199254740993", ""}, // no number is this integer
		{"2 > 1", "no"},
		{"x > 2.5", "no"},
	} {
		parsed, iss := env.Parse(c.text)
		if iss.Err() != nil {
			t.Fatal(iss.Err())
		}
		e := parsed.NativeRep().Expr()
		_, iss = env.Check(parsed)
		if (iss.Err() == nil) != (c.want == "no") {
			t.Errorf("%s: without promotion the checker says %v", c.text, iss.Err())
		}
		if c.want == "no" {
			continue
		}
		if !Promotable(e, e.ID()) {
			t.Errorf("%s is not promotable", c.text)
		}
		Promote(e, map[int64]bool{e.ID(): true})
		checked, iss := env.Check(parsed)
		if (iss.Err() == nil) != (c.want == "true") {
			t.Errorf("%s: the checker says %v", c.text, iss.Err())
			continue
		}
		if c.want != "true" {
			continue
		}
		prg, err := env.Program(checked)
		if err != nil {
			t.Fatal(err)
		}
		if out, _, err := prg.Eval(map[string]any{"x": 3.0}); err != nil || out != types.True {
			t.Errorf("%s of 3 is %v, %v", c.text, out, err)
		}
	}
}

// A text that is parsed again gives a tree of its own, in which errors stand where they do the first time.
func TestParserGivesEveryoneATree(t *testing.T) {
	env, err := cel.NewEnv(cel.Variable("x", cel.IntType))
	if err != nil {
		t.Fatal(err)
	}
	var p Parser
	for i := range 3 {
		parsed, iss := p.Parse(env, "x ==\n  1 && y > 2")
		if iss.Err() != nil {
			t.Fatal(iss.Err())
		}
		_, iss = env.Check(parsed)
		if es := iss.Errors(); len(es) != 1 || es[0].Location.Line() != 2 || es[0].Location.Column() != 7 {
			t.Fatalf("time %d: %v", i, iss.Err())
		}
		e := parsed.NativeRep().Expr()
		e.SetKindCase(factory.NewLiteral(e.ID(), types.True))
		if out, iss := env.Check(parsed); iss.Err() != nil || out.OutputType() != cel.BoolType {
			t.Fatalf("time %d: %v", i, iss.Err())
		}
	}
	for range 2 {
		if _, iss := p.Parse(env, "x =="); iss.Err() == nil {
			t.Error("a broken text parses")
		}
	}
}
