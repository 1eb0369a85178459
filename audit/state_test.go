package audit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
)

// manySessions are n recorded sessions, interleaved, and as many conversations.
func manySessions(t *testing.T, n int) {
	t.Helper()
	var log, talks strings.Builder
	for seq := 1; seq <= 3; seq++ {
		for i := range n {
			body := []string{"", `{"tool_call":{"id":"c1","tool":"get_booking","args":{"id":"B9"}}}`, `{"tool_result":{"call_id":"c1","tool":"get_booking","content":{"total":50,"group":false}}}`, `{"tool_call":{"id":"c2","tool":"refund","args":{"id":"B9"}}}`}[seq]
			point := []string{"", "tool_call", "tool_result", "tool_call"}[seq]
			fmt.Fprintf(&log, `{"event":{"session":"r%d","seq":%d,"time":"2026-05-04T10:00:00Z","point":"%s","body":%s},"decision":{"outcome":"allow"},"phase":"released"}`+"\n", i, seq, point, body)
		}
	}
	for i := range n {
		fmt.Fprintf(&talks, `{"proviso":{"session":"t%d"},"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"card 4111111111111111"}]}`+"\n", i)
	}
	for name, text := range map[string]string{"log.jsonl": log.String(), "talks.jsonl": talks.String()} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func reportOf(t *testing.T, cfg Config) (string, Progress) {
	t.Helper()
	var last Progress
	cfg.Progress = func(p Progress) { last = p }
	r, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	b, err := proviso.AppendJSON(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), last
}

var fixed = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

// An audit that goes on from a state, cut off anywhere as a crash leaves it, finds what one in a single run finds, and does not do again what was done.
func TestResume(t *testing.T) {
	p, _ := desk(t)
	lay(t, nil)
	manySessions(t, 4)
	for _, traces := range []bool{false, true} {
		cfg := Config{Policy: p, Paths: []string{"log.jsonl", "talks.jsonl"}, Now: fixed, Traces: traces}
		want, _ := reportOf(t, cfg)
		cfg.State = filepath.Join(t.TempDir(), "state")
		first, progress := reportOf(t, cfg)
		if first != want || progress.Resumed != 0 {
			t.Fatalf("keeping a state changes the report, %d resumed", progress.Resumed)
		}
		whole, err := os.ReadFile(cfg.State)
		if err != nil {
			t.Fatal(err)
		}
		// The clock has moved on; the state keeps the time that its first run assumed.
		cfg.Now = fixed.Add(time.Hour)
		if again, progress := reportOf(t, cfg); again != want || progress.Resumed != 8 {
			t.Errorf("the second run resumed %d of 8", progress.Resumed)
		}
		step := max(1, len(whole)/40)
		head := bytes.IndexByte(whole, '\n') + 1
		for cut := head; cut < len(whole); cut += step {
			if err := os.WriteFile(cfg.State, whole[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			lines := bytes.Count(whole[:cut], []byte("\n")) - 1
			if got, progress := reportOf(t, cfg); got != want || progress.Resumed != lines {
				t.Fatalf("cut at %d: resumed %d of %d", cut, progress.Resumed, lines)
			}
		}
	}
}

// What changed is audited again: other bytes, another policy, another form; and sessions whose records cannot be read are never kept.
func TestResumeOnlyTheSame(t *testing.T) {
	p, _ := desk(t)
	lay(t, nil)
	manySessions(t, 3)
	cfg := Config{Policy: p, Paths: []string{"log.jsonl", "talks.jsonl"}, Now: fixed, State: "state"}
	reportOf(t, cfg)
	edit := func(name, old, new string) {
		b, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(b, []byte(old)) {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, bytes.Replace(b, []byte(old), []byte(new), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edit("talks.jsonl", `"hi"`, `"ho"`)
	edit("log.jsonl", `"total":50`, `"total":51`)
	if _, progress := reportOf(t, cfg); progress.Resumed != 4 {
		t.Errorf("resumed %d of 4 that are the same", progress.Resumed)
	}
	cfg.Traces = true
	if _, progress := reportOf(t, cfg); progress.Resumed != 0 {
		t.Errorf("resumed %d without their records", progress.Resumed)
	}
	edit("log.jsonl", `"decision"`, `"oops"`)
	one, _ := reportOf(t, cfg)
	if two, progress := reportOf(t, cfg); one != two || progress.Resumed != 5 {
		t.Errorf("a broken record is told once only, %d resumed", progress.Resumed)
	}
}

// A file that is no state is never touched.
func TestStateIsNothingElse(t *testing.T) {
	p, _ := desk(t)
	lay(t, nil)
	manySessions(t, 1)
	for _, text := range []string{"precious", "precious\nthings\n", `{"proviso_audit":1,"policy":"` + p.Digest() + `"}` + "\nbroken\n"} {
		if err := os.WriteFile("state", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Run(context.Background(), Config{Policy: p, Paths: []string{"log.jsonl"}, State: "state"})
		if err == nil || !strings.Contains(err.Error(), CodeState) {
			t.Errorf("%q: %v", text, err)
		}
		if b, _ := os.ReadFile("state"); string(b) != text {
			t.Errorf("%q became %q", text, b)
		}
	}
}

// TestResumeAfterKill kills audits of a process of their own at moments that lie closer and closer to the end, and lets the last one finish.
func TestResumeAfterKill(t *testing.T) {
	if dir := os.Getenv("PROVISO_AUDIT_KILLED"); dir != "" {
		p, _ := desk(t)
		if err := os.Chdir(dir); err != nil {
			t.Fatal(err)
		}
		_, err := Run(context.Background(), Config{Policy: p, Paths: []string{"log.jsonl", "talks.jsonl"}, Now: fixed, State: "state"})
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	p, _ := desk(t)
	self := absolute(t, ".")
	lay(t, nil)
	manySessions(t, 1000)
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	kept := -1
	for range 8 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestResumeAfterKill$")
		cmd.Dir, cmd.Env = self, append(os.Environ(), "PROVISO_AUDIT_KILLED="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed as soon as something more was kept.
		for range 2000 {
			if info, err := os.Stat("state"); err == nil && info.Size() > int64(kept)+4096 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		info, err := os.Stat("state")
		if err != nil {
			t.Fatal(err)
		}
		kept = int(info.Size())
	}
	cfg := Config{Policy: p, Paths: []string{"log.jsonl", "talks.jsonl"}, Now: fixed}
	want, _ := reportOf(t, cfg)
	cfg.State = "state"
	got, progress := reportOf(t, cfg)
	if got != want {
		t.Error("the resumed report is another one")
	}
	if progress.Resumed == 0 {
		t.Error("nothing was resumed")
	}
	t.Logf("%d of 2000 sessions were resumed", progress.Resumed)
}
