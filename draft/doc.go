// Package draft proposes rules for the clauses of a policy, for people to review.
//
// A draft is an overlay of lower rank without grants, so that it can only narrow what the pack permits; Prove shows that for every tool, or the draft is not written.
// Read is the drafter without a model: it reads the frequent forms of sentences (draft/sentence), looks for the tools, arguments and facts of the pack that they name, and puts what it cannot express as a question to a judge.
// What it could not read it says. Ask has a model propose instead, and takes nothing from it on trust: clauses are quoted byte for byte, trees are parsed, rules are compiled, rendered back into words and compared with their clause;
// what stays wrong after a few attempts is left to a person.
package draft
