package gateway

import (
	"strings"
	"testing"
)

// lastEvents are the events with which an answer that was cut short ends on each wire, behind text that has gone out.
var lastEvents = map[string][]string{
	"chat":      {`"finish_reason":"content_filter"`, "data: [DONE]"},
	"responses": {"event: response.failed\n"},
	"messages":  {"event: error\n"},
}

// A denial in the middle of a stream, when text has reached the caller already, is told as each API tells that an answer is cut short: a filtered choice and [DONE], response.failed, an error event.
// What was denied is not there, nothing of the model's follows, and the clause is told.
func TestDenialInTheMiddle(t *testing.T) {
	harmless := strings.Repeat("harmless words and ", 20)
	each(t, func(t *testing.T, d dialect) {
		for _, uses := range [][]use{nil, {{"c1", "lookup", `{"id":"A"}`}}} {
			door := newDoor(t, nil)
			door.up.say("", d.stream(answer{harmless + "plutonium, which nobody may name, " + strings.Repeat("and BEHIND ", 20), uses}))
			status, h, body := door.post(d.wire.Path(), d.request("m", hello, nil, true), HeaderSession, "one")
			if status != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") {
				t.Fatalf("%d %v", status, h)
			}
			if n := strings.Count(body, `"mles"`); n < 3 {
				t.Errorf("text did not flow before: %s", body)
			}
			end := body
			for _, want := range lastEvents[d.wire.Name()] {
				i := strings.Index(end, want)
				if i < 0 || strings.Count(body, want) != 1 {
					t.Fatalf("%q is not told once: %s", want, end)
				}
				end = end[i:]
			}
			// The last event is the last: one block of lines, and an empty one.
			if strings.Count(strings.TrimSpace(end), "\n\n") > 0 {
				t.Errorf("something follows: %s", end)
			}
			for _, lacks := range []string{"plut", "BEHIND", `"lookup"`, `"message_stop"`, `"response.completed"`} {
				if strings.Contains(strings.ReplaceAll(body, "The word plutonium is neither", ""), lacks) {
					t.Errorf("the caller got %q: %s", lacks, body)
				}
			}
			if !strings.Contains(body, "words-1") {
				t.Errorf("the clause is not told: %s", body)
			}
		}
	})
}
