package objective

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// The natural direction of a softmax table is the advantage itself, up to a constant; a step stays within its bound and gains.
func TestNaturalStep(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		n := 2 + dice.IntN(6)
		logits, advantage := make([]float64, n), make([]float64, n)
		for i := range logits {
			logits[i], advantage[i] = dice.NormFloat64(), dice.NormFloat64()
		}
		p := softmax(logits)
		mean := dot(p, advantage)
		next, ok := NaturalStep(logits, advantage, .01, 1e-9)
		if !ok {
			rt.Fatal("no step was found")
		}
		q := softmax(next)
		if kl := divergence(p, q); kl > .01 || kl < .003 {
			rt.Fatalf("the step has a divergence of %g", kl)
		}
		if dot(q, advantage) <= mean {
			rt.Fatal("the step loses")
		}
		scale := (next[0] - logits[0] - (next[1] - logits[1])) / (advantage[0] - advantage[1])
		for i := range next {
			if d := (next[i] - logits[i] - (next[0] - logits[0])) - scale*(advantage[i]-advantage[0]); math.Abs(d) > 1e-4*math.Abs(scale) {
				rt.Fatalf("the direction is not the advantage: off by %g", d)
			}
		}
	})
	if next, ok := NaturalStep([]float64{1, 2}, []float64{3, 3}, .01, .1); ok || next[0] != 1 {
		t.Errorf("without an advantage: %v, %v", next, ok)
	}
}

func randomProcess(dice *rand.Rand, states, actions int, sharpness float64) *Process {
	m := &Process{}
	for range states {
		var rewards []float64
		var next [][]float64
		for range actions {
			l := make([]float64, states)
			for j := range l {
				l[j] = sharpness * dice.NormFloat64()
			}
			rewards, next = append(rewards, dice.Float64()), append(next, softmax(l))
		}
		m.Reward, m.Next = append(m.Reward, rewards), append(m.Next, next)
	}
	return m
}

// Trained backward in time, the policy gradient reaches the value of dynamic programming.
func TestBackwardInTime(t *testing.T) {
	m := randomProcess(rand.New(rand.NewPCG(4, 4)), 3, 2, 2)
	policies, got := m.BackwardInTime(4, 4000, 3)
	want := make([]float64, 3)
	for range 4 {
		next := make([]float64, 3)
		for s := range next {
			next[s] = max(m.Reward[s][0]+dot(m.Next[s][0], want), m.Reward[s][1]+dot(m.Next[s][1], want))
		}
		want = next
	}
	near(t, "value", far(got, want), 0, 1e-3)
	// The policies are those of the steps in order: played from the first, they earn that value.
	value := make([]float64, 3)
	for h := len(policies) - 1; h >= 0; h-- {
		next := make([]float64, 3)
		for s := range next {
			for a, p := range policies[h][s] {
				next[s] += p * (m.Reward[s][a] + dot(m.Next[s][a], value))
			}
		}
		value = next
	}
	near(t, "played", far(value, got), 0, 1e-9)
}

// The worst case is a distribution within its radius, and no other within it is worse.
func TestWorstCase(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		n := 2 + dice.IntN(5)
		l, value := make([]float64, n), make([]float64, n)
		for i := range l {
			l[i], value[i] = dice.NormFloat64(), dice.NormFloat64()
		}
		p, radius := softmax(l), 2*dice.Float64()
		w := WorstCase(p, value, radius)
		sum, distance := 0.0, 0.0
		for i := range w {
			if w[i] < -1e-12 {
				rt.Fatalf("a probability of %g", w[i])
			}
			sum += w[i]
			distance += math.Abs(w[i] - p[i])
		}
		if math.Abs(sum-1) > 1e-9 || distance > radius+1e-9 {
			rt.Fatalf("sum %g, distance %g of %g", sum, distance, radius)
		}
		for range 50 {
			from, to := dice.IntN(n), dice.IntN(n)
			q, move := append([]float64(nil), p...), min(radius/2, p[from])*dice.Float64()
			q[from] -= move
			q[to] += move
			if dot(q, value) < dot(w, value)-1e-9 {
				rt.Fatalf("%v is worse than %v", q, w)
			}
		}
	})
}

// The robust policy gradient comes near the robust optimum.
func TestRobust(t *testing.T) {
	const discount, radius = .8, .8
	for seed := range uint64(4) {
		m := randomProcess(rand.New(rand.NewPCG(seed, 8)), 4, 3, 1.5)
		optimum := m.RobustValue(nil, discount, radius, 150)
		robust := m.RobustValue(m.Robust(discount, radius, 2, 300, 40), discount, radius, 150)
		for s := range optimum {
			if robust[s] > optimum[s]+1e-9 || robust[s] < optimum[s]-.02 {
				t.Errorf("seed %d, state %d: robust value %.4f, optimum %.4f", seed, s, robust[s], optimum[s])
			}
		}
	}
	// A safe act earns .5 at once; a hopeful one earns .2 and leads to a state worth .5, unless the world sends it elsewhere. On average hope is better (.6), in the worst case it is not (.44).
	end := []float64{0, 0, 0, 1}
	m := &Process{
		Reward: [][]float64{{.5, .2}, {.5, .5}, {0, 0}, {0, 0}},
		Next:   [][][]float64{{{0, 0, 1, 0}, {0, 1, 0, 0}}, {end, end}, {end, end}, {end, end}},
	}
	for _, c := range []struct{ radius, value, safe float64 }{{0, .44, 0}, {radius, .5, 1}} {
		policy := m.Robust(discount, c.radius, 20, 600, 20)
		near(t, "chance of the safe act", policy[0][0], c.safe, .02)
		near(t, "value in the worst case", m.RobustValue(policy, discount, radius, 50)[0], c.value, .005)
	}
}
