package settings

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var small = map[string]string{
	"proviso.yaml": "name: p\nversion: \"1\"\ntools: tools.json\nrules: [rules.yaml]\n",
	"tools.json":   `[{"type":"function","function":{"name":"ring","parameters":{"type":"object","properties":{}}}}]`,
	"rules.yaml":   "grants:\n  - {tools: [ring]}\n",
}

// A collector that the environment names gets the metrics of the door, the last of them when it is closed; none of them holds what a client said.
func TestTelemetryOfTheEnvironment(t *testing.T) {
	var mu sync.Mutex
	last, auth := "", ""
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/v1/metrics" {
			mu.Lock()
			defer mu.Unlock()
			last, auth = string(b), r.Header.Get("X-Key")
		}
	}))
	defer collector.Close()
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_EXPORTER_OTLP_HEADERS": "X-Key=k", "OTEL_SERVICE_NAME": "desk", "OTEL_METRIC_EXPORT_INTERVAL": "3600000"}
	d, err := Open(context.Background(), &Flags{Packs: []string{folder(t, small)}, Data: filepath.Join(t.TempDir(), "data"), Audit: "required", DenyAs: "refusal", Env: func(k string) string { return env[k] }})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(d.Handler())
	resp, err := http.Post(srv.URL+"/v1/decide", "application/json", strings.NewReader(`{"session":"CANARY","tool":"ring","args":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	srv.Close()
	d.Close()
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{`"proviso.decisions"`, `"proviso.guard_decisions"`, `"proviso.requests_in_flight"`, `"desk"`, `"tool_call"`} {
		if !strings.Contains(last, want) {
			t.Errorf("%s is not in %s", want, last)
		}
	}
	if strings.Contains(last, "CANARY") || auth != "k" {
		t.Errorf("header %q, metrics %s", auth, last)
	}
}

// Settings that cannot be used are told as such, with and without a collector, and leave nothing open.
func TestSettingsThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct {
		name string
		file string
		env  map[string]string
		want string
	}{
		{"a secret as it is", `upstreams: [{name: a, url: "https://api.example.com", key: sk-secret}]`, nil, "env:NAME or file:PATH"},
		{"the same with a collector", `upstreams: [{name: a, url: "https://api.example.com", key: sk-secret}]`, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "env:NAME or file:PATH"},
		{"an upstream without an address, with a collector", `upstreams: [{name: a, url: "nowhere"}]`, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "no http(s) address"},
		{"an interval that is none", "", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_METRIC_EXPORT_INTERVAL": "1m"}, "milliseconds"},
		{"a tag", "keys:\n  ! 000000\n", nil, "line 2: anchors, aliases and tags are not read here"},
		{"a collector that is none", "telemetry: {endpoint: nonsense}", nil, "telemetry"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"gateway.yaml": c.file})
			d, err := Open(context.Background(), &Flags{Packs: []string{folder(t, small)}, File: filepath.Join(dir, "gateway.yaml"), Data: filepath.Join(dir, "data"), Audit: "required", DenyAs: "refusal", Env: func(k string) string { return c.env[k] }})
			if err == nil {
				d.Close()
				t.Fatal("they are used")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "sk-secret") {
				t.Error(err)
			}
		})
	}
}
