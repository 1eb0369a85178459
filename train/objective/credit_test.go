package objective

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// Edits and anchors.
func TestEdits(t *testing.T) {
	// A policy that is wrong nearly always, and one repaired copy: mass moves to the repair at every step.
	p := table{{4, 0, 0, 0}}
	last := softmax(p[0])[3]
	for range 60 {
		var batch []Sample
		for i := range 4 {
			s := Sample{ID: SampleID(i + 1), Group: 1, Tokens: []int32{0}, Rewards: reward(0)}
			s.Behaviour = p.logp(s.Tokens)
			batch = append(batch, s)
		}
		batch = append(batch, Sample{ID: 9, Parent: 1, Group: 1, Origin: Edited, Tokens: []int32{3}, Rewards: reward(1)})
		for i := range batch {
			batch[i].Old = p.logp(batch[i].Tokens)
			batch[i].Ref, batch[i].Stamp = batch[i].Old, Fingerprint(0, batch[i].Tokens)
		}
		v, out := run(t, EditedGroup, batch, p.all(batch))
		for _, x := range Check(v, p.all(batch), out, true, 0) {
			t.Fatalf("%s: %s", x.Rule, x.Detail)
		}
		p.add(p.gradient(batch, out.W), 200)
		now := softmax(p[0])[3]
		if now <= last {
			t.Fatalf("the repair went from %g to %g", last, now)
		}
		last = now
	}
	if last < .5 {
		t.Errorf("after 60 steps the repair has %g", last)
	}

	base := Sample{ID: 1, Group: 1, Tokens: []int32{0}, Rewards: reward(.5), Old: []float64{-1}, Ref: []float64{-1}}
	edit := Sample{ID: 2, Parent: 1, Group: 1, Origin: Edited, Tokens: []int32{1}, Rewards: reward(.5), Old: []float64{-1}, Ref: []float64{-1}}
	good := Sample{ID: 3, Group: 1, Tokens: []int32{2}, Rewards: reward(0), Old: []float64{-1}, Ref: []float64{-1}}
	_, out := run(t, EditedGroup, []Sample{base, edit, good}, [][]float64{{-1}, {-1}, {-1}})
	if out.W[1][0] > 0 {
		t.Errorf("an edit that did not help weighs %g", out.W[1][0])
	}

	for name, spoil := range map[string]func(*Sample){
		"Old has 2 entries for 1 tokens":     func(s *Sample) { s.Old = []float64{-1, -1} },
		"computed for another text":          func(s *Sample) { s.Stamp = Fingerprint(0, []int32{0}) },
		"log-probabilities of a sampler":     func(s *Sample) { s.Behaviour = []float64{-1} },
		"the recipe reads Old, which is":     func(s *Sample) { s.Old = nil },
		"it branches at 3, but has 1 tokens": func(s *Sample) { s.Branch = 3 },
		"turn [0, 4) does not lie within":    func(s *Sample) { s.Turns = []Span{{0, 4}} },
		"it has no tokens":                   func(s *Sample) { s.Tokens = nil },
		"mixes samples of different":         func(s *Sample) { s.Digest = "another pack" },
	} {
		bad := edit
		spoil(&bad)
		if _, err := EditedGroup.Prepare([]Sample{base, bad}, 1); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "sample 1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func turns(values ...float64) Sample {
	s := Sample{Group: 1}
	for k, v := range values {
		span := Span{2 * k, 2*k + 2}
		s.Tokens, s.Turns = append(s.Tokens, 1, 2), append(s.Turns, span)
		s.Rewards = append(s.Rewards, Component{Name: "turn", At: span, Value: v, OK: true})
	}
	return s
}

func credited(t *testing.T, c Credit, s Sample, score float64) []float64 {
	t.Helper()
	one := Normalize{About: About{Name: "given"}, Do: func(Params, *View) []float64 { return []float64{score} }}
	v, err := (&Recipe{Name: "credit", Normalize: one, Credit: c}).Prepare([]Sample{s}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return v.Advantage[0]
}

// Turns: the mean of the tokens' advantages is the sample's where the credits say something, and a dialogue that failed keeps its signal.
func TestTurnCredit(t *testing.T) {
	for _, c := range []struct {
		name    string
		credit  Credit
		rewards []float64
		want    []float64 // per turn, for a score of 2
	}{
		{"only the end earned", TurnReturn(.8), []float64{0, 0, 1}, []float64{2 * .64 * 3 / 2.44, 2 * .8 * 3 / 2.44, 2 * 3 / 2.44}},
		{"nothing earned: the score stays", TurnReturn(.8), []float64{0, 0, 0}, []float64{2, 2, 2}},
		{"losses: the score stays", TurnReturn(.8), []float64{.5, -.6, .2}, []float64{2, 2, 2}},
		{"saturating", TurnSaturating(), []float64{0, 1}, []float64{2 * .5 * 2 / 1.5, 2 * 1 * 2 / 1.5}},
	} {
		got := credited(t, c.credit, turns(c.rewards...), 2)
		sum := 0.0
		for k, w := range c.want {
			near(t, c.name, got[2*k], w, 1e-9)
			sum += got[2*k] / float64(len(c.want))
		}
		near(t, c.name+": mean", sum, 2, 1e-9)
	}
	// Multipliers stay bounded by the number of turns for any rewards that are not negative.
	dice := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		for _, a := range credited(t, TurnReturn(.8), turns(dice.Float64(), dice.Float64(), dice.Float64()), -1) {
			if a > 0 || a < -3 {
				t.Fatalf("a token's advantage is %g", a)
			}
		}
	}
}

// Branches: on their common prefix the gradient is d times the mean of the d branches, and the explicit mean is the same gradient as each branch's own score.
func TestBranchMean(t *testing.T) {
	p := table{{.3, -.2, .1}, {.5, 0, -.5}, {-.1, .2, .4}}
	tail := [][]int32{{0, 1, 2}, {0, 1, 0}, {0, 2, 1}}
	var batch []Sample
	for i, tokens := range tail {
		s := Sample{ID: SampleID(i + 1), Group: 1, Tokens: tokens, Rewards: reward(float64(i * i)), Old: p.logp(tokens)}
		if i > 0 {
			s.Parent, s.Branch = 1, []int{0, 2, 1}[i]
		}
		batch = append(batch, s)
	}
	hard := Recipe{Name: "hard", Normalize: LeaveOneOut(), Credit: BranchMean(), Aggregate: Constant(1), Terms: []Term{Clip(.2, .2)}}
	soft := hard
	soft.Name, soft.Credit = "soft", PerSequence()
	v, h := run(t, &hard, batch, p.all(batch))
	w, s := run(t, &soft, batch, p.all(batch))
	gh, gs := p.gradient(batch, h.W), p.gradient(batch, s.W)
	for k := range gh {
		near(t, "hard against soft", far(gh[k], gs[k]), 0, 1e-12)
	}
	mean := (w.Score[0] + w.Score[1] + w.Score[2]) / 3
	near(t, "first token, shared by three", v.Advantage[2][0], mean, 1e-12)
	near(t, "second token, shared by two", v.Advantage[1][1], (w.Score[0]+w.Score[1])/2, 1e-12)
	near(t, "second token of the third", v.Advantage[2][1], w.Score[2], 1e-12)
}

// Sets: of three equally good answers a group keeps one, sets keep all, and counting variety among failures leaves mass on them.
func TestSetShare(t *testing.T) {
	rewards := []float64{1, 1, 1, 0, 0, 0}
	play := func(r *Recipe) (effective, success float64) {
		const seeds = 8
		for seed := range uint64(seeds) {
			dice := rand.New(rand.NewPCG(seed, 3))
			p := newTable(1, len(rewards))
			p[0][0] = 1
			for range 300 {
				var batch []Sample
				for i := range 16 {
					s := Sample{Group: 1, Set: i / 4, Tokens: p.draw(dice)}
					s.Old, s.Rewards = p.logp(s.Tokens), reward(rewards[s.Tokens[0]])
					batch = append(batch, s)
				}
				_, out := run(t, r, batch, p.all(batch))
				p.add(p.gradient(batch, out.W), 2)
			}
			q := softmax(p[0])
			effective += math.Exp(entropy(q)) / seeds
			success += dot(q, rewards) / seeds
		}
		return effective, success
	}
	group, _ := play(&Recipe{Name: "group", Normalize: Mean(), Aggregate: SequenceMean(), Terms: []Term{Score()}})
	sets, success := play(SetCredit)
	if group > 1.5 || sets < 2.5 || success < .95 {
		t.Errorf("answers kept: group %.2f, sets %.2f of 3; sets succeed %.3f", group, sets, success)
	}
}

// A bonus for improving that is paid to the first attempt too teaches it to fail first.
func TestOwnAttempt(t *testing.T) {
	own := credited(t, OwnAttempt(10), turns(0, 1), 1)
	near(t, "first attempt", own[0], 0, 1e-12)
	near(t, "second attempt", own[2], 1+10, 1e-12)

	// Two attempts, exact gradients: logits of being right first, and second after a wrong and after a right first one.
	play := func(bonus float64, toGo bool) (first, repaired float64) {
		v := []float64{-.5, -3, 3}
		credit := OwnAttempt(bonus)
		for range 1500 {
			g := make([]float64, 3)
			for k := range 4 {
				y1, y2 := float64(k&1), float64(k>>1)
				p1, p2 := sigmoid(v[0]), sigmoid(v[1+k&1])
				chance := (y1*p1 + (1-y1)*(1-p1)) * (y2*p2 + (1-y2)*(1-p2))
				a := credited(t, credit, turns(y1, y2), 1)
				a1, a2 := a[0], a[2]
				if toGo {
					a1 += a2
				}
				g[0] += chance * a1 * (y1 - p1)
				g[1+k&1] += chance * a2 * (y2 - p2)
			}
			for j := range v {
				v[j] += .1 * g[j]
			}
		}
		return sigmoid(v[0]), sigmoid(v[1])
	}
	if first, repaired := play(10, false); first < .95 || repaired < .9 {
		t.Errorf("own credit: right first %.3f, repaired %.3f", first, repaired)
	}
	if first, _ := play(10, true); first > .05 {
		t.Errorf("return to go: right first %.3f; the trap of the method is gone, which is not possible", first)
	}
	if _, repaired := play(0, false); repaired > .5 {
		t.Errorf("without a bonus the second attempt repairs %.3f", repaired)
	}
}

// Distillation needs no reward, and stops at what the teacher does with the text.
func TestContextDistill(t *testing.T) {
	n := newNeedle(6, .9)
	dice := rand.New(rand.NewPCG(11, 1))
	p := newTable(6, 8)
	for range 400 {
		var batch []Sample
		for range 16 {
			s := Sample{Group: 1, Scored: 1, Tokens: p.draw(dice)}
			s.Teacher = n.aware.logp(s.Tokens)
			batch = append(batch, s)
		}
		_, out := run(t, ContextDistill, batch, p.all(batch))
		p.add(p.gradient(batch, out.W), 6)
	}
	near(t, "success of the student", n.success(p), .531, .12)
}

// Best of n imitates one sample of each mixed group and nothing of the others.
func TestBestOfN(t *testing.T) {
	batch := []Sample{
		{Group: 1, Tokens: []int32{1, 1}, Rewards: reward(.2)}, {Group: 1, Tokens: []int32{2, 2}, Rewards: reward(.9)},
		{Group: 2, Tokens: []int32{3}, Rewards: reward(1)}, {Group: 2, Tokens: []int32{4}, Rewards: reward(1)},
	}
	_, out := run(t, BestOfN, batch, [][]float64{{-1, -1}, {-1, -1}, {-1}, {-1}})
	for i, want := range []float64{0, .5, 0, 0} {
		near(t, "weight", out.W[i][0], want, 1e-12)
	}
}

// Roles of one task are compared among themselves.
func TestByRole(t *testing.T) {
	var batch []Sample
	for i, r := range []float64{1, 0, 10, 20} {
		batch = append(batch, Sample{Group: 1, Role: []string{"main", "main", "sub", "sub"}[i], Tokens: []int32{1}, Rewards: reward(r)})
	}
	v, err := (&Recipe{Name: "roles", Normalize: ByRole(Mean())}).Prepare(batch, 1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "scores", far(v.Score, []float64{.5, -.5, -5, 5}), 0, 1e-12)
	near(t, "ranks", far(scores(t, Rank(), judged(3), judged(1), judged(1)), []float64{1, -.5, -.5}), 0, 1e-12)
}

// Advantage-weighted regression is maximum likelihood with a weight that is never negative.
func TestExponential(t *testing.T) {
	r := Recipe{Name: "awr", Terms: []Term{Exponential(2, 5)}}
	for a, want := range map[float64]float64{0: 1, .5: math.E, -1: math.Exp(-2), 9: 5} {
		_, out := run(t, &r, []Sample{{Tokens: []int32{1}, Rewards: reward(a)}}, [][]float64{{-1}})
		near(t, "weight", out.W[0][0], want, 1e-12)
	}
}

// Truncated importance sampling corrects for a sampler that differs, and stale samples are dropped.
func TestCorrections(t *testing.T) {
	s := Sample{Tokens: []int32{1, 2}, Behaviour: []float64{-1, -2}, Old: []float64{-1.5, -1}, Rewards: reward(1), Version: 5}
	stale := s
	stale.Version = 2
	other := s
	other.Scored = 3
	r := Recipe{Name: "is", Select: []Select{TruncatedIS(2), Fresh(1), DropTruncated()}, Aggregate: Constant(1), Terms: []Term{Ratio()}}
	cut := s
	cut.Truncated = true
	v, out := run(t, &r, []Sample{s, stale, other, cut}, [][]float64{s.Old, s.Old, s.Old, s.Old})
	n := 1 / 2.0 // two samples count
	near(t, "corrected", far(out.W[0], []float64{n * math.Exp(-.5), n * 2}), 0, 1e-12)
	near(t, "drawn in another context", far(out.W[2], []float64{n, n}), 0, 1e-12)
	near(t, "stale and cut", far(append(out.W[1], out.W[3]...), []float64{0, 0, 0, 0}), 0, 0)
	drifted := false
	for _, x := range Check(v, [][]float64{s.Old, s.Old, s.Old, s.Old}, out, true, 0) {
		drifted = drifted || x.Rule == "sampler-drift" && !x.Fatal
	}
	if !drifted {
		t.Error("the drift of the sampler was not reported")
	}
}
