package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/llm/anthropic"
	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/llm/wire"
)

// Every field of an answer by which a call, or what stands for one, can come. Each says something that the policy does not allow; none may reach the caller.
// The marker LEAK stands in what the caller must not get.
var answerFields = []struct {
	wire wire.Wire
	name string
	body string
}{
	{openai.Chat, "tool_calls function", chatMessage(`"tool_calls":[{"id":"1","type":"function","function":{"name":"LEAK","arguments":"{}"}}]`)},
	{openai.Chat, "tool_calls without a type", chatMessage(`"tool_calls":[{"id":"1","function":{"name":"LEAK","arguments":"{}"}}]`)},
	{openai.Chat, "tool_calls custom", chatMessage(`"tool_calls":[{"id":"1","type":"custom","custom":{"name":"LEAK","input":"rm"}}]`)},
	{openai.Chat, "tool_calls of an unknown kind", chatMessage(`"tool_calls":[{"id":"1","type":"telepathy","telepathy":{"name":"LEAK"}}]`)},
	{openai.Chat, "tool_calls function without a body", chatMessage(`"tool_calls":[{"id":"1","type":"function","name":"LEAK"}]`)},
	{openai.Chat, "function_call", chatMessage(`"function_call":{"name":"LEAK","arguments":"{}"}`)},
	{openai.Chat, "arguments as an object", chatMessage(`"tool_calls":[{"id":"1","type":"function","function":{"name":"mail","arguments":{"to":"LEAK@evil.org","body":"b"}}}]`)},
	{openai.Chat, "arguments that are no object", chatMessage(`"tool_calls":[{"id":"1","type":"function","function":{"name":"lookup","arguments":"[\"LEAK\"]"}}]`)},
	{openai.Chat, "arguments cut off", chatMessage(`"tool_calls":[{"id":"1","type":"function","function":{"name":"lookup","arguments":"{\"id\":\"LEAK"}}]`)},
	{openai.Chat, "arguments with a key twice", chatMessage(`"tool_calls":[{"id":"1","type":"function","function":{"name":"lookup","arguments":"{\"id\":\"A\",\"id\":\"LEAK\"}"}}]`)},
	{openai.Chat, "arguments empty", chatMessage(`"tool_calls":[{"id":"LEAK","type":"function","function":{"name":"lookup","arguments":""}}]`)},
	{openai.Chat, "name with another letter", chatMessage(`"tool_calls":[{"id":"1","type":"function","function":{"name":"lооkup","arguments":"{\"id\":\"LEAK\"}"}}]`)},
	{openai.Chat, "audio", chatMessage(`"audio":{"id":"LEAK","data":"","transcript":"plutonium"}`)},
	{openai.Chat, "refusal text", chatMessage(`"refusal":"LEAK plutonium"`)},
	{openai.Chat, "content as parts", `{"id":"1","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":[{"type":"text","text":"LEAK plutonium"}]}}]}`},
	{openai.Chat, "content of an unknown part", `{"id":"1","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":[{"type":"hologram","text":"LEAK"}]}}]}`},
	{openai.Chat, "calls beside the message", `{"id":"1","choices":[{"index":0,"finish_reason":"stop","tool_calls":[{"function":{"name":"LEAK"}}],"message":{"role":"assistant","content":"a"}}]}`},
	{openai.Chat, "delta beside the message", `{"id":"1","choices":[{"index":0,"finish_reason":"stop","delta":{"tool_calls":[{"function":{"name":"LEAK"}}]},"message":{"role":"assistant","content":"a"}}]}`},
	{openai.Chat, "text beside the message", `{"id":"1","choices":[{"index":0,"finish_reason":"stop","text":"LEAK plutonium","message":{"role":"assistant","content":"a"}}]}`},
	{openai.Chat, "tool_calls in capitals", chatMessage(`"Tool_Calls":[{"id":"1","type":"function","function":{"name":"LEAK","arguments":"{}"}}]`)},
	{openai.Chat, "tools that the provider ran", chatMessage(`"executed_tools":[{"type":"search","arguments":"LEAK","output":"LEAK"}]`)},
	{openai.Chat, "calls of another API", chatMessage(`"functionCalls":[{"name":"LEAK"}]`)},
	{openai.Chat, "output beside the choices", `{"id":"1","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"a"}}],"output":[{"type":"function_call","name":"LEAK"}]}`},
	{openai.Chat, "second choice", `{"id":"1","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"a"}},{"index":1,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"LEAK","arguments":"{}"}}]}}]}`},
	{openai.Chat, "no finish_reason", `{"id":"1","choices":[{"index":0,"finish_reason":null,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"lookup","arguments":"{\"id\":\"LEAK\"}"}}]}}]}`},

	{openai.Responses, "function_call", responseItem(`{"type":"function_call","call_id":"1","name":"LEAK","arguments":"{}"}`)},
	{openai.Responses, "custom_tool_call", responseItem(`{"type":"custom_tool_call","call_id":"1","name":"LEAK","input":"rm"}`)},
	{openai.Responses, "mcp_call", responseItem(`{"type":"mcp_call","id":"1","server_label":"files","name":"LEAK","arguments":"{}","output":"LEAK"}`)},
	{openai.Responses, "mcp_call named as a tool of ours", responseItem(`{"type":"mcp_call","id":"1","server_label":"files","name":"lookup","arguments":"{\"id\":\"LEAK\"}","output":"LEAK"}`)},
	{openai.Responses, "mcp_approval_request", responseItem(`{"type":"mcp_approval_request","id":"1","server_label":"files","name":"LEAK","arguments":"{}"}`)},
	{openai.Responses, "computer_call", responseItem(`{"type":"computer_call","call_id":"1","action":{"type":"type","text":"LEAK"}}`)},
	{openai.Responses, "local_shell_call", responseItem(`{"type":"local_shell_call","call_id":"1","action":{"command":["LEAK"]}}`)},
	{openai.Responses, "shell_call", responseItem(`{"type":"shell_call","call_id":"1","action":{"commands":["LEAK"]}}`)},
	{openai.Responses, "apply_patch_call", responseItem(`{"type":"apply_patch_call","call_id":"1","operation":{"type":"delete_file","path":"LEAK"}}`)},
	{openai.Responses, "file_search_call", responseItem(`{"type":"file_search_call","id":"1","queries":["LEAK"],"results":[]}`)},
	{openai.Responses, "code_interpreter_call", responseItem(`{"type":"code_interpreter_call","id":"1","code":"LEAK","container_id":"c"}`)},
	{openai.Responses, "image_generation_call", responseItem(`{"type":"image_generation_call","id":"1","result":"LEAK"}`)},
	{openai.Responses, "a call of an unknown kind", responseItem(`{"type":"telepathy_call","id":"1","name":"lookup","arguments":"{\"id\":\"LEAK\"}"}`)},
	{openai.Responses, "function_call of a namespace", responseItem(`{"type":"function_call","call_id":"1","namespace":"other","name":"lookup","arguments":"{\"id\":\"LEAK\"}"}`)},
	{openai.Responses, "custom_tool_call of a namespace", responseItem(`{"type":"custom_tool_call","call_id":"1","namespace":"other","name":"lookup","input":"LEAK"}`)},
	{openai.Responses, "program", responseItem(`{"type":"program","call_id":"1","code":"LEAK"}`)},
	{openai.Responses, "program with its result", responseItem(`{"type":"program","call_id":"1","code":"x"},{"type":"program_output","call_id":"1","result":"LEAK","status":"completed"}`)},
	{openai.Responses, "tool_search_call", responseItem(`{"type":"tool_search_call","call_id":"1","execution":"client","arguments":{"query":"LEAK"}}`)},
	{openai.Responses, "shell_call with its result", responseItem(`{"type":"shell_call","call_id":"1","action":{"commands":["x"]}},{"type":"shell_call_output","call_id":"1","output":[{"stdout":"LEAK"}]}`)},
	{openai.Responses, "result of a call of ours", responseItem(`{"type":"function_call","call_id":"1","name":"lookup","arguments":"{\"id\":\"A\"}"},{"type":"function_call_output","call_id":"1","output":"LEAK plutonium"}`)},
	{openai.Responses, "output_text beside the output", `{"id":"1","status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"}]}],"output_text":"LEAK plutonium"}`},
	{openai.Responses, "choices beside the output", `{"id":"1","status":"completed","output":[],"choices":[{"message":{"tool_calls":[{"function":{"name":"LEAK"}}]}}]}`},
	{openai.Responses, "calls in a message", responseItem(`{"type":"message","role":"assistant","tool_calls":[{"name":"LEAK"}],"content":[{"type":"output_text","text":"a"}]}`)},
	{openai.Responses, "an item of an unknown kind", responseItem(`{"type":"telepathy","id":"1","LEAK":true}`)},
	{openai.Responses, "an item without a kind", responseItem(`{"id":"1","name":"LEAK"}`)},
	{openai.Responses, "output of a shell", responseItem(`{"type":"shell_call_output","call_id":"1","output":[{"stdout":"LEAK"}]}`)},
	{openai.Responses, "refusal text", responseItem(`{"type":"message","role":"assistant","content":[{"type":"refusal","refusal":"LEAK plutonium"}]}`)},
	{openai.Responses, "part of an unknown kind", responseItem(`{"type":"message","role":"assistant","content":[{"type":"hologram","text":"LEAK"}]}`)},
	{openai.Responses, "an answer that failed", `{"id":"1","status":"failed","output":[{"type":"function_call","call_id":"1","name":"lookup","arguments":"{\"id\":\"LEAK\"}"}]}`},
	{openai.Responses, "an answer in progress", `{"id":"1","status":"in_progress","output":[{"type":"function_call","call_id":"1","name":"lookup","arguments":"{\"id\":\"LEAK\"}"}]}`},

	{anthropic.Messages, "tool_use", messageBlock(`{"type":"tool_use","id":"1","name":"LEAK","input":{}}`)},
	{anthropic.Messages, "tool_use with a text as input", messageBlock(`{"type":"tool_use","id":"1","name":"lookup","input":"LEAK"}`)},
	{anthropic.Messages, "server_tool_use", messageBlock(`{"type":"server_tool_use","id":"1","name":"LEAK","input":{}}`)},
	{anthropic.Messages, "server_tool_use with its result", messageBlock(`{"type":"server_tool_use","id":"1","name":"code_execution","input":{"code":"LEAK"}},{"type":"code_execution_tool_result","tool_use_id":"1","content":{"stdout":"LEAK"}}`)},
	{anthropic.Messages, "mcp_tool_use", messageBlock(`{"type":"mcp_tool_use","id":"1","server_name":"files","name":"LEAK","input":{}},{"type":"mcp_tool_result","tool_use_id":"1","content":[{"type":"text","text":"LEAK"}]}`)},
	{anthropic.Messages, "mcp_tool_use named as a tool of ours", messageBlock(`{"type":"mcp_tool_use","id":"1","server_name":"files","name":"lookup","input":{"id":"LEAK"}}`)},
	{anthropic.Messages, "tool_use of a toolset", messageBlock(`{"type":"tool_use","id":"1","toolset_name":"browser","name":"lookup","input":{"id":"LEAK"}}`)},
	{anthropic.Messages, "advisor with its result", messageBlock(`{"type":"server_tool_use","id":"1","name":"advisor","input":{}},{"type":"advisor_tool_result","tool_use_id":"1","content":{"text":"LEAK"}}`)},
	{anthropic.Messages, "a call in a text", messageBlock(`{"type":"text","text":"a","tool_use":{"name":"LEAK"}}`)},
	{anthropic.Messages, "calls beside the content", `{"id":"1","role":"assistant","stop_reason":"end_turn","content":[{"type":"text","text":"a"}],"tool_calls":[{"function":{"name":"LEAK"}}]}`},
	{anthropic.Messages, "a use of an unknown kind", messageBlock(`{"type":"telepathic_tool_use","id":"1","name":"lookup","input":{"id":"LEAK"}}`)},
	{anthropic.Messages, "a result of nothing", messageBlock(`{"type":"web_search_tool_result","tool_use_id":"9","content":[{"type":"text","text":"LEAK"}]}`)},
	{anthropic.Messages, "a block of an unknown kind", messageBlock(`{"type":"hologram","text":"LEAK"}`)},
	{anthropic.Messages, "container_upload", messageBlock(`{"type":"container_upload","file_id":"LEAK"}`)},
	{anthropic.Messages, "no stop_reason", `{"id":"1","content":[{"type":"tool_use","id":"1","name":"lookup","input":{"id":"LEAK"}}],"stop_reason":null}`},
	{anthropic.Messages, "a search that the policy withholds", messageBlock(`{"type":"server_tool_use","id":"1","name":"web_search","input":{"query":"x"}},{"type":"web_search_tool_result","tool_use_id":"1","content":[{"type":"text","text":"LEAK plutonium"}]}`)},
}

