package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedWriter is a writer that another goroutine may read.
type lockedWriter struct {
	mu sync.Mutex
	b  strings.Builder
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *lockedWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// A server from its start to its end: it says where it is, decides, reads its packs again when they change, keeps the old ones where the new are broken, lets a request end after the signal, and leaves a journal that verifies.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("proviso.yaml", "name: p\nversion: \"1\"\ntools: tools.json\nrules: [rules.yaml]\n")
	write("tools.json", `[{"type":"function","function":{"name":"ring","parameters":{"type":"object","properties":{}}}}]`)
	write("rules.yaml", "grants:\n  - {tools: [ring]}\n")
	data := filepath.Join(t.TempDir(), "data")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var out, errs lockedWriter
	a := newApp(strings.NewReader(""), &out, &errs, func(string) (string, bool) { return "", false })
	a.ctx = ctx
	ended := make(chan error, 1)
	go func() {
		ended <- a.do([]string{"serve", "-o", "json", "-p", dir, "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--watch", "20ms", "--drain", "5s"})
	}()
	var at struct{ Listening, Admin string }
	until(t, "the server says where it is", func() bool { return json.Unmarshal([]byte(out.String()), &at) == nil && at.Listening != "" })
	ask := func() string {
		resp, err := http.Post(at.Listening+"/v1/decide", "application/json", strings.NewReader(`{"session":"s","tool":"ring","args":{}}`))
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	if got := ask(); !strings.Contains(got, `"outcome":"allow"`) {
		t.Fatal(got)
	}
	write("rules.yaml", "grants:\n  - {tools: [ring], when: \"1 == 2\"}\n")
	until(t, "the new rules count", func() bool { return strings.Contains(ask(), `"outcome":"deny"`) })
	write("rules.yaml", "grants:\n  - {tools: [ring\n")
	until(t, "the broken rules are told", func() bool { return strings.Contains(errs.String(), "not reloaded") })
	if got := ask(); !strings.Contains(got, `"outcome":"deny"`) {
		t.Errorf("after rules that do not load: %s", got)
	}
	resp, err := http.Get(at.Admin + "/health/ready")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("%v %v", resp, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !a.drained.Load() {
		t.Error("the end was not in order")
	}
	var log lockedWriter
	v := newApp(strings.NewReader(""), &log, &log, func(string) (string, bool) { return "", false })
	if err := v.do([]string{"log", "verify", filepath.Join(data, "journal.db")}); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
	if b, err := os.ReadFile(filepath.Join(data, "secret")); err != nil || len(b) < 64 {
		t.Errorf("%v", err)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal(fmt.Sprintf("%s: not within twenty seconds", what))
}
