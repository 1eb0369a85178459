package flow

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/pack"
)

// compiled is a policy whose only rules are these.
func compiled(t testing.TB, rules ...string) *policy.Policy {
	t.Helper()
	p, found := pack.Load(fstest.MapFS{
		"proviso.yaml": {Data: []byte("name: text\nversion: \"1\"\ntools: tools.json\nrules: [rules.yaml]\n")},
		"tools.json":   {Data: []byte(`[]`)},
		"rules.yaml":   {Data: []byte("rules:\n  - " + strings.Join(rules, "\n  - ") + "\n")},
	}, ".")
	if p == nil || found.Worst(proviso.Error) {
		t.Fatal(rules, found)
	}
	c, found := policy.Compile(p)
	if c == nil {
		t.Fatal(rules, found)
	}
	return c
}

// What the analysis says of rules stands in testdata/text.txt, in the words of the list of routes.
func TestOf(t *testing.T) {
	const file = "testdata/text.txt"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.Lines(string(b)) {
		if _, rule, ok := strings.Cut(line, "| "); ok && line[0] != '#' {
			line = Of(compiled(t, strings.TrimSpace(rule))).String() + " | " + rule
		}
		got.WriteString(line)
	}
	testkit.Golden(t, file, []byte(got.String()))
}

// shapes are rules with a reading of them that knows nothing of windows: where in a text what they forbid or change begins, and whether they deny.
var shapes = []struct {
	rule   string
	find   *regexp.Regexp
	denies bool
}{
	{`{id: a, on: output, require: "!text.contains('aé')"}`, regexp.MustCompile(`aé`), true},
	{`{id: a, on: output, require: "role == 'assistant' && !(text.contains('aé') || text.matches(r'b{2,3}€\\b|\\B😀y'))"}`, regexp.MustCompile(`aé|b{2,3}€\b|\B😀y`), true},
	{`{id: a, on: output, require: "!text.matches(r'\\bxy?$')"}`, regexp.MustCompile(`\bxy?$`), true},
	{`{id: a, on: output, require: "!text.matches(r'(?m)^yb?$|\\Az')"}`, regexp.MustCompile(`(?m)^yb?$|\Az`), true},
	{`{id: a, on: output, else: {redact: ['\b1{2}-1{1,2}', 'x[éy]{1,2}z'], with: "[no]"}}`, regexp.MustCompile(`\b1{2}-1{1,2}|x[éy]{1,2}z`), false},
}

// Whatever is said and however it is cut: nothing of a forbidden match is safe, what goes out of a text in which matches are replaced begins the whole of it, and a text that counts as denied is denied, whatever follows.
func TestWindowsAreSafe(t *testing.T) {
	var texts []*Text
	for _, s := range shapes {
		texts = append(texts, Of(compiled(t, s.rule)))
	}
	letters := []string{"a", "é", "b", "€", "😀", "y", "1", "11-", "x", "z", " ", "\n", "a long and harmless passage ", "xéy", "bb€"}
	flowed, early := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		k := rapid.IntRange(0, len(shapes)-1).Draw(rt, "rule")
		pieces := rapid.SliceOfN(rapid.SampledFrom(letters), 1, 40).Draw(rt, "pieces")
		text := strings.Join(pieces, "")
		c := texts[k].Choices()
		replaced := shapes[k].find.ReplaceAllString(text, "[no]")
		at := shapes[k].find.FindStringIndex(text)
		so := ""
		denied := false
		for i, p := range pieces {
			so += p
			ok := c.Add(0, 0, p)
			if c.Edited(0) {
				var edits []proviso.Edit
				for _, m := range shapes[k].find.FindAllStringIndex(so, -1) {
					edits = append(edits, proviso.Edit{Start: m[0], End: m[1], Text: "[no]"})
				}
				c.Replace(0, edits)
			}
			safe := c.Safe(0)
			if shapes[k].denies && at != nil && safe > at[0] {
				rt.Fatalf("%s: of %q %d bytes are safe, and %q matches", shapes[k].rule, text, safe, text[at[0]:at[1]])
			}
			if out := c.Piece(0, 0, so[:safe]); !shapes[k].denies && (!ok || !strings.HasPrefix(replaced, out)) {
				rt.Fatalf("%s: of %q %q goes out, which does not begin %q", shapes[k].rule, text, out, replaced)
			}
			if !ok && !denied && c.Denied() {
				denied = true
				early += min(len(pieces)-1-i, 1)
				for _, more := range append(letters, "") {
					if !shapes[k].find.MatchString(so + more) {
						rt.Fatalf("%s: %q counts as denied, and %q is not", shapes[k].rule, so, so+more)
					}
				}
			}
		}
		if c.Safe(0) > 0 {
			flowed++
		}
		if denied && (at == nil || !shapes[k].denies) || c.Len(0) != len(text) {
			rt.Fatalf("%s: %q: denied %v, length %d", shapes[k].rule, text, denied, c.Len(0))
		}
	})
	if flowed == 0 || early == 0 {
		t.Errorf("%d texts flowed and %d were denied before they ended: the test shows nothing", flowed, early)
	}
}

