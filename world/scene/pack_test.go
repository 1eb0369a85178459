package scene

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/lint"
	"github.com/proviso-dev/proviso/policy/pack"
)

func compiled(t rapid.TB, p Policy, checked bool) *policy.Policy {
	t.Helper()
	pk, ds := pack.Load(testkit.FS(p.Pack()), ".")
	if len(ds) > 0 {
		t.Fatalf("load:\n%v", ds)
	}
	out, ds := policy.Compile(pk)
	if len(ds) > 0 {
		t.Fatalf("compile:\n%v", ds)
	}
	if !checked {
		return out
	}
	if ds := lint.Check([]*pack.Pack{pk}, out); len(ds) > 0 {
		t.Fatalf("lint:\n%v", ds)
	}
	return out
}

// decide asks the compiled pack about one response to a scene.
func decide(p *policy.Policy, s Scene, response string) proviso.Decision {
	ev := proviso.Event{Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "1", Tool: ToolRespond, Args: proviso.JSON(fmt.Sprintf(`{"case":%q}`, response))}}
	return p.Decide(p.Bind(&ev, nil), &policy.View{Session: s.session()})
}

// The compiled pack allows exactly the response that the tree gives, and denies every other one with the clauses of the way.
func TestPackDecidesAsTheTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		depth := rapid.SampledFrom([]int{1, 2, 2, 2, 2, 3, 3, 4}).Draw(t, "depth")
		p := Generate(rapid.Uint64().Draw(t, "seed"), depth, Options{Pairs: rapid.Bool().Draw(t, "pairs")})
		c := compiled(t, p, false)
		dice := rand.New(rand.NewPCG(3, 4))
		scenes := []Scene{Random(dice, p.Objects), Random(dice, p.Objects)}
		leaves := p.Leaves()
		for _, i := range dice.Perm(len(leaves))[:min(6, len(leaves))] {
			s, _ := p.At(dice, leaves[i].Number)
			scenes = append(scenes, s)
		}
		for _, s := range scenes {
			task := p.task(s, "")
			for _, response := range p.Cases() {
				d := decide(c, s, response)
				if (d.Outcome == proviso.Allow) != (response == task.Gold.Answer) || len(d.Errors) > 0 {
					t.Fatalf("%s: %s is %v %v, the tree says %s", s, response, d.Outcome, d.Errors, task.Gold.Answer)
				}
				if response == task.Gold.Answer {
					continue
				}
				var cited []string
				for _, clause := range d.Reasons[0].Clauses {
					cited = append(cited, clause.ID)
				}
				if len(d.Reasons) != 1 || !slices.Equal(cited, task.Gold.Clauses) {
					t.Fatalf("%s: %s cites %v of %d reasons, gold %v", s, response, cited, len(d.Reasons), task.Gold.Clauses)
				}
			}
		}
	})
}

func TestPackWithoutScene(t *testing.T) {
	p := Generate(1, 6, Options{Pairs: true})
	c := compiled(t, p, true)
	for _, response := range p.Cases() {
		if d := decide(c, Scene{}, response); d.Outcome != proviso.Deny {
			t.Errorf("%s is %v where there is no scene", response, d.Outcome)
		}
	}
}
