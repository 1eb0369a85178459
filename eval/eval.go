package eval

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/resume"
)

// Suite is cases with what is right about each, and a way to find out what is got.
type Suite struct {
	Name    string
	Subject string // what is judged, such as the digest of a policy; runs of different subjects over the same cases can be compared
	Cases   []Case // their ids differ

	// Play plays case i and returns what is got. It is called from several goroutines at once, and must not depend on the order.
	// An error says that nothing is known about the case, as where a file could not be read; a wrong answer is no error.
	Play func(ctx context.Context, i int) (Answer, error)
}

// Case is one thing to try. Want holds the labels that are right, one for each judgement that the case asks for.
type Case struct {
	ID     string
	Group  string // what it is reported with, such as a tool or a domain; may be empty
	Pos    proviso.Pos
	Want   []string
	Digest string // of everything else that is played, so that runs over other inputs are not taken for the same
}

// Answer is what came of a case. Got holds a label for each of the case's Want. Pass may ask for more than equal labels.
type Answer struct {
	Got    []string
	Pass   bool
	Note   string             // why it did not pass
	Values map[string]float64 // measures beside the labels
}

// Status says how a case ended. The zero value is not a pass.
type Status uint8

// The statuses. A case in error counts as not passed, and is played again when the run is resumed.
const (
	Errored Status = iota
	Failed
	Passed
)

var statusNames = [...]string{"error", "fail", "pass"}

// String returns "error", "fail" or "pass".
func (s Status) String() string { return statusNames[s] }

