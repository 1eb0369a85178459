package scorer

import "github.com/proviso-dev/proviso"

// Clauses counts the verdicts on each clause.
var Clauses = &Scorer{
	Name: "clauses",
	Doc: `How the verdicts on each clause are divided: for each clause and each status that occurs, the share of the runs with a verdict on the clause that have this status.

The names are clauses.violated, clauses.error, clauses.unknown, clauses.satisfied and clauses.dormant, from the worst to the most harmless; the shares of a clause add up to 1.`,
	Score: func(runs []Run, _ Options) []Score {
		n := map[string]int{}
		for i := range runs {
			for j := range runs[i].Verdicts {
				n[runs[i].Verdicts[j].Clause.ID]++
			}
		}
		var out []Score
		for status := int(proviso.Violated); status >= int(proviso.Dormant); status-- {
			s := proviso.Status(status)
			by := map[string]*ratio{}
			for i := range runs {
				for j := range runs[i].Verdicts {
					if v := &runs[i].Verdicts[j]; v.Status == s {
						r := ratioOf(by, v.Clause.ID)
						r.yes, r.n = r.yes+1, n[v.Clause.ID]
					}
				}
			}
			out = append(out, scores("clauses."+s.String(), by)...)
		}
		return out
	},
}
