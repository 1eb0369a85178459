package builtin

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso/internal/testkit"
)

// environment declares the functions and the variables that cases use: x and y of any type, s and text as texts.
func environment(t testing.TB) *cel.Env {
	t.Helper()
	env, err := cel.NewEnv(append(Options(),
		cel.Variable("x", cel.DynType), cel.Variable("y", cel.DynType),
		cel.Variable("s", cel.StringType), cel.Variable("text", cel.StringType))...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// compute evaluates an expression; the error is that of compiling or of evaluating.
func compute(env *cel.Env, expr string, vars map[string]any) (any, error) {
	ast, iss := env.Compile(expr)
	if iss.Err() != nil {
		return nil, iss.Err()
	}
	prg, err := env.Program(ast)
	if err != nil {
		return nil, err
	}
	v, _, err := prg.Eval(vars)
	if err != nil {
		return nil, err
	}
	return v.Value(), nil
}

// check evaluates an example and reports how it differs.
func check(t *testing.T, env *cel.Env, e Example) {
	t.Helper()
	if want, ok := strings.CutPrefix(e.Result, "error: "); ok {
		got, err := compute(env, e.Expr, map[string]any{"text": "a variable"})
		if err == nil {
			t.Errorf("%s\n\tgot  %v\n\twant error %q", e.Expr, got, want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n\tgot  error %v\n\twant error %q", e.Expr, err, want)
		}
		return
	}
	same, err := compute(env, "("+e.Expr+") == ("+e.Result+")", map[string]any{"text": "a variable"})
	if err != nil {
		t.Errorf("%s\n\tgot  error %v\n\twant %s", e.Expr, err, e.Result)
	} else if same != true {
		got, _ := compute(env, e.Expr, map[string]any{"text": "a variable"})
		t.Errorf("%s\n\tgot  %v\n\twant %s", e.Expr, got, e.Result)
	}
}

func TestExamplesOfTheDocumentation(t *testing.T) {
	env := environment(t)
	for _, f := range All {
		examples := f.Examples()
		if len(examples) < 1 || f.Contract() == "" {
			t.Errorf("%s: needs a contract and an example", f.Name)
		}
		for _, e := range examples {
			check(t, env, e)
		}
	}
}

func TestCases(t *testing.T) {
	env := environment(t)
	testkit.Archives(t, "testdata/*.txtar", func(t *testing.T, a *testkit.Archive) {
		cases, ok := a.File("cases")
		if !ok {
			t.Fatal("no file named cases")
		}
		n := 0
		for line := range strings.Lines(string(cases)) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			expr, result, ok := strings.Cut(line, " // ")
			if !ok {
				t.Errorf("%s: a case is expression // result", line)
				continue
			}
			n++
			check(t, env, Example{expr, result})
		}
		if n == 0 {
			t.Error("no cases")
		}
	})
}

func TestTableIsSortedAndOverloadsAreUnique(t *testing.T) {
	if !slices.IsSortedFunc(All, func(a, b *Func) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("All is not sorted by name")
	}
	seen := map[string]string{}
	for _, f := range All {
		if Lookup(f.Name) != f {
			t.Errorf("Lookup(%q) finds another function", f.Name)
		}
		for _, o := range f.Overloads {
			if seen[o.ID] != "" {
				t.Errorf("overload %s is in %s and in %s", o.ID, seen[o.ID], f.Name)
			}
			seen[o.ID] = f.Name
		}
	}
	if Lookup("text.nothing") != nil {
		t.Error("Lookup invents functions")
	}
}

func TestLimits(t *testing.T) {
	env := environment(t)
	long := strings.Repeat("a", MaxText+1)
	many := slices.Repeat([]string{"a"}, MaxItems+1)
	for _, c := range []struct {
		expr string
		x    any
		want string
	}{
		{"text.lower(x)", long, "text.lower: the text has 65537 bytes, more than 65536"},
		{"text.contains_any('a', x)", []string{long}, "more than 65536 bytes together"},
		{"text.contains_any('a', x)", many, "more than 10000 members"},
		{"money.sum(x)", many, "more than 10000 members"},
		{"text.fold(x)", strings.Repeat("\ufdfa", 1000), "more than 4 times as long"},
		{"text.words(x)", strings.Repeat("\ufdfa", 1000), "more than 4 times as long"},
		{"shell.commands(x)", strings.Repeat("ls;", 4000), "more than 8192"},
		{"shell.commands(x)", strings.Repeat("sudo ", 100) + "ls", "deep"},
		{"shell.commands(x)", strings.Repeat("eval ", 100) + "ls", "deep"},
	} {
		got, err := compute(env, c.expr, map[string]any{"x": c.x})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v; want error %q", c.expr, got, err, c.want)
		}
	}
}

// Texts made to exhaust the parser end in an error or an answer within the test's time, and not in a crash.
func TestShellSurvivesNesting(t *testing.T) {
	for _, open := range []string{"(", "((", "$((", "$(", "`", "{ ", "if ", "! ", "a|", "\"$(", "[[ (", "<(", "${a:-", "f()", "a[", "case x in (", "<<E ", "\\`", "time "} {
		s := strings.Repeat(open, maxShell/len(open))
		if c, err := readShell(s); err == nil && len(c.names) > maxShell {
			t.Errorf("%q…: %d names", open, len(c.names))
		}
	}
}

// A function is strict: an unknown argument makes its result unknown, and an argument of another type is an error.
func TestUnknownAndWrongArguments(t *testing.T) {
	env := environment(t)
	ast, iss := env.Compile("text.lower(x) == 'a'")
	if iss.Err() != nil {
		t.Fatal(iss.Err())
	}
	prg, err := env.Program(ast, cel.EvalOptions(cel.OptPartialEval))
	if err != nil {
		t.Fatal(err)
	}
	vars, err := cel.PartialVars(map[string]any{}, cel.AttributePattern("x"))
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := prg.Eval(vars); err != nil || !types.IsUnknown(v) {
		t.Errorf("got %v, %v, want unknown", v, err)
	}
	if v, err := compute(env, "text.lower(x)", map[string]any{"x": 1}); err == nil {
		t.Errorf("a number was lower-cased to %v", v)
	}
	if v, err := compute(env, "text.contains_any('1', x)", map[string]any{"x": []any{1}}); err == nil {
		t.Errorf("a list of numbers was searched: %v", v)
	}
}

// sized estimates the texts of cases at 1,000 bytes and their lists at 100 members.
type sized struct{}

func (sized) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if n.Type().Kind() == types.StringKind {
		return &cost.SizeEstimate{Max: 1000}
	}
	return &cost.SizeEstimate{Max: 100}
}

