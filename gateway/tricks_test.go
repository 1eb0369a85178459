package gateway

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/proviso-dev/proviso/llm/anthropic"
	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/llm/wire"
)

// forbidden is a request that the policy stops; LEAK is in it.
const forbidden = `{"model":"m","messages":[{"role":"user","content":"LEAK plutonium"}]}`

// Bodies in which something that the policy stops stands so that one reader sees it and another does not. The upstream may get none of them.
var trickyBodies = []struct {
	wire wire.Wire
	name string
	body string
}{
	{openai.Chat, "messages twice", `{"model":"m","messages":[{"role":"user","content":"LEAK plutonium"}],"messages":[{"role":"user","content":"hi"}]}`},
	{openai.Chat, "messages twice, once escaped", `{"model":"m","messages":[{"role":"user","content":"hi"}],"\u006dessages":[{"role":"user","content":"LEAK plutonium"}]}`},
	{openai.Chat, "messages in capitals", `{"model":"m","messages":[{"role":"user","content":"hi"}],"Messages":[{"role":"user","content":"LEAK plutonium"}]}`},
	{openai.Chat, "messages with the long s", `{"model":"m","messages":[{"role":"user","content":"hi"}],"meſſages":[{"role":"user","content":"LEAK plutonium"}]}`},
	{openai.Chat, "content in capitals", `{"model":"m","messages":[{"role":"user","content":"hi","Content":"LEAK plutonium"}]}`},
	{openai.Chat, "tools in capitals", `{"model":"m","messages":[{"role":"user","content":"hi"}],"Tools":[{"type":"function","function":{"name":"LEAK"}}]}`},
	{openai.Chat, "tools as an object", `{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":{"0":{"type":"function","function":{"name":"LEAK"}}}}`},
	{openai.Chat, "functions as an object", `{"model":"m","messages":[{"role":"user","content":"hi"}],"functions":{"name":"LEAK"}}`},
	{openai.Chat, "another list of tools", `{"model":"m","messages":[{"role":"user","content":"hi"}],"builtin_tools":[{"name":"LEAK"}]}`},
	{openai.Chat, "plugins", `{"model":"m","messages":[{"role":"user","content":"hi"}],"plugins":[{"id":"web","search_prompt":"LEAK"}]}`},
	{openai.Chat, "search_parameters", `{"model":"m","messages":[{"role":"user","content":"hi"}],"search_parameters":{"mode":"LEAK"}}`},
	{openai.Chat, "contents of another API", `{"model":"m","messages":[{"role":"user","content":"hi"}],"contents":[{"parts":[{"text":"LEAK"}]}]}`},
	{openai.Chat, "a prediction", `{"model":"m","messages":[{"role":"user","content":"hi"}],"prediction":{"type":"content","content":"LEAK plutonium"}}`},
	{openai.Chat, "something behind", forbidden[:len(forbidden)-1] + `}{"messages":[]}`},
	{openai.Chat, "a mark before", "\ufeff" + forbidden},
	{openai.Chat, "another width", wide(forbidden)},
	{openai.Chat, "an unknown role", `{"model":"m","messages":[{"role":"critic","content":"LEAK plutonium"}]}`},
	{openai.Chat, "no role", `{"model":"m","messages":[{"content":"LEAK plutonium"}]}`},
	{openai.Chat, "messages as an object", `{"model":"m","messages":{"role":"user","content":"LEAK plutonium"}}`},
	{openai.Chat, "a content that is an object", `{"model":"m","messages":[{"role":"user","content":{"type":"text","text":"LEAK plutonium"}}]}`},
	{openai.Chat, "deep", `{"model":"m","messages":[{"role":"user","content":"hi"}],"x":` + strings.Repeat("[", 100000) + `"LEAK"` + strings.Repeat("]", 100000) + `}`},
	{openai.Chat, "a text that is no text", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"LEAK plu\xfftonium\"}]}"},
	{openai.Chat, "half a character", `{"model":"m","messages":[{"role":"user","content":"LEAK plu\ud83dtonium"}]}`},
	{openai.Chat, "a comment", `{"model":"m",/* */"messages":[{"role":"user","content":"LEAK plutonium"}]}`},
	{openai.Responses, "additional tools", `{"model":"m","input":[{"role":"user","content":"hi"},{"type":"additional_tools","role":"developer","tools":[{"type":"function","name":"LEAK"}]}]}`},
	{openai.Responses, "tools that a search found", `{"model":"m","input":[{"type":"tool_search_output","call_id":"1","tools":[{"type":"mcp","server_label":"LEAK"}]}]}`},
	{openai.Responses, "a namespace", `{"model":"m","input":"hi","tools":[{"type":"namespace","name":"LEAK","tools":[{"type":"function","name":"erase"}]}]}`},
	{openai.Responses, "a namespace named as nothing", `{"model":"m","input":"hi","tools":[{"type":"namespace","tools":[{"type":"function","name":"LEAK"}]}]}`},
	{openai.Responses, "instructions as items", `{"model":"m","input":"hi","instructions":[{"role":"developer","content":"LEAK plutonium"}]}`},
	{openai.Responses, "messages beside the input", `{"model":"m","input":"hi","messages":[{"role":"user","content":"LEAK plutonium"}]}`},
	{openai.Responses, "a program", `{"model":"m","input":"hi","tools":[{"type":"programmatic_tool_calling","LEAK":1}]}`},
	{openai.Responses, "a result of a program", `{"model":"m","input":[{"type":"program","call_id":"1","code":"x"},{"type":"program_output","call_id":"1","result":"LEAK plutonium","status":"completed"}]}`},
	{anthropic.Messages, "tools as an object", `{"model":"m","messages":[],"tools":{"name":"LEAK"}}`},
	{anthropic.Messages, "servers as an object", `{"model":"m","messages":[],"mcp_servers":{"url":"LEAK"}}`},
	{anthropic.Messages, "a tool that is added", `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"LEAK","input_schema":{}}}}]}]}`},
	{anthropic.Messages, "a document given as text", `{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"LEAK plutonium"}}]}]}`},
	{anthropic.Messages, "a document's title", `{"model":"m","messages":[{"role":"user","content":[{"type":"document","title":"LEAK plutonium","source":{"type":"content","content":[{"type":"text","text":"x"}]}}]}]}`},
	{anthropic.Messages, "what a search found", `{"model":"m","messages":[{"role":"user","content":[{"type":"search_result","source":"x","title":"t","content":[{"type":"text","text":"LEAK plutonium"}]}]}]}`},
	{anthropic.Messages, "a document in a result", `{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"document","source":{"type":"text","data":"LEAK plutonium"}}]}]}]}`},
	{anthropic.Messages, "a page in a result", `{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"browser_state","tabs":[{"title":"LEAK plutonium","url":"x"}]}]}]}]}`},
	{anthropic.Messages, "tools of a fallback", `{"model":"m","messages":[],"fallbacks":[{"model":"n","tools":[{"name":"LEAK"}]}]}`},
	{anthropic.Messages, "input beside the messages", `{"model":"m","messages":[],"Messages":[{"role":"user","content":"LEAK"}]}`},
}

