package scorer

// All lists every scorer, sorted by name. It must not be changed.
var All = []*Scorer{
	ActiveRiskRatio,
	AllPass,
	Clauses,
	Completion,
	Confusion,
	CuP,
	MissedViolations,
	PartialCuP,
	PassHat,
	PassHatCuP,
	RiskRatio,
	WrongfulDenials,
}