func (sized) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// Every function states its cost, so that the compiler can bound a condition that loops over its result.
func TestCostIsBounded(t *testing.T) {
	env := environment(t)
	for _, expr := range []string{
		"text.words(s).all(w, w in ['a', 'b'])",
		"shell.commands(s).exists(c, text.fold(c) == 'rm')",
		"shell.args(s).all(a, a.size() < 10)",
		"text.contains_any(s, x)",
		"money.sum(x) > 10.0",
		"text.fold(s).contains('x')",
		"email.domain(s) == 'example.org'",
	} {
		ast, iss := env.Compile(expr)
		if iss.Err() != nil {
			t.Fatal(iss.Err())
		}
		est, err := env.EstimateCost(ast, sized{})
		if err != nil || est.Max > 10_000_000 {
			t.Errorf("%s: costs up to %d, %v", expr, est.Max, err)
		}
	}
}

func TestFoldIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		once, err := fold(s)
		if err != nil {
			return
		}
		if twice, err := fold(once); err != nil || twice != once {
			t.Fatalf("%q folds to %q and then to %q, %v", s, once, twice, err)
		}
	})
}

// ASCII takes a shorter way to the same end.
func TestFoldOfASCII(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.RuneFrom(nil, &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0, Hi: 0x7f, Stride: 1}}})).Draw(t, "s")
		if got, err := fold(s); err != nil || got != foldOnce(s) {
			t.Fatalf("%q folds to %q, %v; the long way to %q", s, got, err, foldOnce(s))
		}
	})
}

func TestSumIgnoresOrder(t *testing.T) {
	env := environment(t)
	rapid.Check(t, func(t *rapid.T) {
		cents := rapid.SliceOfN(rapid.IntRange(-1e9, 1e9), 0, 50).Draw(t, "cents")
		total := 0
		amounts := make([]float64, len(cents))
		for i, c := range cents {
			total += c
			amounts[i] = float64(c) / 100
		}
		slices.Reverse(amounts)
		got, err := compute(env, "money.cents(money.sum(x))", map[string]any{"x": amounts})
		if err != nil || got != int64(total) {
			t.Fatalf("%v: got %v, %v; want %d", amounts, got, err, total)
		}
	})
}

// Rounding to cents agrees with integer arithmetic on tenths of a cent.
func TestRoundHalfAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mills := rapid.IntRange(-1e9, 1e9).Draw(t, "mills")
		want := (mills + 5) / 10
		if mills < 0 {
			want = -((-mills + 5) / 10)
		}
		got, err := roundMoney(float64(mills)/1000, 2)
		if err != nil || math.Round(got*100) != float64(want) {
			t.Fatalf("%d mills: got %v, %v, want %d cents", mills, got, err, want)
		}
	})
}

// Whatever clean says is within stays within after more cleaning, and nothing with a prefix of the root's name is.
func TestPathWithinAgreesWithClean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", ".", "..", ""}), 0, 8)
		p := "/" + strings.Join(parts.Draw(t, "path"), "/")
		root := "/" + strings.Join(parts.Draw(t, "root"), "/")
		got, err := pathWithin(p, root)
		if err != nil {
			t.Fatal(err)
		}
		resolve := func(s string) []string {
			var out []string
			for _, e := range strings.Split(s, "/") {
				switch {
				case e == "..":
					out = out[:max(0, len(out)-1)]
				case e != "" && e != ".":
					out = append(out, e)
				}
			}
			return out
		}
		a, b := resolve(p), resolve(root)
		want := len(a) >= len(b) && slices.Equal(a[:min(len(a), len(b))], b)
		if got != want {
			t.Fatalf("%s within %s: got %v, want %v", p, root, got, want)
		}
	})
}

func BenchmarkCalls(b *testing.B) {
	env := environment(b)
	for _, c := range []struct{ name, expr string }{
		{"email", "email.domain('ann@example.org') == 'example.org'"},
		{"date", "time.date(timestamp('2025-03-01T03:00:00Z'), 'America/New_York') == '2025-02-28'"},
		{"fold", "text.fold(s) == 'x'"},
		{"shell", "shell.commands('sudo rm -rf x | tee y').exists(c, c == 'rm')"},
	} {
		ast, iss := env.Compile(c.expr)
		if iss.Err() != nil {
			b.Fatal(iss.Err())
		}
		prg, err := env.Program(ast)
		if err != nil {
			b.Fatal(err)
		}
		vars := map[string]any{"s": strings.Repeat("A plain text of some length. ", 20)}
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := prg.Eval(vars); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
