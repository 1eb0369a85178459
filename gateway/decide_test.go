package gateway

import (
	"strings"
	"testing"
)

// What a program forgets is told as such, and never filled in.
func TestDecideTellsWhatIsMissing(t *testing.T) {
	door := newDoor(t, nil)
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/v1/decide", `{"session":"s","tool":"erase"}`, 400, `write \"args\": {}`},
		{"/v1/decide", `{"session":"s"}`, 400, "give an event, or tool and args"},
		{"/v1/decide", `{"session":"s","tol":"erase"}`, 400, `did you mean \"tool\"`},
		{"/v1/decide/batch", `{"session":"s","items":[{"tool":"erase"}]}`, 200, `write \"args\": {}`}, // beside the answers to the others
	} {
		if status, _, body := door.post(c.path, c.body); status != c.status || !strings.Contains(body, c.want) || !strings.Contains(body, `"allow":false`) {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, body)
		}
	}
	// Clients of OPA may ask at the root, as OPA lets them.
	for path, want := range map[string]string{"/v1/data": `"outcome":"allow"`, "/v1/data/agents": `"outcome":"allow"`, "/v1/data/agents/allow": `"result":true`} {
		if status, _, body := door.post(path, `{"input":{"session":"s","tool":"lookup","args":{"id":"A"}}}`); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}
