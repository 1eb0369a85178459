package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/policy/pack"
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

// Whatever goes wrong, the decision API answers with an outcome, and below /v1/data with a result.
func TestDecideIsNeverUndefined(t *testing.T) {
	key, hash := NewKey()
	rules := &Rules{Base: []*pack.Pack{loadPack(t, "testdata/desk")}, Keys: []Key{{ID: "desk", Hash: hash}}}
	door := newDoor(t, func(cfg *Config) { cfg.Load = func(context.Context) (*Rules, error) { return rules, nil } })
	for _, c := range []struct {
		name, path, body, key, overlay string
		status                         int
		want                           string
	}{
		{"a stranger", "/v1/decide", `{"tool":"lookup","args":{"id":"A"}}`, "", "", 401, `"outcome":"deny"`},
		{"a stranger's batch", "/v1/decide/batch", `{"items":[{"tool":"lookup","args":{"id":"A"}}]}`, "", "", 401, `"outcome":"deny"`},
		{"a stranger with OPA", "/v1/data/agents/allow", `{"input":{"tool":"lookup","args":{"id":"A"}}}`, "", "", 401, `"result":false`},
		{"no such overlay", "/v1/decide", `{"session":"s","tool":"lookup","args":{"id":"A"}}`, string(key), "nope", 400, `"outcome":"deny"`},
		{"no input", "/v1/data/agents/allow", `{"input":null}`, string(key), "", 400, `"result":false`},
		{"no JSON", "/v1/data/agents", `{`, string(key), "", 400, `"result":{`},
		{"a session in an item", "/v1/decide/batch", `{"session":"s","items":[{"session":"t","tool":"lookup","args":{"id":"A"}}]}`, string(key), "", 400, `beside items`},
		{"dry beside others", "/v1/decide/batch", `{"session":"s","parallel":true,"items":[{"dry":true,"tool":"lookup","args":{"id":"A"}}]}`, string(key), "", 400, `no dry`},
	} {
		status, _, body := door.post(c.path, c.body, HeaderKey, c.key, HeaderOverlay, c.overlay)
		if status != c.status || !strings.Contains(body, c.want) || strings.Contains(body, "true") {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
	}
	if _, _, body := door.post("/v1/decide", `{"session":"s","dry":true,"tool":"lookup","args":{"id":"A"}}`, HeaderKey, string(key)); !strings.Contains(body, `"allow":true`) || strings.Contains(body, "decision_id") {
		t.Errorf("what is not recorded has no id: %s", body)
	}
}

// What would supply a missing fact is named with its arguments, on every door.
func TestSuppliersHaveArguments(t *testing.T) {
	door := newDoor(t, nil)
	_, _, body := door.post("/v1/decide", `{"session":"s","tool":"pay","args":{"id":"A","amount":1}}`)
	if want := `{"args":{"id":"A"},"open":null,"tool":"lookup"}`; !strings.Contains(body, want) {
		t.Errorf("want the supplier %s in %s", want, body)
	}
}

// An overlay that does not exist is the caller's mistake: clients would ask again where they are told that the server is not at hand.
func TestUnknownOverlayIsNotAskedForAgain(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		door := newDoor(t, nil)
		door.up.say(d.plain(fine), d.stream(fine))
		status, _, body := door.post(d.wire.Path(), d.request("m", hello, nil, false), HeaderSession, "s", HeaderOverlay, "nope")
		if status != http.StatusBadRequest || !strings.Contains(body, "nope") || !strings.Contains(body, CodeOverlay) || door.up.count() > 0 {
			t.Errorf("%d %s", status, body)
		}
	})
}

// Which policy holds for a key is what holds for its requests: its tags and its agent count.
func TestWhichOfAKey(t *testing.T) {
	rules := &Rules{
		Base:     []*pack.Pack{loadPack(t, "testdata/desk")},
		Attached: []Attachment{{Packs: []*pack.Pack{loadPack(t, "testdata/night")}, Tags: []string{"late"}}},
		Keys:     []Key{{ID: "day"}, {ID: "owl", Tags: []string{"late"}}},
	}
	for key, want := range map[string]int{"day": 1, "owl": 2} {
		if e, err := rules.Which(Subject{Key: key}); err != nil || len(e.Packs) != want {
			t.Errorf("%s: %v %+v", key, err, e)
		}
	}
	if _, err := rules.Which(Subject{Key: "oul"}); err == nil || !strings.Contains(err.Error(), `"oul"`) {
		t.Errorf("a key that does not exist: %v", err)
	}
}

// Who waits for a person is let go when the server is about to end, and asks again where it goes on.
func TestDrainEndsWaits(t *testing.T) {
	door := newDoor(t, nil)
	door.lookup("s", "A")
	_, out := door.decide(`{"session":"s","tool":"pay","args":{"id":"A","amount":500}}`)
	id, _ := out["approval"].(string)
	if out["outcome"] != "escalate" || id == "" {
		t.Fatalf("%v", out)
	}
	ended := make(chan string, 1)
	go func() {
		r, _ := http.NewRequest(http.MethodGet, door.url+"/v1/approvals/"+id+"?wait=5m", nil)
		r.Header.Set(HeaderSession, "s")
		resp, err := door.http.Do(r)
		if err != nil {
			ended <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		ended <- string(body)
	}()
	time.Sleep(100 * time.Millisecond)
	door.Drain()
	select {
	case body := <-ended:
		if !strings.Contains(body, `"pending"`) {
			t.Error(body)
		}
	case <-time.After(10 * time.Second):
		t.Error("still waiting")
	}
}

// The name of a session cannot be said in two ways by two callers, whatever their own names have in them.
func TestSessionsOfCallersWithSlashes(t *testing.T) {
	door := newDoor(t, func(cfg *Config) {
		cfg.Identity.Tokens = subjects{}
	})
	for _, who := range [][2]string{{"al.ic.e", "b/h:c"}, {"al.ic.e/h:b", "c"}} {
		door.post("/v1/decide", `{"session":"`+who[1]+`","tool":"lookup","args":{"id":"A"}}`, "Authorization", "Bearer "+who[0])
	}
	if a, b := door.records("sub:al.ic.e/h:b/h:c"), door.records("sub:al.ic.e%2Fh:b/h:c"); len(a) != 2 || len(b) != 2 {
		t.Errorf("%d and %d records", len(a), len(b))
	}
}

// subjects takes every token for the subject that it is.
type subjects struct{}

func (subjects) Verify(token string) (map[string]any, error) {
	return map[string]any{"sub": token}, nil
}
