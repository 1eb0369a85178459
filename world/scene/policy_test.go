package scene

import (
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso/world"
)

// anyPolicy draws policies of every form.
func anyPolicy(t *rapid.T) Policy {
	o := Options{Pairs: rapid.Bool().Draw(t, "pairs"), Objects: Range{3, rapid.IntRange(3, 10).Draw(t, "most")}}
	return Generate(rapid.Uint64().Draw(t, "seed"), rapid.SampledFrom([]int{1, 2, 2, 3, 3, 4, 4, 5, 6, MaxDepth}).Draw(t, "depth"), o)
}

func TestLevels(t *testing.T) {
	for _, objects := range []Range{{3, 5}, {3, 10}} {
		for seed := range uint64(40) {
			for _, l := range Levels {
				p := Generate(seed, l.Depth, Options{Leaves: l.Leaves, Objects: objects})
				if got := len(p.Leaves()); got != l.Leaves {
					t.Errorf("seed %d, depth %d, %v: %d leaves, want %d", seed, l.Depth, objects, got, l.Leaves)
				}
			}
			if got := len(Generate(seed, 6, Options{Objects: objects}).Leaves()); got != 64 {
				t.Errorf("seed %d, %v: a complete tree of depth 6 has %d leaves", seed, objects, got)
			}
		}
	}
}

// Every leaf of every policy has scenes, found by planting and confirmed by going through the tree, and another response than every other leaf.
func TestEveryLeafHasScenes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy(t)
		dice := rand.New(rand.NewPCG(1, 2))
		said := map[string]bool{}
		for _, leaf := range p.Leaves() {
			for range 3 {
				s, ok := p.At(dice, leaf.Number)
				got, _ := p.Decide(s)
				if !ok || got.Number != leaf.Number || len(s.Objects) < p.Objects.Min || len(s.Objects) > p.Objects.Max {
					t.Fatalf("%s: %s goes to %s", leaf.ID(), s, got.ID())
				}
			}
			if said[leaf.Response()] {
				t.Fatalf("two leaves respond %s", leaf.Response())
			}
			said[leaf.Response()] = true
		}
	})
}

func TestTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy(t)
		dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "dice"), 2))
		s := Random(dice, p.Objects)
		twin, at, ok := p.Twin(dice, s)
		if !ok {
			t.Skip("no object can be exchanged")
		}
		differ := 0
		for i := range s.Objects {
			if s.Objects[i] != twin.Objects[i] {
				differ++
			}
		}
		leaf, steps := p.Decide(s)
		other, _ := p.Decide(twin)
		if differ != 1 || leaf.Number == other.Number {
			t.Fatalf("%d objects differ; leaves %s and %s", differ, leaf.ID(), other.ID())
		}
		c := p.at(1)
		for i, st := range steps[:len(steps)-1] {
			if (c.Test.Holds(twin) != st.Holds) != (i == at) {
				t.Fatalf("step %d of %v turned, but %d was to", i, steps, at)
			}
			c = p.at(child(c.Number, st.Holds))
		}
	})
}

func TestTasks(t *testing.T) {
	p := Generate(7, 4, Options{Objects: Range{3, 5}})
	seen := map[string]string{}
	ids := map[string]bool{}
	for _, split := range []string{Train, Test} {
		tasks := Tasks(p, 320, TaskOptions{Split: split, Compact: true})
		leaves := map[string]int{}
		for _, task := range tasks {
			leaves[task.Leaf]++
			if ids[task.ID] {
				t.Fatalf("the id %s occurs twice", task.ID)
			}
			ids[task.ID] = true
			s, err := ReadScene(task.World)
			if err != nil {
				t.Fatal(err)
			}
			if other := seen[string(s.canonical())]; other != "" && other != split {
				t.Errorf("%s is in two splits", s)
			}
			seen[string(s.canonical())] = split
			if leaf, _ := p.Decide(s); leaf.Response() != task.Gold.Answer || leaf.ID() != task.Leaf {
				t.Errorf("%s: gold %s", s, task.Gold.Answer)
			}
			said, err := world.Read(world.Write(Thought(task.Gold.Steps), task.Gold.Answer))
			if err != nil || strings.Join(said.Cited, " ") != strings.Join(task.Gold.Clauses, " ") {
				t.Errorf("thought cites %v, gold %v (%v)", said.Cited, task.Gold.Clauses, err)
			}
			if strings.Contains(task.Prompt[1].Text, "Case") || strings.Contains(task.Prompt[0].Text, "[") {
				t.Errorf("the prompt says too much: %v", task.Prompt)
			}
		}
		for leaf, n := range leaves {
			if n != 20 {
				t.Errorf("%s: leaf %s has %d tasks, want 20", split, leaf, n)
			}
		}
	}
}

// Leaves that are kept back occur in no other split, and only they in theirs.
func TestUnseenLeaves(t *testing.T) {
	p := Generate(9, 4, Options{})
	kept := map[string]bool{}
	for _, task := range Tasks(p, 40, TaskOptions{Split: Unseen, Unseen: 4}) {
		kept[task.Leaf] = true
	}
	if len(kept) != 4 {
		t.Fatalf("%d leaves are kept back, want 4", len(kept))
	}
	for _, o := range []TaskOptions{{Split: Train, Unseen: 4}, {Split: Test, Unseen: 4, Twins: true}, {Split: Train, Unseen: 4, Natural: true}} {
		for _, task := range Tasks(p, 100, o) {
			if kept[task.Leaf] {
				t.Fatalf("%s is of the leaf %s, which is kept back", task.ID, task.Leaf)
			}
		}
	}
}

// The same seeds give the same bytes, and another seed gives another policy.
func TestTheSameSeed(t *testing.T) {
	world.TestGenerator(t, func(_ testing.TB, seed uint64, n int) (map[string][]byte, []world.Task) {
		p := Generate(seed, 4, Options{Pairs: true})
		return p.Pack(), Tasks(p, n, TaskOptions{Seed: seed, Twins: true, Pictures: true})
	})
}

// A policy from elsewhere may have leaves that nothing leads to.
func TestLeafWithoutScenes(t *testing.T) {
	p := Policy{Name: "twice", Depth: 2, Objects: Range{3, 5}, Clauses: []Clause{
		{Number: 1, Test: Literal{"red"}}, {Number: 2, Test: Literal{"red"}}, {Number: 3, Case: 3}, {Number: 4, Case: 4}, {Number: 5, Case: 5},
	}}
	dice := rand.New(rand.NewPCG(1, 1))
	for leaf, want := range map[int]bool{1: false, 2: false, 3: true, 4: true, 5: false, 6: false} {
		if _, ok := p.At(dice, leaf); ok != want {
			t.Errorf("C%d: %v, want %v", leaf, ok, want)
		}
	}
}

// Where a split has no scenes to give, there are fewer tasks, and an end.
func TestTooFewScenes(t *testing.T) {
	lone := Generate(1, 3, Options{Objects: Range{1, 1}})
	for _, o := range []TaskOptions{{Split: Test}, {Split: Test, Twins: true}, {Split: Unseen, Unseen: 1, Twins: true}, {Split: Unseen, Unseen: 1, Natural: true}, {Split: Unseen}} {
		for _, task := range Tasks(lone, 64, o) {
			if s, err := ReadScene(task.World); err != nil || o.Split == Test && SplitOf(s) != Test {
				t.Errorf("%+v: %s, %v", o, s, err)
			}
		}
	}
	if got := len(Tasks(lone, 64, TaskOptions{Split: Unseen, Unseen: 1, Twins: true})); got != 0 {
		t.Errorf("a single leaf has %d twins within it", got)
	}
}
