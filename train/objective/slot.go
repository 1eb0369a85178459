package objective

import (
	"fmt"
	"strings"
)

// About documents a slot. The printed reference is made of it.
type About struct {
	Name    string `json:"name"` // of the formula, in kebab case
	Formula string `json:"formula"`
	Source  string `json:"source"` // paper or program
	Shapes  string `json:"shapes"` // what is read and written; n samples, T_i tokens
	Units   string `json:"units"`
	Params  Params `json:"parameters,omitempty"`
	Needs   []Need `json:"reads,omitempty"`
}

// Param is a number that a slot can be tuned with.
type Param struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Default float64 `json:"default"`
	Unit    string  `json:"unit"`
}

// Params is the parameters of a slot in their order.
type Params []Param

// value returns a parameter. A name that does not exist is a mistake in this package.
func (p Params) value(name string) float64 {
	for _, x := range p {
		if x.Name == name {
			return x.Value
		}
	}
	panic("objective: no parameter " + name)
}

// with returns a copy in which one parameter has another value.
func (p Params) with(name string, value float64) (Params, bool) {
	out := append(Params(nil), p...)
	for i := range out {
		if out[i].Name == name {
			out[i].Value = value
			return out, true
		}
	}
	return p, false
}

// Need names an input of samples that a slot reads beside Tokens and Rewards.
type Need string

// The needs.
const (
	NeedOld       Need = "old"       // Sample.Old
	NeedRef       Need = "ref"       // Sample.Ref
	NeedBehaviour Need = "behaviour" // Sample.Behaviour
	NeedHist      Need = "hist"      // Sample.Hist
	NeedTeacher   Need = "teacher"   // Sample.Teacher
	NeedValue     Need = "value"     // Sample.Value
	NeedGroup     Need = "group"     // several samples of one task
	NeedPairs     Need = "pairs"     // View.Pairs, made by a Select or given
	NeedEntropy   Need = "entropy"   // an engine with the gradient of the entropy
)

// Compose makes one reward of the components of a sample, and costs that are kept apart. ok is false where the sample could not be judged.
type Compose struct {
	About
	Do func(p Params, s *Sample) (reward float64, costs []float64, ok bool)
}

// Normalize makes a score per sample of View.Reward. Samples that are not View.OK neither count nor get a score. Centred says that the scores of a group sum to zero.
type Normalize struct {
	About
	Centred bool
	Do      func(p Params, v *View) []float64
}

// Credit spreads View.Score over tokens.
type Credit struct {
	About
	Do func(p Params, v *View) [][]float64
}

// Select clears bits of View.Mask, fills View.Scale or View.Picked, or makes View.Pairs. Dice are derived from seed.
type Select struct {
	About
	Do func(p Params, v *View, seed uint64)
}

// Aggregate gives the weight of each token in the loss; the weights of tokens outside of View.Mask are zero.
type Aggregate struct {
	About
	Do func(p Params, v *View) [][]float64
}

// Term adds its loss, W and the weights of the entropy to out, given log-probabilities that are parallel to the samples.
type Term struct {
	About
	Do func(p Params, v *View, logp [][]float64, out *Loss)
}

// With returns the recipe with one parameter changed, named slot.parameter as in "clip.high". The recipe itself is left as it is.
func (r Recipe) With(name string, value float64) (Recipe, error) {
	slot, param, _ := strings.Cut(name, ".")
	found := false
	set := func(a *About) {
		if a.Name == slot {
			if p, ok := a.Params.with(param, value); ok {
				a.Params, found = p, true
			}
		}
	}
	set(&r.Compose.About)
	set(&r.Normalize.About)
	set(&r.Credit.About)
	set(&r.Aggregate.About)
	r.Select, r.Terms = append([]Select(nil), r.Select...), append([]Term(nil), r.Terms...)
	for i := range r.Select {
		set(&r.Select[i].About)
	}
	for i := range r.Terms {
		set(&r.Terms[i].About)
	}
	if !found {
		return r, fmt.Errorf("recipe %s has no parameter %q; it has %s", r.Name, name, strings.Join(r.ParamNames(), ", "))
	}
	return r, nil
}

// Slots lists what fills the slots of a recipe, in their order, with the kind of each.
func (r *Recipe) Slots() []Slot {
	out := []Slot{{"compose", r.compose().About}, {"normalize", r.normalize().About}, {"credit", r.credit().About}}
	for _, s := range r.Select {
		out = append(out, Slot{"select", s.About})
	}
	out = append(out, Slot{"aggregate", r.aggregate().About})
	for _, t := range r.Terms {
		out = append(out, Slot{"term", t.About})
	}
	return out
}

// Slot is one filled slot of a recipe.
type Slot struct {
	Kind string `json:"kind"`
	About
}

// ParamNames lists the names that With understands.
func (r *Recipe) ParamNames() []string {
	var out []string
	for _, s := range r.Slots() {
		for _, p := range s.Params {
			out = append(out, s.Name+"."+p.Name)
		}
	}
	return out
}

// Needs lists what the slots of a recipe read, each once, in the order of the slots.
func (r *Recipe) Needs() []Need {
	var out []Need
	seen := map[Need]bool{}
	for _, s := range r.Slots() {
		for _, n := range s.Needs {
			if !seen[n] {
				seen[n] = true
				out = append(out, n)
			}
		}
	}
	return out
}

// par makes a parameter that stands at a value other than its default.
func par(name string, value, normal float64, unit string) Param {
	return Param{Name: name, Value: value, Default: normal, Unit: unit}
}