// MarshalText writes the name.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name.
func (s *Status) UnmarshalText(b []byte) error {
	for i, n := range statusNames {
		if n == string(b) {
			*s = Status(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no status; want error, fail or pass", b)
}

// Result is what a run says about one case. It holds nothing that differs from one run of a deterministic suite to the next.
type Result struct {
	ID     string             `json:"id"`
	Group  string             `json:"group,omitempty"`
	Pos    proviso.Pos        `json:"pos,omitzero"`
	Want   []string           `json:"want"`
	Got    []string           `json:"got"`
	Status Status             `json:"status"`
	Note   string             `json:"note,omitempty"`
	Values map[string]float64 `json:"values,omitempty"`
}

// Head says what a run is about.
type Head struct {
	Form    int    `json:"proviso_eval"` // of the file
	Suite   string `json:"suite"`
	Subject string `json:"subject,omitempty"`
	Cases   int    `json:"cases"`
	Digest  string `json:"digest"` // SHA-256 of the cases, in hexadecimal: what is wanted and what is played, not what is judged
}

// Run is the results of a suite, in the order of its cases. Those that were not reached are left out.
type Run struct {
	Head    Head            `json:"head"`
	Results []Result        `json:"results"`
	Took    []time.Duration `json:"-"` // how long each result took; no part of what the run says
}

// Counts are how many cases ended how.
type Counts struct {
	Passed int `json:"passed"`
	Failed int `json:"failed"`
	Errors int `json:"errors"`
	Left   int `json:"left"` // cases that were not reached
}

// Counts counts the results of the run.
func (r *Run) Counts() Counts {
	c := Counts{Left: r.Head.Cases - len(r.Results)}
	for i := range r.Results {
		switch r.Results[i].Status {
		case Passed:
			c.Passed++
		case Failed:
			c.Failed++
		default:
			c.Errors++
		}
	}
	return c
}

// Complete reports whether every case was judged.
func (r *Run) Complete() bool { c := r.Counts(); return c.Left == 0 && c.Errors == 0 }

// Digest is the SHA-256 of what the run says, in hexadecimal: its head and its results. How long they took is no part of it.
func (r *Run) Digest() string {
	b, err := proviso.AppendJSON(nil, r)
	if err != nil {
		b = []byte(err.Error()) // unreachable: Play refuses values that have no JSON form
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Groups lists the names of the groups of the results, in the order in which they first occur.
func (r *Run) Groups() []string {
	var out []string
	seen := map[string]bool{}
	for i := range r.Results {
		if g := r.Results[i].Group; !seen[g] {
			seen[g] = true
			out = append(out, g)
		}
	}
	return out
}

// Config says how a suite is played. The zero value plays it in memory, on all processors.
type Config struct {
	File     string         // keeps every finished case, so that the same Play goes on where it was stopped; empty: none
	Workers  int            // cases that are played at the same time; 0: one for each processor
	Progress func(Progress) // called after each case, one call at a time; may be nil
}

// Progress is how far a run has come.
type Progress struct {
	Cases, Done, Resumed, Failed, Errors int
}

// ErrEmpty is the error of a suite without cases: a run that tried nothing is no success.
var ErrEmpty = errors.New("the suite has no cases")

// Play plays the cases of a suite. Where ctx ends it returns what was finished so far with the error of ctx.
// With Config.File cases that an earlier run finished are not played again. A file that is about another suite, other cases or another subject is a *FileError and left as it is.
// A case that panics is in error; the others go on.
func Play(ctx context.Context, s *Suite, cfg Config) (*Run, error) {
	if len(s.Cases) == 0 {
		return nil, ErrEmpty
	}
	head, err := s.head()
	if err != nil {
		return nil, err
	}
	p := &player{suite: s, cfg: cfg, done: make([]*line, len(s.Cases))}
	ended := false
	if cfg.File != "" {
		old, log, err := openFile(cfg.File, s, head)
		if err != nil {
			return nil, err
		}
		defer log.Close()
		p.log, ended = log, old.end != ""
		copy(p.done, old.lines)
	}
	err = p.play(ctx)
	run := runOf(head, p.done)
	if err == nil && run.Complete() && !ended {
		if err = p.log.Write(lastLine{run.Digest()}); err == nil {
			err = p.log.Sync()
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return run, err
}

// head identifies the suite; ids have to differ, since runs are compared by them.
func (s *Suite) head() (Head, error) {
	seen := map[string]bool{}
	sum := sha256.New()
	for i := range s.Cases {
		c := &s.Cases[i]
		if seen[c.ID] {
			return Head{}, fmt.Errorf("suite %s: case %q occurs twice; give every case an id of its own", s.Name, c.ID)
		}
		seen[c.ID] = true
		b, err := proviso.AppendJSON(nil, []any{c.ID, c.Want, c.Digest})
		if err != nil {
			return Head{}, err // unreachable: texts have a JSON form
		}
		sum.Write(append(b, '\n'))
	}
	return Head{Form: fileForm, Suite: s.Name, Subject: s.Subject, Cases: len(s.Cases), Digest: hex.EncodeToString(sum.Sum(nil))}, nil
}

// player plays the cases that are not done yet.
type player struct {
	suite *Suite
	cfg   Config
	log   *resume.Log
	done  []*line // by number of the case
	state Progress
}

func (p *player) play(ctx context.Context) error {
	p.state.Cases = len(p.done)
	work := resume.Work[line]{
		Workers: p.cfg.Workers,
		Do:      p.try,
		Failed:  func(l *line) bool { return l.Result.Status == Errored },
		Keep:    func(_ int, l *line) error { return p.log.Write(l) },
		Seen:    p.count,
	}
	return work.Run(ctx, p.done)
}

func (p *player) try(ctx context.Context, i int) *line {
	c := &p.suite.Cases[i]
	l := &line{Number: i, Result: Result{ID: c.ID, Group: c.Group, Pos: c.Pos, Want: texts(c.Want)}}
	start := time.Now()
	a, err := p.answer(ctx, i)
	l.Took = time.Since(start)
	r := &l.Result
	r.Got, r.Note, r.Values = texts(a.Got), a.Note, a.Values
	switch {
	case err != nil:
		r.Note = err.Error()
	case !finite(a.Values):
		r.Note, r.Values = "a value is not a number", nil
	case len(a.Got) != len(c.Want):
		r.Note = fmt.Sprintf("%d answers for %d wanted", len(a.Got), len(c.Want))
	case a.Pass:
		r.Status = Passed
	default:
		r.Status = Failed
	}
	return l
}

func finite(values map[string]float64) bool {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// texts is never nil, so that a result reads back as it was.
func texts(list []string) []string { return append([]string{}, list...) }

func (p *player) answer(ctx context.Context, i int) (a Answer, err error) {
	defer func() {
		if v := recover(); v != nil {
			a, err = Answer{}, fmt.Errorf("panic: %v", v)
		}
	}()
	return p.suite.Play(ctx, i)
}

func (p *player) count(l *line, resumed bool) {
	p.state.Done++
	if resumed {
		p.state.Resumed++
	}
	switch l.Result.Status {
	case Failed:
		p.state.Failed++
	case Errored:
		p.state.Errors++
	}
	if p.cfg.Progress != nil {
		p.cfg.Progress(p.state)
	}
}
