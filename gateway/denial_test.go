package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// The same denial again and again becomes an error that tells the agent to stop.
func TestBudgetOfDenials(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		door := newDoor(t, func(c *Config) { c.Denials.Budget = 2 })
		a := answer{uses: []use{{"c1", "erase", `{}`}}}
		door.up.say(d.plain(a), d.stream(a))
		var got []int
		for i := range 4 {
			status, _, body := door.post(d.wire.Path(), d.request("m", hello, nil, i%2 == 0), HeaderSession, "s")
			got = append(got, status)
			if told := strings.Contains(body, CodeRepeated); told != (status == http.StatusForbidden) {
				t.Errorf("%d: told to stop is %v: %s", i, told, body)
			}
		}
		if fmt.Sprint(got) != "[200 200 403 403]" {
			t.Errorf("%v", got)
		}
	})
}

// A revision that is denied as well is the same denial to the agent, which was told once.
func TestBudgetCountsWhatTheAgentIsTold(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		door := newDoor(t, func(c *Config) { c.Denials.Budget, c.Denials.Revisions = 2, 1 })
		a := answer{uses: []use{{"c1", "mail", `{"to":"x@evil.org","body":"b"}`}}}
		door.up.say(d.plain(a), d.stream(a))
		var got, asked []int
		for i := range 4 {
			before := door.up.count()
			status, _, _ := door.post(d.wire.Path(), d.request("m", hello, nil, i%2 == 0), HeaderSession, "s")
			got, asked = append(got, status), append(asked, door.up.count()-before)
		}
		if fmt.Sprint(got, asked) != "[200 200 403 403] [2 2 1 1]" {
			t.Errorf("%v, the model was asked %v times", got, asked)
		}
	})
}
