package main

import (
	"fmt"

	"github.com/proviso-dev/proviso/nn"
)

// fma does n rounds of 16 independent multiply-adds on registers of 512 bits, where wide is set, or else of 256. Nothing can be faster than it.
//
//go:noescape
func fma(n int, wide bool)

// sum reads memory as fast as one thread can, 64 bytes at a time, and returns what makes the reading necessary.
//
//go:noescape
func sum(x []float32) float32

// gemm compares square products on one thread with the peak of multiply-adds.
func gemm(turns int) error {
	for _, n := range []int{256, 512, 1024} {
		a, b, c := values(n*n), values(n*n), make([]float32, n*n)
		flops := 2 * float64(n) * float64(n) * float64(n)
		repeat := int(2e10/flops) + 1
		const rounds = 1 << 23
		var share, rate []float64
		for range turns + 1 {
			wide := threadTime(func() { fma(rounds, true) })
			narrow := threadTime(func() { fma(2*rounds, false) })
			peak := rounds * 16 * 16 * 2 / min(wide, narrow)
			took := threadTime(func() {
				for range repeat {
					nn.Gemm(1, false, false, n, n, n, a, n, b, n, c, n, false)
				}
			})
			got := flops * float64(repeat) / took
			share, rate = append(share, got/peak), append(rate, got/1e9)
		}
		fmt.Printf("# gemm %d: %.1f GF/s\n", n, median(rate[1:]))
		name := "gemm_share_of_peak"
		if n != 512 {
			name += fmt.Sprintf("_%d", n)
		}
		figure(name, median(share[1:]), turns) // the first turn warms up
	}
	return nil
}

// values are numbers that are neither equal nor special.
func values(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%17-8) / 8
	}
	return x
}
