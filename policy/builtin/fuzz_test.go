package builtin

import (
	"slices"
	"strings"
	"testing"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Every function of texts, called with anything, returns a value or an error and never panics; a result is of the type declared, and the same twice.
func fuzzFamily(f *testing.F, family string, seeds ...string) {
	for _, s := range seeds {
		f.Add(s, seeds[0])
	}
	var overloads []Overload
	for _, fn := range All {
		if !strings.HasPrefix(fn.Name, family+".") {
			continue
		}
		for _, o := range fn.Overloads {
			if len(o.In) <= 2 && !slices.ContainsFunc(o.In, func(t *types.Type) bool { return t.Kind() != types.StringKind }) {
				overloads = append(overloads, o)
			}
		}
	}
	if len(overloads) == 0 {
		f.Fatalf("no function of family %s", family)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > MaxText || len(b) > MaxText {
			return
		}
		for _, o := range overloads {
			args := []ref.Val{types.String(a), types.String(b)}[:len(o.In)]
			v := o.Eval(args...)
			if types.IsError(v) {
				continue
			}
			if o.Out.Kind() != types.DynKind && v.Type().TypeName() != o.Out.TypeName() {
				t.Errorf("%s(%q): is a %s, want %s", o.ID, args, v.Type().TypeName(), o.Out.TypeName())
			}
			if again := o.Eval(args...); again.Equal(v) != types.True && !types.IsError(again) && o.Out.Kind() != types.DynKind {
				t.Errorf("%s(%q): gives %v and then %v", o.ID, args, v, again)
			}
		}
	})
}

func FuzzTime(f *testing.F) {
	fuzzFamily(f, "time", "2025-03-01", "2025-03-09T02:30:00", "2025-03-01T10:30:15.25+01:00", "America/New_York")
}

func FuzzMoney(f *testing.F) { fuzzFamily(f, "money", "USD 1,234.50", "-0.5 €", "1e3") }

func FuzzText(f *testing.F) {
	fuzzFamily(f, "text", "Crème brûlée", "раssword", "ｐａｓｓ\u200bword", "\ufdfa", "ǆ ẞ İ")
}

func FuzzURL(f *testing.F) {
	fuzzFamily(f, "url", "https://example.com/a/../b?c#d", "http://[::1]:80/", "http://u@0x7f.1/%2f", "mailto:a@b.c")
}

func FuzzEmail(f *testing.F) {
	fuzzFamily(f, "email", "ann@example.org", `"a b"@[127.0.0.1]`, "a@b@c")
}

func FuzzPath(f *testing.F) { fuzzFamily(f, "path", "/srv/../a", `C:\x\y`, "~/x", `\\host\x`) }

func FuzzShell(f *testing.F) {
	fuzzFamily(f, "shell", "sudo -u root rm -rf \"$X\" | tee >(wc) 2>&1", "find . -exec sh -c 'a {b,c}' {} \\;", "cat <<E\n$(ls)\nE", "env -S 'a' b", "bash -euo pipefail -c x", "a=$((1+2)) f() { [[ -n x ]]; }", "${a[$(b)]}")
}

func FuzzJSON(f *testing.F) {
	fuzzFamily(f, "json", `{"a": [1, 2.5, null]}`, `{"a":1,"A":2}`, `"\ud800"`)
}