// wide writes a text in UTF-16.
func wide(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u >> 8))
		b.WriteByte(byte(u))
	}
	return b.String()
}

func TestTrickyBodies(t *testing.T) {
	for _, c := range trickyBodies {
		t.Run(c.wire.Name()+"/"+c.name, func(t *testing.T) {
			d := dialectOf(c.wire)
			door := newDoor(t, nil)
			door.up.say(d.plain(fine), d.stream(fine))
			status, _, body := door.post(c.wire.Path(), c.body, HeaderSession, "one")
			if asked := door.up.last(); strings.Contains(asked, "LEAK") || strings.Contains(asked, wide("LEAK")) {
				t.Errorf("the upstream was asked %.300s", asked)
			}
			if status >= 500 {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}

// The same bytes as somebody would write them who wants another reader behind the door to see something else.
func TestTrickyRequests(t *testing.T) {
	path := openai.Chat.Path()
	length := fmt.Sprintf("Content-Length: %d\r\n", len(forbidden))
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(forbidden), forbidden)
	harmless := `{"model":"m","messages":[{"role":"user","content":"hi"}]}`
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, forbidden)
	z.Close()
	for name, text := range map[string]string{
		"plain":                       "POST " + path + " HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"HTTP/1.0":                    "POST " + path + " HTTP/1.0\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"in chunks":                   "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
		"trailers":                    "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nTrailer: X-Proviso-Session\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.TrimSuffix(chunked, "\r\n") + "X-Proviso-Session: LEAK\r\n\r\n",
		"length and chunks":           "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
		"smuggled behind the length":  "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + fmt.Sprint(len(harmless)) + "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST " + path + " HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"two lengths":                 "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n" + length + "\r\n" + forbidden,
		"an odd encoding of transfer": "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n" + chunked,
		"packed":                      "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nContent-Length: " + fmt.Sprint(packed.Len()) + "\r\n\r\n" + packed.String(),
		"waits for a word":            "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n" + length + "\r\n" + forbidden,
		"two slashes":                 "POST /" + path + " HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"slash behind":                "POST " + path + "/ HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"escaped letters":             "POST /%76%31/chat/completions HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"escaped slash":               "POST /v1/chat%2fcompletions HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"up and down":                 "POST /v1/models/../chat/completions HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"escaped up":                  "POST /v1/%2e%2e/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"capitals":                    "POST /V1/Chat/Completions HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"the whole address":           "POST http://localhost" + path + " HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"the address of another":      "POST http://api.example.com" + path + " HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"a query":                     "POST " + path + "?stream=true&messages=LEAK HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"another method by header":    "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nX-HTTP-Method-Override: PATCH\r\nX-Original-URL: /v1/files\r\n" + length + "\r\n" + forbidden,
		"GET with a body":             "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"PUT":                         "PUT " + path + " HTTP/1.1\r\nHost: localhost\r\n" + length + "\r\n" + forbidden,
		"CONNECT":                     "CONNECT api.example.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a socket":                    "GET /v1/realtime?model=m HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"a socket of responses":       "GET /v1/responses HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"HTTP/2 in the clear":         "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n" + length + "\r\n" + forbidden,
		"a header in two lines":       "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n" + length + "\r\n" + forbidden,
		"a space before the colon":    "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n" + length + "\r\n" + forbidden,
	} {
		t.Run(name, func(t *testing.T) {
			door := newDoor(t, nil)
			door.up.say(chatPlain(fine), chatStream(fine))
			conn, err := net.Dial("tcp", strings.TrimPrefix(door.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodPost})
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode == http.StatusSwitchingProtocols || resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented {
				t.Errorf("%s", resp.Status)
			}
			if n := door.up.count(); n != 0 {
				t.Errorf("the upstream was asked %d times: %s", n, door.up.last())
			}
		})
	}
}

// What a caller says about methods, paths and versions beside the request that is decided on does not go out, but for the version of the API.
func TestHeadersThatMeanAnotherRequest(t *testing.T) {
	var asked *http.Request
	door := newDoor(t, nil)
	door.up.answer = func(w http.ResponseWriter, r *http.Request) {
		asked = r
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, messagesPlain(fine))
	}
	status, _, body := door.post("/v1/messages?beta=true&key=secret&base_url=http://evil.org", messagesRequest("m", hello, nil, false),
		"X-HTTP-Method-Override", "GET", "X-Original-URL", "/v1/files", "X-Rewrite-URL", "/v1/files", "Anthropic-Beta", "context-1m-2025-08-07", "Expect", "100-continue")
	if status != http.StatusOK || asked == nil {
		t.Fatalf("%d %s", status, body)
	}
	for _, k := range []string{"X-Http-Method-Override", "X-Original-Url", "X-Rewrite-Url", "Expect"} {
		if v := asked.Header.Get(k); v != "" {
			t.Errorf("%s: %s went out", k, v)
		}
	}
	if asked.URL.RequestURI() != "/v1/messages?beta=true" || asked.Header.Get("Anthropic-Beta") != "context-1m-2025-08-07" {
		t.Errorf("asked was %s %v", asked.URL.RequestURI(), asked.Header)
	}
}

// A tool that is never allowed is taken out everywhere: from a choice among tools, from its namespace, from the middle of a transcript; and what stands behind it stays what it is.
func TestToolsAreHiddenEverywhere(t *testing.T) {
	for _, c := range []struct {
		wire          wire.Wire
		name          string
		request, want string
	}{
		{openai.Chat, "choice", `{"messages":[],"tools":[{"type":"function","function":{"name":"erase"}},{"type":"function","function":{"name":"lookup"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"erase"}},{"type":"function","function":{"name":"lookup"}}]}}}`,
			`{"messages":[],"tools":[{"type":"function","function":{"name":"lookup"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"lookup"}}]}}}`},
		{openai.Chat, "choice of nothing", `{"messages":[],"tools":[{"type":"function","function":{"name":"lookup"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"erase"}}]}}}`,
			`{"messages":[],"tools":[{"type":"function","function":{"name":"lookup"}}]}`},
		{openai.Responses, "choice", `{"input":"hi","tools":[{"type":"function","name":"erase"},{"type":"function","name":"lookup"}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"lookup"},{"type":"function","name":"erase"},{"type":"image_generation"}]}}`,
			`{"input":"hi","tools":[{"type":"function","name":"lookup"}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"lookup"}]}}`},
		{openai.Responses, "namespace", `{"input":"hi","tools":[{"type":"namespace","name":"a","tools":[{"type":"function","name":"x"}]},{"type":"function","name":"lookup"},{"type":"namespace","name":"b","tools":[{"type":"function","name":"x"},{"type":"custom","name":"y"}]}]}`,
			`{"input":"hi","tools":[{"type":"function","name":"lookup"}]}`},
		{openai.Responses, "transcript", `{"input":[{"type":"additional_tools","role":"developer","tools":[{"type":"function","name":"erase"},{"type":"function","name":"lookup"}]},{"role":"user","content":"my card is 1111-2222-3333-4444"}]}`,
			`{"input":[{"type":"additional_tools","role":"developer","tools":[{"type":"function","name":"lookup"}]},{"role":"user","content":"my card is [card]"}]}`},
		{anthropic.Messages, "transcript", `{"messages":[{"role":"user","content":[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"erase","input_schema":{}}}},{"type":"text","text":"card 1111-2222-3333-4444"},{"type":"tool_addition","tool":{"type":"tool_reference","name":"erase"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"card [card]"}]}]}`},
	} {
		t.Run(c.wire.Name()+"/"+c.name, func(t *testing.T) {
			d := dialectOf(c.wire)
			door := newDoor(t, nil)
			door.up.say(d.plain(fine), d.stream(fine))
			status, _, body := door.post(c.wire.Path(), c.request, HeaderSession, "one")
			if got := door.up.last(); status != http.StatusOK || got != c.want {
				t.Errorf("%d %s\nthe upstream was asked %s\nwant %s", status, body, got, c.want)
			}
		})
	}
}
