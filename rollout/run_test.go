package rollout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/world"
)

func shopRun(t testing.TB) RunConfig {
	return RunConfig{Config: Config{ModelOf: Gold, Kinds: []world.Kind{shop}, Policy: shopPolicy(t), Seed: 5}, Samples: 2, Workers: 4, Subject: "gold"}
}

func text(t testing.TB, list []Result) string { return string(jsonOf(t, list)) }

func TestRunIsInOrder(t *testing.T) {
	tasks := shopTasks(20)
	cfg := shopRun(t)
	var last Progress
	cfg.Progress = func(p Progress) { last = p }
	list, err := Run(context.Background(), tasks, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range list {
		if r.Task != tasks[i/2].ID || r.Sample != i%2 || r.Error != "" || !r.Outcome.Right {
			t.Errorf("%d: %+v", i, r)
		}
	}
	sum := Total(list)
	if len(list) != 40 || last != (Progress{Plays: 40, Done: 40, Right: 40}) || sum.Plays != 40 || sum.Right != 40 || sum.Forbidden.Escaped != 0 {
		t.Errorf("%d results, %+v, %+v", len(list), last, sum)
	}
	cfg.Workers, cfg.Progress = 1, nil
	alone, err := Run(context.Background(), tasks, cfg)
	if err != nil || text(t, alone) != text(t, list) {
		t.Errorf("one worker plays otherwise: %v", err)
	}
	cfg.Seed++
	if other, _ := Run(context.Background(), tasks, cfg); text(t, other) == text(t, list) {
		t.Error("another seed plays the same")
	}
}

func TestRunOfNothing(t *testing.T) {
	if _, err := Run(context.Background(), nil, shopRun(t)); !errors.Is(err, ErrEmpty) {
		t.Errorf("%v", err)
	}
}

// flaky fails where a task's number ends in 3, and panics where it ends in 7.
type flaky struct {
	llm.Model
	id   string
	well *atomic.Bool
}

func (f flaky) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	if !f.well.Load() && strings.HasSuffix(f.id, "3") {
		return llm.Response{}, errors.New("the endpoint is down")
	}
	if !f.well.Load() && strings.HasSuffix(f.id, "7") {
		panic("a bug")
	}
	return f.Model.Complete(ctx, r)
}

