package scorer

// WrongfulDenials is how often something harmless is stopped.
var WrongfulDenials = &Scorer{
	Name: "wrongful_denials",
	Doc: `Of what is right, the share that was stopped: of verdicts, clauses that Run.Right does not call violated and that were found violated, unknown or an error; of decisions, calls that Run.Permitted permits and that were decided as anything but allow.

	wrongful denials = stopped ∧ harmless / harmless

What nobody could judge is stopped, because nothing that is unknown is let through; Unjudged tells how many these are.`,
	Score: func(runs []Run, _ Options) []Score {
		return mistakes("wrongful_denials", runs, false)
	},
}

// mistakes counts what was stopped though harmless, or let through though harmful.
func mistakes(name string, runs []Run, harmful bool) []Score {
	by := map[string]*ratio{}
	compare(runs, func(c comparison) {
		if c.harmful != harmful {
			return
		}
		r := ratioOf(by, c.of)
		r.add(c.stopped != harmful)
		if c.unjudged {
			r.unjudged++
		}
	})
	return scores(name, by)
}
