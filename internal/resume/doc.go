// Package resume carries out long runs that go on where they were stopped, also by kill -9.
//
// A run is numbered items, each of which yields a result. Work does them side by side. A file of JSON lines keeps what is finished: the first line says what the run is about, each one behind it is one result, and each is
// written with one call. What is there after a crash is therefore a prefix of what was written: a last line without its newline is cut off, and anything else that cannot be read is damage, which nobody mends silently.
// A file that is about something else is refused and left as it is.
//
// What the lines say, and which two runs are the same, is the business of who runs: package eval keeps cases, package rollout plays, package audit sessions. A Form is what their files have in common.
//
// A line is in the hands of the operating system when Write returns, so that the death of the process loses none. Only Sync waits for the disk: after a power cut, some of the last lines may have to be found again.
// Two processes that write one file at the same time are not kept apart here; their lines show it, because an item then is finished twice.
package resume
