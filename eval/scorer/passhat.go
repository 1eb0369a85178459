package scorer

import (
	"math"
	"strconv"
)

// PassHat is the reliability of completion.
var PassHat = &Scorer{
	Name: "pass_hat",
	Doc: `The probability that k attempts at the same task all complete it, for every k up to the number of attempts that every task has:

	pass^k = 1/T · Σ_t C(c_t, k) / C(n_t, k)

where c_t of the n_t attempts at task t completed it. From τ-bench (Yao et al., arXiv 2406.12045); each summand is the unbiased estimate of p_t^k, the share of the k-subsets of the attempts that succeed throughout.`,
	Score: func(runs []Run, o Options) []Score {
		return reliability("pass_hat", runs, o, func(r *Run) bool { return r.Completed }, chooseRatio)
	},
}

// attempts counts what came of one task.
type attempts struct {
	outcomes []bool // in the order of the runs
	passed   int
	unjudged int
}

// reliability averages over tasks how likely k attempts all pass, for every k.
func reliability(name string, runs []Run, o Options, passed func(*Run) bool, of func(a *attempts, k int) float64) []Score {
	byTask, tasks := map[string]*attempts{}, []*attempts{} // in the order of the runs, so that sums are the same every time
	unclear := 0
	for i := range runs {
		r := &runs[i]
		a := byTask[r.Task]
		if a == nil {
			a = &attempts{}
			byTask[r.Task] = a
			tasks = append(tasks, a)
		}
		ok := passed(r)
		a.outcomes = append(a.outcomes, ok)
		if ok {
			a.passed++
		}
		if unjudged(r.worst()) {
			a.unjudged++
		}
	}
	most := math.MaxInt
	for _, a := range tasks {
		most = min(most, len(a.outcomes))
		if a.unjudged > 0 {
			unclear++
		}
	}
	if len(tasks) == 0 {
		return nil
	}
	if o.MaxK > 0 {
		most = min(most, o.MaxK)
	}
	var out []Score
	for k := 1; k <= most; k++ {
		sum := 0.0
		for _, a := range tasks {
			sum += of(a, k)
		}
		out = append(out, Score{name, "k=" + strconv.Itoa(k), sum / float64(len(tasks)), len(tasks), unclear})
	}
	return out
}

// chooseRatio is C(passed, k) / C(attempts, k), multiplied out so that nothing overflows.
func chooseRatio(a *attempts, k int) float64 {
	p := 1.0
	for i := range k {
		if a.passed <= i {
			return 0
		}
		p *= float64(a.passed-i) / float64(len(a.outcomes)-i)
	}
	return p
}
