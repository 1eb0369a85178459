// Package document turns the owner's text into clauses with stable ids.
package document

// Document is a parsed policy text.
type Document struct{}
