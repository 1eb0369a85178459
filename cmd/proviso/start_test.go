package main

import (
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Every command waits for what packages set up before main, whether it needs it or not. What ours allocate there is bounded: tables are made when they are first asked (internal/lazyregexp, sync.OnceValue).
func TestPackagesSetUpLittle(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const each, together = 100 << 10, 700 << 10
	packages, sum := 0, 0
	for line := range strings.Lines(string(out)) {
		// init internal/bytealg @0.008 ms, 0 ms clock, 0 bytes, 0 allocs
		f := strings.Fields(line)
		if len(f) != 11 || f[0] != "init" || f[8] != "bytes," || !strings.HasPrefix(f[1], "github.com/proviso-dev/proviso") {
			continue
		}
		n, err := strconv.Atoi(f[7])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if packages++; n > each {
			t.Errorf("%s allocates %d bytes before main, more than %d", f[1], n, each)
		}
		sum += n
	}
	if packages < 30 {
		t.Fatalf("%d packages of ours were found in the trace of the start: %.300s", packages, out)
	}
	if sum > together {
		t.Errorf("our packages allocate %d bytes before main, more than %d", sum, together)
	}
}

// The parser is told of one command only where that is the one which the arguments name, and of it with all that it has.
func TestOneCommandIsDescribed(t *testing.T) {
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, func(string) (string, bool) { return "", false })
	describe := func(args ...string) map[string]string {
		var c commands
		k, err := newParser(a, &c, args)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, n := range k.Model.Children {
			var about []string
			for _, group := range n.AllFlags(false) {
				for _, f := range group {
					about = append(about, f.Summary(), f.Help, f.Default)
				}
			}
			for _, x := range n.Leaves(false) {
				about = append(about, x.FullPath(), x.Help, x.Detail)
			}
			out[n.Name] = strings.Join(append(about, n.Help, n.Detail), "\n")
		}
		return out
	}
	all := describe()
	if len(all) < 30 {
		t.Fatalf("only %d commands", len(all))
	}
	for name, text := range all {
		if name == "completion" {
			continue
		}
		if one := describe(name); len(one) != 1 || one[name] != text {
			t.Errorf("proviso %s: the parser was told of %d commands, and of this one as %q, want %q", name, len(one), one[name], text)
		}
	}
	if got := describe("completion"); len(got) != len(all) {
		t.Errorf("completion completes %d commands of %d", len(got), len(all))
	}
}
