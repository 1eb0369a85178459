// Package model holds weights that speak: a decoder-only transformer with its configuration, tokenizer and chat form, read from and written to the files of Hugging Face checkpoints, and the generation of text with it.
//
// A Model is a folder in memory: config.json, model.safetensors (in one file or in shards), tokenizer.json, tokenizer_config.json and generation_config.json. Load reads one and checks every name and shape before memory is taken;
// Save writes one whole or not at all. LoadAdapter and SaveAdapter do the same for LoRA in the layout of PEFT.
//
// A Generator answers many requests at once with one network: each request has a slot, every step of the network advances all of them, and requests come and go between steps (continuous batching, Yu et al. 2022). A beginning that requests share, such as a long policy, is read once.
// What is sampled depends on the request and its seed alone, never on what else is being answered. A Generator is an llm.Model.
//
// The rooms below do one thing each: model/tokenizer, model/safetensors, model/chat, model/grammar, and model/serve for HTTP.
package model
