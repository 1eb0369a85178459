package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Attachments in the settings, from the file to the wire: for each of agent, key, tag and route the policy that a running server decides by is the one that `proviso which` names, the rules of the attached pack deny with its words, and who is not named is not touched.
func TestServeAttached(t *testing.T) {
	dir := t.TempDir()
	key := func(id string) (string, string) {
		out, err := exec.Command("proviso", "serve", "--new-key", id, "-o", "json").Output()
		if err != nil {
			t.Fatal(err)
		}
		var k struct{ Key, Hash string }
		if err := json.Unmarshal(out, &k); err != nil {
			t.Fatal(err)
		}
		return k.Key, k.Hash
	}
	deskKey, deskHash := key("desk")
	nightKey, nightHash := key("night")
	taggedKey, taggedHash := key("tagged")
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		call := `{"id":"c1","type":"function","function":{"name":"ring","arguments":"{}"}}`
		if strings.HasSuffix(r.URL.Path, "/responses") {
			io.WriteString(w, `{"id":"r","object":"response","status":"completed","model":"m","output":[{"type":"function_call","id":"f","call_id":"c1","name":"ring","arguments":"{}","status":"completed"}]}`)
			return
		}
		io.WriteString(w, `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"tool_calls":[`+call+`]}}]}`)
	}))
	defer up.Close()
	quiet := func(name, rule string) {
		write(t, filepath.Join(dir, name, "proviso.yaml"), "name: "+name+"\nversion: \"1\"\nrank: user\nrules: [rules.yaml]\n")
		write(t, filepath.Join(dir, name, "rules.yaml"), "rules:\n  - {id: "+rule+", tools: [ring], message: \"No ringing by "+rule+".\"}\n")
	}
	quiet("by-agent", "agent")
	quiet("by-key", "key")
	quiet("by-tag", "tag")
	quiet("by-route", "route")
	write(t, filepath.Join(dir, "gateway.yaml"), "attach:\n  - {pack: by-agent, agents: [\"night-*\"]}\n  - {pack: by-key, keys: [night]}\n  - {pack: by-tag, tags: [late]}\n  - {pack: by-route, routes: [responses]}\n"+
		"upstreams: [{name: up, url: \""+up.URL+"\"}]\n"+
		"keys:\n  - {id: desk, hash: "+deskHash+", agents: [\"*\"]}\n  - {id: night, hash: "+nightHash+", agents: [\"*\"]}\n  - {id: tagged, hash: "+taggedHash+", agents: [\"*\"], tags: [late]}\n")
	pack := servePack(t)
	s := startServe(t, nil, pack, filepath.Join(dir, "data"), "--gateway", filepath.Join(dir, "gateway.yaml"), "--revise", "0")
	defer s.stop()
	for _, c := range []struct {
		name, agent, id, key, tag, route string
		rules                            []string
	}{
		{"nobody is named", "day-1", "desk", deskKey, "", "chat", nil},
		{"the agent", "night-1", "desk", deskKey, "", "chat", []string{"agent"}},
		{"the key", "day-1", "night", nightKey, "", "chat", []string{"key"}},
		{"a tag of the key", "day-1", "tagged", taggedKey, "late", "chat", []string{"tag"}},
		{"the route", "day-1", "desk", deskKey, "", "responses", []string{"route"}},
		{"agent and route", "night-2", "desk", deskKey, "", "responses", []string{"agent", "route"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"which", "-o", "json", "-p", pack, "--gateway", filepath.Join(dir, "gateway.yaml"), "--agent", c.agent, "--key", c.id, "--route", c.route}
			if c.tag != "" {
				args = append(args, "--tag", c.tag)
			}
			out, err := exec.Command("proviso", args...).Output()
			if err != nil {
				t.Fatal(err)
			}
			var which struct {
				Policy string
				Rules  []struct{ ID, Pack string }
				Tools  []struct{ Name, Standing string }
			}
			if err := json.Unmarshal(out, &which); err != nil {
				t.Fatal(err)
			}
			path, body := "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`
			if c.route == "responses" {
				path, body = "/v1/responses", `{"model":"m","input":"hi"}`
			}
			r, err := http.NewRequest(http.MethodPost, s.Listening+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+c.key)
			r.Header.Set("X-Proviso-Agent", c.agent)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			answer, _ := io.ReadAll(resp.Body)
			if got := resp.Header.Get("X-Policy-Version"); resp.StatusCode != 200 || got == "" || got != which.Policy {
				t.Errorf("status %d: the server decides by %q, which says %q: %s", resp.StatusCode, got, which.Policy, answer)
			}
			for _, rule := range []string{"agent", "key", "tag", "route"} {
				wanted := false
				for _, r := range c.rules {
					wanted = wanted || r == rule
				}
				if said := strings.Contains(string(answer), "No ringing by "+rule); said != wanted {
					t.Errorf("rule %s speaks: %v, want %v: %s", rule, said, wanted, answer)
				}
				named := false
				for _, r := range which.Rules {
					named = named || r.ID == rule && r.Pack == "by-"+rule
				}
				if named != wanted {
					t.Errorf("which names rule %s: %v, want %v", rule, named, wanted)
				}
			}
			if released := strings.Contains(string(answer), `"name":"ring"`); released != (c.rules == nil) {
				t.Errorf("the call is released: %v: %s", released, answer)
			}
			for _, tool := range which.Tools {
				if tool.Name == "ring" && tool.Standing != map[bool]string{true: "always", false: "never"}[c.rules == nil] {
					t.Errorf("which says %s of ring", tool.Standing)
				}
			}
		})
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
