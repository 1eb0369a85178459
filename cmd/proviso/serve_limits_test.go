package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// controlGroup makes a control group that may have so much memory, and returns a command that runs another one in it; it skips the test where none can be made.
func controlGroup(t *testing.T, bytes int64) (below []string, killed func() string) {
	t.Helper()
	mine, _ := os.ReadFile("/proc/self/cgroup")
	var dir, limit, events string
	for line := range strings.Lines(string(mine)) {
		switch p := strings.SplitN(strings.TrimSpace(line), ":", 3); {
		case len(p) < 3:
		case strings.Contains(","+p[1]+",", ",memory,"):
			dir, limit, events = filepath.Join("/sys/fs/cgroup/memory", p[2]), "memory.limit_in_bytes", "memory.oom_control"
		case p[1] == "" && dir == "":
			dir, limit, events = filepath.Join("/sys/fs/cgroup", p[2]), "memory.max", "memory.events"
		}
	}
	dir = filepath.Join(dir, fmt.Sprint("proviso-test-", os.Getpid()))
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		t.Cleanup(func() { os.Remove(dir) })
		err = os.WriteFile(filepath.Join(dir, limit), []byte(fmt.Sprint(bytes)), 0o644)
	}
	if err != nil {
		t.Skipf("skipped: no control group can be made here: %v", err)
	}
	killed = func() string {
		b, err := os.ReadFile(filepath.Join(dir, events))
		if err != nil {
			return err.Error()
		}
		for line := range strings.Lines(string(b)) {
			if n, ok := strings.CutPrefix(line, "oom_kill "); ok && strings.TrimSpace(n) != "0" {
				return strings.TrimSpace(line)
			}
		}
		return ""
	}
	return []string{"sh", "-c", `echo $$ > "$0" && exec "$@"`, filepath.Join(dir, "cgroup.procs")}, killed
}

// A container with little memory, of which nobody has told the server: requests that together need more than there is, announced and not, are told to come again, the kernel does not end the server, and it goes on deciding.
func TestServeInAControlGroup(t *testing.T) {
	below, killed := controlGroup(t, 128<<20)
	pack, data := servePack(t), filepath.Join(t.TempDir(), "data")
	s := startServe(t, below, pack, data, "--openai-base-url", "http://127.0.0.1:1")
	client := &http.Client{}
	turn := `{"role":"user","content":"` + strings.Repeat("a", 1000) + `"},`
	large := `{"model":"m","messages":[` + strings.Repeat(turn, (4<<20)/len(turn)) + `{"role":"user","content":"x"}]}`
	var mu sync.Mutex
	got := map[int]int{}
	var asking sync.WaitGroup
	for i := range 48 {
		asking.Go(func() {
			body := io.Reader(strings.NewReader(large))
			if i%2 == 0 {
				body = struct{ io.Reader }{body} // its length is not known
			}
			status := 0
			if resp, err := client.Post(s.Listening+"/v1/chat/completions", "application/json", body); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				status = resp.StatusCode
			}
			mu.Lock()
			got[status]++
			mu.Unlock()
		})
	}
	asking.Wait()
	if got[http.StatusServiceUnavailable] == 0 || got[http.StatusBadGateway] == 0 {
		t.Errorf("48 bodies of 4 MB at a time: %v; want some to come again, and some to be read", got)
	}
	if why := killed(); why != "" {
		t.Errorf("the kernel has ended a process: %s", why)
	}
	if out := s.call(client, "one", "ring", `{}`); out["outcome"] != "allow" {
		t.Errorf("afterwards: %v", out)
	}
	s.stop()
	verify(t, data)
}

// A root file system that cannot be written, as containers have it, and a folder for records that can: the server runs, and writes nowhere else.
func TestServeReadOnlyRoot(t *testing.T) {
	dir := small(t, "8m")
	below := []string{"unshare", "--mount", "sh", "-c", `mount -o remount,bind,ro / && ! touch /x 2>/dev/null && exec "$@"`, "sh"}
	if out, err := exec.Command(below[0], append(below[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("skipped: the root cannot be made read-only here: %v %s", err, out)
	}
	pack, data := servePack(t), filepath.Join(dir, "data")
	s := startServe(t, below, pack, data)
	client := &http.Client{}
	for i := range 3 {
		if out := s.call(client, fmt.Sprint(i), "ring", `{}`); out["outcome"] != "allow" {
			t.Errorf("%v", out)
		}
	}
	if !s.ready() {
		t.Error("it is not ready")
	}
	s.stop()
	verify(t, data)
}
