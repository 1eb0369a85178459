// Package formattest is the contract of a format of recorded conversations, such as llm/openai and llm/anthropic read and write.
//
// A Format is what such a package exports, with what its shape can hold. Its methods are tests: archives of its testdata, documents that are none of its own, conversations drawn at random that have to come back as they were, and a fuzz target. It is a room beside llm because property
// tests need a library that no program should be linked with.
package formattest
