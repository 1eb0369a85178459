package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/engine"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/nn"
)

// tiny is a network of every feature, small enough for thousands of steps.
var tiny = nn.Config{Layers: 2, Hidden: 16, Heads: 4, KVHeads: 2, HeadDim: 4, FFN: 24, Vocab: 24, Context: 24, QKNorm: true, Tied: true}

func tinyEngine(t testing.TB, dir string, change func(*Options)) *Engine {
	t.Helper()
	net, err := nn.New(tiny)
	if err != nil {
		t.Fatal(err)
	}
	net.Init(7)
	o := Options{Net: net, Name: "tiny", Dir: dir, Files: map[string][]byte{"config.json": []byte("{}\n")}}
	if change != nil {
		change(&o)
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func withLoRA(t testing.TB) func(*Options) {
	return func(o *Options) {
		if err := Adapt(o.Net, nn.LoRA{Rank: 2, Alpha: 4}, 7); err != nil {
			t.Fatal(err)
		}
	}
}

func TestContract(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"all parameters": nil, "adapters": withLoRA(t), "in pieces of a row": func(o *Options) { o.Positions = 1 }, "two checkpoints in memory": func(o *Options) { o.Resident = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			engine.TestEngine(t, func(t testing.TB) engine.Engine { return tinyEngine(t, t.TempDir(), change) }, 2e-5)
		})
	}
}

func row(tokens ...int32) engine.Datum {
	d, _ := engine.Continue(tokens[:1], tokens[1:])
	d.Weight = make([]float64, len(d.Input))
	for i := range d.Weight {
		d.Weight[i] = 1 / float64(len(d.Weight))
	}
	return d
}

