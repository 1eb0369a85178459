package main

import (
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"github.com/proviso-dev/proviso/nn"
)

// decode compares the tokens of one stream with what the memory can deliver: each token reads every weight but the embedding once. Then it compares sixteen streams with one. Times are CPU times,
// which other work on the machine does not lengthen, except by the memory that it uses.
func decode(turns int) error {
	workers := runtime.GOMAXPROCS(0)
	n, err := nn.New(large.config)
	if err != nil {
		return err
	}
	n.Init(1)
	c := n.Config()
	read := 4 * float64(c.Params()-int64(c.Vocab)*int64(c.Hidden)) // bytes for each token
	const prompt, tokens, streams = 32, 8, 16
	memory := make([]float32, int(read)/4/256*256)
	if err := largePages(memory); err != nil {
		return err
	}
	for i := range memory {
		memory[i] = 1
	}
	one, many := n.NewDecoder(1), n.NewDecoder(streams)
	var share, batch, rate []float64
	for range turns {
		bandwidth, err := timed(func() error { stream(memory, workers); return nil })
		if err != nil {
			return err
		}
		single, err := generate(one, 1, prompt, tokens)
		if err != nil {
			return err
		}
		sixteen, err := generate(many, streams, prompt, tokens)
		if err != nil {
			return err
		}
		share = append(share, bandwidth.cpu/(single.cpu/tokens))
		batch = append(batch, streams*single.cpu/sixteen.cpu)
		rate = append(rate, tokens*float64(workers)/single.cpu)
	}
	fmt.Printf("# decode, %d workers, %s: %.1f tokens/s in one stream, %.1f in %d\n", workers, load(), median(rate), median(rate)*median(batch), streams)
	figure("decode_share_of_bandwidth", median(share), turns)
	figure(fmt.Sprintf("decode_batch_%d_over_1", streams), median(batch), turns)
	return nil
}

// largePages asks for what the network asks for, so that the bound is that of the machine and not of small pages.
func largePages(x []float32) error {
	const page = 2 << 20
	b := unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
	skip := int(-uintptr(unsafe.Pointer(&b[0])) % page)
	return syscall.Madvise(b[skip:skip+(len(b)-skip)/page*page], syscall.MADV_HUGEPAGE)
}

// stream reads memory once, each worker its part.
func stream(memory []float32, workers int) {
	var wg sync.WaitGroup
	each := len(memory) / workers
	for w := range workers {
		wg.Go(func() { sum(memory[w*each : (w+1)*each]) })
	}
	wg.Wait()
}

// generate reads a prompt in each slot and returns what the tokens after it took.
func generate(d *nn.Decoder, streams, prompt, tokens int) (spent, error) {
	in := make([]nn.Input, streams)
	for s := range in {
		d.Truncate(s, 0)
		in[s] = nn.Input{Slot: s, Tokens: make([]int32, prompt)}
	}
	if _, err := d.Step(in); err != nil {
		return spent{}, err
	}
	for s := range in {
		in[s].Tokens = []int32{int32(s)}
	}
	return timed(func() error {
		for range tokens {
			if _, err := d.Step(in); err != nil {
				return err
			}
		}
		return nil
	})
}
