package scorer

// Completion is the raw completion rate.
var Completion = &Scorer{
	Name: "completion",
	Doc: `The share of runs that completed their task, whatever they did on the way:

	CR = 1/n · Σ completed(r)

It is what completion under policy is held against: the difference is what the policy costs the agent.`,
	Score: func(runs []Run, _ Options) []Score {
		return mean("completion", runs, func(r *Run) float64 {
			if r.Completed {
				return 1
			}
			return 0
		})
	},
}
