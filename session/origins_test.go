package session

import (
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

// at returns the labels of every place in which the words stand one after the other.
func (x *heard) at(ws []word) (h hit) {
	for _, t := range x.texts {
		for i := 0; i+len(ws) <= len(t.read.words); i++ {
			if !slices.EqualFunc(ws, t.read.words[i:i+len(ws)], func(a, b word) bool { return a.print == b.print }) {
				continue
			}
			ls := t.labels
			if t.piece || t.leaf && len(ws) < len(t.read.words) {
				ls = with(ls, "text")
			}
			h.put(len(ws), false, ls, t.vouches)
		}
	}
	return h
}

func (h *hit) put(size int, thing bool, ls []string, vouches bool) {
	l := labels{may: ls}
	if vouches {
		l.vouched = ls
	}
	h.take(size, thing, l)
}

func (x *heard) thing(t thing) (h hit) {
	for _, s := range x.texts {
		for _, o := range s.read.things {
			if o.print != t.print {
				continue
			}
			ls := s.labels
			switch {
			case s.leaf && o.from == 0 && o.to == len(s.read.words):
				ls = with(ls, "field")
			case s.leaf || s.piece:
				ls = with(ls, "text")
			}
			h.put(t.to-t.from, true, ls, s.vouches)
		}
	}
	return h
}

func (x *heard) segment(r *reading, i int) (h hit) {
	end := len(r.words)
	strict := 0
	for _, t := range r.things {
		if t.strict && t.from == i {
			strict = max(strict, t.to-i)
		}
	}
	for _, t := range r.things {
		if strict == 0 && t.strict && t.from > i {
			end = min(end, t.from)
		}
	}
	if strict > 0 {
		end = i + strict
	}
	h.whole = strict
	for n := end - i; n > 0; n-- {
		if g := x.at(r.words[i : i+n]); g.size > 0 {
			if strict > 0 {
				g.labels.vouched = nil
			}
			h = g
			h.whole = strict
			break
		}
	}
	for _, t := range r.things {
		if t.from == i && t.to <= end {
			if g := x.thing(t); g.size > 0 {
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
	for i := 0; i < n; {
		h := x.segment(&r, i)
		if h.size == 0 || h.size < h.whole || h.size < n && !h.thing && (r.joined || !weighty(r.words[i:i+h.size])) {
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
