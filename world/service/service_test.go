package service

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/lint"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/rollout"
	"github.com/proviso-dev/proviso/world"
)

// A property makes whole services, so that 25 draws are as much as a test run has time for; -rapid.checks asks for more.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// reporter is what a test and rapid's property have in common.
type reporter interface {
	Fatalf(string, ...any)
}

// compile turns the files of a service into a compiled policy, and fails on any finding of loading, compiling or lint.
func compile(t reporter, s *Service) (*policy.Policy, *pack.Pack) {
	files, err := s.Files()
	if err != nil {
		t.Fatalf("%v", err)
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
			t.Fatalf("lint: %v", d)
		}
	}
	return pol, loaded
}

// game is one play of a task through a guard.
type game struct {
	t    reporter
	g    *guard.Guard
	w    world.World
	task *world.Task
}

func begin(t reporter, pol *policy.Policy, task *world.Task) *game {
	w, err := Kind.Open(task)
	if err != nil {
		t.Fatalf("%v", err)
	}
	g := &game{t, &guard.Guard{Policy: pol, Journal: &journal.Memory{}}, w, task}
	if _, err := g.g.Start(context.Background(), task.ID, nil, &proviso.Lifecycle{Kind: "start", Attributes: task.Session}); err != nil {
		t.Fatalf("start: %v", err)
	}
	return g
}

// call decides a call and, where it is allowed, makes it. The result of a tool may be an error: that is how a wrong PIN shows.
func (g *game) call(c world.Call) (proviso.Decision, proviso.ToolResult) {
	args, err := json.Marshal(c.Args)
	if err != nil {
		g.t.Fatalf("%v", err)
	}
	var result proviso.ToolResult
	e, err := g.g.Do(context.Background(), proviso.Event{Session: g.task.ID, Time: g.task.Now, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{Tool: c.Tool, Args: args}},
		func(ctx context.Context, ev proviso.Event) (proviso.ToolResult, error) {
			var err error
			result, err = g.w.Call(ctx, *ev.Body.(*proviso.ToolCall))
			return result, err
		})
	if e.Record == nil {
		g.t.Fatalf("%s: %s: %v", g.task.ID, c.Tool, err)
	}
	return e.Record.Decision, result
}

func (g *game) state() string {
	s, err := g.w.State()
	if err != nil {
		g.t.Fatalf("%v", err)
	}
	return string(s)
}

// cites reports whether the reasons name the clause.
func cites(d proviso.Decision, clause string) bool {
	for _, r := range d.Reasons {
		if slices.ContainsFunc(r.Clauses, func(c proviso.Clause) bool { return c.ID == clause }) {
			return true
		}
	}
	return false
}

// The plan of every task is allowed and leads to the gold state; what is forbidden is denied for the last clause of the way, or for whose record it is, and changes nothing.
func TestGoldPlaysAndTheForbiddenIsDenied(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := Knobs{Procedures: rapid.IntRange(1, 6).Draw(t, "procedures"), Depth: rapid.IntRange(1, 4).Draw(t, "depth"), Rows: rapid.IntRange(2, 8).Draw(t, "rows"), Query: rapid.IntRange(1, 4).Draw(t, "query")}
		s, err := Generate(Options{Seed: rapid.Uint64().Draw(t, "seed"), Knobs: k})
		if err != nil {
			t.Fatal(err)
		}
		pol, _ := compile(t, s)
		trains, tests, err := s.Tasks(TaskOptions{Train: 6, Test: 6, Terse: rapid.Bool().Draw(t, "terse")})
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range append(trains, tests...) {
			proper(t, pol, &task)
		}
	})
}