// A denial is certain where a rule denies whatever else it asks, and not where something is open.
func TestDenied(t *testing.T) {
	for _, c := range []struct {
		rule, text string
		want       bool
	}{
		{`{id: a, on: output, require: "!text.contains('abc')"}`, "xabc", true},
		{`{id: a, on: output, require: "!text.contains('abc')"}`, "xab", false},
		{`{id: a, on: output, require: "!text.matches(r'\\babc\\b')"}`, "x abc", false},
		{`{id: a, on: output, require: "!text.matches(r'\\babc\\b')"}`, "x abc.", true},
		{`{id: a, on: output, require: "!text.matches('abc$')"}`, "xabc", false},
		{`{id: a, on: output, when: "text.contains('abc')", require: "size(text) > 9"}`, "xabc", false},
		{`{id: a, on: output, when: "text.contains('abc')", require: "text.contains('no') && size(text) > 9 && !text.contains('x')"}`, "xabc", true},
		{`{id: a, on: output, require: "!text.contains('abc')", else: escalate}`, "xabc", false},
		{"{id: a, on: output, require: \"!text.contains('abc')\"}\n  - {id: b, on: model_response, else: {redact: ['b'], with: x}}", "xabc", false},
		{"{id: a, on: output, require: \"!text.contains('abc')\"}\n  - {id: b, on: output, else: {redact: ['b'], with: x}}", "xabc", true},
		{`{id: a, on: output, require: "!pii.has(text)"}`, strings.Repeat("so it was ", 9) + "ann@example.org and so on and so on and on", false},
	} {
		w := Of(compiled(t, c.rule)).Window()
		for _, p := range strings.Split(c.text, "") {
			w.Add(p)
		}
		if w.Denied() != c.want {
			t.Errorf("%s: %q: denied %v", c.rule, c.text, !c.want)
		}
	}
}

// Personal data wait with everything behind them, and harmless text in front of them has gone.
func TestPersonalDataWait(t *testing.T) {
	text := Of(compiled(t, `{id: a, on: output, else: {redact: {pii: [email, phone]}}}`))
	find, err := builtin.NewFinder([]string{"email", "phone"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	prose := strings.Repeat("and so it went on as it had begun ", 12)
	for _, value := range []string{"ann@example.org", "+1 415 555 0132", "call me: 5550132 99"} {
		whole := prose + value + " " + prose
		w := text.Window()
		for _, p := range strings.SplitAfter(whole, " ") {
			w.Add(p)
		}
		if at := find(whole)[0].Start; w.Safe() > at || w.Safe() < at-300 {
			t.Errorf("%q: %d bytes are safe, and it begins at %d", value, w.Safe(), at)
		}
	}
}
