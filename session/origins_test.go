package session

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy/builtin"
)

// originOf is what a condition would read.
func (p *player) originOf(v any) string {
	p.t.Helper()
	view, _ := p.view("peek", "{}")
	return strings.Join(view.Origins.Of(v, builtin.ByValue), " ")
}

func (p *player) originEvery(v any) string {
	p.t.Helper()
	view, _ := p.view("peek", "{}")
	return strings.Join(view.Origins.Every(v), " ")
}

// read makes a tool answer, after a call without arguments that anybody named.
func (p *player) read(tool, content string) {
	p.t.Helper()
	p.call("r", tool, `{}`)
	p.result("r", content)
}

// Each line of testdata/origins.txtar is a value and what is known of it: "user says | value | labels of origin(value) | labels of origin_all(value)".
// The first file of an archive sets the scene, one source on each line.
func TestOrigins(t *testing.T) {
	testkit.Archives(t, "testdata/origins/*.txtar", func(t *testing.T, a *testkit.Archive) {
		p := play(t)
		var got strings.Builder
		for _, f := range a.Files {
			for line := range strings.Lines(string(f.Data)) {
				line = strings.TrimSpace(line)
				switch who, text, _ := strings.Cut(line, ": "); {
				case f.Name == "values":
					v, err := proviso.DecodeJSON([]byte(line))
					if err != nil {
						t.Fatalf("%s: %v", line, err)
					}
					if s, ok := v.(string); ok {
						if at, err := time.Parse(time.RFC3339, s); err == nil {
							v = at
						}
					}
					fmt.Fprintf(&got, "%s\n    could be: %s\n    known as: %s\n", line, p.originOf(v), p.originEvery(v))
				case f.Name != "sources":
				case who == "user":
					p.user(text)
				case who == "system":
					p.do(proviso.Input, &proviso.Message{Role: proviso.System, Text: text}, proviso.Allow)
				case who == "assistant":
					p.assistant(text)
				case strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, `"`):
					p.read(who, text)
				default:
					p.call("r", who, `{}`)
					p.do(proviso.ToolResultPoint, &proviso.ToolResult{CallID: "r", Text: text}, proviso.Allow)
				}
			}
		}
		a.Expect(t, "want", []byte(got.String()))
	})
}

// heard is origins without an index: it keeps every text, and looks at all of them for every question. What it shares with origins is how a text is cut up and how sources are labelled.
type heard struct {
	texts []heardText
}

type heardText struct {
	labels  []string
	vouches bool
	leaf    bool // one field
	piece   bool // a text of a tool
	read    reading
}

func (x *heard) add(labels []string, vouches, leaf, piece bool, s string) {
	t := heardText{labels: labels, vouches: vouches, leaf: leaf, piece: piece}
	t.read.read(s)
	x.texts = append(x.texts, t)
}

// at returns the labels of every place in which the words stand one after the other. A number that can be read in two ways is a word in both.
func (x *heard) at(ws []word) (h hit) {
	x.stands(ws, &h)
	if len(ws) == 1 {
		x.reads(ws[0].print, 1, false, &h)
	}
	return h
}

func (x *heard) stands(ws []word, h *hit) {
	for _, t := range x.texts {
		for i := 0; i+len(ws) <= len(t.read.words); i++ {
			if !slices.EqualFunc(ws, t.read.words[i:i+len(ws)], func(a, b word) bool { return a.print == b.print }) {
				continue
			}
			ls := t.labels
			if t.piece || t.leaf && len(ws) < len(t.read.words) && !t.read.numeric() {
				ls = with(ls, "text")
			}
			h.put(len(ws), false, ls, t.vouches)
		}
	}
}

func (h *hit) put(size int, thing bool, ls []string, vouches bool) {
	l := labels{may: ls}
	if vouches {
		l.vouched = ls
	}
	h.take(size, thing, l)
}

