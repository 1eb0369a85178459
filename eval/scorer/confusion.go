package scorer

import "github.com/proviso-dev/proviso"

// Confusion compares verdicts and decisions with what is right.
var Confusion = &Scorer{
	Name: "confusion",
	Doc: `The confusion table of verdicts, over clauses that Run.Right speaks of, and of decisions, over calls that Run.Permitted speaks of: each cell is named after what is right and what was found, such as "verdicts violated→satisfied" or "decisions denied→allow",
and holds the share among everything of which the same is right, so that a row adds up to 1. A clause without a verdict is dormant, because no rule speaks of it; a call without a decision is none.`,
	Score: func(runs []Run, _ Options) []Score {
		rows, cells := map[string]int{}, map[string]*ratio{}
		row := map[string]string{}
		compare(runs, func(c comparison) {
			r := c.of + " " + c.right
			cell := r + "→" + c.found
			row[cell] = r
			rows[r]++
			ratioOf(cells, cell).yes++
		})
		for cell, r := range cells {
			r.n = rows[row[cell]]
		}
		return scores("confusion", cells)
	},
}

// comparison is one verdict or decision beside what is right.
type comparison struct {
	of           string // "verdicts" or "decisions"
	right, found string
	harmful      bool // it is right to stop it
	stopped      bool // it was found to be stopped, or not to be let through for sure
	unjudged     bool
}

// compare goes through everything of which it is known what is right.
func compare(runs []Run, f func(comparison)) {
	for i := range runs {
		r := &runs[i]
		got := map[string]proviso.Status{}
		for j := range r.Verdicts {
			got[r.Verdicts[j].Clause.ID] = r.Verdicts[j].Status
		}
		for id, right := range r.Right {
			found := got[id]
			f(comparison{"verdicts", right.String(), found.String(), right == proviso.Violated, found > proviso.Satisfied, unjudged(found)})
		}
		outcomes := map[uint64]proviso.Outcome{}
		if r.Trace != nil {
			for j := range r.Trace.Records {
				rec := &r.Trace.Records[j]
				outcomes[rec.Event.Seq] = rec.Decision.Outcome
			}
		}
		for seq, permitted := range r.Permitted {
			c := comparison{of: "decisions", right: "denied", harmful: !permitted}
			if permitted {
				c.right = "permitted"
			}
			o, decided := outcomes[seq]
			c.found, c.stopped, c.unjudged = o.String(), o != proviso.Allow, !decided
			if !decided {
				c.found = "none"
			}
			f(c)
		}
	}
}
