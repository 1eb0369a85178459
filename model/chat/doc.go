// Package chat turns the messages of a conversation into the text that a family of models was trained to continue, and what a model says back into text and calls.
//
// In a Hugging Face checkpoint that text is made by a Jinja template. Here each family is a renderer in Go, and the template's text is only recognised, by its digest: a model must see
// exactly the words that it was trained on, and a template that is not known is an error. The tests compare every renderer with an implementation of Jinja (testdata/render.mjs).
//
// A Prompt is a list of parts that says which words come from the template and which from messages, so that a tokenizer spells out control tokens that a user or a tool has written.
//
// The package is pure.
package chat
