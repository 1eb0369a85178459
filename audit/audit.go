// Package audit reads recorded conversations and says for each clause of a policy what they show: violated, error, unknown, satisfied or dormant, with quotes.
//
// Run reads files and folders, Test plays the cases of a pack, and All lists the forms in which a Report is printed.
// Every step of a recording is decided as if it were live, with what the conversation had shown until then. What the recording shows to have happened counts as done even where the policy would have stopped it.
//
// A rule that applies and holds satisfies the clauses it cites; one that would have stopped, escalated or edited the step violates them; one that erred, or that waits for a fact or an answer that the recording does not show, is an error or unknown.
// A confirmation that the recording does not show was not given: the user's words are all there. What a recorded guard stopped did not happen, and violates nothing.
// Where no step shows anything of what a clause speaks of it is dormant. The worst status that any step gives a clause is that of the session.
package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sort"
	"sync"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// ErrEmpty is the error of an audit that found no events: nothing was looked at, which is not a pass.
var ErrEmpty = errors.New("no events")

// The codes of the diagnostics of an audit, beside those of reading conversations (PV401 to PV404).
const (
	CodeUnreadable = "PV405" // a file or a part of it that cannot be read
	CodeNoTime     = "PV406" // a recording that does not say when it was
	CodeStep       = "PV407" // a step that could not become part of the session
)

// Config says what to audit. Policy and Paths are required.
type Config struct {
	Policy *policy.Policy
	// Paths are files, and folders whose files ending in .json, .jsonl or .ndjson, each perhaps with .gz behind, are read. The content decides the format.
	Paths []string
	// Journal returns the records of a file that is a journal, in the order in which they were appended, and nil where the file is none; nil: all files are texts.
	Journal func(ctx context.Context, path string) iter.Seq2[Stored, error]
	// Now is the time of the first step of recordings that do not say when they were.
	Now time.Time
	// Workers is how many sessions are decided at the same time; 0 means one per processor.
	Workers int
	// MaxBytes bounds one conversation, and with it the memory used; 0 means 64 MiB. Longer ones are reported and passed over.
	MaxBytes int
	// State names a file in which finished sessions are kept, so that an audit that was killed goes on where it stopped; empty: none.
	// It counts for the same bytes in the same place under the same policy; anything else is audited anew. Now is that of the run that began it.
	State string
	// Traces keeps the records of each session in the report.
	Traces bool
	// Progress is called from time to time, never twice at once.
	Progress func(Progress)
}

// Stored is a record that a journal keeps.
type Stored struct {
	Session string
	ID      string // of what the record says: an audit is resumed where it is the same
	Size    int    // of what is kept, in bytes
	// Read reads the record. It is called once, in another goroutine than the one that yields.
	Read func() (proviso.Record, error)
}

// Progress counts what was done so far.
type Progress struct {
	File     string // being read
	Sessions int
	Events   int
	Resumed  int // of the sessions, those that an earlier run had finished
}

// Report is what an audit found. Sessions are in the order in which they were first met.
type Report struct {
	Policy   string        `json:"policy"`
	Sessions []Session     `json:"sessions"`
	Clauses  []ClauseTotal `json:"clauses"`
	// Uncited are the clauses of the document that no rule implements; an audit says nothing about them.
	Uncited []proviso.Clause `json:"uncited,omitempty"`
	Totals  Totals           `json:"totals"`
	// Diagnostics tell what could not be read.
	Diagnostics proviso.Diagnostics `json:"diagnostics,omitempty"`
}

// Session is what one recorded conversation shows. Verdicts has one entry for every clause that a rule cites, in the order of the document, and one for each of the pseudo clauses, whose ids are in brackets, that took part.
// Would lists what rules in audit mode found; it counts nowhere else.
type Session struct {
	Session   string              `json:"session"`
	Source    string              `json:"source"`
	Line      int                 `json:"line,omitempty"` // of the source, where the conversation begins
	Events    int                 `json:"events"`
	Calls     int                 `json:"calls"`
	Truncated bool                `json:"truncated,omitempty"`
	Status    proviso.Status      `json:"status"`
	Verdicts  []proviso.Verdict   `json:"verdicts"`
	Would     []proviso.Verdict   `json:"would,omitempty"`
	Notes     proviso.Diagnostics `json:"notes,omitempty"`
	Trace     *proviso.Trace      `json:"trace,omitempty"`
	// Numbers are the numbers that the records of the trace had in their recording, where those had gaps.
	Numbers []uint64 `json:"numbers,omitempty"`
	// NearMisses are calls that were made without the check that should have come first. Obligations are what rules at the end of the session found.
	NearMisses  []NearMiss   `json:"near_misses,omitempty"`
	Obligations []Obligation `json:"obligations,omitempty"`

	pair *pair
}

