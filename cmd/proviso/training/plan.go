package training

import (
	"bytes"
	"fmt"

	"github.com/proviso-dev/proviso/engine/local"
	"github.com/proviso-dev/proviso/nn"
	"github.com/proviso-dev/proviso/train"
)

// Rough costs for a forecast: a token needs two operations for each parameter forwards, four backwards; one that is drawn alone waits for memory.
const (
	forwardCost  = 2.0
	backwardCost = 4.0
	drawnCost    = 8.0
	efficiency   = 0.7 // of what products of matrices reach alone
	probeSize    = 384
	probeRounds  = 5
)

// plan prints what a run would do.
func (e *Env) plan(s *train.Settings, h train.Host, o *opened) error {
	info, err := h.Engine.Info(e.Context)
	if err != nil {
		return failed(err)
	}
	stages, err := train.Plan(s, h.Text, info, h.Dir)
	if err != nil {
		return failed(err)
	}
	type plan struct {
		Params    int64             `json:"parameters"`
		Trainable int64             `json:"trainable"`
		Memory    int64             `json:"memory_bytes"`
		Seconds   float64           `json:"seconds"`
		Stages    []train.StagePlan `json:"stages"`
	}
	p := plan{Params: info.Params, Trainable: info.Trainable, Stages: stages}
	if !o.remote {
		c := o.m.Config.Net
		active := c.Params()
		if !c.Tied {
			active -= int64(c.Vocab) * int64(c.Hidden)
		}
		longest, resident := 0, 0
		work := 0.0
		for _, g := range stages {
			longest = max(longest, g.Longest)
			if g.Scored > 0 || g.Drawn > 0 {
				resident = 1
			}
			work += float64(active) * ((forwardCost+backwardCost)*float64(g.Learned) + forwardCost*float64(g.Scored) + drawnCost*float64(g.Drawn))
		}
		p.Memory = local.Bytes(c, info.Params, info.Trainable, min(longest, 4096), resident)
		p.Seconds = work / (efficiency * e.probe())
	}
	if e.Format == "json" {
		return e.Print(p)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "parameters  %s, %s of them trained\n", count(p.Params), count(p.Trainable))
	if !o.remote {
		fmt.Fprintf(&b, "memory      about %s\ntime        about %s on this machine\n", byteCount(p.Memory), rounded(p.Seconds))
	}
	for _, g := range stages {
		fmt.Fprintf(&b, "%s\n  %s by %s: %d rows, %d steps, %s tokens learnt", e.Bold(g.Name), g.Kind, g.Recipe, g.Rows, g.Steps, count(g.Learned))
		if g.Scored > 0 {
			fmt.Fprintf(&b, ", %s scored", count(g.Scored))
		}
		if g.Drawn > 0 {
			fmt.Fprintf(&b, ", up to %s drawn", count(g.Drawn))
		}
		if g.Dropped > 0 {
			fmt.Fprintf(&b, "; %d rows too long", g.Dropped)
		}
		b.WriteByte('\n')
	}
	return e.write(b.Bytes())
}

// probe measures how many operations on matrices a second this machine does.
func (e *Env) probe() float64 {
	x := make([]float32, probeSize*probeSize)
	y := make([]float32, probeSize*probeSize)
	best := 0.0
	for range probeRounds {
		began := e.Now()
		nn.Gemm(0, false, false, probeSize, probeSize, probeSize, x, probeSize, x, probeSize, y, probeSize, false)
		if took := e.Now().Sub(began).Seconds(); took > 0 {
			best = max(best, 2*probeSize*probeSize*probeSize/took)
		}
	}
	return max(best, 1)
}

func count(n int64) string {
	for _, u := range []struct {
		size int64
		unit string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= u.size {
			return fmt.Sprintf("%.3g %s", float64(n)/float64(u.size), u.unit)
		}
	}
	return fmt.Sprint(n)
}

func byteCount(n int64) string { return count(n) + "B" }

// rounded is a duration to two digits.
func rounded(seconds float64) string {
	switch {
	case seconds < 90:
		return fmt.Sprintf("%.2g s", max(seconds, 0.1))
	case seconds < 90*60:
		return fmt.Sprintf("%.0f min", seconds/60)
	}
	return fmt.Sprintf("%.1f h", seconds/3600)
}
