package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What models there are comes from the upstream, with a key of the configuration and without what is ours; nothing else can be asked for in this way.
func TestModels(t *testing.T) {
	door := newDoor(t, func(c *Config) { c.Upstreams[0].Key = "the upstream's" })
	var asked, key string
	door.up.answer = func(w http.ResponseWriter, r *http.Request) {
		asked, key = r.Method+" "+r.URL.EscapedPath(), r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"object":"list"}`)
	}
	for path, want := range map[string]string{
		"/v1/models":                     "GET /v1/models",
		"/v1/models/gpt-5":               "GET /v1/models/gpt-5",
		"/v1/models/openai%2Fgpt-5":      "GET /v1/models/openai%2Fgpt-5",
		"/v1/models/a%3Fb%23c":           "GET /v1/models/a%3Fb%23c",
		"/v1/models/%2e%2e":              "",
		"/v1/models/%2e":                 "",
		"/v1/models/gpt-5/files":         "",
		"/v1/models/..%2Fchat":           "GET /v1/models/..%2Fchat",
		"/v1/models/gpt-5?api_base=evil": "GET /v1/models/gpt-5",
	} {
		asked, key = "", ""
		resp, err := door.http.Get(door.url + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if asked != want || want != "" && (key != "Bearer the upstream's" || !strings.Contains(string(b), "list")) || want == "" && resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s asked %q with %q, want %q: %s", path, asked, key, want, fmt.Sprint(resp.StatusCode, " ", string(b)))
		}
	}
}