func proper(t reporter, pol *policy.Policy, task *world.Task) {
	g := begin(t, pol, task)
	if g.state() != "{}" {
		t.Fatalf("%s: the state begins as %s", task.ID, g.state())
	}
	for i, c := range task.Gold.Plan {
		before := g.state()
		if i == len(task.Gold.Plan)-1 && task.Gold.Succeed { // just before the act
			for _, bad := range task.Gold.Forbidden {
				forbidden(t, g, bad)
			}
			if g.state() != before {
				t.Fatalf("%s: a forbidden call changed the state to %s", task.ID, g.state())
			}
		}
		d, result := g.call(c)
		if d.Outcome != proviso.Allow {
			t.Fatalf("%s: plan %d: %s %v is not allowed: %+v", task.ID, i, c.Tool, c.Args, d)
		}
		wrong := c.Tool == "verify_customer" && task.Leaf == ClauseVerify
		if result.IsError != wrong {
			t.Fatalf("%s: plan %d: %s answers %q", task.ID, i, c.Tool, result.Text)
		}
	}
	if !task.Gold.Succeed {
		for _, bad := range task.Gold.Forbidden {
			d, _ := g.call(bad)
			if last := task.Gold.Clauses[len(task.Gold.Clauses)-1]; d.Outcome != proviso.Deny || !cites(d, last) {
				t.Fatalf("%s: the tempting call %s %v: %s, want a denial that cites %s", task.ID, bad.Tool, bad.Args, d.Outcome, last)
			}
		}
	}
	if g.state() != string(task.Gold.State) {
		t.Fatalf("%s: the state is %s, the gold's %s", task.ID, g.state(), task.Gold.State)
	}
	if task.Gold.Succeed == (string(task.Gold.State) == "{}") || task.Gold.Succeed != (len(task.Gold.Calls) > 0) {
		t.Fatalf("%s: succeeds: %v, state %s, calls %v", task.ID, task.Gold.Succeed, task.Gold.State, task.Gold.Calls)
	}
}

// forbidden plays a forbidden call of a task that succeeds, after opening the record that it names.
func forbidden(t reporter, g *game, bad world.Call) {
	key := slices.Collect(func(yield func(string) bool) {
		for k := range bad.Args {
			if strings.HasSuffix(k, "_id") {
				yield(k)
			}
		}
	})[0]
	if d, _ := g.call(world.Call{Tool: "get_" + strings.TrimSuffix(key, "_id"), Args: map[string]any{key: bad.Args[key]}}); d.Outcome != proviso.Allow {
		t.Fatalf("%s: opening %v: %+v", g.task.ID, bad.Args[key], d)
	}
	d, _ := g.call(bad)
	last := g.task.Gold.Clauses[len(g.task.Gold.Clauses)-1]
	if bad.Args[key] != g.task.Gold.Calls[0].Args[key] {
		last = ClauseOwn
	}
	if d.Outcome != proviso.Deny || !cites(d, last) {
		t.Fatalf("%s: %s %v: %s, want a denial that cites %s: %+v", g.task.ID, bad.Tool, bad.Args, d.Outcome, last, d.Reasons)
	}
}

// Packs of every level are without findings, and their cases pass.
func TestPacksOfEveryLevel(t *testing.T) {
	for n := 1; n <= MaxLevel; n++ {
		k, err := Level(n)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Generate(Options{Seed: uint64(40 + n), Knobs: k})
		if err != nil {
			t.Fatal(err)
		}
		pol, loaded := compile(t, s)
		for _, c := range audit.Test(pol, loaded.Tests) {
			if !c.Passed() {
				t.Errorf("level %d: %s: %v", n, c.Name, c.Failures)
			}
		}
		deepest := 0
		for _, p := range s.procedures {
			for _, l := range p.leaves {
				deepest = max(deepest, len(l.path))
			}
		}
		if len(s.procedures) != k.Procedures || deepest != k.Depth {
			t.Errorf("level %d: %d procedures, %d conditions deep, want %+v", n, len(s.procedures), deepest, k)
		}
		t.Logf("level %d: %d cases, %d bytes of policy", n, len(loaded.Tests), len(s.Text()))
	}
	for _, n := range []int{0, -1, MaxLevel + 1} {
		if _, err := Level(n); err == nil {
			t.Errorf("level %d exists", n)
		}
	}
}

