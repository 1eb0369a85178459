// Package eval runs suites of cases, keeps their results so that a run which was killed goes on, and says what two runs differ in.
//
// A Suite is cases with what is right about each, and a way to find out what is got. Play runs it in parallel and yields a Run: for every case what was wanted,
// what was got, and whether it passed, failed, or could not be judged. With a file every finished case is a line of JSON; the same Play after a kill -9 goes on
// behind the last whole line. What a run says is kept apart from how long it took, so that two runs of a deterministic suite are equal to the last byte.
//
// Compare pairs two runs over the same cases: what was fixed, what broke, and how sure the difference is. The statistics are exact or seeded; nothing here
// throws dice. A Figure is a number that a test printed; a Table holds figures against what is wanted of them. Package eval/report prints all of it.
package eval
