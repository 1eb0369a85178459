// Package conformance holds Proviso against outside suites: policies that others wrote, with records of what is right, read from the folder that PROVISO_DATA names.
// Apart from the table of what is wanted everything here is tests; each prints its results as lines "figure: suite.name = value (n=count)".
package conformance
