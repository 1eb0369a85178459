package guard

import (
	"sync/atomic"

	"github.com/proviso-dev/proviso"
)

// Counts is what a guard has counted since it was made. Every number but the first two should stay at zero.
type Counts struct {
	Decisions  int64 `json:"decisions"`
	Denied     int64 `json:"denied"`      // not allowed, for whatever reason
	FailedOpen int64 `json:"failed_open"` // allowed because the pack opens a point on errors
	Errors     int64 `json:"errors"`      // faults named in decisions
	Journal    int64 `json:"journal"`     // appends that failed
	Lost       int64 `json:"lost"`        // records that will never be in the journal
	Conflicts  int64 `json:"conflicts"`   // another guard appended to the session first
	Folds      int64 `json:"folds"`       // sessions folded from the journal
	Judge      int64 `json:"judge"`       // rounds of questions that the judge failed or did not answer in time
	Quotes     int64 `json:"quotes"`      // answers whose quotes do not exist
	Panics     int64 `json:"panics"`      // of tools and judges
	Approvals  int64 `json:"approvals"`   // escalated calls that could not be put on record for approval
	Snapshots  int64 `json:"snapshots"`   // states that could not be kept, or not be read back; the session was folded from its records
}

type counts struct {
	decisions, denied, open, errors, journal, lost, conflicts, folds, judge, quotes, panics, approvals, snapshots atomic.Int64
}

// Counts returns the numbers so far.
func (g *Guard) Counts() Counts {
	c := &g.counts
	return Counts{c.decisions.Load(), c.denied.Load(), c.open.Load(), c.errors.Load(), c.journal.Load(), c.lost.Load(), c.conflicts.Load(), c.folds.Load(), c.judge.Load(), c.quotes.Load(), c.panics.Load(), c.approvals.Load(), c.snapshots.Load()}
}

func (c *counts) decided(r *proviso.Record) {
	c.decisions.Add(1)
	if r.Decision.Outcome != proviso.Allow {
		c.denied.Add(1)
	}
	if r.Decision.FailedOpen {
		c.open.Add(1)
	}
	c.errors.Add(int64(len(r.Decision.Errors)))
}
