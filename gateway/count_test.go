package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/guard"
)

// Counting tokens sends what would be asked, so it is decided as a request is: texts that may not go out do not, redactions and withheld results count as they would be forwarded, tools that are never allowed are not counted. Nothing is recorded, and the request that follows is decided as if nobody had counted.
func TestCountTokens(t *testing.T) {
	door := newDoor(t, nil)
	count := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == countPath {
			io.WriteString(w, `{"input_tokens":14}`)
			return
		}
		io.WriteString(w, messagesPlain(fine))
	}
	for _, c := range []struct {
		name         string
		turns        []said
		tools        []string
		header       []string
		status       int
		body         string
		sent, hidden string
	}{
		{"a text", hello, nil, nil, 200, `{"input_tokens":14}`, "", "plutonium"},
		{"a word that may not be said", []said{{role: "user", text: "plutonium"}}, nil, nil, 403, "words-1", "", ""},
		{"a request that may not be made", []said{{role: "user", text: "uranium"}}, nil, nil, 403, "words-1", "", ""},
		{"a card", []said{{role: "user", text: "card 1111-2222-3333-4444"}}, nil, nil, 200, "14", "card [card]", "1111-2222"},
		{"tools", hello, []string{"lookup", "erase"}, nil, 200, "14", "lookup", "erase"},
		{"a tool that may not be offered", hello, []string{"lookup", "retired"}, nil, 403, "words-1", "", ""},
		{"a result with a card", []said{{role: "user", text: "hi"}, {role: "assistant", uses: []use{{"c1", "lookup", `{"id":"A"}`}}}, {role: "tool", call: "c1", text: "card 1111-2222-3333-4444"}}, nil, nil, 200, "14", "card [card]", "1111-2222"},
		{"a result that is withheld", []said{{role: "user", text: "hi"}, {role: "assistant", uses: []use{{"c1", "lookup", `{"id":"A"}`}}}, {role: "tool", call: "c1", text: "plutonium"}}, nil, nil, 200, "14", "[withheld]", `"plutonium"`},
		{"an agent that may not begin", hello, nil, []string{"X-Proviso-Agent", "banned-1"}, 403, "may not begin", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			door.up.mu.Lock()
			door.up.answer = count
			door.up.mu.Unlock()
			before := door.up.count()
			status, _, body := door.post(countPath, messagesRequest("m", c.turns, c.tools, false), append(c.header, HeaderSession, "one")...)
			if status != c.status || !strings.Contains(body, c.body) {
				t.Fatalf("%d %s", status, body)
			}
			if asked := door.up.count() - before; asked != map[int]int{200: 1, 403: 0}[status] {
				t.Fatalf("the upstream was asked %d times", asked)
			}
			if sent := door.up.last(); status == 200 && (!strings.Contains(sent, c.sent) || c.hidden != "" && strings.Contains(sent, c.hidden)) {
				t.Errorf("%s", sent)
			}
			if r := door.records("/h:one"); len(r) != 0 {
				t.Errorf("%d records", len(r))
			}
		})
	}
	// In a session that has records: what was withheld stays so, and counting changes nothing of them.
	turns := []said{{role: "user", text: "card 1111-2222-3333-4444"}}
	if status, _, body := door.post("/v1/messages", messagesRequest("m", turns, nil, false), HeaderSession, "two"); status != 200 {
		t.Fatal(body)
	}
	records := len(door.records("/h:two"))
	if status, _, body := door.post(countPath, messagesRequest("m", append(turns, said{role: "assistant", text: "all is well"}, said{role: "user", text: "and now?"}), nil, false), HeaderSession, "two"); status != 200 || strings.Contains(door.up.last(), "1111") || !strings.Contains(door.up.last(), "and now?") {
		t.Errorf("%d %s: %s", status, body, door.up.last())
	}
	if n := len(door.records("/h:two")); n != records || n == 0 {
		t.Errorf("%d records, want %d", n, records)
	}
}

// An upstream that answers otherwise than with a number: nothing of it is passed on.
func TestCountTokensFaults(t *testing.T) {
	for _, c := range []struct {
		name, kind, body string
		status, want     int
	}{
		{"a page", "text/html", "<html>SECRET</html>", 200, 502},
		{"an answer of a model", "application/json", `{"input_tokens":1,"content":[{"type":"tool_use","id":"1","name":"SECRET","input":{}}]}`, 200, 502},
		{"a text", "application/json", `{"input_tokens":"SECRET"}`, 200, 502},
		{"an error", "application/json", `{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}`, 429, 429},
		{"a redirect", "application/json", `{"input_tokens":1}`, 302, 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			door := newDoor(t, func(c *Config) { c.Audit = guard.BestEffort })
			door.up.answer = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}
			if status, _, body := door.post(countPath, messagesRequest("m", hello, nil, false), HeaderSession, "one"); status != c.want || strings.Contains(body, "SECRET") || !strings.Contains(body, `"error"`) {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}
