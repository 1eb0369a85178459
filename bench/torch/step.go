package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso/nn"
)

//go:embed llama.py
var script string

// setting is a network and a batch.
type setting struct {
	name          string // suffix of its figures
	config        nn.Config
	batch, length int
}

var (
	small = setting{"", nn.Config{Layers: 4, Hidden: 256, Heads: 4, FFN: 768, Vocab: 4096, Context: 256}, 8, 256}
	large = setting{"_134m", nn.Config{Layers: 12, Hidden: 768, Heads: 12, FFN: 2048, Vocab: 32000, Context: 256}, 2, 256}
)

// check is how many steps both take before anything is timed; the loss of the last must agree to four decimals.
const check = 8

// steps compares a training step with PyTorch's on that many threads, or where only is 0, on one and then on two.
func steps(s setting, turns, only int) error {
	for _, threads := range []int{1, 2} {
		if only != 0 && only != threads {
			continue
		}
		torch, err := startTorch(s, threads)
		if err != nil {
			fmt.Printf("skipped: needs python3-torch, python3-numpy and libopenblas0-openmp: %v\n", err)
			return nil
		}
		err = compare(s, threads, turns, torch)
		torch.stop()
		if err != nil {
			return err
		}
	}
	return nil
}

func compare(s setting, threads, turns int, torch *torch) error {
	ours, err := newTrainer(s, threads)
	if err != nil {
		return err
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	for i := range check {
		want, _, err := torch.step()
		if err != nil {
			return err
		}
		got, _, err := ours.step()
		if err != nil {
			return err
		}
		// On the way sums in another order may differ by a unit of the fourth decimal; the loss that is compared at the end may not.
		within := 1e-4
		if i == check-1 {
			within = 0.5e-4
		}
		if math.Abs(got-want) > within {
			return fmt.Errorf("step %d: the loss is %.5f, PyTorch's %.5f", i+1, got, want)
		}
		if i == check-1 {
			fmt.Printf("# %d parameters: loss of step %d is %.5f, PyTorch %s has %.5f\n", s.config.Params(), check, got, torch.version, want)
		}
	}
	var our, their [2][]float64 // wall, cpu
	for range turns {
		_, t, err := torch.step()
		if err != nil {
			return err
		}
		_, o, err := ours.step()
		if err != nil {
			return err
		}
		our[0], our[1] = append(our[0], o.wall), append(our[1], o.cpu)
		their[0], their[1] = append(their[0], t.wall), append(their[1], t.cpu)
	}
	tokens := float64(s.batch * s.length)
	fmt.Printf("# %d threads, %s: best step %.0f ms (%.0f tokens/s, %.0f ms CPU), PyTorch %.0f ms (%.0f tokens/s, %.0f ms CPU)\n", threads, load(),
		1e3*best(our[0]), tokens/best(our[0]), 1e3*best(our[1]), 1e3*best(their[0]), tokens/best(their[0]), 1e3*best(their[1]))
	clock := 1 // one thread is compared by CPU time, which other work on the machine does not lengthen
	if threads > 1 {
		clock = 0
	}
	name := fmt.Sprintf("over_torch_%dt%s", threads, s.name)
	figure(name, median(ratios(their[clock], our[clock])), turns)
	figure(name+"_best", best(their[clock])/best(our[clock]), turns)
	if clock == 0 {
		figure(name+"_cpu", median(ratios(their[1], our[1])), turns)
	}
	if threads == 1 {
		figure("bytes_per_parameter"+s.name, ours.bytesPerParameter(), 1)
	}
	return nil
}

func best(xs []float64) float64 {
	b := xs[0]
	for _, x := range xs {
		b = min(b, x)
	}
	return b
}

// trainer is our side.
type trainer struct {
	net   *nn.Net
	adamw nn.AdamW
	batch []nn.Sequence
	w     nn.Weights
}

func newTrainer(s setting, threads int) (*trainer, error) {
	n, err := nn.New(s.config)
	if err != nil {
		return nil, err
	}
	n.Workers = threads
	number := 0
	for _, p := range n.Params() {
		if len(p.Shape) == 2 {
			start(p.Data, number)
			number++
		}
	}
	n.Train(nn.All)
	t := &trainer{net: n, adamw: nn.AdamW{Rate: 1e-3, Decay: 0.01}}
	count, vocab := s.batch*s.length, uint64(s.config.Vocab)
	token := func(i int) int32 { return int32(uint64(i%count) * 2654435761 % vocab) }
	for b := range s.batch {
		seq := nn.Sequence{}
		w := make([]float32, s.length)
		for i := b * s.length; i < (b+1)*s.length; i++ {
			seq.Tokens, seq.Targets = append(seq.Tokens, token(i)), append(seq.Targets, token(i+1))
			w[i-b*s.length] = 1 / float32(count)
		}
		t.batch = append(t.batch, seq)
		t.w.LogProbs = append(t.w.LogProbs, w)
	}
	return t, nil
}

// start fills a matrix as llama.py does.
func start(data []float32, number int) {
	for i := range data {
		x := (uint64(i+1) + uint64(number)<<40) * 0x9E3779B97F4A7C15
		x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
		x = (x ^ x>>27) * 0x94D049BB133111EB
		x = (x ^ x>>31) >> 11
		data[i] = float32((float64(x)/(1<<53) - 0.5) * 0.04 * math.Sqrt(3))
	}
}

func (t *trainer) step() (loss float64, s spent, err error) {
	s, err = timed(func() error {
		t.net.ZeroGrad()
		out, err := t.net.Forward(t.batch)
		if err != nil {
			return err
		}
		for i, l := range out.LogProbs {
			for j, p := range l {
				loss -= float64(p) * float64(t.w.LogProbs[i][j])
			}
		}
		if err := t.net.Backward(t.w); err != nil {
			return err
		}
		_, err = t.adamw.Step(t.net)
		return err
	})
	return loss, s, err
}

// bytesPerParameter is what the heap holds beside activations, for each parameter.
func (t *trainer) bytesPerParameter() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c := t.net.Config()
	rows := 0
	for _, s := range t.batch {
		rows += len(s.Tokens)
	}
	return float64(int64(m.HeapAlloc)-c.ActivationBytes(rows)) / float64(c.Params())
}

