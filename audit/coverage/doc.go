// Package coverage tells what becomes of each clause of a policy: which rules enforce it, which question judges it, which cases have shown that in both directions, or why nothing can enforce it.
package coverage
