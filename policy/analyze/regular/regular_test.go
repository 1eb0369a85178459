package regular

import (
	"errors"
	"regexp"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func yes(p string) Constraint { return Constraint{Pattern: p} }
func no(p string) Constraint  { return Constraint{Pattern: p, Not: true} }

// Each conjunction has the shortest text beside it, or none.
func TestSolve(t *testing.T) {
	for _, c := range []struct {
		name   string
		cs     []Constraint
		length Bounds
		found  bool
		chars  int // of a shortest text
	}{
		{"nothing is asked", nil, Any, true, 0},
		{"a length", nil, Bounds{3, 5}, true, 3},
		{"no length", nil, Bounds{4, 3}, false, 0},
		{"a name at one company is a name somewhere", []Constraint{yes(`^bob[a-z]*@corp\.com$`), no(`^[a-z]+@corp\.com$`)}, Any, false, 0},
		{"another company is not", []Constraint{yes(`^[a-z]*x[a-z]*@(corp|evil)\.com$`), no(`^[a-z]+@corp\.com$`)}, Any, true, 10},
		{"a pattern that is searched for matches inside", []Constraint{yes(`^malice@corp\.com$`), no(`alice@corp.com`)}, Any, false, 0},
		{"a host that only begins like another", []Constraint{yes(`^https?://[^/]*corp\.example`), no(`^https?://([a-z0-9-]+\.)*corp\.example(/[^ ]*)?$`)}, Any, true, 20},
		{"accounts", []Constraint{yes(`^(UK|SE|US)[0-9]{20}$`), no(`^[A-Z]{2}[0-9]{2,30}$`)}, Any, false, 0},
		{"case", []Constraint{yes(`(?i)^select$`), no(`^select$`)}, Any, true, 6},
		{"longer than the pattern admits", []Constraint{yes(`^a{1,3}$`)}, Bounds{4, -1}, false, 0},
		{"a line end at the end", []Constraint{yes(`^a$`), no(`^a\z`)}, Any, false, 0},
		{"an empty pattern matches everything", []Constraint{no(``)}, Any, false, 0},
		{"only the empty text", []Constraint{yes(`^$`)}, Any, true, 0},
		{"alternatives with a beginning", []Constraint{yes(`^a|b`), no(`^a`), no(`^b`)}, Any, true, 2},
	} {
		text, found, err := Solve(c.cs, c.length, 50_000)
		if err != nil || found != c.found || found && utf8.RuneCountInString(text) != c.chars {
			t.Errorf("%s: %q, %v, %v", c.name, text, found, err)
		}
	}
}

// What cannot be followed is an error, never an answer.
func TestUnknown(t *testing.T) {
	for p, want := range map[string]error{`\bfoo\b`: ErrUnsupported, `(?m)^a$`: ErrUnsupported, `(`: nil, `a)(b`: nil} {
		_, found, err := Solve([]Constraint{yes(p)}, Any, 1000)
		if err == nil || found || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, %v", p, found, err)
		}
	}
	if _, found, err := Solve([]Constraint{yes(`^(a|b)*a(a|b){12}$`), no(`^(a|b)*b(a|b){11}$`), yes(`^.{40}$`)}, Any, 100); !errors.Is(err, ErrBudget) || found {
		t.Errorf("budget: %v, %v", found, err)
	}
}

var pieces = []string{"a", "b", "[ab]", ".", "a*", "(a|b)", "b+", "a?", "^", "$", "(?i)A", "ab", "[^a]", "b{1,2}"}

// Random conjunctions agree with trying every text over a small alphabet up to six characters.
func TestSolveAgreesWithTrying(t *testing.T) {
	var texts []string
	for level := []string{""}; len(level[0]) <= 6; {
		texts = append(texts, level...)
		var next []string
		for _, s := range level {
			for _, r := range []string{"a", "b", "c", "A", "\n"} {
				next = append(next, s+r)
			}
		}
		level = next
		if len(level[0]) > 5 {
			break
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 3).Draw(rt, "patterns")
		var cs []Constraint
		var res []*regexp.Regexp
		for range n {
			p := ""
			for _, k := range rapid.SliceOfN(rapid.IntRange(0, len(pieces)-1), 1, 4).Draw(rt, "pieces") {
				p += pieces[k]
			}
			re, err := regexp.Compile(p)
			if err != nil {
				return
			}
			cs, res = append(cs, Constraint{p, rapid.Bool().Draw(rt, "not")}), append(res, re)
		}
		length := Bounds{rapid.IntRange(0, 2).Draw(rt, "min"), rapid.IntRange(-1, 5).Draw(rt, "max")}
		holds := func(s string) bool {
			k := utf8.RuneCountInString(s)
			ok := k >= length.Min && (length.Max < 0 || k <= length.Max)
			for i, re := range res {
				ok = ok && re.MatchString(s) != cs[i].Not
			}
			return ok
		}
		text, found, err := Solve(cs, length, 100_000)
		if err != nil {
			rt.Fatal(err)
		}
		if found && !holds(text) {
			rt.Fatalf("%+v %+v: %q does not satisfy them", cs, length, text)
		}
		for _, s := range texts {
			if holds(s) && (!found || utf8.RuneCountInString(s) < utf8.RuneCountInString(text)) {
				rt.Fatalf("%+v %+v: %q does, found %v %q", cs, length, s, found, text)
			}
		}
	})
}

// FuzzSolve: any patterns are answered, given up or refused, and an answer is one.
func FuzzSolve(f *testing.F) {
	f.Add(`^a+$`, `^aa$`, false, true)
	f.Add(`[\p{L}]{2}`, `(?i)x|y`, true, false)
	f.Fuzz(func(t *testing.T, p, q string, np, nq bool) {
		if len(p)+len(q) > 60 {
			return
		}
		text, found, err := Solve([]Constraint{{p, np}, {q, nq}}, Any, 2000)
		if err != nil || !found {
			return
		}
		rp, errP := regexp.Compile(p)
		rq, errQ := regexp.Compile(q)
		if errP != nil || errQ != nil || rp.MatchString(text) == np || rq.MatchString(text) == nq {
			t.Fatalf("%q %q: %q", p, q, text)
		}
	})
}
