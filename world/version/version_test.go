package version

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/lint"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/rollout"
	"github.com/proviso-dev/proviso/world"
)

// A property makes whole packs, so that 50 draws are as much as a test run has time for; -rapid.checks asks for more.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "50"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// compile turns the files of a policy into a compiled one, and fails on any finding of loading, compiling or lint.
func compile(t testing.TB, p *Policy) *policy.Policy {
	t.Helper()
	files, err := p.Files()
	if err != nil {
		t.Fatal(err)
	}
	loaded, found := pack.Load(testkit.FS(files), ".")
	if len(found) > 0 {
		t.Fatalf("load: %v\n%s", found, files["rules.yaml"])
	}
	pol, found := policy.Compile(loaded)
	if len(found) > 0 {
		t.Fatalf("compile: %v", found)
	}
	for _, d := range lint.Check([]*pack.Pack{loaded}, pol) {
		if d.Severity != proviso.Note {
			t.Errorf("lint: %v", d)
		}
	}
	return pol
}

// decide plays one call of a task through a guard in a session of its own.
func decide(t testing.TB, pol *policy.Policy, task *world.Task, c world.Call) (guard.Effect, json.RawMessage, error) {
	t.Helper()
	w, err := Kind.Open(task)
	if err != nil {
		t.Fatal(err)
	}
	g := &guard.Guard{Policy: pol, Journal: &journal.Memory{}}
	if _, err := g.Start(context.Background(), task.ID, nil, &proviso.Lifecycle{Kind: "start", Attributes: task.Session}); err != nil {
		t.Fatal(err)
	}
	args, err := json.Marshal(c.Args)
	if err != nil {
		t.Fatal(err)
	}
	e, err := g.Do(context.Background(), proviso.Event{Session: task.ID, Time: task.Now, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{Tool: c.Tool, Args: args}},
		func(ctx context.Context, ev proviso.Event) (proviso.ToolResult, error) {
			return w.Call(ctx, *ev.Body.(*proviso.ToolCall))
		})
	state, serr := w.State()
	if serr != nil {
		t.Fatal(serr)
	}
	return e, state, err
}

// The compiled pack permits exactly the version of the gold call, and a denial cites the gold's clauses.
func TestPackPermitsTheGoldVersionOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Seed: rapid.Uint64().Draw(t, "seed"), Tools: rapid.IntRange(1, 3).Draw(t, "tools"), Depth: rapid.IntRange(1, 3).Draw(t, "depth")}
		p, err := Generate(o)
		if err != nil {
			t.Fatal(err)
		}
		tb := failing{TB: nil, t: t}
		pol := compile(tb, p)
		trains, tests, err := p.Tasks(12, 12)
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range append(trains, tests...) {
			e, state, err := decide(tb, pol, &task, task.Gold.Calls[0])
			if err != nil {
				t.Fatalf("%s: the gold call: %v", task.ID, err)
			}
			if !bytes.Equal(state, task.Gold.State) {
				t.Fatalf("%s: state %s, gold %s", task.ID, state, task.Gold.State)
			}
			for _, c := range task.Gold.Forbidden {
				if e, state, err = decide(tb, pol, &task, c); err == nil || e.Record.Decision.Outcome != proviso.Deny {
					t.Fatalf("%s: %s is not denied", task.ID, c.Tool)
				}
				if string(state) != `{"calls":[]}` {
					t.Fatalf("%s: a denied call was carried out: %s", task.ID, state)
				}
				if got := cited(e.Record.Decision); !slices.Equal(got, task.Gold.Clauses) {
					t.Fatalf("%s: cites %v, want %v", task.ID, got, task.Gold.Clauses)
				}
			}
		}
	})
}

func cited(d proviso.Decision) []string {
	var out []string
	for _, r := range d.Reasons {
		for _, c := range r.Clauses {
			out = append(out, c.ID)
		}
	}
	return out
}

// failing lets helpers of testing.TB report to rapid.
type failing struct {
	testing.TB
	t *rapid.T
}

func (f failing) Helper()                   {}
func (f failing) Fatal(a ...any)            { f.t.Fatal(a...) }
func (f failing) Fatalf(s string, a ...any) { f.t.Fatalf(s, a...) }
func (f failing) Errorf(s string, a ...any) { f.t.Errorf(s, a...) }

// Where the session has no profile, nothing is permitted.
func TestNothingWithoutAProfile(t *testing.T) {
	p, err := Generate(Options{Seed: 5, Tools: 2})
	if err != nil {
		t.Fatal(err)
	}
	trains, _, err := p.Tasks(4, 0)
	if err != nil {
		t.Fatal(err)
	}
	pol := compile(t, p)
	for _, task := range trains {
		task.Session = nil
		if _, _, err := decide(t, pol, &task, task.Gold.Calls[0]); err == nil {
			t.Errorf("%s: permitted without a profile", task.ID)
		}
	}
}

// The kind keeps the contract of worlds under a guard.
func TestKindContract(t *testing.T) {
	p, err := Generate(Options{Seed: 8, Tools: 2})
	if err != nil {
		t.Fatal(err)
	}
	trains, _, err := p.Tasks(8, 0)
	if err != nil {
		t.Fatal(err)
	}
	pol := compile(t, p)
	rollout.TestKind(t, Kind, trains, func(*world.Task) (*policy.Policy, error) { return pol, nil }, rollout.Config{})
}

