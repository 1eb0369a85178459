package lsp

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"
)

const shop = `
-- proviso.yaml --
name: shop
version: "1"
reads: [get_*]
-- policy.md --
# Refunds

- Refunds are paid within 30 days. {#window}
- Nothing is paid twice. {#twice}
-- tools.json --
[
  {"name": "get_order", "description": "Looks an order up.", "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
   "returns": {"type": "object", "properties": {"days": {"type": "integer", "description": "since the purchase"}, "buyer": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}, "required": ["days", "buyer"]}},
  {"name": "refund", "parameters": {"type": "object", "properties": {"id": {"type": "string"}, "amount": {"type": "number", "description": "in euros"}}, "required": ["id", "amount"]}}
]
-- rules.yaml --
grants:
  - tools: [get_order, refund]
facts:
  order:
    key: {id: string}
    from: [{tool: get_order, id: args.id, value: result}]
questions:
  broken: {ask: Is it broken?, clause: window}
rules:
  - id: window
    clause: window
    tools: [refund]
    let: {o: "order[args.id]"}
    require: {any: [o.days <= 30, judged.broken]}
  - id: small
    clause: [twice]
    tools: [refund]
    require: "args.amount <= 100"
-- tests/a.yaml --
cases:
  - name: late
    steps:
      - {call: get_order, args: {id: O1}, result: {days: 40, buyer: {name: Mia}}}
      - {call: refund, args: {id: O1, amount: 5}, want: needs_info broken}
  - name: large
    steps:
      - {call: refund, args: {id: O1, amount: 500}, want: allow}
`

// The life of a connection, and messages that no editor should send: each is answered, and nothing but a broken stream ends the server.
func TestConnection(t *testing.T) {
	c := dial(t, shop)
	if wrong := c.call("textDocument/hover", map[string]any{}, nil); wrong == nil || wrong.Code != notInitialized {
		t.Errorf("before initialize: %v", wrong)
	}
	got := c.begin()
	if s := fmt.Sprint(got["serverInfo"]); s != "map[name:proviso version:test]" {
		t.Error(s)
	}
	for _, m := range []struct {
		raw  string
		code int
	}{
		{`{`, parseError}, {`[]`, invalidRequest}, {`{"id": 1, "id": 2, "method": "shutdown"}`, parseError}, {`{"id": {}, "method": "x"}`, invalidRequest}, {`5`, invalidRequest},
		{`{"id": 7}`, invalidRequest}, {`{"id": 7, "method": "no/such"}`, methodNotFound}, {`{"id": 7, "method": "initialize"}`, invalidRequest}, {"\xff", parseError},
		{`{"id": "s", "method": "workspace/executeCommand", "params": {"command": "rm"}}`, invalidParams}, {`{"id": 8, "method": "workspace/executeCommand", "params": 5}`, invalidParams},
	} {
		go writeFrame(c.out, []byte(m.raw))
		if a := c.next(); !strings.Contains(string(a["error"]), fmt.Sprintf(`"code":%d`, m.code)) {
			t.Errorf("%s: %s, want %d", m.raw, a["error"], m.code)
		}
	}
	for _, m := range []string{`{"method": "textDocument/didOpen"}`, `{"method": "textDocument/didChange", "params": {"textDocument": {"uri": "file:///none"}, "contentChanges": [5, {}]}}`, `{"method": "no/such"}`, `{"id": 1, "result": null}`,
		`{"id": 1, "result": 5}`, `{"method": "textDocument/didOpen", "params": {"textDocument": {"uri": "untitled:1", "text": "x"}}}`, `{"method": "workspace/didChangeWatchedFiles", "params": {"changes": [{"uri": "%zz"}]}}`} {
		if strings.Contains(m, `"result": null`) {
			continue // an answer without a result is not one, and is refused above
		}
		writeFrame(c.out, []byte(m))
	}
	var none []item
	c.ask("textDocument/completion", "rules.yaml", position{1 << 40 >> 20, 5}, &none)
	var nothing any
	if c.ask("textDocument/hover", "../elsewhere.txt", position{}, &nothing); nothing != nil {
		t.Errorf("hover outside of packs: %v", nothing)
	}
	if wrong := c.call("shutdown", nil, nil); wrong != nil {
		t.Error(wrong)
	}
	if wrong := c.call("textDocument/hover", nil, nil); wrong == nil || wrong.Code != invalidRequest {
		t.Errorf("after shutdown: %v", wrong)
	}
	c.notify("exit", nil)
	if err := <-c.ended; err != nil {
		t.Error(err)
	}
}