// Obligation is what a rule at session_end says about a session: what had to be done before its end was, or was not. A recording that breaks off has none.
type Obligation struct {
	Rule    string           `json:"rule"`
	Clauses []proviso.Clause `json:"clauses,omitempty"`
	Status  proviso.Status   `json:"status"`
	Cause   []proviso.Cause  `json:"cause,omitempty"` // of what is not satisfied
}

// ClauseTotal counts the sessions by the status of one clause.
type ClauseTotal struct {
	Clause proviso.Clause `json:"clause"`
	Counts
	NearMisses int `json:"near_misses,omitempty"`
}

// Counts is a number per status.
type Counts struct {
	Violated  int `json:"violated"`
	Errors    int `json:"error"`
	Unknown   int `json:"unknown"`
	Satisfied int `json:"satisfied"`
	Dormant   int `json:"dormant"`
}

func (c *Counts) add(s proviso.Status) {
	switch s {
	case proviso.Violated:
		c.Violated++
	case proviso.Errored:
		c.Errors++
	case proviso.Undetermined:
		c.Unknown++
	case proviso.Satisfied:
		c.Satisfied++
	case proviso.Dormant:
		c.Dormant++
	}
}

// Totals counts over the whole audit; the counts per status are of sessions by their worst clause.
type Totals struct {
	Files     int `json:"files"`
	Sessions  int `json:"sessions"`
	Truncated int `json:"truncated"`
	Events    int `json:"events"`
	Calls     int `json:"calls"`
	Counts
	NearMisses int `json:"near_misses,omitempty"` // calls made without a check that should have come first; those with a wrong value seen later are left out
	Missed     int `json:"missed,omitempty"`      // obligations that were not met
}

// Status is the worst status of any session.
func (r *Report) Status() proviso.Status {
	worst := proviso.Dormant
	for i := range r.Sessions {
		worst = max(worst, r.Sessions[i].Status)
	}
	return worst
}

// Run audits. Files that cannot be read and conversations that are none are reported in the diagnostics; the error is ErrEmpty where nothing at all could be decided, the context's where that ended, and that of a path that does not exist.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Policy == nil {
		return nil, errors.New("audit: no policy; compile one first")
	}
	r, files, err := begin(ctx, cfg, nil)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	rep := r.report(files)
	if rep.Totals.Events == 0 {
		return rep, empty("audit", files, rep.Diagnostics)
	}
	return rep, nil
}

// empty is the error where nothing at all could be decided.
func empty(what string, files int, found proviso.Diagnostics) error {
	if len(found) > 0 {
		return fmt.Errorf("%s: %w: %w", what, ErrEmpty, found)
	}
	return fmt.Errorf("%s: %w in %d files; name files of recorded conversations", what, ErrEmpty, files)
}

// begin plays all files and returns the run, whose sessions are done, and how many files there were. second is the policy to compare with, nil for an audit.
func begin(ctx context.Context, cfg Config, second *frame) (*run, int, error) {
	files, err := expand(cfg.Paths)
	if err != nil {
		return nil, 0, err
	}
	if cfg.Workers <= 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 64 << 20
	}
	r := &run{cfg: cfg, frame: newFrame(cfg.Policy), second: second, sessions: map[string]int{}}
	if cfg.State != "" {
		if err := r.remember(ctx, files); err != nil {
			return nil, 0, err
		}
		defer r.saved.log.Close()
	}
	if err := r.all(ctx, files); err != nil {
		return nil, 0, err
	}
	return r, len(files), nil
}

// run is one audit under way.
type run struct {
	cfg    Config
	frame  *frame
	second *frame // of the policy to compare with, nil for an audit

	saved    *savedState // nil where nothing is kept
	surveyed *savedState // set while the records are counted, and nothing is decided

	shared   chan work   // conversations, for any worker
	own      []chan work // records, for the worker that has their session
	sessions map[string]int

	mu      sync.Mutex
	met     int
	done    []numbered
	diags   proviso.Diagnostics
	state   Progress
	spoilt  map[string]bool // sessions with records that could not be read
	unsaved bool            // the state could not be written
}

