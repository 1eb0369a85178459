// Package mutate spoils a policy on purpose: each mutant is the pack with one mistake that people and models make, and a pack whose cases do not notice has a hole in its tests.
//
// The operators are those of mutation testing over access rules, by the classes of errors that RAGent's verifier tells apart (arXiv 2409.07489): decision, subject, action, resource, condition, and what is left out.
// Mutants makes them, Judge plays the cases against one. A mutant that no case notices is compared with the original by policy/analyze: one that is proved to decide every call alike is no hole and does not count,
// and for another the proof shows a call on which the two differ, which Case writes as a case.
package mutate