// torch is a Python process that takes steps when asked.
type torch struct {
	cmd     *exec.Cmd
	in      *bufio.Writer
	out     *bufio.Scanner
	version string
}

// startTorch starts llama.py with the threads and libraries that are fastest for it: OpenBLAS with OpenMP, because with its own threads two are slower than one.
func startTorch(s setting, threads int) (*torch, error) {
	c := s.config
	args := []string{"-c", script}
	for _, n := range []int{c.Layers, c.Hidden, c.Heads, c.FFN, c.Vocab, s.batch, s.length, threads} {
		args = append(args, strconv.Itoa(n))
	}
	cmd := exec.Command("/usr/bin/python3", args...)
	n := strconv.Itoa(threads)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/openblas-openmp", "OMP_NUM_THREADS="+n, "OPENBLAS_NUM_THREADS="+n, "ATEN_CPU_CAPABILITY=avx512",
		"OMP_WAIT_POLICY=passive") // threads that wait by spinning make a busy machine, and PyTorch, many times slower
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &torch{cmd: cmd, in: bufio.NewWriter(in), out: bufio.NewScanner(out)}
	if !t.out.Scan() {
		return nil, fmt.Errorf("python3 said nothing: %v", cmd.Wait())
	}
	var params int64
	if _, err := fmt.Sscan(t.out.Text(), &t.version, &params); err != nil || params != c.Params() {
		t.stop()
		return nil, fmt.Errorf("its network has %d parameters, ours %d: %v", params, c.Params(), err)
	}
	return t, nil
}

func (t *torch) step() (loss float64, s spent, err error) {
	if _, err := t.in.WriteString("step\n"); err != nil {
		return 0, s, err
	}
	if err := t.in.Flush(); err != nil {
		return 0, s, err
	}
	if !t.out.Scan() {
		return 0, s, fmt.Errorf("PyTorch stopped: %v", t.cmd.Wait())
	}
	fields := strings.Fields(t.out.Text())
	if len(fields) != 3 {
		return 0, s, fmt.Errorf("PyTorch said %q", t.out.Text())
	}
	for i, to := range []*float64{&loss, &s.wall, &s.cpu} {
		if *to, err = strconv.ParseFloat(fields[i], 64); err != nil {
			return 0, s, err
		}
	}
	return loss, s, nil
}

func (t *torch) stop() {
	t.cmd.Process.Kill()
	t.cmd.Wait()
}