func chatMessage(field string) string {
	return `{"id":"1","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,` + field + `}}]}`
}

func responseItem(item string) string {
	return `{"id":"1","status":"completed","output":[` + item + `]}`
}

func messageBlock(block string) string {
	return `{"id":"1","role":"assistant","content":[` + block + `],"stop_reason":"tool_use"}`
}

func TestNoFieldOfAnAnswerEscapes(t *testing.T) {
	for _, c := range answerFields {
		t.Run(c.wire.Name()+"/"+c.name, func(t *testing.T) {
			d := dialectOf(c.wire)
			for _, stream := range []bool{false, true} {
				door := newDoor(t, nil)
				door.up.say(c.body, streamed(t, c.wire, c.body))
				status, h, body := door.post(c.wire.Path(), d.request("m", hello, nil, stream), HeaderSession, "one")
				got := body
				if strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") || status == 200 {
					// Messages may name a tool that was denied; what a client would run, or read as what the tool gave, may not.
					got = runnable(t, d, status, h.Get("Content-Type"), body)
				}
				if strings.Contains(got, "LEAK") {
					t.Errorf("stream %v: the caller got %s", stream, body)
				}
			}
		})
	}
}

func dialectOf(w wire.Wire) dialect {
	for _, d := range dialects {
		if d.wire == w {
			return d
		}
	}
	panic("no dialect")
}

