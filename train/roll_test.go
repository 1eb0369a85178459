package train

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/engine"
	"github.com/proviso-dev/proviso/train/objective"
)

// desk plays a dialogue of two turns: the model says a letter, a tool echoes "?", the model says another. The first turn earns 1 for a, the second for b.
type desk struct{ spoil func(*Rollout) }

func (d desk) Roll(ctx context.Context, e engine.Engine, tasks []Task, draw Sampling, seeds []uint64) ([][]Rollout, error) {
	out := make([][]Rollout, len(tasks))
	for k, t := range tasks {
		for i := range draw.Plain {
			say := func(after []int32, seed uint64) (int32, float64, error) {
				s, err := e.Sample(ctx, "", engine.SampleRequest{Prompt: append(append([]int32(nil), t.Prompt...), after...), MaxTokens: 1, Temperature: 1, Seed: seed})
				if err != nil {
					return 0, 0, err
				}
				return s[0].Tokens[0], s[0].LogProbs[0], nil
			}
			first, l1, err := say(nil, mix(seeds[k], uint64(i), 1))
			if err != nil {
				return nil, err
			}
			second, l2, err := say([]int32{first, '?'}, mix(seeds[k], uint64(i), 2))
			if err != nil {
				return nil, err
			}
			p := Rollout{Tokens: []int32{first, '?', second}, Live: []bool{true, false, true}, LogProbs: []float64{l1, 0, l2}, Turns: []objective.Span{{Start: 0, End: 1}, {Start: 2, End: 3}}}
			for turn, want := range []int32{'a', 'b'} {
				p.Rewards = append(p.Rewards, objective.Component{Name: "turn", At: p.Turns[turn], Value: one(p.Tokens[2*turn] == want), OK: true})
			}
			if d.spoil != nil {
				d.spoil(&p)
			}
			out[k] = append(out[k], p)
		}
	}
	return out, nil
}

// A dialogue is learnt turn by turn, and the tool's words are not.
func TestRoller(t *testing.T) {
	dir := folder(t, map[string]string{"tasks.jsonl": `{"prompt":"go:"}` + "\n", "hint.jsonl": `{"prompt":"go:","completion":"a"}` + "\n" + `{"prompt":"go:a?","completion":"b"}` + "\n"})
	stages := "stages:\n  - {name: hint, kind: sft, data: [hint.jsonl], steps: 3, batch: 2, optimizer: {rate: 1}}\n" +
		"  - {name: play, kind: rl, recipe: turn-credit, data: [tasks.jsonl], steps: 40, batch: 1, optimizer: {rate: 0.3}, sample: {plain: 16, tokens: 4}, reward: [{rule: length}]}\n"
	h := host(dir)
	h.Roller = desk{}
	var seen []Metrics
	h.Watch = func(m *Metrics) { seen = append(seen, *m) }
	if _, err := Run(context.Background(), settings(t, stages), h); err != nil {
		t.Fatal(err)
	}
	if first, last := seen[3], seen[len(seen)-1]; last.Reward < 1.9 || first.Reward > 1.7 {
		t.Errorf("the reward went from %.2f to %.2f of 2", first.Reward, last.Reward)
	}
	for name, spoil := range map[string]func(*Rollout){
		"nothing was said": func(p *Rollout) { p.Tokens = nil }, "1 marks": func(p *Rollout) { p.Live = []bool{true} }, "does not lie within": func(p *Rollout) { p.Turns[1].End = 9 },
	} {
		h := host(dir)
		h.Roller = desk{spoil}
		_, err := Run(context.Background(), settings(t, "output: "+strings.ReplaceAll(name, " ", "-")+"\n"+stages), h)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("the world has ended")
	h = host(dir)
	h.Roller = failing{broken}
	if _, err := Run(context.Background(), settings(t, "output: broken\n"+stages), h); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Roll(context.Context, engine.Engine, []Task, Sampling, []uint64) ([][]Rollout, error) {
	return nil, fmt.Errorf("roll: %w", f.err)
}
