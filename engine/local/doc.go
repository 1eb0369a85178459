// Package local is the engine in this process: the training verbs over a network of package nn, with checkpoints on disk.
//
// A checkpoint is a folder with the weights in the Hugging Face layout (adapters in PEFT's), the moments of the optimizer, whatever files the caller wants beside them (config.json, a tokenizer), and state.json, which is
// written last and has the digest of every other file. It appears under its name whole or not at all, also where the process is killed or the disk is full, and continues bit for bit.
package local