// runnable is everything of an answer but what we said in place of it.
func runnable(t *testing.T, d dialect, status int, kind, body string) string {
	if !strings.Contains(body, "LEAK") {
		return ""
	}
	if strings.Contains(body, `"response.failed"`) || strings.Contains(body, `"code":"policy_denied"`) {
		return ""
	}
	g := d.read(t, status, kind, body)
	out := fmt.Sprint(g.uses)
	for _, line := range strings.Split(g.text, "\n") {
		if !strings.Contains(line, "Policy:") && !strings.Contains(line, "[PV") {
			out += line
		}
	}
	return out
}

// streamed writes a whole answer as its stream, by hand for what the wires stream in one event.
func streamed(t *testing.T, w wire.Wire, body string) string {
	t.Helper()
	var doc m
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	switch w {
	case openai.Chat:
		var events []any
		for _, c := range doc["choices"].([]any) {
			c := c.(m)
			delta := c["message"].(m)
			if calls, ok := delta["tool_calls"].([]any); ok {
				for i := range calls {
					calls[i].(m)["index"] = i
				}
			}
			events = append(events, m{"id": "1", "choices": []any{m{"index": c["index"], "delta": delta, "finish_reason": c["finish_reason"]}}})
		}
		return data(append(events, "[DONE]")...)
	case openai.Responses:
		events := []m{{"type": "response.created", "response": m{"id": "1", "status": "in_progress", "output": []any{}}}}
		for i, it := range doc["output"].([]any) {
			events = append(events, m{"type": "response.output_item.added", "output_index": i, "item": it}, m{"type": "response.output_item.done", "output_index": i, "item": it})
		}
		end := "response.completed"
		if doc["status"] == "failed" {
			end = "response.failed"
			doc["output"] = []any{}
		}
		return named(append(events, m{"type": end, "response": doc})...)
	}
	events := []m{{"type": "message_start", "message": m{"id": "1", "role": "assistant", "content": []any{}}}}
	for i, b := range doc["content"].([]any) {
		events = append(events, m{"type": "content_block_start", "index": i, "content_block": b}, m{"type": "content_block_stop", "index": i})
	}
	events = append(events, m{"type": "message_delta", "delta": m{"stop_reason": doc["stop_reason"]}}, m{"type": "message_stop"})
	return named(events...)
}

