package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// starts is how often the binary is started, and serves how often it is left to serve nobody.
const starts, serves = 21, 3

// settled is how long a server is left alone before its memory is read.
const settled = 2 * time.Second

// binaryFigures builds the binary as a release is built, starts it, and looks at the memory of a server that has read a pack and waits.
func binaryFigures(ctx context.Context) ([]figure, error) {
	folder, err := os.MkdirTemp("", "proviso-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/proviso-dev/proviso").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w; run this in the folder bench", err)
	}
	name := filepath.Join(folder, "proviso")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", name, "./cmd/proviso")
	build.Dir, build.Env = strings.TrimSpace(string(root)), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	var took []float64
	for range starts {
		begin := time.Now()
		if err := exec.CommandContext(ctx, name, "version").Run(); err != nil {
			return nil, fmt.Errorf("proviso version: %w", err)
		}
		took = append(took, float64(time.Since(begin).Microseconds())/1000)
	}
	out := []figure{
		{"binary.mb", float64(info.Size()) / 1e6, 1},
		{"version.start_ms", median(took), starts},
	}
	var resident, private []float64
	for i := range serves {
		m, err := idle(ctx, name, build.Dir, filepath.Join(folder, strconv.Itoa(i)))
		if errors.Is(err, fs.ErrNotExist) {
			return out, nil // not Linux
		}
		if err != nil {
			return nil, err
		}
		resident, private = append(resident, m["Rss:"]), append(private, m["Anonymous:"])
	}
	return append(out, figure{"serve.idle_resident_mb", median(resident), serves}, figure{"serve.idle_private_mb", median(private), serves}), nil
}

// idle starts a server over the airline pack in the folder root, lets it settle and returns what Linux counts of its memory, in MB (10^6 bytes) by the names of smaps_rollup: "Rss:" is all that is mapped, "Anonymous:" is what is its own;
// the rest is pages of the program's file, which several of them share and the machine can drop. Where the system does not count so the error is fs.ErrNotExist.
func idle(ctx context.Context, name, root, data string) (mb map[string]float64, err error) {
	cmd := exec.CommandContext(ctx, name, "serve", "--json", "--pack", filepath.Join(root, "examples", "airline"), "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--openai-base-url", "http://127.0.0.1:9/v1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("proviso serve: %w", err)
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if e := cmd.Wait(); err == nil && e != nil {
			err = fmt.Errorf("proviso serve: %w", e)
		}
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, fmt.Errorf("proviso serve did not say where it listens: %w", err)
	}
	time.Sleep(settled)
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", cmd.Process.Pid))
	if err != nil {
		return nil, err
	}
	mb = map[string]float64{}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[2] == "kB" {
			if kib, err := strconv.ParseFloat(f[1], 64); err == nil {
				mb[f[0]] = kib * 1024 / 1e6
			}
		}
	}
	return mb, nil
}
