package gateway

import (
	"context"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/policy/pack"
)

// goOn is a request that goes on from an answer that the provider keeps.
func goOn(id, input string) string {
	return `{"model":"m","previous_response_id":"` + id + `","input":` + input + `}`
}

// A provider that keeps the transcript waits for the result of every call that it knows. The client did not get the one that was denied, so that it is answered here; and what the tool answers to the other one counts as always.
func TestConversationThatTheProviderKeeps(t *testing.T) {
	door := newDoor(t, nil)
	door.up.say(responsesPlain(answer{uses: []use{{"c1", "lookup", `{"id":"A"}`}, {"c2", "mail", `{"to":"x@evil.org","subject":"s","body":"b"}`}}}), "")
	door.post(openai.Responses.Path(), responsesRequest("m", hello, nil, false), HeaderSession, "one")
	door.up.say(responsesPlain(answer{uses: []use{{"c3", "pay", `{"id":"A","amount":5}`}}}), "")
	request := goOn("resp_1", `[{"type":"function_call_output","call_id":"c1","output":"{\"owner\":\"kari\"}"}]`)
	status, _, body := door.post(openai.Responses.Path(), request, HeaderSession, "one")
	asked := door.up.last()
	if status != http.StatusOK || strings.Count(asked, `"function_call_output"`) != 2 || !strings.Contains(asked, `"call_id":"c2"`) || !strings.Contains(asked, "mail-1") || !strings.Contains(asked, strings.TrimSuffix(request[strings.Index(request, `{"type":`):], "]}")) {
		t.Errorf("the upstream was asked %s", asked)
	}
	if uses := dialectOf(openai.Responses).read(t, status, "application/json", body).uses; len(uses) != 1 || uses[0].tool != "pay" {
		t.Errorf("the account that was looked up is not known: %s", body)
	}
	for _, r := range door.records("one") {
		if b, ok := r.Event.Body.(*proviso.ToolResult); ok && b.Tool != "lookup" {
			t.Errorf("a result of %q", b.Tool)
		}
	}
	// A text is put behind what the provider waits for.
	door.up.say(responsesPlain(answer{uses: []use{{"c4", "erase", `{}`}}}), "")
	door.post(openai.Responses.Path(), responsesRequest("m", hello, nil, false), HeaderSession, "two")
	door.up.say(responsesPlain(fine), "")
	door.post(openai.Responses.Path(), goOn("resp_1", `"and now?"`), HeaderSession, "two")
	if asked := door.up.last(); !strings.Contains(asked, `"call_id":"c4"`) || !strings.HasSuffix(asked, `,{"role":"user","content":"and now?"}]}`) {
		t.Errorf("the upstream was asked %s", asked)
	}
}

// What the provider keeps of another session is something that no rule of this one has seen. It passes only where no rule looks at what is asked, or where the configuration lists it.
func TestConversationOfSomebodyElse(t *testing.T) {
	play := func(change func(*Config), request string) (status int, asked, body string) {
		door := newDoor(t, change)
		door.up.say(responsesPlain(fine), "")
		door.post(openai.Responses.Path(), responsesRequest("m", hello, nil, false), HeaderSession, "other")
		door.up.say(responsesPlain(fine), "")
		status, _, body = door.post(openai.Responses.Path(), request, HeaderSession, "one")
		return status, door.up.last(), body
	}
	calls := func(c *Config) {
		p := loadPack(t, "testdata/calls")
		c.Load = func(context.Context) (*Rules, error) { return &Rules{Base: []*pack.Pack{p}}, nil }
	}
	listed := func(c *Config) { c.Denials.Pass = []string{"previous_response_id", "conversation"} }
	for _, request := range []string{goOn("resp_1", `"MINE"`), `{"model":"m","conversation":"conv_1","input":"MINE"}`, `{"model":"m","conversation":{"id":"conv_1"},"input":"MINE"}`} {
		if _, asked, body := play(nil, request); strings.Contains(asked, "MINE") || !strings.Contains(body, CodeForeign) {
			t.Errorf("the upstream was asked %s; %s", asked, body)
		}
		for _, change := range []func(*Config){calls, listed} {
			if status, asked, body := play(change, request); status != http.StatusOK || asked != request {
				t.Errorf("the upstream was asked %s; %s", asked, body)
			}
		}
	}
	if _, asked, body := play(nil, strings.Replace(goOn("resp_1", `"MINE"`), "resp_1", "resp_2", 1)); strings.Contains(asked, "MINE") {
		t.Errorf("the upstream was asked %s; %s", asked, body)
	}
}

// Who asks for decisions may name the answer that a call is of. It does not become an answer of a provider that a request could go on from.
func TestDecisionsNameNoAnswerOfAProvider(t *testing.T) {
	door := newDoor(t, nil)
	door.up.say(responsesPlain(fine), "")
	status, _, body := door.post("/v1/decide", `{"session":"one","event":{"tool_call":{"id":"c1","tool":"lookup","args":{"id":"A"},"response":"resp_9/0-x"}}}`)
	if status != http.StatusOK || !strings.Contains(body, `"allow":true`) {
		t.Fatal(body)
	}
	if _, _, body := door.post(openai.Responses.Path(), goOn("resp_9", `"MINE"`), HeaderSession, "one"); strings.Contains(door.up.last(), "MINE") || !strings.Contains(body, CodeForeign) {
		t.Errorf("the upstream was asked %s; %s", door.up.last(), body)
	}
}

// reads counts how often a journal is read.
type reads struct {
	*journal.Memory
	n int
}

func (r *reads) Read(ctx context.Context, session string, from uint64) iter.Seq2[proviso.Record, error] {
	r.n++
	return r.Memory.Read(ctx, session, from)
}

// A session with more calls and answers than are kept at hand reads its journal for one that was forgotten, once, and for no other.
func TestLongConversation(t *testing.T) {
	j := &reads{Memory: &journal.Memory{}}
	s := &Server{cfg: Config{Journal: j}}
	c := &conversation{id: "s"}
	if err := c.recall(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	name := func(i int) (call, answer string) { return "c" + strconv.Itoa(i), "resp_" + strconv.Itoa(i) }
	const many = maxRemembered + maxRemembered/2
	for i := range many {
		call, answer := name(i)
		r := &proviso.Record{Event: proviso.Event{Session: "s", Seq: uint64(i + 1), Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: call, Tool: "lookup", Args: proviso.JSON("{}"), Response: responseName(answer, 0)}}, Decision: proviso.Decision{Outcome: proviso.Allow}}
		if err := j.Append(t.Context(), *r); err != nil {
			t.Fatal(err)
		}
		c.remember(r)
		c.answered(answer, nil)
		if err := c.recall(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	look := func(i int) {
		t.Helper()
		call, answer := name(i)
		if tool, err := c.toolOf(t.Context(), s, call); err != nil || tool != "lookup" {
			t.Errorf("call %d is of %q: %v", i, tool, err)
		}
		if _, ok := c.before(t.Context(), s, answer); !ok {
			t.Errorf("answer %d is not known", i)
		}
	}
	look(many - 1)
	if j.n != 1 {
		t.Errorf("the journal was read %d times", j.n)
	}
	look(0)
	look(0)
	if j.n != 3 {
		t.Errorf("the journal was read %d times", j.n)
	}
	if _, ok := c.before(t.Context(), s, "resp_x"); ok {
		t.Error("an answer that was not there is known")
	}
}