func (x *heard) thing(t thing) (h hit) {
	x.reads(t.print, t.to-t.from, true, &h)
	var as hit
	x.stands([]word{{print: t.print}}, &as)
	if as.size > 0 {
		h.take(t.to-t.from, true, as.labels)
	}
	return h
}

func (x *heard) reads(p print, size int, thing bool, h *hit) {
	for _, s := range x.texts {
		for _, o := range s.read.things {
			if o.print != p {
				continue
			}
			ls := s.labels
			switch {
			case s.leaf && o.from == 0 && o.to == len(s.read.words):
				ls = with(ls, "field")
			case s.leaf && !s.read.numeric() || s.piece:
				ls = with(ls, "text")
			}
			h.put(size, thing, ls, s.vouches)
		}
	}
}

func (x *heard) segment(r *reading, i int) (h hit) {
	end := len(r.words)
	strict, inside := 0, false
	for _, t := range r.things {
		if t.strict && t.from == i {
			strict = max(strict, t.to-i)
		}
		inside = inside || t.strict && t.from < i && i < t.to
	}
	for _, t := range r.things {
		if strict == 0 && t.strict && t.from > i {
			end = min(end, t.from)
		}
	}
	if strict > 0 {
		end = i + strict
	}
	defer func() {
		for n := len(r.words) - i; n > 0; n-- {
			if x.at(r.words[i:i+n]).size > 0 {
				h.reach = n
				return
			}
		}
	}()
	h.whole = strict
	for n := end - i; n > 0; n-- {
		if g := x.at(r.words[i : i+n]); g.size > 0 {
			if strict > 0 {
				g.labels.vouched = nil
			}
			h.size, h.thing, h.labels = g.size, g.thing, g.labels
			break
		}
	}
	for _, t := range r.things {
		if t.from == i && t.to <= end {
			if g := x.thing(t); g.size > 0 {
				if inside || g.size < strict {
					g.labels.vouched = nil
				}
				h.take(g.size, true, g.labels)
			}
		}
	}
	return h
}

func (x *heard) find(s string) (f found) {
	var r reading
	r.read(s)
	n := len(r.words)
	if n == 0 {
		f.made = strings.TrimSpace(s) != ""
		return f
	}
	var h hit
	for _, t := range x.texts {
		if t.leaf && t.read.whole() == r.whole() {
			h.put(n, true, with(t.labels, "field"), t.vouches)
		}
	}
	if h.size > 0 {
		if g := x.segment(&r, 0); g.size == n {
			h.take(n, true, g.labels)
		}
		f.parts = append(f.parts, h.labels)
		return f
	}
	verbatim := false
	for i := 0; i < n; {
		h := x.segment(&r, i)
		if i == 0 {
			verbatim = x.at(r.words).size > 0
		}
		if h.size == 0 || h.size < h.whole || h.size < n && !h.thing && !verbatim && (r.joined || !weighty(r.words[i:i+h.reach])) {
			f.made = true
		}
		f.parts = append(f.parts, h.labels)
		i += max(h.size, 1)
	}
	return f
}

