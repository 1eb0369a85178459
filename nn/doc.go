// Package nn computes: matrix products and element-wise kernels in fp32, and on them a decoder-only transformer of the Llama family that is trained, scored and decoded on the CPU.
//
// # The tour, bottom up
//
// A kernels value is one set of inner loops. Three exist: plain Go, which is the reference and runs everywhere, and assembly for AVX2 and AVX-512, written by the
// command asmgen under go generate. The best set that the processor has is chosen when the program starts; SIMD names it, and PROVISO_SIMD=off|avx2|avx512 in the
// environment chooses a lesser one. Where only plain Go is left, the first network says once on standard error that it will be slow.
//
// Gemm is the matrix product: row-major with strides, either factor transposed, result overwritten or added to. A Config describes a network, New allocates it, and
// each Param is one tensor under the name that Hugging Face checkpoints give it.
//
// Forward takes sequences of different lengths as one packed batch, without padding, and returns the log-probability of each target. Backward takes
// W = -dLoss/dlogp, one number per target, and adds the gradient of the loss to the parameters: an objective never sees the network. AdamW turns gradients
// into the next weights. A LoRA adapter trains few parameters and leaves the rest. A Decoder generates: it keeps keys and values of many sequences, each at its own
// length, and advances any of them in one step.
//
// # Promises
//
// The same weights and batch give the same bits, whatever the number of workers: work is divided so that every sum has one owner and one order. In a Decoder the bits
// of one sequence do not depend on which others share the step. The three kernel sets agree within rounding, not in bits.
//
// What is not finite is found where it appears: Forward, GradNorm and Decoder return ErrNotFinite with the place.
//
// # Not here
//
// Files, tokenizers and sampling are package model's. There is no tape and no graph: the backward pass of the block is written out by hand, which is shorter than an
// autograd for one architecture, allocates nothing in the loop, and is checked layer by layer against finite differences and PyTorch.
package nn

//go:generate go run ./asmgen
