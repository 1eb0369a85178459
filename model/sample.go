package model

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Sampling says how a token is chosen from the logits of a network. The zero value takes the likeliest.
type Sampling struct {
	Temperature float64 // logits are divided by it; 0 takes the likeliest token
	TopK        int     // only the so many likeliest tokens; 0 cuts nothing off
	TopP        float64 // only the likeliest tokens that together have this probability (Holtzman et al. 2020); 0 and 1 cut nothing off
	Seed        uint64  // of the dice
}

func (s Sampling) check() error {
	hint := "change the setting"
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0):
		return diagnose("", CodeRequest, hint, "the temperature is %g; it must be 0 or more", s.Temperature)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return diagnose("", CodeRequest, hint, "top_p is %g; it must be from 0 to 1", s.TopP)
	case s.TopK < 0:
		return diagnose("", CodeRequest, hint, "top_k is %d; it must be 0 or more", s.TopK)
	}
	return nil
}

// Choice is a token with the natural logarithm of its probability.
type Choice struct {
	ID      int32
	LogProb float64
}

// sampler chooses tokens for one request. It is for one goroutine.
type sampler struct {
	Sampling
	dice *rand.Rand
	list []Choice  // room; LogProb holds logits while choosing
	mass []float64 // room; shares of the list
}

func newSampler(s Sampling) *sampler {
	return &sampler{Sampling: s, dice: rand.New(rand.NewPCG(s.Seed, 0x9e3779b97f4a7c15))}
}

// choose takes a token that is allowed; nil allows all. lse is the logarithm of the sum of the logits' exponentials. It returns the token's log-probability in the distribution that it was drawn from, after temperature and cuts; with temperature 0, in that of temperature 1 over the allowed tokens.
// ok is false where no token is allowed.
func (s *sampler) choose(logits []float32, lse float64, allowed func(id int32) bool) (c Choice, ok bool) {
	s.list = s.list[:0]
	if s.Temperature == 0 && allowed == nil {
		best := 0
		for id, x := range logits {
			if x > logits[best] {
				best = id
			}
		}
		return Choice{int32(best), float64(logits[best]) - lse}, len(logits) > 0
	}
	for id, x := range logits {
		if allowed == nil || allowed(int32(id)) {
			s.list = append(s.list, Choice{int32(id), float64(x)})
		}
	}
	if len(s.list) == 0 {
		return Choice{}, false
	}
	if s.Temperature == 0 {
		best := s.list[0]
		for _, x := range s.list[1:] {
			if x.LogProb > best.LogProb {
				best = x
			}
		}
		return Choice{best.ID, best.LogProb - s.weigh(s.list)}, true
	}
	for i := range s.list {
		s.list[i].LogProb /= s.Temperature
	}
	list := s.list
	if s.TopK > 0 && s.TopK < len(list) {
		likeliest(list, s.TopK)
		list = list[:s.TopK]
	}
	if s.TopP > 0 && s.TopP < 1 {
		list = nucleus(list, s.TopP, s.weigh(list))
	}
	// The order of the ids, whatever the cuts did: the same dice give the same token.
	if len(list) < len(s.list) {
		slices.SortFunc(list, func(a, b Choice) int { return cmp.Compare(a.ID, b.ID) })
	}
	total := s.weigh(list)
	u := s.dice.Float64()
	for i, x := range list {
		c = Choice{x.ID, x.LogProb - total}
		if u -= s.mass[i]; u < 0 {
			break
		}
	}
	return c, true
}

// weigh returns the logarithm of the sum of the exponentials, and leaves the share of each choice in s.mass.
func (s *sampler) weigh(list []Choice) float64 {
	most := math.Inf(-1)
	for _, x := range list {
		most = max(most, x.LogProb)
	}
	s.mass = s.mass[:0]
	var sum float64
	for _, x := range list {
		p := tail(x.LogProb - most)
		s.mass = append(s.mass, p)
		sum += p
	}
	for i := range s.mass {
		s.mass[i] /= sum
	}
	return most + math.Log(sum)
}

// tail is exp for numbers that are not positive. Below -40 it is 0: so many of them as a vocabulary has would not change the sum of a distribution by what can be seen.
func tail(x float64) float64 {
	if x < -40 {
		return 0
	}
	return math.Exp(x)
}

// logSumOf is the logarithm of the sum of the exponentials of logits.
func logSumOf(logits []float32) float64 {
	most := float32(math.Inf(-1))
	for _, x := range logits {
		most = max(most, x)
	}
	var sum float64
	for _, x := range logits {
		sum += tail(float64(x - most))
	}
	return float64(most) + math.Log(sum)
}

// likelier orders choices: the likelier first, of equal ones that of the smaller id.
func likelier(a, b Choice) int {
	if a.LogProb != b.LogProb {
		return cmp.Compare(b.LogProb, a.LogProb)
	}
	return cmp.Compare(a.ID, b.ID)
}

// likeliest moves the k likeliest choices to the front, in no order (quickselect, Hoare 1961). k is at least 1 and below the length.
func likeliest(list []Choice, k int) {
	for lo, hi := 0, len(list)-1; lo < hi; {
		pivot := list[lo+(hi-lo)/2]
		i, j := lo, hi
		for i <= j {
			for likelier(list[i], pivot) < 0 {
				i++
			}
			for likelier(list[j], pivot) > 0 {
				j--
			}
			if i <= j {
				list[i], list[j] = list[j], list[i]
				i++
				j--
			}
		}
		switch {
		case k-1 <= j:
			hi = j
		case k-1 >= i:
			lo = i
		default:
			return
		}
	}
}

// nucleus returns the smallest set of likeliest choices that has the probability p; total is the logarithm of the sum of their exponentials.
func nucleus(list []Choice, p, total float64) []Choice {
	// Choices below (1-p)/n have less than 1-p together: none of them is needed, and the others are few enough to sort.
	least := math.Log(1-p) - math.Log(float64(len(list))) + total
	kept := 0
	for i, x := range list {
		if x.LogProb >= least {
			list[i], list[kept] = list[kept], list[i]
			kept++
		}
	}
	slices.SortFunc(list[:kept], likelier)
	var sum float64
	for i, x := range list[:kept] {
		if sum += math.Exp(x.LogProb - total); sum >= p {
			return list[:i+1]
		}
	}
	return list[:max(kept, 1)]
}

// top returns the n likeliest tokens of logits with their log-probabilities, the likeliest first.
func top(logits []float32, n int, lse float64) []Choice {
	list := make([]Choice, len(logits))
	for id, x := range logits {
		list[id] = Choice{int32(id), float64(x) - lse}
	}
	if n < len(list) {
		likeliest(list, n)
		list = slices.Clone(list[:n])
	}
	slices.SortFunc(list, likelier)
	return list
}
