package objective

import (
	"fmt"
	"strings"
)

// All is the recipes, sorted by name.
var All = []*Recipe{
	AttemptCredit,
	BestOfN,
	BetaNorm,
	BranchCredit,
	CentredRatio,
	ClippedWeights,
	ContextDistill,
	CovKL,
	CovMasked,
	DirectAdvantages,
	EditedGroup,
	FixedUp,
	GAEClip,
	GAEClipRunning,
	GamePairs,
	GatedRules,
	GroupClip,
	GroupClipHigher,
	GroupLeaveOneOut,
	GroupMean,
	GroupTokenBudget,
	MaximumLikelihood,
	PairsLogistic,
	PairsMined,
	PairsSquare,
	PolicyRollout,
	PosteriorMatch,
	QuadraticRatio,
	RegressPairs,
	Reinforce,
	SequenceClip,
	SetCredit,
	SigmoidGated,
	SoftAdvantages,
	TaylorTwo,
	TopHalfLikelihood,
	TurnCredit,
}

// ByName returns the recipe of a name. The error suggests one that is written alike, or that papers call so.
func ByName(name string) (*Recipe, error) {
	var also []string
	for _, r := range All {
		if r.Name == name {
			return r, nil
		}
		for _, a := range strings.Split(r.Also, ", ") {
			if strings.EqualFold(a, name) {
				also = append(also, r.Name)
			}
		}
	}
	if len(also) > 0 {
		return nil, fmt.Errorf("no recipe %q; what papers call so is %s", name, strings.Join(also, " or "))
	}
	return nil, fmt.Errorf("no recipe %q; see proviso train recipes", name)
}
