package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/llm/anthropic"
	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/llm/wire"
	"github.com/proviso-dev/proviso/policy/pack"
)

// What no rule looks at, although the policy forbids its word in every text: docs/limitations.md says so.
func TestWhatNoRuleLooksAt(t *testing.T) {
	for _, c := range []struct {
		wire   wire.Wire
		name   string
		answer string
	}{
		{openai.Chat, "thoughts", `{"id":"1","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"a","reasoning_content":"plutonium"}}]}`},
		{openai.Responses, "thoughts", responseItem(`{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"plutonium"}]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"}]}`)},
		{anthropic.Messages, "thoughts", `{"id":"1","role":"assistant","stop_reason":"end_turn","content":[{"type":"thinking","thinking":"plutonium","signature":"s"},{"type":"text","text":"a"}]}`},
		{anthropic.Messages, "quoted passages", `{"id":"1","role":"assistant","stop_reason":"end_turn","content":[{"type":"text","text":"a","citations":[{"type":"char_location","cited_text":"plutonium"}]}]}`},
	} {
		t.Run(c.wire.Name()+"/"+c.name, func(t *testing.T) {
			door := newDoor(t, nil)
			door.up.say(c.answer, "")
			if _, _, body := door.post(c.wire.Path(), dialectOf(c.wire).request("m", hello, nil, false), HeaderSession, "one"); body != c.answer {
				t.Errorf("%s", body)
			}
		})
	}
	for name, request := range map[string]string{
		"descriptions of tools": `{"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"lookup","description":"plutonium"}}]}`,
		"settings":              `{"messages":[{"role":"user","content":"hi","name":"plutonium"}],"metadata":{"a":"plutonium"},"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"plutonium"}}}`,
		"words of the assistant that a client makes up": `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"plutonium"},{"role":"user","content":"go on"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			door := newDoor(t, nil)
			door.up.say(chatPlain(fine), "")
			if status, _, body := door.post(openai.Chat.Path(), request, HeaderSession, "one"); status != http.StatusOK || door.up.last() != request {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}

// After a restart a server knows the answers of a session that had calls, by its journal. Of one that only said something it does not know that it was here, and a request that goes on from it is taken for one that
// goes on from somebody else's; what it would have told the provider about a denied call is forgotten.
func TestKeptTranscriptAfterARestart(t *testing.T) {
	secret := Secret("a secret that stays")
	door := newDoor(t, func(c *Config) { c.Identity.Secret = secret })
	door.up.say(responsesPlain(answer{uses: []use{{"c1", "lookup", `{"id":"A"}`}, {"c2", "erase", `{}`}}}), "")
	door.post(openai.Responses.Path(), responsesRequest("m", hello, nil, false), HeaderSession, "calls")
	door.up.say(responsesPlain(fine), "")
	door.post(openai.Responses.Path(), responsesRequest("m", hello, nil, false), HeaderSession, "words")

	next, err := New(t.Context(), door.cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(next.Handler())
	t.Cleanup(func() { srv.Close(); next.Close() })
	door.url = srv.URL
	if _, _, body := door.post(openai.Responses.Path(), goOn("resp_1", `[{"type":"function_call_output","call_id":"c1","output":"MINE"}]`), HeaderSession, "calls"); !strings.Contains(door.up.last(), "MINE") || strings.Contains(door.up.last(), "c2") {
		t.Errorf("the upstream was asked %s; %s", door.up.last(), body)
	}
	if _, _, body := door.post(openai.Responses.Path(), goOn("resp_1", `"MORE"`), HeaderSession, "words"); strings.Contains(door.up.last(), "MORE") || !strings.Contains(body, CodeForeign) {
		t.Errorf("the upstream was asked %s; %s", door.up.last(), body)
	}
}

// Pictures and sounds pass where no rule would look at them, and nowhere else: a rule about the whole request or answer looks at them as well.
func TestPicturesPassWhereNoRuleLooks(t *testing.T) {
	picture := `[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"MINE"}}]`
	for _, c := range []struct {
		name, request, answer string
		looks                 []string // points
	}{
		{"what a user sends", `{"messages":[{"role":"user","content":` + picture + `}]}`, chatPlain(fine), []string{"input", "model_request"}},
		{"what a tool answers", `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"lookup","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":` + picture + `}]}`, chatPlain(fine), []string{"tool_result", "model_request"}},
		{"what a model says", chatRequest("m", hello, nil, false), chatMessage(`"audio":{"id":"1","data":"MINE"}`), []string{"output", "model_response"}},
	} {
		for _, point := range []string{"input", "model_request", "tool_result", "output", "model_response", "tool_call"} {
			t.Run(c.name+"/"+point, func(t *testing.T) {
				p, found := pack.Load(testkit.FS(map[string][]byte{
					"proviso.yaml": []byte("name: one\nversion: \"1\"\ntools: tools.json\nrules: [rules.yaml]\n"), "tools.json": []byte(`[{"type":"function","function":{"name":"lookup","parameters":{"type":"object"}}}]`),
					"rules.yaml": []byte("grants: [{tools: [lookup]}]\nrules: [{id: one, on: " + point + ", require: \"session.user != 'nobody'\"}]\n"),
				}), ".")
				if p == nil || found.Worst(proviso.Error) {
					t.Fatal(found)
				}
				door := newDoor(t, func(c *Config) {
					c.Load = func(context.Context) (*Rules, error) { return &Rules{Base: []*pack.Pack{p}}, nil }
				})
				door.up.say(c.answer, "")
				_, _, body := door.post(openai.Chat.Path(), c.request, HeaderSession, "one")
				passed := strings.Contains(body+door.up.last(), "MINE")
				if looks := slices.Contains(c.looks, point); passed == looks || looks != strings.Contains(body, CodeForeign) {
					t.Errorf("passed: %v; the upstream was asked %s; %s", passed, door.up.last(), body)
				}
			})
		}
	}
}
