// Package grammar says which tokens may come next, so that what a model writes is JSON of a schema, or a sentence of a grammar.
//
// A Grammar is made by Schema from a JSON Schema, or by Parse from rules in the notation that llama.cpp calls GBNF. It is a context-free grammar over bytes, run as a set of stacks without look-ahead, so that it can be asked after any byte, in the middle of a
// character or a token. Bind joins it with a vocabulary: Mask walks the trie of all tokens once for each state that is met and remembers the answer, Next follows a token.
//
// Schema makes a grammar of a part of what the schema allows: every text that the grammar allows is valid, and some valid texts it never writes (properties stand in the order of the schema, those that the schema does not name are left out, and spaces are few).
// A keyword that cannot be kept in this way is an error and not passed over.
//
// The package is pure.
package grammar
