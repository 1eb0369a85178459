package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// starts is how often the binary is started.
const starts = 20

// binaryFigures builds the binary as a release is built, and starts it.
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
	return []figure{
		{"binary.megabytes", float64(info.Size()) / 1e6, 1},
		{"version.start_ms", median(took), starts},
	}, nil
}
