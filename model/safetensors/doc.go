// Package safetensors reads and writes named tensors in the format of Hugging Face's safetensors: a length, a JSON header with the type, shape and place of each tensor, and the bytes.
//
// A File is read where it lies: Open reads the header alone and checks all of it, ReadFloat32 streams one tensor at a time into memory that the caller has. Nothing is allocated by what a header claims; a claim that the size of the file does not bear out is an error.
// Values of 16, 32 and 64 bits are turned into float32 and back: bfloat16 and float16 are rounded to nearest, ties to even (IEEE 754).
//
// The package is pure: files are an io.ReaderAt and an io.Writer.
package safetensors
