package train

import (
	"github.com/proviso-dev/proviso/engine"
)

// StagePlan is what a stage will do, as far as its data says.
type StagePlan struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Recipe  string `json:"recipe,omitempty"`
	Rows    int    `json:"rows"`    // examples, pairs or tasks
	Dropped int    `json:"dropped"` // rows that are too long
	Steps   int    `json:"steps"`   // batches
	Learned int64  `json:"learned"` // tokens of forward and backward passes, about
	Scored  int64  `json:"scored"`  // tokens of forward passes alone, about
	Drawn   int64  `json:"drawn"`   // tokens that are sampled at most, prompts included
	Longest int    `json:"longest"` // tokens of a batch, at most
}

// Plan reads the data of all stages and says what a run will do. It asks nothing of an engine but its description.
func Plan(s *Settings, text Text, info engine.Info, dir string) ([]StagePlan, error) {
	var out []StagePlan
	for i := range s.Stages {
		g := &s.Stages[i]
		if g.Kind == "soup" {
			out = append(out, StagePlan{Name: g.Name, Kind: g.Kind})
			continue
		}
		m, steps, err := g.prepare(dir, text, contextOf(s, info))
		if err != nil {
			return nil, err
		}
		recipe, err := g.recipe(0)
		if err != nil {
			return nil, err
		}
		p := StagePlan{Name: g.Name, Kind: g.Kind, Recipe: recipe.Name, Rows: m.size(), Dropped: m.dropped, Steps: steps}
		row := m.tokens() / int64(m.size())
		if g.Kind == "rl" {
			group := int64(g.Sample.Plain + g.Sample.Informed)
			row = group * (row + int64(g.Sample.Tokens))
			p.Drawn = int64(steps*g.Batch) * row
		}
		batch := row * int64(g.Batch)
		p.Longest = int(batch)
		p.Learned = int64(steps*g.Inner) * batch
		for _, n := range recipe.Needs() {
			switch n {
			case "old", "ref", "hist", "teacher":
				p.Scored += int64(steps) * batch
			}
		}
		out = append(out, p)
	}
	return out, nil
}