// Every way in which a request can offer a tool that the provider runs, or a setting by which an answer would come past the door. The upstream may be asked only without it.
var requestFields = []struct {
	wire wire.Wire
	name string
	body string // LEAK marks what the upstream must not see
}{
	{openai.Chat, "web_search_options", `{"model":"m","messages":[{"role":"user","content":"hi"}],"web_search_options":{"LEAK":1}}`},
	{openai.Chat, "tool of an unknown kind", `{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"telepathy","LEAK":1}]}`},
	{openai.Chat, "function that is never allowed", `{"model":"m","messages":[{"role":"user","content":"hi"}],"functions":[{"name":"LEAK"}]}`},
	{openai.Chat, "forced call of what is never allowed", `{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"LEAK"}}],"tool_choice":{"type":"function","function":{"name":"LEAK"}}}`},
	{openai.Chat, "image", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"LEAK"}}]}]}`},
	{openai.Chat, "audio", `{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"LEAK"}}]}]}`},
	{openai.Chat, "file", `{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"LEAK"}}]}]}`},
	{openai.Responses, "web_search", `{"model":"m","input":"hi","tools":[{"type":"web_search_preview","LEAK":1}]}`},
	{openai.Responses, "file_search", `{"model":"m","input":"hi","tools":[{"type":"file_search","vector_store_ids":["LEAK"]}]}`},
	{openai.Responses, "code_interpreter", `{"model":"m","input":"hi","tools":[{"type":"code_interpreter","container":"LEAK"}]}`},
	{openai.Responses, "image_generation", `{"model":"m","input":"hi","tools":[{"type":"image_generation","LEAK":1}]}`},
	{openai.Responses, "shell", `{"model":"m","input":"hi","tools":[{"type":"shell","LEAK":1}]}`},
	{openai.Responses, "mcp", `{"model":"m","input":"hi","tools":[{"type":"mcp","server_label":"x","server_url":"http://LEAK","require_approval":"never"}]}`},
	{openai.Responses, "mcp with allowed tools", `{"model":"m","input":"hi","tools":[{"type":"mcp","server_label":"x","server_url":"http://LEAK","allowed_tools":["lookup"]}]}`},
	{openai.Responses, "computer", `{"model":"m","input":"hi","tools":[{"type":"computer_use_preview","LEAK":1}]}`},
	{openai.Responses, "tool of an unknown kind", `{"model":"m","input":"hi","tools":[{"type":"telepathy","LEAK":1}]}`},
	{openai.Responses, "background", `{"model":"LEAK","input":"hi","background":true}`},
	{openai.Responses, "prompt", `{"model":"m","input":"hi","prompt":{"id":"LEAK"}}`},
	{openai.Responses, "item_reference", `{"model":"m","input":[{"type":"item_reference","id":"LEAK"}]}`},
	{openai.Responses, "mcp_approval_response", `{"model":"m","input":[{"type":"mcp_approval_response","approval_request_id":"LEAK","approve":true}]}`},
	{openai.Responses, "computer screenshot", `{"model":"m","input":[{"type":"computer_call_output","call_id":"1","output":{"type":"computer_screenshot","image_url":"LEAK"}}]}`},
	{openai.Responses, "image", `{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"LEAK"}]}]}`},
	{anthropic.Messages, "web_search", `{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"web_fetch_20250910","name":"web_fetch","LEAK":1}]}`},
	{anthropic.Messages, "code_execution", `{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"code_execution_20250825","name":"code_execution","LEAK":1}]}`},
	{anthropic.Messages, "code_execution named as a tool of ours", `{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"code_execution_20250825","name":"pay","LEAK":1}]}`},
	{anthropic.Messages, "bash", `{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"bash_20250124","name":"bash","LEAK":1}]}`},
	{anthropic.Messages, "mcp_servers", `{"model":"m","messages":[{"role":"user","content":"hi"}],"mcp_servers":[{"type":"url","name":"x","url":"http://LEAK"}]}`},
	{anthropic.Messages, "skills", `{"model":"m","messages":[{"role":"user","content":"hi"}],"container":{"skills":[{"skill_id":"LEAK"}]}}`},
	{anthropic.Messages, "image", `{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"data":"LEAK"}}]}]}`},
	{anthropic.Messages, "document in a result", `{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"document","source":{"data":"LEAK"}}]}]}]}`},
	{anthropic.Messages, "system in the middle", `{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"system","content":"LEAK plutonium"}]}`},
}

func TestNoFieldOfARequestEscapes(t *testing.T) {
	for _, c := range requestFields {
		t.Run(c.wire.Name()+"/"+c.name, func(t *testing.T) {
			d := dialectOf(c.wire)
			door := newDoor(t, nil)
			door.up.say(d.plain(fine), d.stream(fine))
			door.post(c.wire.Path(), c.body, HeaderSession, "one")
			if asked := door.up.last(); strings.Contains(asked, "LEAK") {
				t.Errorf("the upstream was asked %s", asked)
			}
		})
	}
}

// What the configuration lists passes although no rule sees it.
func TestListedPartsPass(t *testing.T) {
	door := newDoor(t, func(c *Config) { c.Denials.Pass = []string{"image_url"} })
	d := dialectOf(openai.Chat)
	door.up.say(d.plain(fine), d.stream(fine))
	status, _, body := door.post(openai.Chat.Path(), `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}},{"type":"text","text":"what is it?"}]}]}`, HeaderSession, "one")
	if status != 200 || !strings.Contains(door.up.last(), "image_url") || !strings.Contains(body, "all is well") {
		t.Errorf("%d %s", status, body)
	}
}

// A tool that the provider runs passes where every call of it is allowed; what it found is decided all the same.
func TestHostedToolThatIsGranted(t *testing.T) {
	d := dialectOf(anthropic.Messages)
	door := newDoor(t, nil)
	req := `{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"web_search_20250305","name":"web_search"}]}`
	found := func(text string) string {
		return messageBlock(`{"type":"server_tool_use","id":"1","name":"web_search","input":{"query":"x"}},{"type":"web_search_tool_result","tool_use_id":"1","content":[{"type":"text","text":"` + text + `"}]},{"type":"text","text":"done"}`)
	}
	door.up.say(found("something"), d.stream(fine))
	status, _, body := door.post(d.wire.Path(), req, HeaderAgent, "searcher-1")
	if status != 200 || body != found("something") || !strings.Contains(door.up.last(), "web_search_20250305") {
		t.Errorf("%d %s", status, body)
	}
	door.up.say(found("plutonium"), d.stream(fine))
	if _, _, body = door.post(d.wire.Path(), req, HeaderAgent, "searcher-1"); strings.Contains(body, `"text":"plutonium"`) || !strings.Contains(body, "words-1") {
		t.Errorf("%s", body)
	}
}

// No path beside those that are listed leads to the upstream.
func TestOtherPathsAreNotForwarded(t *testing.T) {
	door := newDoor(t, nil)
	for _, p := range []string{"/v1/embeddings", "/v1/completions", "/v1/assistants", "/v1/threads/runs", "/v1/responses/resp_1", "/v1/messages/batches", "/v1/realtime", "/v1/chat/completions/", "/v1/../v1/files", "/"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			r, _ := http.NewRequest(method, door.url+p, strings.NewReader("{}"))
			resp, err := door.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 404 && resp.StatusCode != 405 && resp.StatusCode != 307 && resp.StatusCode != 301 {
				t.Errorf("%s %s: %d %s", method, p, resp.StatusCode, b)
			}
		}
	}
	if n := door.up.count(); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// Answers that say a text once more beside it. What is taken out of the text, or refused, is not left in its copies: tokens, citations, conveniences.
var copies = []struct {
	wire wire.Wire
	name string
	body string
}{
	{openai.Chat, "tokens", `{"id":"1","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"TEXT"},"logprobs":{"content":[{"token":"TEXT","logprob":-0.1}]}}]}`},
	{openai.Chat, "other members", `{"id":"1","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"TEXT","refusal":null}}]}`},
	{openai.Responses, "tokens", `{"id":"1","status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"TEXT","annotations":[],"logprobs":[{"token":"TEXT"}]}]}]}`},
	{openai.Responses, "output_text", `{"id":"1","status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"TEXT"}]}],"output_text":"TEXT"}`},
	{anthropic.Messages, "citations", `{"id":"1","role":"assistant","stop_reason":"end_turn","content":[{"type":"text","text":"TEXT","citations":[{"type":"char_location","cited_text":"TEXT"}]}]}`},
}

func TestNoCopyOfATextIsLeft(t *testing.T) {
	for _, c := range copies {
		for _, text := range []string{"card 1111-2222-3333-4444", "of plutonium 1111"} {
			t.Run(c.wire.Name()+"/"+c.name+"/"+text, func(t *testing.T) {
				d := dialectOf(c.wire)
				body := strings.ReplaceAll(c.body, "TEXT", text)
				for _, stream := range []bool{false, true} {
					door := newDoor(t, nil)
					door.up.say(body, streamed(t, c.wire, body))
					status, h, got := door.post(c.wire.Path(), d.request("m", hello, nil, stream), HeaderSession, "one")
					if strings.Contains(got, "1111") || d.read(t, status, h.Get("Content-Type"), got).text == "" {
						t.Errorf("stream %v: %d %s", stream, status, got)
					}
				}
			})
		}
	}
}
