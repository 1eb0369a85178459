package train

import (
	"context"
	"fmt"

	"github.com/proviso-dev/proviso/engine"
	"github.com/proviso-dev/proviso/train/objective"
)

// Task is something to practise.
type Task struct {
	Prompt   []int32 // what the assistant is to answer
	Informed []int32 // the same after the text of the policy; nil: the row has none
	Row      Row

	digest string // of the policy text
}

// Rollout is one play of a task: what was said after the prompt, and what it is worth. In a dialogue, tokens of users and tools are among Tokens and not Live. Slices are nil or parallel to Tokens.
type Rollout struct {
	Informed  bool // the policy text was shown
	Tokens    []int32
	Live      []bool           // nil: the model said everything
	LogProbs  []float64        // by the sampler
	Turns     []objective.Span // of the model
	Truncated bool             // it was cut off before it ended
	Rewards   []objective.Component
}

func (p *Rollout) check() error {
	n := len(p.Tokens)
	if n == 0 {
		return fmt.Errorf("nothing was said")
	}
	if p.Live != nil && len(p.Live) != n || p.LogProbs != nil && len(p.LogProbs) != n {
		return fmt.Errorf("%d marks and %d log-probabilities for %d tokens", len(p.Live), len(p.LogProbs), n)
	}
	return nil
}

// Roller plays tasks with the weights that an engine is training. Answers is the one that settings describe; one that plays a world of tools and users has dialogues of several turns.
type Roller interface {
	// Roll plays each task draw.Plain times without and draw.Informed times with the policy text, by dice of its seed alone, and judges what came of it. The result is parallel to tasks.
	Roll(ctx context.Context, e engine.Engine, tasks []Task, draw Sampling, seeds []uint64) ([][]Rollout, error)
}

// Answers plays a task by one answer to its prompt.
type Answers struct {
	Text  Text
	Judge Judge
}

// Roll draws the answers to all tasks together and has them judged.
func (a Answers) Roll(ctx context.Context, e engine.Engine, tasks []Task, draw Sampling, seeds []uint64) ([][]Rollout, error) {
	type origin struct {
		task     int
		informed bool
	}
	var reqs []engine.SampleRequest
	var from []origin
	for k := range tasks {
		for _, part := range []struct {
			prompt   []int32
			count    int
			informed bool
		}{{tasks[k].Prompt, draw.Plain, false}, {tasks[k].Informed, draw.Informed, true}} {
			if part.count == 0 {
				continue
			}
			req := engine.SampleRequest{
				Prompt: part.prompt, Count: part.count, MaxTokens: draw.Tokens, Temperature: draw.Temperature, TopP: draw.TopP,
				Seed: mix(seeds[k], one64(part.informed)),
			}
			if end := a.Text.End(); end >= 0 {
				req.Stop = []int32{end}
			}
			reqs, from = append(reqs, req), append(from, origin{k, part.informed})
		}
	}
	drawn, err := engine.SampleBatch(ctx, e, "", reqs)
	if err != nil {
		return nil, err
	}
	out := make([][]Rollout, len(tasks))
	for r, sequences := range drawn {
		k := from[r].task
		for _, d := range sequences {
			judged, err := a.Judge.Judge(ctx, tasks[k].Row, a.Text.Decode(d.Tokens))
			if err != nil {
				return nil, fmt.Errorf("judge: %w", err)
			}
			out[k] = append(out[k], Rollout{
				Informed: from[r].informed, Tokens: d.Tokens, LogProbs: d.LogProbs, Turns: []objective.Span{{Start: 0, End: len(d.Tokens)}}, Truncated: d.Stop == "length", Rewards: judged,
			})
		}
	}
	return out, nil
}

func one64(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// mix derives a seed from others (SplitMix64, Steele, Lea and Flood 2014), so that seeds that are near each other give dice that are not.
func mix(parts ...uint64) uint64 {
	h := uint64(0)
	for _, x := range parts {
		h += x + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}