// No condition is decided by those before it: each asks something new, and the values drawn for a leaf lead there. The failing condition of a twin can be any, those of every request among them.
func TestConditionsAreOpen(t *testing.T) {
	stopped := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		k := Knobs{Procedures: 4, Depth: rapid.IntRange(1, 6).Draw(t, "depth"), Rows: 2, Query: 2}
		s, err := Generate(Options{Seed: rapid.Uint64().Draw(t, "seed"), Knobs: k})
		if err != nil {
			t.Fatal(err)
		}
		d := dice(1, "test")
		for _, p := range s.procedures {
			halves := map[bool]int{}
			for _, l := range p.leaves {
				asked := map[*variable]bool{}
				for _, x := range l.path {
					if asked[x.n.lit.v] {
						t.Fatalf("%s asks for %s twice", l.id, x.n.lit.v.name)
					}
					asked[x.n.lit.v] = true
				}
				halves[l.allow]++
				for _, every := range []grid{everyNumber, everyStep} {
					a, b, ok := s.pair(d, p, l, every)
					if p.leaf(a.values) != l {
						t.Fatalf("the values drawn for %s lead to %s", l.id, p.leaf(a.values).id)
					}
					if ok {
						stopped[b.stops] = true
					}
				}
			}
			if halves[true] == 0 || halves[false] == 0 {
				t.Fatalf("%s has %d leaves that act and %d that refuse", p.tool(), halves[true], halves[false])
			}
		}
	})
	if !stopped[""] || !stopped[ClauseVerify] || !stopped[ClauseOwn] {
		t.Errorf("what fails in twins: %v", stopped)
	}
}

// Twins differ in one literal and have opposite golds; the halves are equal, every leaf occurs, and what was kept out of the training set is not in it.
func TestTasksAreTwins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3).Draw(t, "level")
		k, _ := Level(n)
		k.Rows = 4
		s, err := Generate(Options{Seed: rapid.Uint64().Draw(t, "seed"), Knobs: k})
		if err != nil {
			t.Fatal(err)
		}
		leaves := 0
		for _, p := range s.procedures {
			leaves += len(p.leaves)
		}
		hidden := rapid.IntRange(0, leaves/4).Draw(t, "unseen")
		trains, tests, err := s.Tasks(TaskOptions{Train: 2 * leaves, Test: 2 * leaves, Unseen: hidden})
		if err != nil {
			t.Fatal(err)
		}
		learnt, unseen := map[string]bool{}, map[string]bool{}
		for _, set := range [][]world.Task{trains, tests} {
			if len(set) != 2*leaves {
				t.Fatalf("%d tasks, want %d", len(set), 2*leaves)
			}
			for i := 0; i < len(set); i += 2 {
				a, b := &set[i], &set[i+1]
				if a.Twin != b.ID || b.Twin != a.ID || (a.Split == Train) != (b.Split == Train) || a.Gold.Succeed == b.Gold.Succeed {
					t.Fatalf("%s and %s are no twins", a.ID, b.ID)
				}
				if d := differences(t, a, b); d != 1 {
					t.Fatalf("%s and %s differ in %d places", a.ID, b.ID, d)
				}
			}
		}
		for _, x := range trains {
			learnt[x.Leaf] = true
		}
		for _, x := range tests {
			switch fresh := !learnt[x.Leaf]; {
			case fresh && x.Split != Unseen && hidden > 0:
				unseen[x.Leaf] = true // a leaf that the training set happens not to have, because all its twins are kept out
			case !fresh && x.Split == Unseen:
				t.Fatalf("%s is called unseen, and %s was trained on", x.ID, x.Leaf)
			}
		}
		if hidden == 0 && len(unseen) > 0 {
			t.Fatalf("leaves without a training task: %v", unseen)
		}
	})
}

