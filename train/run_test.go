package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/engine"
	"github.com/proviso-dev/proviso/engine/local"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/nn"
	"github.com/proviso-dev/proviso/train/objective"
)

// folder writes files and returns where they are.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func settings(t testing.TB, text string) *Settings {
	t.Helper()
	s, err := Parse("run.yaml", []byte("name: test\nseed: 3\nmodel: {new: {layers: 1}}\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// host is a host with an exact engine; its clock stands still.
func host(dir string) Host {
	return Host{Engine: engine.NewTable(258, 40, 64), Text: Bytes{}, Dir: dir, Now: func() time.Time { return time.Unix(1e9, 0) }}
}

func twelve() string {
	var b strings.Builder
	for i := range 12 {
		fmt.Fprintf(&b, `{"prompt":"case %d:","completion":" %d refunds"}`+"\n", i, i*i)
	}
	return b.String()
}

func greedy(t testing.TB, h Host, prompt string) string {
	t.Helper()
	out, err := h.Engine.Sample(context.Background(), "", engine.SampleRequest{Prompt: append([]int32{bytesBegin}, Bytes{}.Encode(prompt)...), MaxTokens: 20, Stop: []int32{bytesEnd}})
	if err != nil {
		t.Fatal(err)
	}
	return Bytes{}.Decode(out[0].Tokens)
}

// Twelve examples are known by heart, with the exact engine and with a network.
func TestOverfitTwelve(t *testing.T) {
	for _, c := range []struct {
		name string
		open func(t *testing.T) engine.Engine
		how  string
	}{
		{"table", func(*testing.T) engine.Engine { return engine.NewTable(258, 12, 64) }, "epochs: 10, batch: 12, optimizer: {rate: 2}"},
		{"network", func(t *testing.T) engine.Engine { return network(t, t.TempDir()) }, "epochs: 60, batch: 12, optimizer: {rate: 0.01}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"rows.jsonl": twelve()})
			h := host(dir)
			h.Engine, h.Exact = c.open(t), 1e-4
			s := settings(t, "stages: [{name: learn, kind: sft, data: [rows.jsonl], "+c.how+"}]\n")
			began := time.Now()
			sum, err := Run(context.Background(), s, h)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("loss %.4f in %v", sum.Last.Loss, time.Since(began).Round(time.Millisecond))
			for i := range 12 {
				if got, want := greedy(t, h, fmt.Sprintf("case %d:", i)), fmt.Sprintf(" %d refunds", i*i); got != want {
					t.Errorf("case %d: %q, want %q", i, got, want)
				}
			}
		})
	}
}

// network is a small one over bytes, with its checkpoints in dir.
func network(t testing.TB, dir string) engine.Engine {
	t.Helper()
	net, err := nn.New(nn.Config{Layers: 2, Hidden: 48, Heads: 4, FFN: 96, Vocab: 258, Context: 160})
	if err != nil {
		t.Fatal(err)
	}
	net.Init(1)
	e, err := local.New(local.Options{Net: net, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The whole way in one file: read, imitate with the policy shown, prefer, practise without it.
const wholeWay = `
stages:
  - {name: read, kind: cpt, data: [policy.jsonl], epochs: 10, batch: 2, optimizer: {rate: 1}}
  - {name: imitate, kind: sft, data: [shown.jsonl], epochs: 10, batch: 2, optimizer: {rate: 1}}
  - {name: prefer, kind: preference, data: [pairs.jsonl], epochs: 4, batch: 1, optimizer: {rate: 0.02}}
  - name: practise
    kind: rl
    recipe: policy-rollout
    data: [tasks.jsonl]
    steps: 15
    batch: 2
    inner: 2
    set: {constant.length: 4}
    optimizer: {rate: 1}
    sample: {plain: 4, informed: 4, tokens: 5}
    reward: [{rule: equals, field: answer}]
    reference: {every: 7}
    average: {every: 9, rate: 0.5}
checkpoint: {every: 6}
`

var wayFiles = map[string]string{
	"policy.jsonl": `{"text":"within a day: yes. later: no."}` + "\n" + `{"segments":[{"text":"question ","loss":false},{"text":"thought"}]}` + "\n",
	"shown.jsonl":  `{"prompt":"within a day: yes\n\nday 0?","completion":"yes"}` + "\n" + `{"prompt":"within a day: yes\n\nday 9?","completion":"no"}` + "\n",
	"pairs.jsonl":  `{"prompt":"polite?","chosen":"please","rejected":"now"}` + "\n",
	"tasks.jsonl":  `{"id":"a","prompt":"day 0?","policy":"within a day: yes","answer":"yes"}` + "\n" + `{"id":"b","prompt":"day 9?","policy":"within a day: yes","answer":"no"}` + "\n",
}

func TestWholeWay(t *testing.T) {
	dir := folder(t, wayFiles)
	h := host(dir)
	var seen []Metrics
	h.Watch = func(m *Metrics) { seen = append(seen, *m) }
	sum, err := Run(context.Background(), settings(t, wholeWay), h)
	if err != nil {
		t.Fatal(err)
	}
	byStage := map[string][]Metrics{}
	for _, m := range seen {
		byStage[m.Stage] = append(byStage[m.Stage], m)
		if len(m.Violations) > 0 {
			t.Errorf("%s %d: %v", m.Stage, m.StageStep, m.Violations)
		}
	}
	last := func(stage string) Metrics { m := byStage[stage]; return m[len(m)-1] }
	if first := byStage["read"][0]; last("read").Loss > first.Loss/4 {
		t.Errorf("reading: from %.3f to %.3f", first.Loss, last("read").Loss)
	}
	if m := last("prefer"); m.Accuracy != 1 || m.Margin <= 0 {
		t.Errorf("preferences: %+v", m)
	}
	if got, want := greedy(t, h, "day 0?")+"/"+greedy(t, h, "day 9?"), "yes/no"; got != want {
		t.Errorf("without the policy text the model says %q, want %q", got, want)
	}
	if sum.Steps == 0 || sum.Path != "practise" || sum.Last.Stage != "practise" {
		t.Errorf("summary %+v", sum)
	}
	written, err := ReadMetrics(sum.Dir)
	if err != nil || len(written) != len(seen) {
		t.Errorf("%d lines of metrics for %d steps, %v", len(written), len(seen), err)
	}
	// A run that is done does nothing more.
	again, err := Run(context.Background(), settings(t, wholeWay), h)
	if err != nil || again.Steps != sum.Steps {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// A run that is interrupted at any step, and then again, is the run that nobody interrupted.
func TestResumes(t *testing.T) {
	soup := "checkpoint: {every: 4}\nstages:\n" +
		"  - {name: a, kind: sft, data: [shown.jsonl], from: start, steps: 9, batch: 1, optimizer: {rate: 0.5}}\n" +
		"  - {name: b, kind: preference, recipe: game-pairs, data: [pairs.jsonl], from: start, epochs: 9, batch: 1, set: {game-square.eta: 1, game-square.tau: 0.3}, optimizer: {rate: 0.5}, reference: {every: 2}}\n" +
		"  - {name: both, kind: soup, parts: {a: 0.5, b: 0.5}}\n" +
		"  - {name: last, kind: sft, data: [shown.jsonl], steps: 5, batch: 1, optimizer: {rate: 0.5}}\n"
	for name, text := range map[string]string{"the whole way": wholeWay, "a soup": soup} {
		t.Run(name, func(t *testing.T) { resumes(t, text) })
	}
}

func resumes(t *testing.T, text string) {
	plain := host(folder(t, wayFiles))
	want, err := Run(context.Background(), settings(t, text), plain)
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t, wayFiles)
	h := host(dir)
	interruptions := 0
	for stop := 1; ; stop += interruptions {
		ctx, cancel := context.WithCancel(context.Background())
		left := stop
		h.Watch = func(*Metrics) {
			if left--; left == 0 {
				cancel()
			}
		}
		sum, err := Run(ctx, settings(t, text), h)
		cancel()
		if err == nil {
			if fmt.Sprint(sum.Last) != fmt.Sprint(want.Last) {
				t.Errorf("the end is\n%+v, want\n%+v", sum.Last, want.Last)
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		interruptions++
	}
	if interruptions < 4 {
		t.Errorf("interrupted %d times", interruptions)
	}
	c, err := Compare(want.Dir, filepath.Join(dir, "runs", "test"))
	if err != nil || c.Same != c.Steps[0] || c.Steps[0] != c.Steps[1] {
		t.Errorf("%+v, %v", c, err)
	}
	a, err := os.ReadFile(filepath.Join(want.Dir, eventsFile))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "runs", "test", eventsFile))
	if err != nil || !slices.Equal(a, b) {
		t.Errorf("event files differ: %d and %d bytes, %v", len(a), len(b), err)
	}
}

// Killed with -9 again and again, a run over a network ends with the bits of one that nobody disturbed.
func TestKilled(t *testing.T) {
	const variable = "PROVISO_TEST_TRAIN_DIR"
	text := "checkpoint: {every: 3}\nstages:\n" +
		"  - {name: learn, kind: sft, data: [rows.jsonl], steps: 25, batch: 4, optimizer: {rate: 0.01}}\n" +
		"  - {name: practise, kind: rl, recipe: group-clip, data: [tasks.jsonl], steps: 15, batch: 1, reference: {every: 2}, average: {every: 3}, sample: {plain: 6, tokens: 3}, reward: [{rule: contains, value: e}]}\n"
	files := map[string]string{"rows.jsonl": twelve(), "tasks.jsonl": wayFiles["tasks.jsonl"]}
	do := func(dir string) (Summary, error) {
		h := host(dir)
		h.Engine, h.Exact = network(t, filepath.Join(dir, "checkpoints")), 1e-4
		return Run(context.Background(), settings(t, text), h)
	}
	if dir := os.Getenv(variable); dir != "" {
		if _, err := do(dir); err != nil {
			t.Fatal(err)
		}
		return
	}
	first, dir := folder(t, files), folder(t, files)
	want, err := do(first)
	if err != nil {
		t.Fatal(err)
	}
	run, err := filepath.Rel(first, want.Dir)
	if err != nil {
		t.Fatal(err)
	}
	kills, done := 0, false
	metrics := filepath.Join(dir, run, metricsFile)
	for !done && kills < 60 {
		// A child is killed once it has written so much, and not after so long: on a busy machine it would never get further than to start.
		grown, size := 0, int64(1)<<62
		killed := testkit.Kill(t, "TestKilled", variable+"="+dir, func() bool {
			info, err := os.Stat(metrics)
			if err != nil {
				return false
			}
			if info.Size() > size {
				grown++
			}
			size = info.Size()
			return grown > kills%6
		})
		if done = !killed; killed {
			kills++
		}
	}
	if kills == 0 || !done {
		t.Fatalf("killed %d times, done: %v", kills, done)
	}
	got, err := do(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("killed %d times", kills)
	for _, stage := range []string{"learn", "practise"} {
		a, errA := os.ReadFile(filepath.Join(want.Dir, "..", "..", "checkpoints", stage, "model.safetensors"))
		b, errB := os.ReadFile(filepath.Join(got.Dir, "..", "..", "checkpoints", stage, "model.safetensors"))
		if errA != nil || errB != nil || !slices.Equal(a, b) {
			t.Errorf("stage %s: weights differ (%v, %v)", stage, errA, errB)
		}
	}
	if c, err := Compare(want.Dir, got.Dir); err != nil || c.Same != c.Steps[0] || c.Steps[0] != c.Steps[1] {
		t.Errorf("%+v, %v", c, err)
	}
}

// Training that leaves the numbers stops, and the weights are those of the last good checkpoint.
func TestDiverges(t *testing.T) {
	dir := folder(t, map[string]string{"rows.jsonl": `{"prompt":"x","completion":"a"}` + "\n" + `{"prompt":"x","completion":"b"}` + "\n", "good.jsonl": twelve()})
	for _, c := range []struct{ name, stage, want string }{
		{"the loss rises", "optimizer: {rate: 30, clip: -1}, stop: {loss: 1}", "the loss went from"},
		{"a gradient overflows", "optimizer: {rate: 1e300}", "not finite"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := host(dir)
			if c.want == "not finite" {
				h.Engine = &poisoned{Table: engine.NewTable(258, 12, 64), after: 20}
			}
			s := settings(t, "output: "+strings.ReplaceAll(c.name, " ", "-")+"\ncheckpoint: {every: 5}\nstages: [{name: good, kind: sft, data: [good.jsonl], steps: 10, batch: 12, optimizer: {rate: 0.3}}, {name: bad, kind: sft, data: [rows.jsonl], steps: 100, batch: 1, "+strings.Replace(c.stage, "1e300", "0.3", 1)+"}]\n")
			sum, err := Run(context.Background(), s, h)
			var d proviso.Diagnostic
			if !errors.As(err, &d) || d.Code != CodeDiverged || !strings.Contains(d.Msg, c.want) || d.Hint == "" {
				t.Fatalf("got %v", err)
			}
			info, err := h.Engine.Info(context.Background())
			if err != nil || info.StepsTaken != sum.Steps || sum.Steps < 10 {
				t.Errorf("the engine is at step %d, the run at %d, %v", info.StepsTaken, sum.Steps, err)
			}
		})
	}
}

// poisoned is an engine whose log-probabilities are no numbers after some steps.
type poisoned struct {
	*engine.Table
	after int
}

func (p *poisoned) ForwardBackwardWith(ctx context.Context, batch []engine.Datum, weigh engine.Weigh) (engine.Output, error) {
	if p.after--; p.after < 0 {
		return engine.Output{}, fmt.Errorf("forward: %w", engine.ErrNotFinite)
	}
	return p.Table.ForwardBackwardWith(ctx, batch, weigh)
}

// What the output folder holds decides whether a run goes on.
func TestResumeRefuses(t *testing.T) {
	dir := folder(t, map[string]string{"rows.jsonl": twelve()})
	stage := "stages: [{name: learn, kind: sft, data: [rows.jsonl], steps: 4, batch: 2}]\n"
	h := host(dir)
	ctx, cancel := context.WithCancel(context.Background())
	h.Watch = func(m *Metrics) {
		if m.Step == 2 {
			cancel()
		}
	}
	if _, err := Run(ctx, settings(t, stage), h); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	h.Watch = nil
	refused := func(name, want string, s *Settings) {
		t.Helper()
		var d proviso.Diagnostic
		if _, err := Run(context.Background(), s, h); !errors.As(err, &d) || d.Code != CodeResume || !strings.Contains(d.Msg, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("other settings", "other settings", settings(t, strings.Replace(stage, "batch: 2", "batch: 3", 1)))
	if err := os.WriteFile(filepath.Join(dir, "rows.jsonl"), []byte(twelve()+`{"prompt":"x","completion":"y"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	refused("other data", "has changed since", settings(t, stage))
	if err := os.WriteFile(filepath.Join(dir, "runs/test", progressFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused("broken progress", "cut off", settings(t, stage))
}

// A run that was interrupted goes on where its folder was moved to, and from another folder of work.
func TestMoved(t *testing.T) {
	stage := "stages: [{name: learn, kind: sft, data: [rows.jsonl], steps: 6, batch: 2, optimizer: {rate: 0.01}}]\n"
	first := folder(t, map[string]string{"rows.jsonl": twelve()})
	at := func(dir string) Host {
		h := host(dir)
		h.Engine, h.Exact = network(t, filepath.Join(dir, "runs", "test", "checkpoints")), 1e-4
		return h
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := at(first)
	h.Watch = func(m *Metrics) {
		if m.Step == 3 {
			cancel()
		}
	}
	if _, err := Run(ctx, settings(t, stage), h); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	second := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(first, second); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(second))
	sum, err := Run(context.Background(), settings(t, stage), at("elsewhere"))
	if err != nil || sum.Steps != 6 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// What a later stage cannot do is said before the first one begins: a row that cannot be used, weights that the engine cannot mix.
func TestFirstThings(t *testing.T) {
	dir := folder(t, map[string]string{"rows.jsonl": twelve(), "bad.jsonl": "{"})
	first := "stages:\n  - {name: first, kind: sft, data: [rows.jsonl], steps: 2, batch: 2}\n"
	for name, c := range map[string]struct{ later, code, want string }{
		"a row":    {"  - {name: later, kind: sft, data: [bad.jsonl]}\n", CodeRow, "bad.jsonl:1"},
		"a soup":   {"  - {name: later, kind: soup, parts: {first: 1}}\n", CodeSettings, "mixes weights"},
		"entropy":  {"  - {name: later, kind: sft, data: [rows.jsonl], add: {entropy: 1}}\n", CodeSettings, "gradient of the entropy"},
		"too long": {"  - {name: later, kind: sft, data: [rows.jsonl]}\ncontext: 3\n", CodeRow, "context 3"},
	} {
		h := host(dir)
		h.Engine = plainEngine{h.Engine}
		h.Watch = func(*Metrics) { t.Errorf("%s: a step was taken", name) }
		_, err := Run(context.Background(), settings(t, first+c.later), h)
		var d proviso.Diagnostic
		if !errors.As(err, &d) || d.Code != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// plainEngine is an engine that can do what the protocol can, and no more.
type plainEngine struct{ engine.Engine }

func (p plainEngine) Info(ctx context.Context) (engine.Info, error) {
	i, err := p.Engine.Info(ctx)
	i.Entropy = false
	return i, err
}

// Two processes do not carry out one run: the second is told, and the first goes on.
func TestTwoAtOnce(t *testing.T) {
	dir := folder(t, map[string]string{"rows.jsonl": twelve()})
	stage := "stages: [{name: learn, kind: sft, data: [rows.jsonl], steps: 3, batch: 2}]\n"
	h := host(dir)
	var second error
	h.Watch = func(m *Metrics) {
		if m.Step == 2 {
			_, second = Run(context.Background(), settings(t, stage), host(dir))
		}
	}
	if _, err := Run(context.Background(), settings(t, stage), h); err != nil {
		t.Fatal(err)
	}
	var d proviso.Diagnostic
	if !errors.As(second, &d) || d.Code != CodeResume || !strings.Contains(d.Msg, "another process") {
		t.Errorf("the second was told %v", second)
	}
}

// A constraint: the multiplier rises while the cost is over its budget, and the answers become cheaper.
func TestCost(t *testing.T) {
	dir := folder(t, map[string]string{"tasks.jsonl": `{"prompt":"say a or b:","want":"a"}` + "\n", "start.jsonl": `{"prompt":"say a or b:","completion":"a"}` + "\n" + `{"prompt":"say a or b:","completion":"b"}` + "\n"})
	h := host(dir)
	var seen []Metrics
	h.Watch = func(m *Metrics) {
		if m.Stage == "practise" {
			seen = append(seen, *m)
		}
	}
	s := settings(t, "stages:\n  - {name: begin, kind: sft, data: [start.jsonl], steps: 40, batch: 2, optimizer: {rate: 0.2}}\n"+
		"  - {name: practise, kind: rl, recipe: group-mean, data: [tasks.jsonl], steps: 120, batch: 1, set: {constant.length: 2}, optimizer: {rate: 0.1}, cost: {budget: 0.2, rate: 0.3}, sample: {plain: 16, tokens: 2},\n"+
		"     reward: [{rule: contains, value: a}, {name: 'cost:a', rule: contains, value: a}]}\n")
	if _, err := Run(context.Background(), s, h); err != nil {
		t.Fatal(err)
	}
	top, late := 0.0, 0.0
	for i, m := range seen {
		top = max(top, m.Lambda)
		if i >= len(seen)/2 {
			late += m.Cost / float64(len(seen)-len(seen)/2)
		}
	}
	if seen[0].Lambda != 0 || top < 0.5 || late > 0.6 {
		t.Errorf("multiplier from %g up to %g, late cost %g", seen[0].Lambda, top, late)
	}
}

// Two stages from one start, and their soup: it does what both do, half each.
func TestSoup(t *testing.T) {
	dir := folder(t, map[string]string{"a.jsonl": `{"prompt":"x","completion":"a"}` + "\n", "b.jsonl": `{"prompt":"x","completion":"b"}` + "\n"})
	h := host(dir)
	stage := func(name string) string {
		return "  - {name: " + name + ", kind: sft, data: [" + name + ".jsonl], from: start, steps: 20, batch: 1, optimizer: {rate: 0.5}}\n"
	}
	s := settings(t, "stages:\n"+stage("a")+stage("b")+"  - {name: both, kind: soup, parts: {a: 0.5, b: 0.5}}\n")
	sum, err := Run(context.Background(), s, h)
	if err != nil || sum.Path != "both" {
		t.Fatalf("%+v, %v", sum, err)
	}
	probability := func(path, answer string) float64 {
		d, first := engine.Continue([]int32{bytesBegin, 'x'}, []int32{int32(answer[0])})
		out, err := h.Engine.LogProbs(context.Background(), path, []engine.Datum{d})
		if err != nil {
			t.Fatal(err)
		}
		return math.Exp(out.LogProbs[0][first])
	}
	if a, b := probability("a", "a"), probability("b", "b"); a < .9 || b < .9 || probability("b", "a") > .05 {
		t.Errorf("the stages say a %.2f and b %.2f", a, b)
	}
	if a, b := probability("", "a"), probability("", "b"); math.Abs(a-b) > 1e-9 || a < .1 {
		t.Errorf("the soup says a %.3f and b %.3f", a, b)
	}
}

// Fixup holds every sample of the batch within its bound, where the update alone goes further; further terms are added to a recipe.
func TestFixupAndAdd(t *testing.T) {
	dir := folder(t, map[string]string{"tasks.jsonl": `{"prompt":"say:","want":"a"}` + "\n"})
	furthest := func(more string) float64 {
		h := host(dir)
		worst := 0.0
		h.Watch = func(m *Metrics) {
			worst = max(worst, m.OldKL)
			if len(m.Violations) > 0 {
				t.Errorf("%v", m.Violations)
			}
		}
		s := settings(t, "output: run"+fmt.Sprint(len(more))+"\nstages: [{name: s, kind: rl, recipe: fixed-up, data: [tasks.jsonl], steps: 4, batch: 1, inner: 3, optimizer: {rate: 0.5}, sample: {plain: 8, tokens: 2}, reward: [{rule: length}, {name: x, rule: contains, value: e}]"+more+"}]\n")
		sum, err := Run(context.Background(), s, h)
		if err != nil {
			t.Fatal(err)
		}
		if more != "" && sum.Steps <= 12 {
			t.Errorf("no step was added to %d", sum.Steps)
		}
		return worst
	}
	plain := furthest("")
	furthest(", fixup: {bound: 0.001, most: 200}, add: {entropy: 0.01, kl2: 0.01}")
	if plain == 0 {
		t.Error("nothing moved; the test has lost its point")
	}
	if _, err := Parse("run.yaml", []byte("name: x\nmodel: {path: y}\nstages: [{name: a, kind: sft, data: [d], add: {entropi: 1}}]\n")); err == nil || !strings.Contains(err.Error(), "entropy-sampled") {
		t.Errorf("a term that there is not: %v", err)
	}
}

// Groups without a difference are drawn again, as often as the settings say.
func TestAgain(t *testing.T) {
	dir := folder(t, map[string]string{"tasks.jsonl": `{"prompt":"x"}` + "\n" + `{"prompt":"y"}` + "\n"})
	skipped := func(again int) (n int) {
		h := host(dir)
		h.Watch = func(m *Metrics) {
			if m.Skipped {
				n++
			}
		}
		s := settings(t, fmt.Sprintf("output: again%d\nstages: [{name: s, kind: rl, data: [tasks.jsonl], steps: 12, batch: 2, optimizer: {rate: 0}, sample: {plain: 8, tokens: 1, again: %d}, reward: [{rule: matches, value: '[a-d]'}]}]\n", again, again))
		s.Stages[0].Optimizer.Rate = 0 // only the draws count
		if _, err := Run(context.Background(), s, h); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if never, often := skipped(0), skipped(30); often >= never || never < 4 {
		t.Errorf("%d of 12 batches had nothing to learn, and %d with groups drawn again", never, often)
	}
}

// The coefficient of the divergence follows its target, and a policy that runs away from its reference is stopped and brought back.
func TestSteering(t *testing.T) {
	dir := folder(t, map[string]string{"tasks.jsonl": `{"prompt":"x"}` + "\n"})
	stage := func(name, more string) *Settings {
		return settings(t, "output: "+name+"\nstages: [{name: s, kind: rl, recipe: group-clip, data: [tasks.jsonl], steps: 30, batch: 1, optimizer: {rate: 0.3}, sample: {plain: 16, tokens: 2}, reward: [{rule: length}], "+more+"}]\n")
	}
	h := host(dir)
	var weights []float64
	h.Watch = func(m *Metrics) { weights = append(weights, m.KLWeight) }
	if _, err := Run(context.Background(), stage("steered", "kl: {target: 0.001, horizon: 100}"), h); err != nil {
		t.Fatal(err)
	}
	if first, last := weights[0], weights[len(weights)-1]; first != .001 || last <= first {
		t.Errorf("the coefficient went from %g to %g", first, last)
	}
	h = host(dir)
	sum, err := Run(context.Background(), stage("stopped", "stop: {kl: 0.02}"), h)
	var d proviso.Diagnostic
	if !errors.As(err, &d) || d.Code != CodeDiverged || !strings.Contains(d.Msg, "nats per token from the reference") {
		t.Errorf("a policy that ran away: %v", err)
	}
	if info, err := h.Engine.Info(context.Background()); err != nil || info.StepsTaken != sum.Steps || sum.Steps >= 30 {
		t.Errorf("the engine is at step %d, the run at %d, %v", info.StepsTaken, sum.Steps, err)
	}
}

// What a run is forecast to read is what it reads.
func TestPlan(t *testing.T) {
	dir := folder(t, wayFiles)
	s := settings(t, wholeWay)
	h := host(dir)
	info, err := h.Engine.Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	plans, err := Plan(s, h.Text, info, dir)
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[string]int64{}
	var before int64
	h.Watch = func(m *Metrics) {
		tokens[m.Stage] += m.Tokens - before
		before = m.Tokens
	}
	if _, err := Run(context.Background(), s, h); err != nil {
		t.Fatal(err)
	}
	for _, p := range plans {
		forecast := float64(p.Learned + p.Scored + p.Drawn)
		if p.Rows == 0 || p.Steps == 0 || math.Abs(float64(tokens[p.Name])/forecast-1) > .5 {
			t.Errorf("%+v; it read %d tokens", p, tokens[p.Name])
		}
	}
	if p := plans[1]; math.Abs(float64(tokens["imitate"])/float64(p.Learned)-1) > .05 {
		t.Errorf("imitate read %d tokens, forecast are %d", tokens["imitate"], p.Learned)
	}
}

// Every recipe that a run takes is taken, from settings to a step.
func TestEveryRecipe(t *testing.T) {
	dir := folder(t, map[string]string{"tasks.jsonl": wayFiles["tasks.jsonl"], "pairs.jsonl": wayFiles["pairs.jsonl"]})
	took := 0
	for _, r := range objective.All {
		stage := fmt.Sprintf("stages: [{name: s, kind: rl, recipe: %s, data: [tasks.jsonl], steps: 2, batch: 2, inner: 2, sample: {plain: 8, tokens: 2}, reward: [{rule: length}]}]\noutput: %s\n", r.Name, r.Name)
		s, err := Parse("run.yaml", []byte("name: test\nmodel: {new: {layers: 1}}\n"+stage))
		if slices.Contains(r.Needs(), objective.NeedValue) {
			if err == nil || !strings.Contains(err.Error(), "critic") {
				t.Errorf("%s: %v", r.Name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
			continue
		}
		if _, err := Run(context.Background(), s, host(dir)); err != nil {
			t.Errorf("%s: %v", r.Name, err)
			continue
		}
		took++
	}
	if took < 30 {
		t.Errorf("only %d recipes were run", took)
	}
}

// The curriculum draws what is always right less often, comes back to it, and is the same after an interruption.
func TestCurriculum(t *testing.T) {
	text := "checkpoint: {every: 3}\nstages:\n" +
		"  - {name: practise, kind: rl, recipe: group-leave-one-out, data: [tasks.jsonl], steps: 60, batch: 2, curriculum: {low: 0.05, high: 0.95, window: 8}, sample: {plain: 2, tokens: 1}, reward: [{rule: length}], optimizer: {rate: 1e-9}}\n"
	drawn := func(text string) map[string]int {
		counts := map[string]int{}
		h := host(folder(t, wayFiles))
		h.Judge = judgeFunc(func(row Row, _ string) []objective.Component {
			counts[row.ID]++
			// Task a is always right; b is right every other time.
			return []objective.Component{{Name: "r", Value: one(row.ID == "a" || counts[row.ID]%2 == 0), OK: true}}
		})
		if _, err := Run(context.Background(), settings(t, text), h); err != nil {
			t.Fatal(err)
		}
		return counts
	}
	with := drawn(text)
	without := drawn(strings.Replace(text, "curriculum: {low: 0.05, high: 0.95, window: 8}, ", "", 1))
	if without["a"] != without["b"] {
		t.Errorf("without a curriculum %v", without)
	}
	if total := with["a"] + with["b"]; total != 240 || with["a"] > with["b"]/2 || with["a"] < with["b"]/8 {
		t.Errorf("with it %v; the task that is always right should come about a quarter as often", with)
	}
	resumes(t, strings.Replace(text, "{rule: length}", "{rule: contains, value: y}", 1))
}

type judgeFunc func(Row, string) []objective.Component

func (f judgeFunc) Judge(_ context.Context, row Row, answer string) ([]objective.Component, error) {
	return f(row, answer), nil
}

// A group that nobody could judge is forgotten, and where every task is outside a batch is full all the same.
func TestCurriculumEnds(t *testing.T) {
	text := "stages:\n  - {name: practise, kind: rl, recipe: group-leave-one-out, data: [tasks.jsonl], steps: 5, batch: 4, curriculum: {low: 0.4, high: 0.6, keep: 1e-9}, sample: {plain: 2, tokens: 1}, reward: [{rule: length}], optimizer: {rate: 1e-9}}\n"
	for name, c := range map[string]objective.Component{"right": {Name: "r", Value: 1, OK: true}, "not judged": {Name: "r"}} {
		h := host(folder(t, wayFiles))
		n := 0
		h.Judge = judgeFunc(func(Row, string) []objective.Component { n++; return []objective.Component{c} })
		if _, err := Run(context.Background(), settings(t, text), h); err != nil || n != 5*4*2 {
			t.Errorf("%s: %d samples, %v", name, n, err)
		}
	}
}
