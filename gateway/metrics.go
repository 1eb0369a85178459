package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
)

// counts is what the door counts. What should stay at zero is said in metrics.
type counts struct {
	inFlight                                                                              atomic.Int64
	shed, refused, unrouted, foreign, hosted, hidden, ran, stateful, repeated             atomic.Int64
	revisions, upstreamErrors, reloads, reloadsFailed, attached, webhooks, webhooksFailed atomic.Int64

	mu        sync.Mutex
	requests  map[[2]string]int64 // wire, outcome
	seconds   map[string]*histogram
	added     map[string]*histogram
	decisions map[[3]string]int64 // wire, point, outcome
	retired   guard.Counts
	live      []*generation
}

// histogram counts durations in buckets that grow by the factor of 2.5 or so.
type histogram struct {
	n   [len(bounds) + 1]int64
	sum float64
	all int64
}

var bounds = [...]float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}

func (h *histogram) add(d time.Duration) {
	s := d.Seconds()
	i := 0
	for i < len(bounds) && s > bounds[i] {
		i++
	}
	h.n[i]++
	h.sum += s
	h.all++
}

func (c *counts) request(wire, outcome string, took, upstream time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requests == nil {
		c.requests, c.seconds, c.added = map[[2]string]int64{}, map[string]*histogram{}, map[string]*histogram{}
	}
	c.requests[[2]string{wire, outcome}]++
	for _, h := range []struct {
		m map[string]*histogram
		d time.Duration
	}{{c.seconds, took}, {c.added, took - upstream}} {
		if h.m[wire] == nil {
			h.m[wire] = &histogram{}
		}
		h.m[wire].add(h.d)
	}
}

func (c *counts) decided(wire string, r *proviso.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.decisions == nil {
		c.decisions = map[[3]string]int64{}
	}
	c.decisions[[3]string{wire, r.Event.Point.String(), r.Decision.Outcome.String()}]++
}

// retire keeps the counts of the guards of a generation that no new request uses.
func (c *counts) retire(g *generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = append(c.live, g)
}