// differences counts what differs in the situations of twins: columns, attributes, and what the user says.
func differences(t reporter, a, b *world.Task) int {
	n := 0
	var sa, sb setting
	if proviso.DecodeStrict(a.World, &sa) != nil || proviso.DecodeStrict(b.World, &sb) != nil {
		t.Fatalf("%s: no world", a.ID)
	}
	for name, rows := range sa.Tables {
		for key, row := range rows {
			for column, v := range row {
				if sb.Tables[name][key][column] != v {
					n++
				}
			}
		}
	}
	for k, v := range a.Session {
		if b.Session[k] != v {
			n++
		}
	}
	if a.User.Goal != b.User.Goal || a.Leaf == ClauseVerify || b.Leaf == ClauseVerify { // the PIN is no part of the goal
		n++
	}
	return n
}

// Equal options give equal bytes, another seed others, and larger sets begin with smaller ones.
func TestSeedDecidesEverything(t *testing.T) {
	read := world.TestGenerator(t, func(t testing.TB, seed uint64, n int) (map[string][]byte, []world.Task) {
		k, _ := Level(3)
		s, err := Generate(Options{Seed: seed, Knobs: k})
		if err != nil {
			t.Fatal(err)
		}
		files, err := s.Files()
		if err != nil {
			t.Fatal(err)
		}
		trains, _, err := s.Tasks(TaskOptions{Train: n})
		if err != nil {
			t.Fatal(err)
		}
		return files, trains
	})
	pol, _ := compile(t, made(t, 1, 3))
	for i := range read { // what was written and read plays as what was made
		proper(t, pol, &read[i])
	}
}

func made(t *testing.T, seed uint64, level int) *Service {
	t.Helper()
	k, err := Level(level)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Generate(Options{Seed: seed, Knobs: k})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The kind keeps the contract of worlds under a guard.
func TestKindContract(t *testing.T) {
	for level := 1; level <= 2; level++ {
		s := made(t, 9, level)
		pol, _ := compile(t, s)
		trains, _, err := s.Tasks(TaskOptions{Train: 12})
		if err != nil {
			t.Fatal(err)
		}
		rollout.TestKind(t, Kind, trains, func(*world.Task) (*policy.Policy, error) { return pol, nil }, rollout.Config{})
	}
}

// What a world cannot carry out it refuses, and nothing changes; a world that is none is not opened.
func TestWorldRefuses(t *testing.T) {
	s := made(t, 9, 2)
	trains, _, err := s.Tasks(TaskOptions{Train: 2})
	if err != nil {
		t.Fatal(err)
	}
	w, err := Kind.Open(&trains[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range append(w.Tools(), llm.Tool{Name: "delete_everything"}) {
		for _, args := range []string{``, `{}`, `[]`, `null`, `{"customer_id":1,"customer_id":2}`, `{"email":"nobody"}`, `{"order_id":7,"fee":-1}`, `{"customer_id":"C0","pin":"0000"}`} {
			if r, err := w.Call(context.Background(), proviso.ToolCall{Tool: tool.Name, Args: proviso.JSON(args)}); err != nil || !r.IsError || r.Text == "" {
				t.Errorf("%s %s: %+v, %v", tool.Name, args, r, err)
			}
		}
	}
	if state, _ := w.State(); string(state) != "{}" {
		t.Errorf("state %s", state)
	}
	for _, bad := range []string{``, `{}`, `{"tools":[{"name":"x","op":"drop"}]}`, `{"tables":{"a":{}},"tools":[{"name":"x","op":"read","table":"b"}]}`,
		`{"tables":{"a":{}},"tools":[{"name":"x","op":"read","table":"a","key":"id"}]}`, `{"scene":1}`} {
		if _, err := Kind.Open(&world.Task{ID: "t", World: json.RawMessage(bad)}); err == nil || !strings.Contains(err.Error(), CodeWorld) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
