package settings

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The settings are read again with the packs: another upstream, another limit. What would let everybody in, and what cannot be used, changes nothing.
func TestSettingsAreReadAgain(t *testing.T) {
	said := func(text string) *httptest.Server {
		up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"id":"c","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"`+text+`"}}]}`)
		}))
		t.Cleanup(up.Close)
		return up
	}
	one, two := said("one"), said("two")
	name := filepath.Join(t.TempDir(), "gateway.yaml")
	write := func(url, more string) {
		t.Helper()
		if err := os.WriteFile(name, []byte("upstreams:\n  - {name: up, url: "+url+", wires: [chat], key: \"env:UP\"}\n"+more), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"UP": "k"}
	const locked = "keys: [{id: desk, hash: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae}]\n" // of "foo"
	write(one.URL, locked)
	d, err := Open(context.Background(), &Flags{Packs: []string{folder(t, small)}, File: name, Data: filepath.Join(t.TempDir(), "data"), Audit: "required", DenyAs: "refusal", Env: func(k string) string { return env[k] }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	srv := httptest.NewServer(d.Handler())
	defer srv.Close()
	ask := func(key string) (int, string) {
		t.Helper()
		r, _ := http.NewRequest(http.MethodPost, srv.URL+"/v1/chat/completions", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"hello"}]}`))
		r.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	for _, c := range []struct {
		name, url, more string
		unset           bool
		err             string
		status          int
		says            string
	}{
		{name: "another upstream", url: two.URL, more: locked, status: 200, says: "two"},
		{name: "nobody has to show a key any more", url: one.URL, err: "let everybody in", status: 200, says: "two"},
		{name: "a secret that is not set", url: one.URL, more: locked, unset: true, err: "UP is not set", status: 200, says: "two"},
		{name: "an address that is none", url: "nowhere", more: locked, err: "no http(s) address", status: 200, says: "two"},
		{name: "a wrong word", url: one.URL, more: locked + "limit: {}\n", err: "limit", status: 200, says: "two"},
		{name: "a limit that the request does not keep", url: two.URL, more: locked + "limits: {body: 10}\n", status: 413, says: "10 bytes"},
		{name: "back to the first", url: one.URL, more: locked, status: 200, says: "one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env["UP"] = "k"
			if c.unset {
				env["UP"] = ""
			}
			write(c.url, c.more)
			err := d.Reread(t.Context())
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("reading again: %v, want %q", err, c.err)
			}
			if status, body := ask("foo"); status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("%d %s", status, body)
			}
			if status, _ := ask("bar"); status != http.StatusUnauthorized {
				t.Errorf("with a key that nobody knows: %d", status)
			}
		})
	}
}

// What is looked at for changes is what was read: not the working folder where the settings name packs, not the records in the folder of a pack, and always in the same order. A folder that a link leads to is looked at, and so is one that could not be used.
func TestWhatIsWatched(t *testing.T) {
	base, night, releases := folder(t, small), folder(t, small), t.TempDir()
	put := func(dir, name, text string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range small {
		put(filepath.Join(releases, "1"), name, text)
		put(filepath.Join(releases, "2"), name, strings.ReplaceAll(text, "ring", "chime"))
		put(night, name, strings.ReplaceAll(text, "name: p", "name: night"))
	}
	link := filepath.Join(releases, "current")
	if err := os.Symlink(filepath.Join(releases, "1"), link); err != nil {
		t.Skip("links cannot be made here: ", err)
	}
	put(base, "gateway.yaml", "packs: ["+link+"]\nattach: [{pack: "+night+", agents: [\"n-*\"]}]\noverlays: {a: "+link+", b: "+night+", c: "+link+"}\n")
	t.Chdir(base)
	data := filepath.Join(releases, "1", "data")
	d, err := Open(t.Context(), &Flags{Packs: []string{"."}, File: filepath.Join(base, "gateway.yaml"), Data: data, Audit: "required", DenyAs: "refusal", Env: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	changed := func(what string, want bool) {
		t.Helper()
		if d.Changed(); d.Changed() != want {
			t.Errorf("%s: changed is not %v", what, want)
		}
		if want {
			err := d.Reread(t.Context())
			t.Log(what, err)
			for range 2 { // folders that are looked at for the first time are a change
				if d.Changed(); d.Changed() {
					d.Reread(t.Context())
				}
			}
		}
	}
	for range 20 {
		changed("nothing", false)
	}
	put(base, "notes.log", "of the working folder")
	put(data, "more", "a record")
	put(filepath.Join(night, ".git"), "HEAD", "x")
	changed("what is no part of a pack", false)
	put(night, "rules.yaml", "grants:\n  - {tools: [ring]}\nrules: []\n")
	changed("an attached pack", true)
	os.Remove(link)
	if err := os.Symlink(filepath.Join(releases, "2"), link); err != nil {
		t.Fatal(err)
	}
	changed("a link that leads elsewhere", true)
	if digest := d.Status(t.Context()).Policy; digest == "" {
		t.Error("no policy")
	}
	broken := filepath.Join(releases, "3")
	put(broken, "proviso.yaml", "name: [")
	put(base, "gateway.yaml", "packs: ["+link+"]\nattach: [{pack: "+broken+", agents: [\"n-*\"]}]\n")
	changed("settings that name a broken pack", true)
	put(broken, "proviso.yaml", "name: fine\nversion: \"1\"\n")
	changed("the pack is mended", true)
	if why := d.Status(t.Context()).Why; len(why) > 0 && strings.Contains(strings.Join(why, " "), "reload failed") {
		t.Errorf("the mended pack was not read: %v", why)
	}
}