// The index answers as a look at everything that was ever said would, whatever was said.
func TestOriginsEqualRescan(t *testing.T) {
	vocabulary := []string{"pay", "ann", "bob", "the", "x1", "7", "1,234", "1234", "1.5", "may", "20", "2026", "2026-05-20", "a@b.example", "https://b.example/x", "b.example", "de89370400440532013000", "de89", "3704"}
	separators := []string{" ", " ", " ", ", ", "-", ".", " (", "/", ":"}
	rapid.Check(t, func(rt *rapid.T) {
		text := func(most int) string {
			var b strings.Builder
			for i := range rapid.IntRange(0, most).Draw(rt, "words") {
				if i > 0 {
					b.WriteString(rapid.SampledFrom(separators).Draw(rt, "separator"))
				}
				b.WriteString(rapid.SampledFrom(vocabulary).Draw(rt, "word"))
			}
			return b.String()
		}
		p, x := play(t), &heard{}
		o := &p.s.origins
		for range rapid.IntRange(0, 12).Draw(rt, "sources") {
			s := text(7)
			tool := rapid.SampledFrom([]string{"a", "b", "get_user"}).Draw(rt, "tool")
			f := from{"tool:" + tool + ".note", rapid.SampledFrom([]standing{plain, hearsay, asked}).Draw(rt, "standing")}
			ls := o.labelsOf(f.label)
			if f.standing == asked {
				ls = with(ls, "asked")
			}
			switch rapid.IntRange(0, 3).Draw(rt, "kind") {
			case 0:
				o.message(&proviso.Message{Role: proviso.User, Text: s})
				x.add([]string{"user"}, true, false, false, s)
			case 1:
				o.text(o.class(f)+ofPieces, s)
				x.add(ls, f.standing != hearsay, false, true, s)
			default:
				o.leaf(f, s)
				x.add(ls, f.standing != hearsay, true, false, s)
			}
		}
		for range 8 {
			q := text(6)
			got, want := o.find(q), x.find(q)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				rt.Fatalf("%q: %v, a rescan finds %v", q, got, want)
			}
		}
	})
}

// What the user confirmed counts as said, from the confirmed call on and after a restart too.
func TestConfirmedArgumentsCountAsSaid(t *testing.T) {
	p := play(t)
	p.assistant("Shall I pay acct-99?")
	p.user("yes")
	ask := func(s *State, tool string) string {
		in := s.Bind(&proviso.Event{Session: "s", Seq: s.Next(), Time: p.at, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "c", Tool: tool, Args: proviso.JSON(`{"to":"acct-99"}`)}})
		return strings.Join(s.View(in).Origins.Every("acct-99"), " ")
	}
	if got := ask(p.s, "pay"); got != "user" {
		t.Errorf("in the confirmed call: %q", got)
	}
	if got := p.originEvery("acct-99"); got != "" {
		t.Errorf("in another call before: %q", got)
	}
	p.call("c", "pay", `{"to":"acct-99"}`)
	restored, err := Restore(script{"d1"}, snap(t, p.s))
	if err != nil {
		t.Fatal(err)
	}
	for how, s := range map[string]*State{"live": p.s, "folded": foldAll(t, p.records), "restored": restored} {
		if got := ask(s, "look"); got != "user" {
			t.Errorf("%s, in another call after: %q", how, got)
		}
	}
}

// A result counts once the events after it can have been made from it, so not for the siblings of its call.
func TestOriginsOfSiblings(t *testing.T) {
	p := play(t)
	p.sibling("m1", 0, "a", "get_user", `{}`)
	p.sibling("m1", 1, "b", "pay", `{}`)
	p.result("a", `{"code":"Q-771"}`)
	look := func(response string) string {
		v, _ := p.look(&proviso.ToolCall{ID: "look", Tool: "pay", Args: proviso.JSON(`{}`), Response: response, Index: 2})
		return strings.Join(v.Origins.Of("Q-771", builtin.ByValue), " ")
	}
	if got := look("m1"); got != "assistant system" && got != "assistant" {
		t.Errorf("a sibling: %q", got)
	}
	if got := look("m2"); !strings.Contains(got, "private") {
		t.Errorf("a later call: %q", got)
	}
}

// What was said but withheld from the session vouches for nothing.
func TestOriginsRestOnWhatWasForwarded(t *testing.T) {
	p := play(t)
	p.do(proviso.Input, &proviso.Message{Role: proviso.User, Text: "acct-99"}, proviso.Deny)
	if got := p.originEvery("acct-99"); got != "" {
		t.Errorf("a message that was withheld: %q", got)
	}
	p.call("r", "get_user", `{}`)
	p.do(proviso.ToolResultPoint, &proviso.ToolResult{CallID: "r", Content: proviso.JSON(`{"card":"4242 4242 4242 4242"}`)}, proviso.Allow, proviso.Edit{Rule: "hide", Start: 9, End: 28, Text: "[card]"})
	if got := p.originOf("4242424242424242"); !strings.Contains(got, "private") || strings.Contains(got, "assistant") {
		t.Errorf("what was redacted keeps its labels: %q", got)
	}
}

