package session

import (
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
)

// told turns a line such as "u:hello c:1 r:1 a:done" into a transcript as a client sends it.
func told(line string) []proviso.Event {
	var out []proviso.Event
	for _, w := range strings.Fields(line) {
		kind, text, _ := strings.Cut(w, ":")
		var b proviso.Body
		switch kind {
		case "u":
			b = &proviso.Message{Role: proviso.User, Text: text}
		case "a":
			b = &proviso.Message{Role: proviso.Assistant, Text: text + "\n"}
		case "c":
			b = &proviso.ToolCall{ID: text, Tool: "get", Args: proviso.JSON("{ \"id\": \"x \\\" y\" }")}
		case "n":
			b = &proviso.ToolCall{Tool: text, Args: proviso.JSON("{}")}
		case "r":
			b = &proviso.ToolResult{CallID: text, Content: proviso.JSON(`{"n": 1}`)}
		case "R":
			b = &proviso.ToolResult{CallID: text, Content: proviso.JSON(`{"n": 2}`)}
		case "x":
			b = &proviso.ModelRequest{Text: text}
		}
		out = append(out, proviso.Event{Body: b})
	}
	return out
}

func TestResync(t *testing.T) {
	const said = "u:hello c:1 r:1 a:done"
	for name, c := range map[string]struct {
		sent, fresh string
		changed     bool
	}{
		"nothing new":                {said, "", false},
		"a new turn":                 {said + " u:more", "u:more", false},
		"the same words again":       {said + " u:hello", "u:hello", false},
		"several new events":         {said + " u:more c:2 r:2", "u:more c:2 r:2", false},
		"what nobody records":        {"x:system " + said + " u:more", "u:more", false},
		"results behind calls":       {"u:hello r:1 c:1 a:done u:more", "u:more", false},
		"with the denied call":       {"u:hello c:1 r:1 c:9 r:9 a:done u:more", "u:more", false},
		"an edited message":          {"u:hallo c:1 r:1 a:done u:more", "u:more", true},
		"an edited result":           {"u:hello c:1 R:1 a:done u:more", "u:more", true},
		"an invented result":         {"u:hello c:1 r:1 r:5 a:done u:more", "u:more", true},
		"a message put in between":   {"u:hello c:1 r:1 u:yes a:done u:more", "u:more", true},
		"a cut beginning":            {"a:done u:more", "u:more", true},
		"a cut end":                  {"u:hello c:1 r:1", "", true},
		"another turn from the call": {"u:hello c:1 r:1 a:other u:more", "a:other u:more", true},
		"another conversation":       {"u:who u:are", "u:who u:are", true},
		"nothing":                    {"", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t)
			p.user("hello")
			p.do(proviso.ToolCallPoint, &proviso.ToolCall{ID: "1", Tool: "get", Args: proviso.JSON(`{"id":"x \" y"}`)}, proviso.Allow)
			p.result("1", `{"n":1}`)
			p.do(proviso.ToolCallPoint, &proviso.ToolCall{ID: "9", Tool: "get", Args: proviso.JSON(`{"id":"x \" y"}`)}, proviso.Deny)
			p.do(proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: "withheld"}, proviso.Deny)
			p.assistant("done")
			if strings.Contains(c.sent, "r:9") {
				p.result("9", `{"n":1}`)
			}
			fresh, changed := p.s.Resync(told(c.sent))
			if want := told(c.fresh); changed != c.changed || len(fresh) != len(want) {
				t.Fatalf("%d fresh, changed %v; want %d, %v", len(fresh), changed, len(want), c.changed)
			}
			if r := p.call("2", "get", `{}`); r.Changed != c.changed {
				t.Errorf("the record says changed %v", r.Changed)
			}
			if r := p.call("3", "get", `{}`); r.Changed {
				t.Error("and so does the one after")
			}
		})
	}
}

func TestResyncAfterTheLimit(t *testing.T) {
	var tr transcript
	for range MaxKnown + 1 {
		tr.add(&told("u:a")[0], nil)
	}
	if !tr.cut || len(tr.entries) > MaxKnown {
		t.Errorf("%d entries, cut %v", len(tr.entries), tr.cut)
	}
	p := play(t)
	p.s.known = tr
	if _, changed := p.s.Resync(told("u:a u:b")); !changed {
		t.Error("a transcript whose beginning is forgotten counts as unchanged")
	}
}

// A client that keeps the assistant's words in another way, or not at all, still sends back what the user said: that is known, and need not be decided again with every request.
func TestCompareFindsTurnsBehindMissingOnes(t *testing.T) {
	p := play(t)
	for _, turn := range []string{"one", "two", "three", "two"} {
		p.user(turn)
		p.assistant("about " + turn)
	}
	for _, c := range []struct{ sent, unknown string }{
		{"u:one u:two u:three u:two u:four", "four"},
		{"u:one a:other u:two a:other u:three a:other u:two u:four", "other other other four"},
		{"u:three u:two u:two", ""}, // the last one is one too many, and counts as the one that is known
	} {
		events := told(c.sent)
		known, from, missing := p.s.Compare(events)
		var unknown []string
		for i, e := range events {
			if !known[i] {
				unknown = append(unknown, strings.TrimSpace(e.Body.(*proviso.Message).Text))
			}
		}
		if got := strings.Join(unknown, " "); !missing || c.unknown != "" && got != c.unknown || c.unknown == "" && from != len(events) {
			t.Errorf("%s: unknown %q, new from %d, missing %v", c.sent, got, from, missing)
		}
	}
}