// Both sides of every edge are test points, whatever the sizes of the sets, and lead to different versions.
func TestEveryEdgeIsATestPoint(t *testing.T) {
	p, err := Generate(Options{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	_, tests, err := p.Tasks(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]world.Task{}
	for _, task := range tests {
		byID[task.ID] = task
	}
	edges := 0
	for _, r := range p.rules {
		for _, cut := range r.root.cuts {
			edges++
			low, ok1 := byID[p.name+"/boundary/"+r.tool.name+"-"+itoa(cut)]
			high, ok2 := byID[p.name+"/boundary/"+r.tool.name+"-"+itoa(cut+1)]
			if !ok1 || !ok2 || low.Twin != high.ID || high.Twin != low.ID {
				t.Fatalf("%s %s %d: not tested on both sides", r.tool.name, r.root.field.name, cut)
			}
			if low.Gold.Answer == high.Gold.Answer {
				t.Errorf("%s and its twin have the same answer", low.ID)
			}
			if got, want := low.Session[r.root.field.name], int64(cut); got != want {
				t.Errorf("%s: %s is %v", low.ID, r.root.field.name, got)
			}
		}
	}
	if len(tests) != 2*edges {
		t.Errorf("%d tasks for %d edges", len(tests), edges)
	}
	// The band (250, 750] of the document has 251 and 750 inside, and 250 and 751 outside.
	f := &fields[0]
	for v, in := range map[int64]bool{250: false, 251: true, 750: true, 751: false} {
		x := literal{field: f, above: 250, upTo: 750, holds: true}
		if x.true(profile{f.name: v}) != in {
			t.Errorf("%d in (250, 750]: %v", v, !in)
		}
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

// Equal options give equal bytes, another seed others; larger sets begin with smaller ones, and no task is in both.
func TestSeedDecidesEverything(t *testing.T) {
	world.TestGenerator(t, func(t testing.TB, seed uint64, n int) (map[string][]byte, []world.Task) {
		p, err := Generate(Options{Seed: seed, Tools: 4})
		if err != nil {
			t.Fatal(err)
		}
		files, err := p.Files()
		if err != nil {
			t.Fatal(err)
		}
		trains, tests, err := p.Tasks(n, n)
		if err != nil {
			t.Fatal(err)
		}
		if len(trains) != n || len(tests) < n {
			t.Fatalf("%d and %d tasks, want %d", len(trains), len(tests), n)
		}
		seen := map[string]bool{}
		for _, task := range append(slices.Clone(trains), tests...) {
			if seen[key(&task)] || seen[task.ID] {
				t.Fatalf("%s occurs twice", task.ID)
			}
			seen[key(&task)], seen[task.ID] = true, true
		}
		return files, trains
	})
}

// Every leaf is asked for equally often, and the prompt does not say which version is right.
func TestTasksByLeaf(t *testing.T) {
	p, err := Generate(Options{Seed: 3, Tools: 2})
	if err != nil {
		t.Fatal(err)
	}
	leaves := len(p.rules[0].leaves) + len(p.rules[1].leaves)
	trains, _, err := p.Tasks(5*leaves, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, task := range trains {
		n[task.Leaf]++
		for _, m := range task.Prompt {
			if strings.Contains(m.Text, "_v") {
				t.Errorf("%s: the prompt names a version: %s", task.ID, m.Text)
			}
		}
	}
	for l, k := range n {
		if k != 5 {
			t.Errorf("leaf %s has %d tasks, want 5", l, k)
		}
	}
}

// What a world does not have it refuses, and the play goes on.
func TestWorldRefuses(t *testing.T) {
	p, err := Generate(Options{Seed: 3, Tools: 1})
	if err != nil {
		t.Fatal(err)
	}
	trains, _, err := p.Tasks(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	w, err := Kind.Open(&trains[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []proviso.ToolCall{
		{Tool: "OCR_v9", Args: proviso.JSON(`{"image":"a.png"}`)},
		{Tool: "OCR_v0", Args: proviso.JSON(`{"image":"a.png"}`)},
		{Tool: "OCR", Args: proviso.JSON(`{"image":"a.png"}`)},
		{Tool: "OCR_v1", Args: proviso.JSON(`{}`)},
		{Tool: "OCR_v1", Args: proviso.JSON(`{"image":"a.png","x":1}`)},
		{Tool: "OCR_v1", Args: proviso.JSON(`{"image":"a.png","image":"b.png"}`)},
		{Tool: "OCR_v1", Args: proviso.JSON(`[]`)},
	} {
		if r, err := w.Call(context.Background(), c); err != nil || !r.IsError {
			t.Errorf("%s %s: %+v, %v", c.Tool, c.Args, r, err)
		}
	}
	if s, _ := w.State(); string(s) != `{"calls":[]}` {
		t.Errorf("state %s", s)
	}
	if _, err := Kind.Open(&world.Task{World: json.RawMessage(`{"tool":1}`)}); err == nil {
		t.Error("a world of another kind was opened")
	}
	for _, o := range []Options{{Tools: 14}, {Tools: -1}, {Depth: 4}, {Depth: -1}} {
		if _, err := Generate(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}
