package sqlite_test

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
)

// One transaction takes what many requests bring. A request that cannot be written, at whatever place among the others, is told for itself and leaves nothing behind; its session goes on from where it was.
func TestOneRequestOfABatchFails(t *testing.T) {
	for _, before := range []int{0, 1, 7, 8, 62, 63, 64, 65, 130} {
		s := open(t, filepath.Join(t.TempDir(), "j.db"))
		add(t, s, call("b", 1))
		// While the first commit is held up, the rest becomes one batch.
		hold, begun := make(chan bool), make(chan bool, 1)
		s.FailCommits(func(commit func() error) error {
			select {
			case begun <- true:
				<-hold
			default:
			}
			return commit()
		})
		commits := s.Stats().Commits
		first := make(chan error, 1)
		go func() { first <- s.Append(ctx, call("a", 1)) }()
		<-begun
		seq := uint64(1)
		fill := func(n int) {
			for range n {
				seq++
				if err := s.Enqueue(ctx, call("a", seq)); err != nil {
					t.Fatal(err)
				}
			}
		}
		fill(before)
		bad := call("b", 4)
		bad.Facts = []proviso.FactValue{{FactKey: proviso.FactKey{Fact: "f"}, Value: make(chan int)}}
		failed := make(chan error, 1)
		waiting := s.Stats().Waiting
		go func() { failed <- s.Append(ctx, call("b", 2), call("b", 3), bad) }()
		for s.Stats().Waiting == waiting {
			runtime.Gosched()
		}
		fill(70)
		last := make(chan error, 1)
		waiting = s.Stats().Waiting
		go func() { last <- s.Append(ctx, call("c", 1)) }()
		for s.Stats().Waiting == waiting {
			runtime.Gosched()
		}
		close(hold)
		for name, c := range map[string]struct {
			err  error
			want string
		}{"the first": {<-first, ""}, "the bad one": {<-failed, `record 4 of session "b" cannot be written`}, "the last": {<-last, ""}} {
			if c.want == "" && c.err != nil || c.want != "" && (c.err == nil || !strings.Contains(c.err.Error(), c.want)) {
				t.Errorf("%d before: %s: %v, want %q", before, name, c.err, c.want)
			}
		}
		if st := s.Stats(); st.Commits-commits != 2 || st.Lost != 0 || st.Committed != int64(seq)+2 {
			t.Errorf("%d before: %+v", before, st)
		}
		add(t, s, call("b", 2))
		if a, b := seqs(t, s, "a"), seqs(t, s, "b"); len(a) != int(seq) || !slices.Equal(b, []uint64{1, 2}) {
			t.Errorf("%d before: %d records of a, want %d; those of b are %v", before, len(a), seq, b)
		}
		wantSound(t, s)
		s.Close()
	}
}
