// Package analyze proves things about compiled policies: that a new one permits no call that the old one refused, that two are the same, that a rule can
// never fire or never matters, that a condition always holds. Every "no" comes with a call that shows it, decided by the evaluator itself; what cannot be
// decided is "unknown" and never "yes".
//
// The conditions of one tool, of one policy or of two, become one tree over shared atoms. A search assigns atoms until the tree is decided and asks whether
// values exist for which the atoms turn out so. It understands comparisons of arguments, facts, session attributes, times and counts with constants and with
// each other where they are linear; texts against constants, finite sets, RE2 patterns and lengths; equality of two texts; presence; answers of judges and
// confirmations. Every other atom is opaque: free to be true or false, but the same wherever it is written the same.
//
// A proof speaks about calls whose conditions have values: errors restrict in every policy, arithmetic that overflows is an error, and a fact that was not
// observed is asked for.
package analyze
