package pack

import (
	"strings"
	"testing"
)

// TestTextPositions checks that every byte of a scalar is found where it stands in the file, however the scalar is written.
// In each case the text has a '@' at the place that the file marks with '@' as well; escapes around it move it.
func TestTextPositions(t *testing.T) {
	for _, c := range []struct{ name, src string }{
		{"plain", "k: abc @ d\n"},
		{"plain after two-byte letters", "ké: éé @ d # c\n"},
		{"plain on several lines", "k: one\n  two\n\n  three @\n"},
		{"single quoted", "k: 'it''s @ it'\n"},
		{"single quoted on several lines", "k: 'it''s\n   \n  so @ it'\n"},
		{"double quoted", `k: "a\tb\u00e9\U0001F600 \"@\" c"` + "\n"},
		{"double quoted with a surrogate pair", `k: "\ud83d\ude00@"` + "\n"},
		{"double quoted on several lines", "k: \"a \\\n   b\n\n  c @\"\n"},
		{"literal", "k: |\n  a\n\n    b @\n  c\n"},
		{"literal without final break", "k: |-\n  a\n    b @"},
		{"literal, kept", "k: |+\n  a @\n\n\nl: 1\n"},
		{"folded", "k: >\n  a b\n  c d\n\n    more\n    @\n\n  e\n"},
		{"folded, stripped", "k: >-\n  a b\n\n  c @\n\nl: 1\n"},
		{"in a flow list", "k: [a, {b: c @}, d]\n"},
		{"in a flow list, quoted", "k: [a, {b: 'c''@'}, d]\n"},
		{"in a list", "- - a\n  - b @\n"},
		{"CRLF", "a: 1\r\nk: |\r\n  x\r\n  y @\r\n"},
		{"byte order mark", "\ufeffk: a @\n"},
		{"with blanks behind it", "k: a @   \nl: 1\n"},
		{"two-byte letters with blanks behind them", "- é ü @  \n"},
		{"a key with blanks behind it", "- 'x'\n- a@a   : a\n"},
		{"in a list, with blanks behind it", "- k: b\n  l: a @ \t \n  # c\n"},
		{"as a key", "'k''@': a\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, ds := parseYAML("f.yaml", []byte(c.src))
			if n == nil {
				t.Fatal(ds)
			}
			want := newYAMLFile("f.yaml", []byte(c.src))
			wantPos := want.pos(strings.IndexByte(want.text, '@'))
			found := 0
			eachScalar(n, func(n *yamlNode) {
				if i := strings.IndexByte(n.text, '@'); i >= 0 {
					found++
					if got := n.asText().At(i); got != wantPos {
						t.Errorf("offset %d of %q is at %s, want %s", i, n.text, got, wantPos)
					}
				}
			})
			if found != 1 {
				t.Errorf("found %d texts with a mark, want 1", found)
			}
		})
	}
}

func eachScalar(n *yamlNode, f func(*yamlNode)) {
	for _, x := range n.items {
		eachScalar(x, f)
	}
	for _, x := range n.fields {
		f(x.key)
		eachScalar(x.value, f)
	}
	if n.kind == yamlText {
		f(n)
	}
}

// TestPlainScalars checks what unquoted words mean, and that words on which YAML readers differ are refused.
func TestPlainScalars(t *testing.T) {
	for src, want := range map[string]any{
		"on": "on", "yes": "yes", "no": "no", "2025-03-01": "2025-03-01", "2025-03-01T10:00:00Z": "2025-03-01T10:00:00Z", "12:30": "12:30",
		"true": true, "False": false, "null": nil, "~": nil, "''": "", "'1'": "1", `"true"`: "true",
		"1": int64(1), "-7": int64(-7), "+7": int64(7), "0": int64(0), "9007199254740993": int64(9007199254740993), "9223372036854775807": int64(9223372036854775807),
		"1e3": 1000.0, "1.5": 1.5, "-1.5E-2": -0.015, ".5": 0.5, "1.": 1.0, "0.0": 0.0,
		"1e": "1e", "1.2.3": "1.2.3", "e3": "e3", "-": nil, "args.x > 1": "args.x > 1",
	} {
		n, ds := parseYAML("f.yaml", []byte("k: "+src+"\n"))
		if src == "-" {
			if n != nil && n.get("k").kind == yamlText {
				t.Errorf("a lone dash is the text %q", n.get("k").text)
			}
			continue
		}
		if n == nil {
			t.Errorf("%s: %v", src, ds)
		} else if got := n.get("k").value(); got != want {
			t.Errorf("%s is %#v, want %#v", src, got, want)
		}
	}
	for _, src := range []string{"007", "1_000", "0x1f", "0o17", "0b1", "9223372036854775808", "1e400", ".inf", "-.Inf", ".nan"} {
		if n, ds := parseYAML("f.yaml", []byte("k: "+src+"\n")); n != nil || len(ds) != 1 || ds[0].Code != CodeValue || ds[0].Hint == "" || ds[0].Pos.Col != 4 {
			t.Errorf("%s: got %v, want one %s with a hint at column 4", src, ds, CodeValue)
		}
	}
}