// A stream that ends, or in which messages cannot be told apart, is an error.
func TestBrokenStream(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "went away"},
		{"Content-Length: 5\r\n\r\nab", "cannot be read"},
		{"Content-Length: x\r\n\r\n", "cannot be read"},
		{"Content-Length: 99999999999\r\n\r\n", "cannot be read"},
		{"nonsense\r\n\r\n", "no header"},
		{"Content-Type: x\r\n\r\n", "no Content-Length"},
		{strings.Repeat("x", 5000), "longer than"},
		{"Content-Length: 17\r\n\r\n{\"method\":\"exit\"}", "without shutdown"},
	} {
		if err := Serve(context.Background(), strings.NewReader(c.in), io.Discard, ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.in, err, c.want)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	blocked, w := io.Pipe()
	defer w.Close()
	if err := Serve(ctx, blocked, io.Discard, ""); err != context.Canceled {
		t.Error(err)
	}
}

// Findings are those of the text on the screen, at places that count UTF-16 units; a file that was mended has none any more.
func TestFindings(t *testing.T) {
	c := dial(t, shop)
	c.begin()
	rules := c.open("rules.yaml")
	var nothing any
	c.ask("textDocument/hover", "rules.yaml", position{}, &nothing)
	if f := c.findings["rules.yaml"]; len(f) > 0 && f[0].Severity == 1 {
		t.Fatalf("a sound pack: %v", f)
	}
	broken := strings.Replace(rules, `require: "args.amount <= 100"`, `require: "'😀é' != '' && args.amuont <= 100"`, 1)
	c.change("rules.yaml", broken)
	c.ask("textDocument/hover", "rules.yaml", position{}, &nothing)
	f := c.findings["rules.yaml"]
	line := strings.Count(broken[:strings.Index(broken, "amuont")], "\n")
	f = slices.DeleteFunc(f, func(f finding) bool { return f.Severity != 1 })
	if len(f) != 1 || f[0].Code != "PV102" || f[0].Range.Start.Line != line || !strings.Contains(f[0].Message, `did you mean "amount"`) {
		t.Fatalf("a misspelt argument: %+v", f)
	}
	text := lineAt(broken, line)
	if got, want := f[0].Range.Start.Character, units(text[:strings.Index(text, "args.amuont")]); got < want || got > want+len("args.") {
		t.Errorf("character %d, want %d to %d: one more or less for the emoji is wrong", got, want, want+5)
	}
	// Typed over: from the u to the n of amuont, behind a character of two units.
	i := strings.Index(text, "uo")
	from := units(text[:i])
	c.notify("textDocument/didChange", map[string]any{"textDocument": map[string]any{"uri": c.uri("rules.yaml"), "version": 3}, "contentChanges": []any{
		map[string]any{"range": span{position{line, from}, position{line, from + 2}}, "text": "ou"}}})
	c.ask("textDocument/hover", "rules.yaml", position{}, &nothing)
	if f := c.findings["rules.yaml"]; slices.ContainsFunc(f, func(f finding) bool { return f.Severity == 1 }) {
		t.Errorf("mended: %+v", f)
	}
	c.change("rules.yaml", "rules: [")
	c.ask("textDocument/hover", "rules.yaml", position{}, &nothing)
	if f := c.findings["rules.yaml"]; len(f) == 0 || f[0].Severity != 1 {
		t.Errorf("no YAML: %+v", f)
	}
	c.notify("textDocument/didClose", map[string]any{"textDocument": map[string]any{"uri": c.uri("rules.yaml")}})
	c.ask("textDocument/hover", "rules.yaml", position{}, &nothing)
	if f := c.findings["rules.yaml"]; slices.ContainsFunc(f, func(f finding) bool { return f.Severity == 1 }) {
		t.Errorf("closed without saving: %+v", f)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "rules.yaml"), []byte("rules: {"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.notify("workspace/didChangeWatchedFiles", map[string]any{"changes": []any{map[string]any{"uri": c.uri("rules.yaml"), "type": 2}}})
	c.ask("textDocument/hover", "rules.yaml", position{}, &nothing)
	if f := c.findings["rules.yaml"]; len(f) == 0 {
		t.Error("a change on the disk was not seen")
	}
}

// A file that was never saved is part of the pack.
func TestUnsaved(t *testing.T) {
	c := dial(t, shop)
	c.begin()
	c.openText("tests/new.yaml", "cases:\n  - name: fresh\n    steps: [{call: refund, args: {id: O1, amount: 500}, want: deny small}]\n")
	var lenses []struct {
		Range   span
		Command struct {
			Title     string
			Arguments []string
		}
	}
	if wrong := c.call("textDocument/codeLens", map[string]any{"textDocument": map[string]any{"uri": c.uri("tests/new.yaml")}}, &lenses); wrong != nil || len(lenses) != 1 || lenses[0].Command.Arguments[1] != "fresh" || lenses[0].Range.Start.Line != 1 {
		t.Fatalf("%v %+v", wrong, lenses)
	}
	var ran struct {
		Passed   bool
		Failures []string
	}
	run := func(file, name string) *fault {
		return c.call("workspace/executeCommand", map[string]any{"command": runTest, "arguments": []any{c.uri(file), name}}, &ran)
	}
	if wrong := run("tests/new.yaml", "fresh"); wrong != nil || !ran.Passed {
		t.Errorf("%v %+v", wrong, ran)
	}
	if wrong := run("tests/a.yaml", "large"); wrong != nil || ran.Passed || len(ran.Failures) != 1 || !strings.Contains(c.shown[len(c.shown)-1], "large") {
		t.Errorf("a case that fails: %v %+v %q", wrong, ran, c.shown)
	}
	if wrong := run("tests/a.yaml", "none"); wrong == nil {
		t.Error("a case that does not exist passed")
	}
	c.openText("rules.yaml", "rules: [")
	if wrong := run("tests/a.yaml", "late"); wrong == nil {
		t.Error("a pack that does not compile ran a test")
	}
}

// From the clause to its rules and back, and from any name to what it is.
func TestHoverAndDefinition(t *testing.T) {
	c := dial(t, shop)
	c.begin()
	for _, q := range []struct{ file, mark, says, leads string }{
		{"policy.md", "Refunds are ‸paid", "rule `window`", "rules.yaml:9"},
		{"policy.md", "Nothing is paid‸ twice", "rule `small`", "rules.yaml:14"},
		{"rules.yaml", "clause: [twi‸ce]", "Nothing is paid twice.", "policy.md:3"},
		{"rules.yaml", "id: sma‸ll", "Nothing is paid twice.", "rules.yaml:14"},
		{"rules.yaml", "require: \"args.am‸ount", "in euros", "policy.md:3"},
		{"rules.yaml", "jud‸ged.broken", "Is it broken?", "rules.yaml:7"},
		{"rules.yaml", "\"ord‸er[args.id]", "fact order[id]", "rules.yaml:3"},
		{"rules.yaml", "tools: [get_‸order, refund]", "Looks an order up.", "tools.json:1"},
		{"tests/a.yaml", "needs_info bro‸ken", "Is it broken?", "rules.yaml:7"},
	} {
		b, err := os.ReadFile(filepath.Join(c.dir, q.file))
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.Replace(q.mark, "‸", "", 1)
		if !strings.Contains(string(b), plain) {
			t.Fatalf("no %q in %s", plain, q.file)
		}
		_, p := at(t, strings.Replace(string(b), plain, q.mark, 1))
		var h struct{ Contents struct{ Value string } }
		c.ask("textDocument/hover", q.file, p, &h)
		if !strings.Contains(h.Contents.Value, q.says) {
			t.Errorf("%s: %q does not say %q", q.mark, h.Contents.Value, q.says)
		}
		var places []location
		c.ask("textDocument/definition", q.file, p, &places)
		var got []string
		for _, l := range places {
			got = append(got, fmt.Sprintf("%s:%d", strings.TrimPrefix(l.URI, uriOf(c.dir)+"/"), l.Range.Start.Line))
		}
		if !slices.Contains(got, q.leads) {
			t.Errorf("%s leads to %v, want %s", q.mark, got, q.leads)
		}
	}
}

// What is proposed where somebody types, in files that cannot be read as they stand.
func TestCompletion(t *testing.T) {
	c := dial(t, shop)
	c.begin()
	rules := c.open("rules.yaml")
	for _, q := range []struct{ from, to, has, lacks string }{
		{`require: "args.amount <= 100"`, `require: "args.‸`, "id amount", "days"},
		{`require: "args.amount <= 100"`, `require: "has(args.am‸) && (`, "id amount", ""},
		{`o.days <= 30`, `order[args.id].‸`, "days buyer", "amount"},
		{`o.days <= 30`, `o.‸`, "days buyer", "amount"},
		{`o.days <= 30`, `o.buyer.‸`, "name", "days"},
		{`o.days <= 30`, `order[order[args.id].buyer.name].bu‸`, "days buyer", ""},
		{`judged.broken`, `judged.‸`, "broken", "days"},
		{`judged.broken`, `session.‸`, "user turns", ""},
		{`judged.broken`, `o‸`, "order o args money.sum called", ""},
		{`judged.broken`, `shell.‸`, "commands args", "sum"},
		{`clause: [twice]`, `clause: [tw‸`, "window twice", "args"},
		{`clause: window`, `clause: ‸`, "window twice", "args"},
		{"clause: [twice]", "clause:\n      - ‸", "window twice", "args"},
		{`tools: [get_order, refund]`, `tools: [get_order, r‸`, "get_order refund", "args"},
	} {
		if !strings.Contains(rules, q.from) {
			t.Fatalf("no %q", q.from)
		}
		text, p := at(t, strings.Replace(rules, q.from, q.to, 1))
		c.change("rules.yaml", text)
		var items []item
		c.ask("textDocument/completion", "rules.yaml", p, &items)
		var got []string
		for _, i := range items {
			got = append(got, i.Label)
		}
		for _, want := range strings.Fields(q.has) {
			if !slices.Contains(got, want) {
				t.Errorf("%s: %v lacks %s", q.to, got, want)
			}
		}
		if q.lacks != "" && slices.Contains(got, q.lacks) {
			t.Errorf("%s: %v has %s", q.to, got, q.lacks)
		}
	}
}

// A pack with a rules file of some megabytes is read as any other.
func TestLarge(t *testing.T) {
	c := dial(t, shop)
	c.begin()
	b, err := os.ReadFile(filepath.Join(c.dir, "policy.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b) + "\n" + strings.Repeat("Some words that nobody has to obey 😀.\n", 60000)
	c.openText("policy.md", text)
	var h struct{ Contents struct{ Value string } }
	c.ask("textDocument/hover", "policy.md", position{2, 5}, &h)
	if !strings.Contains(h.Contents.Value, "window") {
		t.Errorf("%q", h.Contents.Value)
	}
}

// Changes by ranges give the text that an editor has, which counts UTF-16 units.
func TestChanges(t *testing.T) {
	piece := rapid.StringOfN(rapid.SampledFrom([]rune("ab😀é\n\r𝔸")), 0, 6, -1)
	rapid.Check(t, func(rt *rapid.T) {
		text := piece.Draw(rt, "text")
		s := &server{texts: map[string]string{"/f": text}}
		want := utf16.Encode([]rune(text))
		for range rapid.IntRange(1, 6).Draw(rt, "changes") {
			var ends [2]int
			var places [2]position
			for i := range ends {
				for {
					ends[i] = rapid.IntRange(0, len(want)).Draw(rt, "at")
					inPair := ends[i] > 0 && ends[i] < len(want) && utf16.IsSurrogate(rune(want[ends[i]])) && want[ends[i]] >= 0xdc00
					inBreak := ends[i] > 0 && ends[i] < len(want) && want[ends[i]-1] == '\r' && want[ends[i]] == '\n'
					if !inPair && !inBreak { // no editor begins or ends a range there
						break
					}
				}
				before := string(utf16.Decode(want[:ends[i]]))
				places[i] = position{strings.Count(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(before), "\n"), units(before[strings.LastIndexAny(before, "\r\n")+1:])}
			}
			if ends[0] > ends[1] {
				ends[0], ends[1], places[0], places[1] = ends[1], ends[0], places[1], places[0]
			}
			with := piece.Draw(rt, "with")
			want = slices.Concat(want[:ends[0]], utf16.Encode([]rune(with)), want[ends[1]:])
			at := func(p position) map[string]any {
				return map[string]any{"line": int64(p.Line), "character": int64(p.Character)}
			}
			s.didChange(params{"textDocument": map[string]any{"uri": "file:///f"}, "contentChanges": []any{map[string]any{"text": with, "range": map[string]any{"start": at(places[0]), "end": at(places[1])}}}})
			if got := s.texts["/f"]; got != string(utf16.Decode(want)) {
				rt.Fatalf("%q, want %q", got, string(utf16.Decode(want)))
			}
		}
	})
}

// FuzzFrame: whatever the stream holds, reading ends, and what was read is what was announced.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("Content-Length: 2\r\n\r\n{}"))
	f.Add([]byte("content-length:3\nX: y\n\nabcContent-Length: 0\n\n"))
	f.Add([]byte("Content-Length: -1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(b), maxHeader)
		for {
			m, err := readFrame(r)
			if err != nil {
				return
			}
			var out bytes.Buffer
			if err := writeFrame(&out, m); err != nil {
				t.Fatal(err)
			}
			if again, err := readFrame(bufio.NewReader(&out)); err != nil || !bytes.Equal(again, m) {
				t.Fatalf("%q, %v, want %q", again, err, m)
			}
		}
	})
}

// FuzzMessage: whatever a message holds, it is answered or passed over.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"id": 1, "method": "textDocument/hover", "params": {"textDocument": {"uri": "file:///a/b.yaml"}, "position": {"line": -1, "character": 9e99}}}`))
	f.Add([]byte(`{"method": "textDocument/didChange", "params": {"textDocument": {"uri": "file:///f"}, "contentChanges": [{"text": "x", "range": {"start": {"line": 5}, "end": 7}}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &server{out: io.Discard, begun: true, texts: map[string]string{"/f": "a\nb"}, packs: map[string]*analysis{}, dirty: map[string]bool{}, told: map[string]map[string]bool{}}
		s.message(b)
	})
}

// The protocol as Visual Studio Code's own library speaks it, where node and the library are installed.
func TestOtherClient(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("skipped: node is not installed")
	}
	if out, err := exec.Command(node, "-e", "require('vscode-languageserver-protocol/node')").CombinedOutput(); err != nil {
		t.Skipf("skipped: the npm package vscode-languageserver-protocol is not installed where NODE_PATH says: %.80s", out)
	}
	c := dial(t, shop) // only for its folder
	cmd := exec.Command(node, "testdata/client.js", os.Args[0], uriOf(c.dir))
	cmd.Env = append(os.Environ(), "PROVISO_LSP_SERVER=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "all well") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("PROVISO_LSP_SERVER") != "" {
		if err := Serve(context.Background(), os.Stdin, os.Stdout, "test"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
