package scorer

// MissedViolations is how often something harmful passes.
var MissedViolations = &Scorer{
	Name: "missed_violations",
	Doc: `Of what is wrong, the share that passed: of verdicts, clauses that Run.Right calls violated and that were found satisfied or dormant; of decisions, calls that Run.Permitted does not permit and that were allowed.

	missed violations = passed ∧ harmful / harmful

What nobody could judge did not pass; Unjudged tells how many these are.`,
	Score: func(runs []Run, _ Options) []Score {
		return mistakes("missed_violations", runs, true)
	},
}
