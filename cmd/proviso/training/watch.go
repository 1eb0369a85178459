package training

import (
	"fmt"
	"strings"
	"time"

	"github.com/proviso-dev/proviso/train"
)

// watch shows how a run gets on: one line in place on a terminal, a line now and then elsewhere.
type watch struct {
	e    *Env
	last time.Time
}

// The pauses between two lines.
const (
	terminalPause = 200 * time.Millisecond
	logPause      = 10 * time.Second
)

func (w *watch) step(m *train.Metrics) {
	now, ends := w.e.Now(), m.StageStep == m.StageSteps
	if now.Sub(w.last) >= terminalPause && !ends && w.e.Status(line(m)) {
		w.last = now
	}
	if ends || m.StageStep == 1 || now.Sub(w.last) >= logPause {
		w.e.Say("%s", line(m))
		w.last = now
	}
	for _, v := range m.Violations {
		w.e.Say("step %d: %s", m.Step, v)
	}
}

// line is a step in a line: what is not measured in its stage is left out.
func line(m *train.Metrics) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d/%d", m.Stage, m.StageStep, m.StageSteps)
	if m.TokensPerSecond > 0 {
		fmt.Fprintf(&b, "  %s tok/s", thousands(m.TokensPerSecond))
	}
	if m.Skipped {
		return b.String() + fmt.Sprintf("  reward %.2f, all equal: nothing to learn", m.Reward)
	}
	fmt.Fprintf(&b, "  loss %.3f", m.Loss)
	if m.Kind == "preference" {
		fmt.Fprintf(&b, "  margin %.2f  right %.0f%%", m.Margin, 100*m.Accuracy)
	}
	if m.Kind == "rl" {
		fmt.Fprintf(&b, "  reward %.2f", m.Reward)
	}
	fmt.Fprintf(&b, "  entropy %.2f", m.Entropy)
	if m.RefKL != 0 {
		fmt.Fprintf(&b, "  KL %.3f", m.RefKL)
	}
	if m.Kind == "rl" {
		fmt.Fprintf(&b, "  clip %.0f%%", 100*m.ClipShare)
	}
	fmt.Fprintf(&b, "  |g| %.2f", m.GradNorm)
	return b.String()
}

func thousands(x float64) string {
	if x >= 10000 {
		return fmt.Sprintf("%.0fk", x/1000)
	}
	return fmt.Sprintf("%.0f", x)
}
