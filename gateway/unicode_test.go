package gateway

import (
	"net/http"
	"strings"
	"testing"
)

// Names and amounts that look like something else: a tool is the one that is written, letter by letter, and digits of another script are no number. None of these calls reaches the caller, and the model is not told that a tool by a look-alike name exists.
func TestLookAlikesAreNoCalls(t *testing.T) {
	const mail = `{"to":"a@example.com","subject":"s","body":"b"}`
	for _, c := range []struct{ name, tool, args string }{
		{"a letter of another script", "lооkup", `{"id":"A"}`},
		{"full width", "ｌｏｏｋｕｐ", `{"id":"A"}`},
		{"a letter in two parts", "lookup\u0301", `{"id":"A"}`},
		{"a space of no width", "look\u200bup", `{"id":"A"}`},
		{"a byte order mark", "\ufefflookup", `{"id":"A"}`},
		{"turned round", "\u202epukool\u202c", `{"id":"A"}`},
		{"tag characters", "lookup\U000e0061", `{"id":"A"}`},
		{"another case", "Lookup", `{"id":"A"}`},
		{"a space behind", "lookup ", `{"id":"A"}`},
		{"an amount in digits of full width", "pay", `{"id":"A","amount":"５"}`},
		{"an amount as a text", "pay", `{"id":"A","amount":"5"}`},
		{"a name of an argument that looks alike", "mail", strings.Replace(mail, `"to"`, `"tо"`, 1)},
		{"a host of another script", "mail", strings.Replace(mail, "example", "ехample", 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(t *testing.T, d dialect) {
				for _, stream := range []bool{false, true} {
					door := newDoor(t, nil)
					door.lookup("one", "A")
					a := answer{uses: []use{{"c1", c.tool, c.args}}}
					door.up.say(d.plain(a), d.stream(a))
					status, h, body := door.post(d.wire.Path(), d.request("m", hello, nil, stream), HeaderSession, "one")
					if status != http.StatusOK && status < 400 {
						t.Fatalf("%d %s", status, body)
					}
					if g := d.read(t, status, h.Get("Content-Type"), body); len(g.uses) != 0 {
						t.Errorf("stream %v: %s", stream, body)
					}
				}
			})
		})
	}
	// The same calls as they should be pass, so that the test shows something.
	each(t, func(t *testing.T, d dialect) {
		door := newDoor(t, nil)
		door.lookup("one", "A")
		a := answer{uses: []use{{"c1", "lookup", `{"id":"A"}`}, {"c2", "pay", `{"id":"A","amount":5}`}, {"c3", "mail", mail}}}
		door.up.say(d.plain(a), "")
		status, h, body := door.post(d.wire.Path(), d.request("m", hello, nil, false), HeaderSession, "one")
		if g := d.read(t, status, h.Get("Content-Type"), body); len(g.uses) != 3 {
			t.Errorf("%d %s", status, body)
		}
	})
}
