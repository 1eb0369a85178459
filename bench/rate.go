package bench

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// rateSlots is how many conversations are on their way at a time; their requests take turns, so that none of them waits for another of the same conversation unless it is late.
const rateSlots = 500

// latencies are how long requests took, sorted, and how many did not end as wanted.
type latencies struct {
	took   []time.Duration
	late   []time.Duration // how long after they were due the requests were sent, sorted: what the measure itself adds
	failed int
	why    error // of one of those
}

// quantile is what a share of the durations did not exceed. They are sorted.
func quantile(all []time.Duration, share float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return all[min(int(share*float64(len(all))), len(all)-1)]
}

// rate sends requests through a door at a fixed rate, whatever becomes of those before: a request counts from the moment at which it was due, so that a door that stalls is not spared the requests that it would have held up.
func (d *Doors) rate(to *door, perSecond int, last time.Duration) *latencies {
	interval := time.Second / time.Duration(perSecond)
	n := int(last / interval)
	bodies := make([]string, gatewayTurns)
	for i := range bodies {
		bodies[i] = gatewayRequest("m", i+1, false)
	}
	run := to.calls.Add(1)
	out := &latencies{took: make([]time.Duration, 0, n), late: make([]time.Duration, 0, n)}
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := time.Now().Add(10 * time.Millisecond)
	for i := range n {
		due := begin.Add(time.Duration(i) * interval)
		time.Sleep(time.Until(due))
		out.late = append(out.late, time.Since(due))
		slot, turn := i%rateSlots, i/rateSlots
		all.Go(func() {
			err := d.one(to.url, bodies[turn%gatewayTurns], fmt.Sprintf("rate-%d-%d-%d", run, slot, turn/gatewayTurns), false)
			took := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				out.failed, out.why = out.failed+1, err
				return
			}
			out.took = append(out.took, took)
		})
	}
	all.Wait()
	slices.Sort(out.took)
	slices.Sort(out.late)
	return out
}