func TestErrorsAreCountedAndPlayedAgain(t *testing.T) {
	tasks := shopTasks(10)
	cfg := shopRun(t)
	var well atomic.Bool
	cfg.ModelOf = func(task *world.Task) llm.Model { return flaky{Gold(task), task.ID, &well} }
	cfg.File = filepath.Join(t.TempDir(), "plays.jsonl")
	list, err := Run(context.Background(), tasks, cfg)
	if sum := Total(list); err != nil || sum.Errors != 4 || sum.Right != 16 {
		t.Fatalf("%+v, %v", sum, err)
	}
	for _, r := range list {
		if r.Error != "" && (r.Outcome.Right || !strings.Contains(r.Error, CodeModel)) {
			t.Errorf("%+v", r)
		}
	}
	well.Store(true)
	list, err = Run(context.Background(), tasks, cfg)
	if sum := Total(list); err != nil || sum.Errors != 0 || sum.Right != 20 {
		t.Fatalf("played again: %+v, %v", sum, err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cfg := shopRun(t)
	cfg.Workers = 1
	cfg.Progress = func(p Progress) {
		if p.Done == 5 {
			cancel()
		}
	}
	list, err := Run(ctx, shopTasks(10), cfg)
	if !errors.Is(err, context.Canceled) || len(list) != 5 {
		t.Errorf("%d results, %v", len(list), err)
	}
}

func TestFileOfSomethingElse(t *testing.T) {
	tasks := shopTasks(3)
	good := filepath.Join(t.TempDir(), "plays.jsonl")
	cfg := shopRun(t)
	cfg.File = good
	if _, err := Run(context.Background(), tasks, cfg); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.ReadFile(good)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for name, c := range map[string]struct {
		bytes   []byte
		change  func(*RunConfig)
		damaged bool
	}{
		"notes":      {bytes: []byte("my notes\n")},
		"no line":    {bytes: []byte("my notes")},
		"subject":    {bytes: whole, change: func(c *RunConfig) { c.Subject = "other" }},
		"shadow":     {bytes: whole, change: func(c *RunConfig) { c.Shadow = true }},
		"traces":     {bytes: whole, change: func(c *RunConfig) { c.Traces = true }, damaged: true},
		"twice":      {bytes: bytes.Join([][]byte{lines[0], lines[1], lines[1]}, nil), damaged: true},
		"no json":    {bytes: append(bytes.Clone(lines[0]), "{\n"...), damaged: true},
		"other task": {bytes: bytes.Replace(whole, []byte(`"task":"t1"`), []byte(`"task":"t2"`), 1), damaged: true},
		"too many":   {bytes: bytes.Replace(whole, []byte(`"play":5`), []byte(`"play":6`), 1), damaged: true},
	} {
		bad := cfg
		bad.File = filepath.Join(t.TempDir(), "plays.jsonl")
		os.WriteFile(bad.File, c.bytes, 0o600)
		if c.change != nil {
			c.change(&bad)
		}
		_, err := Run(context.Background(), tasks, bad)
		var fe *FileError
		if !errors.As(err, &fe) || fe.Damaged != c.damaged {
			t.Errorf("%s: %v", name, err)
		}
		if after, _ := os.ReadFile(bad.File); !bytes.Equal(after, c.bytes) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

// Every prefix of a file goes on to the same results: that is all that a crash can leave.
func TestEveryPrefixGoesOn(t *testing.T) {
	tasks := shopTasks(2)
	cfg := shopRun(t)
	cfg.Traces = true
	cfg.File = filepath.Join(t.TempDir(), "plays.jsonl")
	list, err := Run(context.Background(), tasks, cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := text(t, list)
	whole, _ := os.ReadFile(cfg.File)
	for n := 0; n <= len(whole); n += 397 {
		os.WriteFile(cfg.File, whole[:n], 0o600)
		list, err := Run(context.Background(), tasks, cfg)
		if err != nil || text(t, list) != want {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
}

// slow takes its time, so that a run can be killed in the middle.
type slow struct{ llm.Model }

func (s slow) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	time.Sleep(5 * time.Millisecond)
	return s.Model.Complete(ctx, r)
}

const childEnv = "PROVISO_ROLLOUT_CHILD"

// A process that plays is killed again and again; the run ends with the results of one that was not.
func TestKilled(t *testing.T) {
	tasks := shopTasks(20)
	cfg := shopRun(t)
	cfg.Workers = 2
	if file := os.Getenv(childEnv); file != "" {
		cfg.File = file
		cfg.ModelOf = func(task *world.Task) llm.Model { return slow{Gold(task)} }
		Run(context.Background(), tasks, cfg)
		return
	}
	whole, err := Run(context.Background(), tasks, cfg)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "plays.jsonl")
	for k := range 3 {
		testkit.Kill(t, "TestKilled", childEnv+"="+file, testkit.Grown(file, 400*int64(k+1)))
	}
	kept, _ := os.ReadFile(file)
	n := bytes.Count(kept, []byte("\n")) - 1
	if n < 1 || n >= 40 {
		t.Fatalf("%d of 40 plays were kept; the test kills too late or too early", n)
	}
	cfg.File = file
	resumed := 0
	cfg.Progress = func(p Progress) { resumed = p.Resumed }
	list, err := Run(context.Background(), tasks, cfg)
	if err != nil || text(t, list) != text(t, whole) || resumed != n {
		t.Errorf("%d of %d plays went on: %v", resumed, n, err)
	}
}

// The shield gap of the twins without weights: what an offender does where nothing holds it back, and what of it escapes a guard.
func TestShieldGap(t *testing.T) {
	tasks := shopTasks(40)
	cfg := shopRun(t)
	cfg.ModelOf, cfg.Subject = Offender, "offender"
	for _, shadow := range []bool{true, false} {
		cfg.Shadow = shadow
		list, err := Run(context.Background(), tasks, cfg)
		if err != nil {
			t.Fatal(err)
		}
		sum := Total(list)
		if escaped := sum.Forbidden.Escaped > 0; escaped != shadow || sum.Forbidden.Attempted == 0 {
			t.Errorf("shadow %v: %+v", shadow, sum.Forbidden)
		}
		if !shadow {
			fmt.Printf("figure: rollout.offender_interventions_per_1000 = %.0f (n=%d)\n", sum.PerThousand(), sum.Actions)
			fmt.Printf("figure: rollout.offender_escaped = %d (n=%d)\n", sum.Forbidden.Escaped, sum.Forbidden.Attempted)
		}
	}
}

func TestTracesAreRecords(t *testing.T) {
	cfg := shopRun(t)
	cfg.Traces = true
	list, err := Run(context.Background(), shopTasks(2), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		for i, rec := range r.Trace.Records {
			if rec.Event.Seq != uint64(i)+1 || rec.Event.Session != r.Task {
				t.Errorf("record %d is number %d of %s", i, rec.Event.Seq, rec.Event.Session)
			}
		}
		if n := len(r.Trace.Records); n == 0 || r.Trace.Records[0].Event.Point != proviso.SessionStart {
			t.Errorf("%d records", n)
		}
	}
}