func train(t testing.TB, e *Engine, from, to int) {
	t.Helper()
	for k := from; k < to; k++ {
		_, err := e.ForwardBackward(context.Background(), []engine.Datum{row(1, int32(k%20), 3, int32(k%7)), row(2, 4, int32(k%11))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.OptimStep(context.Background(), engine.Adam{LearningRate: 1e-2, WeightDecay: .01, ClipNorm: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

func fingerprint(e *Engine) string {
	var b strings.Builder
	for _, p := range e.o.Net.Params() {
		sum := uint64(14695981039346656037)
		for _, x := range p.Data {
			sum = (sum ^ uint64(math.Float32bits(x))) * 1099511628211
		}
		fmt.Fprintf(&b, "%x ", sum)
	}
	return b.String()
}

// A process that is killed while it trains and saves under one name leaves a whole checkpoint, from which the next one continues with the bits of a run that nobody disturbed.
func TestKilled(t *testing.T) {
	const dirVariable, target = "PROVISO_TEST_LOCAL_DIR", 40
	if dir := os.Getenv(dirVariable); dir != "" {
		e := tinyEngine(t, dir, nil)
		path := filepath.Join(dir, "last")
		if err := e.LoadWeights(context.Background(), path); err != nil && !errors.Is(err, engine.ErrNotFound) {
			t.Fatal(err)
		}
		for e.adam.Steps < target {
			train(t, e, e.adam.Steps, e.adam.Steps+1)
			if _, err := e.SaveWeights(context.Background(), "last"); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	undisturbed := tinyEngine(t, t.TempDir(), nil)
	train(t, undisturbed, 0, target)
	dir := t.TempDir()
	kills, done := 0, false
	for !done && kills < 60 {
		begun, alive := time.Now(), time.Duration(60+13*kills%90)*time.Millisecond
		if testkit.Kill(t, "TestKilled", dirVariable+"="+dir, func() bool { return time.Since(begun) > alive }) {
			kills++
		} else {
			done = true
		}
	}
	e := tinyEngine(t, dir, nil)
	if err := e.LoadWeights(context.Background(), filepath.Join(dir, "last")); err != nil {
		t.Fatalf("after %d kills: %v", kills, err)
	}
	train(t, e, e.adam.Steps, target)
	if fingerprint(e) != fingerprint(undisturbed) {
		t.Errorf("after %d kills the weights differ", kills)
	}
	t.Logf("killed %d times", kills)
	if kills == 0 {
		t.Error("no process was killed; the test shows nothing")
	}
}

// Between the two renames of a replacement there is no folder of the name. Either neighbour is whole, and the next call settles it.
func TestSettles(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, final string)
		steps int
	}{
		{"killed before the new one was in place", func(t *testing.T, final string) {
			rename(t, final, hidden(final, incoming))
			rename(t, final+"-first", hidden(final, outgoing))
		}, 2},
		{"killed, and the new one is incomplete", func(t *testing.T, final string) {
			rename(t, final, hidden(final, incoming))
			rename(t, final+"-first", hidden(final, outgoing))
			if err := os.Remove(filepath.Join(hidden(final, incoming), stateFile)); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"killed while writing beside a whole one", func(t *testing.T, final string) {
			if err := os.MkdirAll(hidden(final, incoming), 0o755); err != nil {
				t.Fatal(err)
			}
		}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := tinyEngine(t, t.TempDir(), nil)
			train(t, e, 0, 1)
			path, err := e.SaveWeights(context.Background(), "x")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.SaveWeights(context.Background(), "x-first"); err != nil {
				t.Fatal(err)
			}
			train(t, e, 1, 2)
			if _, err := e.SaveWeights(context.Background(), "x"); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, path)
			if err := e.LoadWeights(context.Background(), path); err != nil {
				t.Fatal(err)
			}
			if e.adam.Steps != c.steps {
				t.Errorf("it has %d steps, want %d", e.adam.Steps, c.steps)
			}
			if _, err := e.SaveWeights(context.Background(), "x"); err != nil {
				t.Error(err)
			}
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	os.RemoveAll(to)
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// What may have happened to a checkpoint, and that loading it changes nothing.
func TestBrokenCheckpoints(t *testing.T) {
	e := tinyEngine(t, t.TempDir(), nil)
	train(t, e, 0, 3)
	for _, c := range []struct {
		name  string
		spoil func(dir string) error
		want  string
	}{
		{"cut off", func(d string) error { return os.Truncate(filepath.Join(d, weightsFile), 100) }, "is not the file that was saved"},
		{"a bit flipped", func(d string) error {
			b, err := os.ReadFile(filepath.Join(d, optimizerFile))
			b[len(b)-1] ^= 1
			return errors.Join(err, os.WriteFile(filepath.Join(d, optimizerFile), b, 0o644))
		}, optimizerFile + " is not the file"},
		{"a file missing", func(d string) error { return os.Remove(filepath.Join(d, weightsFile)) }, "no such file"},
		{"no state", func(d string) error { return os.Remove(filepath.Join(d, stateFile)) }, "no such weights"},
		{"another format", func(d string) error {
			return os.WriteFile(filepath.Join(d, stateFile), []byte(`{"format":9,"steps":1,"moments":false,"files":{}}`), 0o644)
		}, "this program reads format 1"},
		{"a state with an unknown key", func(d string) error {
			return os.WriteFile(filepath.Join(d, stateFile), []byte(`{"format":1,"step":1}`), 0o644)
		}, "step"},
		{"a file elsewhere", func(d string) error {
			return os.WriteFile(filepath.Join(d, stateFile), []byte(`{"format":1,"steps":1,"moments":false,"files":{"../x":"0"}}`), 0o644)
		}, "not beside it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, err := e.SaveWeights(context.Background(), "spoilt")
			if err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(path); err != nil {
				t.Fatal(err)
			}
			before := fingerprint(e)
			if err := e.LoadWeights(context.Background(), path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if fingerprint(e) != before || e.adam.Steps != 3 {
				t.Error("the weights changed")
			}
		})
	}
	t.Run("another network", func(t *testing.T) {
		path, err := e.SaveWeights(context.Background(), "other")
		if err != nil {
			t.Fatal(err)
		}
		other, err := nn.New(nn.Config{Layers: 1, Hidden: 8, Heads: 2, FFN: 8, Vocab: 24, Context: 24})
		if err != nil {
			t.Fatal(err)
		}
		f, err := New(Options{Net: other, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.LoadWeights(context.Background(), path); err == nil || !strings.Contains(err.Error(), "another network") {
			t.Errorf("got %v", err)
		}
	})
}

// A save that fails half way leaves the old checkpoint and no debris.
func TestSaveFails(t *testing.T) {
	dir := t.TempDir()
	e := tinyEngine(t, dir, nil)
	train(t, e, 0, 1)
	path, err := e.SaveWeights(context.Background(), "x")
	if err != nil {
		t.Fatal(err)
	}
	e.o.Files["missing/config.json"] = []byte("x") // its folder does not exist: the write fails after the weights
	train(t, e, 1, 2)
	if _, err := e.SaveWeights(context.Background(), "x"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nothing was replaced") {
		t.Errorf("got %v", err)
	}
	names, err := Checkpoints(dir)
	if err != nil || !slices.Equal(names, []string{"x"}) {
		t.Errorf("checkpoints %v, %v", names, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("debris: %v", entries)
	}
	if err := e.LoadWeights(context.Background(), path); err != nil || e.adam.Steps != 1 {
		t.Errorf("%v, %d steps", err, e.adam.Steps)
	}
}

// NaN: in the weights it is found by the forward pass, in a save by the writer, and a gradient that overflows leaves the weights as they are.
func TestNotFinite(t *testing.T) {
	e := tinyEngine(t, t.TempDir(), nil)
	train(t, e, 0, 1)
	before := fingerprint(e)
	big := row(1, 2, 3)
	for i := range big.Weight {
		big.Weight[i] = 1e38
	}
	for range 4 {
		if _, err := e.ForwardBackward(context.Background(), []engine.Datum{big, big, big, big}); err != nil && !errors.Is(err, engine.ErrNotFinite) {
			t.Fatal(err)
		}
	}
	if _, err := e.OptimStep(context.Background(), engine.Adam{LearningRate: .1}); !errors.Is(err, engine.ErrNotFinite) {
		t.Errorf("a step with an infinite gradient: %v", err)
	}
	if fingerprint(e) != before {
		t.Error("the weights changed")
	}
	train(t, e, 1, 2) // the gradient was cleared
	e.o.Net.Param("model.norm.weight").Data[3] = float32(math.NaN())
	if _, err := e.ForwardBackward(context.Background(), []engine.Datum{row(1, 2)}); !errors.Is(err, engine.ErrNotFinite) {
		t.Errorf("NaN in the weights: %v", err)
	}
	if _, err := e.SaveWeights(context.Background(), "nan"); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("saving NaN: %v", err)
	}
}

// Adapters are saved as PEFT reads them, and a mixture of a checkpoint with itself is itself.
func TestAdapterFiles(t *testing.T) {
	e := tinyEngine(t, t.TempDir(), withLoRA(t))
	train(t, e, 0, 2)
	path, err := e.SaveWeights(context.Background(), "peft")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(path, adapterConfig))
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(b, &c); err != nil || c["peft_type"] != "LORA" || c["r"] != 2.0 || c["lora_alpha"] != 4.0 || len(c["target_modules"].([]any)) != 7 {
		t.Errorf("%s, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(path, weightsFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the base weights were saved too")
	}
	info, err := e.Info(context.Background())
	if err != nil || info.LoRARank != 2 || info.Trainable >= info.Params || info.StepsTaken != 2 {
		t.Errorf("%+v, %v", info, err)
	}
}

// Fresh adapters change nothing that the network says, and training them leaves its weights alone.
func TestAdapt(t *testing.T) {
	plain, adapted := tinyEngine(t, t.TempDir(), nil), tinyEngine(t, t.TempDir(), withLoRA(t))
	score := func(e *Engine) []float64 {
		out, err := e.LogProbs(context.Background(), "", []engine.Datum{row(1, 2, 3, 4)})
		if err != nil {
			t.Fatal(err)
		}
		return out.LogProbs[0]
	}
	if a, b := score(plain), score(adapted); !slices.Equal(a, b) {
		t.Errorf("fresh adapters change %v to %v", a, b)
	}
	train(t, adapted, 0, 3)
	for _, p := range plain.o.Net.Params() {
		if !slices.Equal(p.Data, adapted.o.Net.Param(p.Name).Data) {
			t.Errorf("%s has changed", p.Name)
		}
	}
	if slices.Equal(score(plain), score(adapted)) {
		t.Error("training the adapters changed nothing")
	}
	info, err := adapted.Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	full, err := plain.Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if all, few := Bytes(tiny, full.Params, full.Trainable, 64, 1), Bytes(tiny, info.Params, info.Trainable, 64, 1); few >= all || all-tiny.ActivationBytes(64) != 20*full.Params {
		t.Errorf("memory %d for all, %d for adapters", all, few)
	}
}

// Weight decay shrinks matrices and leaves norms alone.
func TestDecay(t *testing.T) {
	e := tinyEngine(t, t.TempDir(), nil)
	still := row(1, 2)
	still.Weight = []float64{1e-30} // a gradient that moves nothing
	matrix, norm := e.o.Net.Param("model.layers.0.mlp.down_proj.weight").Data[0], e.o.Net.Param("model.norm.weight").Data[0]
	if _, err := e.ForwardBackward(context.Background(), []engine.Datum{still}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.OptimStep(context.Background(), engine.Adam{LearningRate: .1, WeightDecay: .5, Eps: 1}); err != nil {
		t.Fatal(err)
	}
	if got := e.o.Net.Param("model.layers.0.mlp.down_proj.weight").Data[0]; math.Abs(float64(got/matrix)-.95) > 1e-5 {
		t.Errorf("a weight went from %g to %g", matrix, got)
	}
	if got := e.o.Net.Param("model.norm.weight").Data[0]; got != norm {
		t.Errorf("a norm went from %g to %g", norm, got)
	}
}

// What an image shows can be learnt: two patches, two words. Patches are inputs, never targets.
func TestPatches(t *testing.T) {
	c := tiny
	c.Patch = 3
	net, err := nn.New(c)
	if err != nil {
		t.Fatal(err)
	}
	net.Init(1)
	e, err := New(Options{Net: net, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	seen := func(patch []float32, word int32) engine.Datum {
		return engine.Datum{Input: []int32{1, engine.PatchInput, 2}, Target: []int32{engine.NoTarget, engine.NoTarget, word}, Weight: []float64{0, 0, .5}, Patches: patch}
	}
	batch := []engine.Datum{seen([]float32{1, 0, -1}, 5), seen([]float32{-1, .5, 1}, 6)}
	var out engine.Output
	for range 150 {
		if out, err = e.ForwardBackward(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
		if _, err := e.OptimStep(context.Background(), engine.Adam{LearningRate: 1e-2, ClipNorm: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := out.LogProbs[0][2], out.LogProbs[1][2]; a < -.1 || b < -.1 {
		t.Errorf("the words have log-probabilities %g and %g", a, b)
	}
	for name, bad := range map[string]engine.Datum{"too few values": seen([]float32{1}, 5), "NaN": seen([]float32{1, float32(math.NaN()), 0}, 5), "a patch as a target": {Input: []int32{1}, Target: []int32{-2}}} {
		if _, err := e.ForwardBackward(context.Background(), []engine.Datum{bad}); !errors.Is(err, engine.ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Twelve examples are learnt by heart, in about a second where the kernels are fast.
func TestOverfitTwelve(t *testing.T) {
	net, err := nn.New(nn.Config{Layers: 2, Hidden: 32, Heads: 4, FFN: 64, Vocab: 64, Context: 32})
	if err != nil {
		t.Fatal(err)
	}
	net.Init(1)
	e, err := New(Options{Net: net, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var batch []engine.Datum
	for i := range int32(12) {
		text := []int32{i, i + 12, i + 24}
		for k := range int32(9) {
			text = append(text, (i*i*7+k*k*i+13*k)%60)
		}
		batch = append(batch, row(text...))
	}
	began := time.Now()
	last := 0.0
	for step := range 300 {
		out, err := e.ForwardBackward(context.Background(), batch)
		if err != nil {
			t.Fatal(err)
		}
		last = 0
		for _, r := range out.LogProbs {
			for _, l := range r {
				last -= l / float64(len(r)*len(batch))
			}
		}
		if last < .02 {
			t.Logf("loss %.4f after %d steps, %v", last, step, time.Since(began).Round(time.Millisecond))
			return
		}
		if _, err := e.OptimStep(context.Background(), engine.Adam{LearningRate: 1e-2, ClipNorm: 1}); err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("the loss is still %.4f", last)
}
