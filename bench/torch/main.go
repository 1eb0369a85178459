// Command torch prints how Proviso's network compares with PyTorch and with the machine itself: a training step of the same network in both, taken in turns; matrix products against the peak of the
// processor; decoding against the bandwidth of the memory. Everything that is compared is measured in turns in one run, because the machine has other work, and a ratio is the median over the turns.
//
//	cd bench && go run ./torch                       # all, some minutes
//	cd bench && go run ./torch -only gemm,decode     # parts
//
// PyTorch is Debian's python3-torch, with python3-numpy and libopenblas0-openmp, in the settings that were fastest for it; without it the comparison is skipped and says so.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/proviso-dev/proviso/nn"
)

// part is one group of figures.
type part struct {
	name    string
	measure func(turns, threads int) error
}

var parts = []part{
	{"gemm", func(turns, _ int) error { return gemm(turns) }},
	{"step", func(turns, threads int) error { return steps(small, turns, threads) }},
	{"large", func(turns, threads int) error { return steps(large, turns, threads) }},
	{"decode", func(turns, _ int) error { return decode(turns) }},
}

func main() {
	only := flag.String("only", "", "comma-separated parts: gemm, step (5.5 M parameters), large (134 M), decode; empty: all")
	turns := flag.Int("turns", 7, "turns of each comparison")
	threads := flag.Int("threads", 0, "threads of a step, 1 or 2; 0: first one, then two")
	flag.Parse()
	fmt.Printf("# kernels %s, %s\n", nn.SIMD(), load())
	for _, p := range parts {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), p.name) {
			continue
		}
		if err := p.measure(*turns, *threads); err != nil {
			fmt.Fprintf(os.Stderr, "torch: %s: %v\n", p.name, err)
			os.Exit(1)
		}
	}
}

// figure prints one figure for machines.
func figure(name string, value float64, n int) {
	digits := 3
	if value >= 100 {
		digits = 0
	}
	fmt.Printf("figure: engine.%s = %.*f (n=%d)\n", name, digits, value, n)
}

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	return s[len(s)/2]
}

// ratios divides turn by turn.
func ratios(over, under []float64) []float64 {
	r := make([]float64, len(over))
	for i := range over {
		r[i] = over[i] / under[i]
	}
	return r
}

// load is how busy the machine was in the last minute, which explains slow turns.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load unknown"
	}
	return "load " + strings.Fields(string(text))[0]
}

// spent is what a piece of work took.
type spent struct{ wall, cpu float64 } // seconds

// timed measures f; cpu counts all threads of this process.
func timed(f func() error) (spent, error) {
	wall, before := time.Now(), processTime()
	err := f()
	return spent{time.Since(wall).Seconds(), processTime() - before}, err
}