func TestChildInheritsLabels(t *testing.T) {
	p := play(t)
	p.read("get_user", `{"code":"Q-771"}`)
	c := p.s.Child("c", "helper")
	ev := &proviso.Event{Session: "c", Seq: 1, Time: p.at, Point: proviso.SessionStart, Body: &proviso.Lifecycle{Kind: "start", User: "mia"}}
	in := c.Bind(ev)
	c.View(in)
	r := c.Record(in, proviso.Decision{Outcome: proviso.Allow, Policy: "d1"})
	if err := c.Apply(in, &r); err != nil {
		t.Fatal(err)
	}
	folded, err := Fold(script{"d1"}, "c", slices.Values([]proviso.Record{r}))
	if err != nil {
		t.Fatal(err)
	}
	for how, s := range map[string]*State{"live": c, "folded": folded} {
		if !slices.Contains(s.Labels(), "private") {
			t.Errorf("%s: the labels of the child are %v", how, s.Labels())
		}
		if !bytes.Equal(snap(t, s), snap(t, c)) {
			t.Errorf("%s: another snapshot", how)
		}
	}
}

// However much is read, no more than two generations of words are kept, and what was forgotten is nobody's word: it has every label.
func TestOriginsAreBounded(t *testing.T) {
	p := play(t)
	o := &p.s.origins
	p.user("the first word is acct-99")
	long := strings.Repeat("so many words that are all the same ", 100)
	for i := range 2*MaxWords/800 + 2 {
		o.message(&proviso.Message{Role: proviso.User, Text: fmt.Sprint(i, " ", long)})
	}
	kept := 0
	for _, g := range o.gens {
		kept += len(g.log)
	}
	if kept > 3*MaxWords {
		t.Errorf("%d words and marks are kept", kept)
	}
	if got := p.originEvery("acct-99"); got != "" {
		t.Errorf("forgotten, and yet known as %q", got)
	}
	if got := p.originOf("acct-99"); !strings.Contains(got, "user") {
		t.Errorf("forgotten, and now without a source: %q", got)
	}
	if got := p.originEvery("so many words"); got != "user" {
		t.Errorf("the newest words are known as %q", got)
	}
}

// More fields than are told apart count as the tool as a whole, with every label that could matter, and vouch for nothing.
func TestManyFields(t *testing.T) {
	p := play(t)
	o := &p.s.origins
	for i := range MaxFields + 10 {
		o.value(from{"tool:many", plain}, map[string]any{fmt.Sprint("k", i): fmt.Sprint("m", i, "m")})
	}
	o.value(from{"tool:wide", plain}, map[string]any{"other": "w1w", "secret": "w2w"})
	for v, want := range map[string]string{"w1w": "field tool:wide tool:wide.k7", "w2w": "field private tool:wide tool:wide.k7"} {
		if got := p.originOf(v); got != want {
			t.Errorf("%s: %q, want %q", v, got, want)
		}
		if got := p.originEvery(v); got != "" {
			t.Errorf("%s is known as %q", v, got)
		}
	}
	for i := range 3 * MaxFields {
		o.value(from{fmt.Sprint("tool:t", i), hearsay}, "x")
	}
	if n := len(o.classes); n > 7*MaxFields {
		t.Errorf("%d classes", n)
	}
	restored, err := Restore(script{"d1"}, snap(t, p.s))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(snap(t, restored), snap(t, p.s)) {
		t.Error("another snapshot after a restart")
	}
}

