package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A checkpoint that was made is served, answers, and ends with the signal.
func TestModelServe(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("the reservation may be cancelled within 24 hours. ", 5)), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, w := io.Pipe()
	a := newApp(nil, w, io.Discard, func(string) (string, bool) { return "", false })
	a.ctx = ctx
	checkpoint := filepath.Join(dir, "m")
	if err := a.do([]string{"model", "new", checkpoint, "--text", text, "--layers", "1", "--hidden", "16", "--heads", "2", "--kv-heads", "1", "--vocab", "280"}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- a.do([]string{"model", "serve", checkpoint, "--listen", "127.0.0.1:0", "--json"})
		w.Close()
	}()
	var greeting struct{ Listening, Model string }
	if err := json.NewDecoder(r).Decode(&greeting); err != nil || greeting.Model != "m" {
		t.Fatalf("it greets with %+v: %v", greeting, err)
	}
	go io.Copy(io.Discard, r)
	answer, err := http.Post(greeting.Listening+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"hello"}],"grammar":"root ::= \"hello\""}`))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(b), `"content":"hello"`) {
		t.Errorf("got %s, %v", b, err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it does not end")
	}
}