// numbered is a session with the place at which it was first met.
type numbered struct {
	place int
	Session
}

// work is one conversation, or some lines of records of one worker.
type work struct {
	source  string
	line    int
	place   int
	text    string // of a conversation
	records []recordLine
	bytes   int // of the records
}

type recordLine struct {
	line    int
	place   int
	session string
	text    string
	read    func() (proviso.Record, error) // in place of the text
}

// record reads the record.
func (l *recordLine) record() (rec proviso.Record, err error) {
	if l.read != nil {
		return l.read()
	}
	err = proviso.DecodeStrict(l.text, &rec)
	return rec, err
}

// all reads the files in one goroutine and decides in others.
func (r *run) all(ctx context.Context, files []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.shared = make(chan work, 2*r.cfg.Workers)
	r.own = make([]chan work, r.cfg.Workers)
	var wg sync.WaitGroup
	for i := range r.own {
		r.own[i] = make(chan work, 4)
		wg.Go(func() { r.worker(ctx, r.own[i]) })
	}
	err := r.read(ctx, files)
	if err != nil {
		cancel()
	}
	close(r.shared)
	for _, c := range r.own {
		close(c)
	}
	wg.Wait()
	return err
}

// send hands work to a worker unless the context ends.
func send(ctx context.Context, c chan<- work, w work) error {
	select {
	case c <- w:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// worker decides until both channels are closed. The players of recorded sessions live as long as the worker, because their lines may lie far apart.
func (r *run) worker(ctx context.Context, own <-chan work) {
	players := map[string]*player{}
	shared := (<-chan work)(r.shared)
	for own != nil || shared != nil {
		var w work
		var ok bool
		select {
		case w, ok = <-own:
			if !ok {
				own = nil
				continue
			}
		case w, ok = <-shared:
			if !ok {
				shared = nil
				continue
			}
		}
		if ctx.Err() != nil {
			continue
		}
		if w.records == nil {
			r.conversation(w)
		} else {
			r.records(w, players)
		}
	}
	for _, p := range players {
		r.finish(p)
	}
}

func (r *run) finish(p *player) {
	s := p.finish()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(p.key, &s)
	r.done = append(r.done, numbered{p.place, s})
	r.state.Sessions++
	r.progress(p.moved)
}

// progress counts events and tells; the caller holds the lock.
func (r *run) progress(events int) {
	r.state.Events += events
	if r.cfg.Progress != nil {
		r.cfg.Progress(r.state)
	}
}

func (r *run) note(d proviso.Diagnostic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.diags = append(r.diags, d)
}

// place numbers a session that is met for the first time.
func (r *run) place() int {
	r.met++
	return r.met
}

func (r *run) report(files int) *Report {
	sort.Slice(r.done, func(i, j int) bool { return r.done[i].place < r.done[j].place })
	r.diags.Sort()
	rep := &Report{Policy: r.cfg.Policy.Digest(), Uncited: r.frame.uncited, Diagnostics: r.diags}
	rep.Totals.Files = files
	counts := map[string]*ClauseTotal{}
	for _, c := range r.frame.clauses {
		counts[c.ID] = &ClauseTotal{Clause: c}
	}
	for _, n := range r.done {
		s := n.Session
		rep.Sessions = append(rep.Sessions, s)
		rep.Totals.Sessions++
		rep.Totals.Events += s.Events
		rep.Totals.Calls += s.Calls
		if s.Truncated {
			rep.Totals.Truncated++
		}
		rep.Totals.add(s.Status)
		for _, v := range s.Verdicts {
			counts[v.Clause.ID].add(v.Status)
		}
		for _, m := range s.NearMisses {
			if m.Kind == WrongLate {
				continue
			}
			rep.Totals.NearMisses++
			for _, c := range m.Clauses {
				if n := counts[c.ID]; n != nil {
					n.NearMisses++
				}
			}
		}
		for _, o := range s.Obligations {
			if o.Status == proviso.Violated {
				rep.Totals.Missed++
			}
		}
	}
	for _, c := range r.frame.clauses {
		if n := counts[c.ID]; n.Counts != (Counts{}) {
			rep.Clauses = append(rep.Clauses, *n)
		}
	}
	return rep
}