// A word that everybody says has every label rather than a list without end.
func TestWordOfManySources(t *testing.T) {
	p := play(t)
	for i := range maxSet + 10 {
		p.s.origins.value(from{fmt.Sprint("tool:t", i), plain}, "everybody says so")
	}
	if got := p.originOf("says so"); got != strings.Join(p.s.Labels(), " ") {
		t.Errorf("%d labels of %d", len(strings.Fields(got)), len(p.s.Labels()))
	}
	if got := p.originEvery("says so"); got != "" {
		t.Errorf("known as %q", got)
	}
}

// Cut or forged words of a snapshot are refused.
func TestRestoreRefusesWords(t *testing.T) {
	p := play(t)
	p.user("pay ann")
	p.read("get_user", `{"name":"Ann Li"}`)
	good := p.s.origins.snapshot()
	if err := new(origins).restore(nil); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*snapOrigins){
		"prints cut off":         func(x *snapOrigins) { x.Gens[0].Prints = x.Gens[0].Prints[:20] },
		"the same print twice":   func(x *snapOrigins) { copy(x.Gens[0].Prints, x.Gens[0].Prints[16:32]) },
		"a log cut off":          func(x *snapOrigins) { x.Gens[0].Log = append(x.Gens[0].Log, 0x80) },
		"a word without a print": func(x *snapOrigins) { x.Gens[0].Log = binary.AppendVarint(x.Gens[0].Log, 1<<20) },
		"a class without labels": func(x *snapOrigins) { x.Gens[0].Log = binary.AppendVarint(x.Gens[0].Log, -1000) },
		"a text of no source":    func(x *snapOrigins) { x.Gens[0].Log = binary.AppendVarint(nil, 0) },
		"a field without words":  func(x *snapOrigins) { x.Gens[0].Log = append(x.Gens[0].Log, 3, 5) },
		"three generations":      func(x *snapOrigins) { x.Gens = append(x.Gens, x.Gens[0], x.Gens[0]) },
	} {
		x := &snapOrigins{Classes: good.Classes, Inherit: good.Inherit}
		for _, g := range good.Gens {
			x.Gens = append(x.Gens, snapGen{slices.Clone(g.Prints), slices.Clone(g.Log)})
		}
		spoil(x)
		if err := New(script{"d1"}, "s").origins.restore(x); err == nil || !strings.Contains(err.Error(), CodeSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Any text is cut up without a panic, the same way twice, and is found again as a whole.
func FuzzOrigins(f *testing.F) {
	f.Add("pay ann@example.com $1,234.50 by 20 May 2026", "1,234.50")
	f.Add("DE89 3704 0044 0532 0130 00 https://x.example:443/a?b=%zz#c www.", "x@")
	f.Add("2026-05-20T15:30:00Z 3pm 12:61 1.2.3.4 00.00,00", "\xff\u0600é")
	f.Fuzz(func(t *testing.T, said, asked string) {
		p := play(t)
		o := &p.s.origins
		o.message(&proviso.Message{Role: proviso.User, Text: said})
		o.Of(asked, builtin.ByValue)
		if f := o.find(said); len(o.r.words) > 0 && f.made {
			t.Errorf("%q is not found in itself", said)
		}
	})
}

// The longest texts that are decided on take a moment, whatever is in them: nothing looks at all of a text for each of its words.
func BenchmarkOriginsOfLongTexts(b *testing.B) {
	for _, s := range []string{"1.", "1,234 ", "a@b.cc ", "http://a.bc/x ", "www.", "a.bc/", "x.com.Yes ", "20 May ", "DE89 ", "0 ", "say ", "'a"} {
		text := strings.Repeat(s, (1<<20)/len(s))
		b.Run(s, func(b *testing.B) {
			for b.Loop() {
				o := &play(b).s.origins
				o.message(&proviso.Message{Role: proviso.User, Text: text})
				o.find(text)
			}
		})
	}
}
