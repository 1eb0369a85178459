// Package retrieve finds the clauses of a policy that a question is about.
//
// An Index holds passages in memory and ranks them by BM25 over stemmed words and pairs of neighbouring words. Answer decides whether the best of them answers the question at all: "not answered" is an answer.
// Nothing is learnt and nothing is asked of a model; the same passages and question give the same hits, byte for byte.
package retrieve
