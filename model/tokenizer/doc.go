// Package tokenizer turns text into the token ids of a language model and back: byte-level byte pair encoding, read from and written to a Hugging Face tokenizer.json.
//
// Text goes through the stages of that format, in its order: added tokens are cut out, what is left is normalised, cut into words by a pattern, spelled in bytes, and its bytes are merged by rank (Sennrich et al. 2016; byte-level as in Radford et al. 2019).
// The patterns of the format are regular expressions with look-ahead, which Go's package regexp does not have. Those of GPT-2, cl100k (Llama 3) and Qwen are scanners written by hand instead (pattern.go); a file with any other pattern, model or stage is an error and never read as something similar, because a tokenizer that is almost right spoils a model without anybody noticing.
//
// Control tokens in text that nobody has vouched for are an attack: a tool result that holds the text of the end-of-turn token would end the turn. Options.Literal names the parts of a text in which added tokens are spelled out like any other words.
//
// The package is pure: files are bytes that the caller reads and writes.
package tokenizer
