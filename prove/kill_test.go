package prove_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/eval"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/prove"
)

// TestMain measures the fixture slowly where the variable names the file of answers.
func TestMain(m *testing.M) {
	if name := os.Getenv("PROVISO_TEST_PROVE"); name != "" {
		if _, err := measureFile(name, slow{scripted{models["inventor"]}}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// slow gives a parent the time to kill.
type slow struct{ llm.Model }

func (s slow) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	time.Sleep(2 * time.Millisecond)
	return s.Model.Complete(ctx, req)
}

func measureFile(name string, model llm.Model) (*prove.Proof, error) {
	return prove.Measure(context.Background(), prove.Subject{Name: "inventor", Model: model}, fixture(), prove.Config{File: name, General: general(), Workers: 2})
}

// counting counts what is asked.
type counting struct {
	llm.Model
	asked *atomic.Int64
}

func (c counting) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	c.asked.Add(1)
	return c.Model.Complete(ctx, req)
}

// A proof whose measuring is killed again and again ends as one that was never interrupted, and no kept answer is asked for twice.
func TestKill(t *testing.T) {
	name := filepath.Join(t.TempDir(), "answers.jsonl")
	for round := range 3 {
		if !testkit.Kill(t, "TestKill", "PROVISO_TEST_PROVE="+name, testkit.Grown(name, 3000)) {
			t.Fatalf("round %d ended before it was killed", round)
		}
	}
	var asked atomic.Int64
	got, err := measureFile(name, counting{scripted{models["inventor"]}, &asked})
	if err != nil {
		t.Fatal(err)
	}
	want, err := prove.Measure(context.Background(), prove.Subject{Name: "inventor", Model: scripted{models["inventor"]}}, fixture(), prove.Config{General: general(), Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("after three kills the proof says\n%s, and without\n%s", tell(got), tell(want))
	}
	if n := int(asked.Load()); n == 0 || n > want.Asked-30 {
		t.Errorf("%d of %d requests were asked after the kills", n, want.Asked)
	}
}

// Answers of another model are not taken for those of this one.
func TestOtherSubject(t *testing.T) {
	name := filepath.Join(t.TempDir(), "answers.jsonl")
	if _, err := measureFile(name, scripted{models["perfect"]}); err != nil {
		t.Fatal(err)
	}
	_, err := prove.Measure(context.Background(), prove.Subject{Name: "other", Model: scripted{models["perfect"]}}, fixture(), prove.Config{File: name, General: general()})
	var file *eval.FileError
	if !errors.As(err, &file) || file.Code() != eval.CodeFile {
		t.Errorf("got %v", err)
	}
}

// A request that failed is asked again, and only those.
func TestErrorsAreAskedAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "answers.jsonl")
	first, err := prove.Measure(context.Background(), prove.Subject{Name: "s", Model: scripted{models["broken"]}}, fixture(), prove.Config{File: name})
	if err != nil {
		t.Fatal(err)
	}
	if first.Errors == 0 || first.Complete() {
		t.Fatalf("%d errors", first.Errors)
	}
	var asked atomic.Int64
	again, err := prove.Measure(context.Background(), prove.Subject{Name: "s", Model: counting{scripted{models["perfect"]}, &asked}}, fixture(), prove.Config{File: name})
	if err != nil {
		t.Fatal(err)
	}
	if !again.Complete() || int(asked.Load()) != first.Errors {
		t.Errorf("asked %d again for %d errors; %d are left", asked.Load(), first.Errors, again.Errors)
	}
}

// A model that never answers ends the run instead of failing a thousand times.
func TestDeadModel(t *testing.T) {
	dead := scripted{func(question) (string, error) { return "", errors.New("connection refused") }}
	_, err := prove.Measure(context.Background(), prove.Subject{Name: "dead", Model: dead}, fixture(), prove.Config{})
	var d proviso.Diagnostic
	if !errors.As(err, &d) || d.Code != prove.CodeAsk {
		t.Errorf("got %v", err)
	}
}

// The end of the context is the error, and there is no proof.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var n atomic.Int64
	stop := scripted{func(q question) (string, error) {
		if n.Add(1) == 30 {
			cancel()
		}
		return "Case 4", nil
	}}
	if p, err := prove.Measure(ctx, prove.Subject{Name: "s", Model: stop}, fixture(), prove.Config{}); !errors.Is(err, context.Canceled) || p != nil {
		t.Errorf("got %v, %v", p, err)
	}
}

// Nothing to measure is no proof.
func TestNothing(t *testing.T) {
	all := fixture()
	train := fixture()
	for i := range train {
		train[i].Split = "train"
	}
	twice := append(fixture()[:1], fixture()[:1]...)
	for name, tasks := range map[string]struct {
		split string
		tasks []int
	}{"none": {"", nil}, "another split": {"unseen", []int{0, 1}}} {
		list := fixture()[:0]
		for _, i := range tasks.tasks {
			list = append(list, all[i])
		}
		_, err := prove.Measure(context.Background(), prove.Subject{Name: "s", Model: llm.Echo{}}, list, prove.Config{Split: tasks.split})
		wantCode(t, name, err, prove.CodeTasks)
	}
	_, err := prove.Measure(context.Background(), prove.Subject{Name: "s", Model: llm.Echo{}}, train, prove.Config{})
	wantCode(t, "training tasks alone", err, prove.CodeTasks)
	_, err = prove.Measure(context.Background(), prove.Subject{Name: "s", Model: llm.Echo{}}, twice, prove.Config{})
	wantCode(t, "one id twice", err, prove.CodeTasks)
	_, err = prove.Measure(context.Background(), prove.Subject{Name: "s", Model: llm.Echo{}}, all, prove.Config{Update: "no place"})
	wantCode(t, "words without the policy", err, prove.CodeTasks)
	_, err = prove.Assess("s", all, map[prove.Condition][]string{prove.NoPolicy: {"x"}}, prove.Config{})
	wantCode(t, "too few answers", err, prove.CodeTasks)
}

func wantCode(t *testing.T, name string, err error, code string) {
	t.Helper()
	var d proviso.Diagnostic
	if !errors.As(err, &d) || d.Code != code {
		t.Errorf("%s: got %v, want %s", name, err, code)
	}
}
