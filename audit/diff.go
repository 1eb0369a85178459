package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// DiffConfig says which policies to compare over which recordings. Old, New and Paths are required; the rest is as in Config.
type DiffConfig struct {
	Old, New *policy.Policy
	Paths    []string
	Journal  func(ctx context.Context, path string) iter.Seq2[Stored, error]
	Now      time.Time
	Workers  int
	MaxBytes int
	Progress func(Progress)
}

// Direction says which way a decision changed.
type Direction string

// The directions. Needs_info counts between deny and escalate, as everywhere.
const (
	Widened  Direction = "widened"  // the new policy permits more
	Narrowed Direction = "narrowed" // the new policy permits less
	Reworded Direction = "edited"   // both allow, with different edits
)

// DiffReport is what another policy would have changed over recorded conversations: each step is decided under both, each with its own memory of the session, as the recording shows it.
type DiffReport struct {
	Old    string     `json:"old"` // digests
	New    string     `json:"new"`
	Totals DiffTotals `json:"totals"`
	// Rules counts the changed decisions by the rule that decided on the stricter side, those that were denied and are allowed now first.
	Rules []RuleFlips `json:"rules"`
	// Flips are the decisions that changed, from deny to allow first; beyond MaxFlips they are counted only.
	Flips []Flip `json:"flips"`
	// Lacking are steps that one of the policies could not decide, because the recording does not show what it asks for.
	Lacking     []Lack              `json:"lacking,omitempty"`
	Diagnostics proviso.Diagnostics `json:"diagnostics,omitempty"`
}

// MaxFlips is how many changed decisions, and how many steps that lack something, a report keeps.
const MaxFlips = 10000

// DiffTotals counts over the whole comparison.
type DiffTotals struct {
	Files    int `json:"files"`
	Sessions int `json:"sessions"`
	Events   int `json:"events"`
	Calls    int `json:"calls"`
	Opened   int `json:"deny_to_allow"`
	Widened  int `json:"widened"` // with those from deny to allow
	Narrowed int `json:"narrowed"`
	Edited   int `json:"edited"`
	Lacking  int `json:"lacking"`
}

// Flip is one step that the policies decide differently.
type Flip struct {
	Session   string        `json:"session"`
	Source    string        `json:"source"`
	Line      int           `json:"line,omitempty"` // of the source, where the conversation begins
	Seq       uint64        `json:"seq"`
	Point     proviso.Point `json:"point"`
	Tool      string        `json:"tool,omitempty"`
	Quote     string        `json:"quote"` // of the arguments or the text
	Direction Direction     `json:"direction"`
	Old       Ruling        `json:"old"`
	New       Ruling        `json:"new"`
}

// Ruling is what one policy says about a step.
type Ruling struct {
	Outcome proviso.Outcome  `json:"outcome"`
	Rules   []string         `json:"rules,omitempty"`
	Clauses []proviso.Clause `json:"clauses,omitempty"`
	Because []proviso.Cause  `json:"because,omitempty"`
	Missing []string         `json:"missing,omitempty"`
	Edits   []proviso.Edit   `json:"edits,omitempty"`
}

// RuleFlips counts the decisions that changed where a rule decided on the stricter side.
type RuleFlips struct {
	Rule     string           `json:"rule"`
	Clauses  []proviso.Clause `json:"clauses,omitempty"`
	Opened   int              `json:"deny_to_allow"`
	Widened  int              `json:"widened"`
	Narrowed int              `json:"narrowed"`
	Edited   int              `json:"edited"`
}

// Lack is a step that a policy asks something about that the recording does not show.
type Lack struct {
	Session string   `json:"session"`
	Source  string   `json:"source"`
	Line    int      `json:"line,omitempty"`
	Seq     uint64   `json:"seq"`
	Tool    string   `json:"tool,omitempty"`
	Old     []string `json:"old,omitempty"` // what the old policy misses
	New     []string `json:"new,omitempty"`
}

// Diff decides every step of recorded conversations under two policies. The error is as that of Run.
func Diff(ctx context.Context, cfg DiffConfig) (*DiffReport, error) {
	if cfg.Old == nil || cfg.New == nil {
		return nil, errors.New("diff: two policies are needed; compile them first")
	}
	r, files, err := begin(ctx, Config{Policy: cfg.Old, Paths: cfg.Paths, Journal: cfg.Journal, Now: cfg.Now, Workers: cfg.Workers, MaxBytes: cfg.MaxBytes, Progress: cfg.Progress}, newFrame(cfg.New))
	if err != nil {
		return nil, fmt.Errorf("diff: %w", err)
	}
	rep := r.diff(files)
	rep.New = cfg.New.Digest()
	if rep.Totals.Events == 0 {
		return rep, empty("diff", files, rep.Diagnostics)
	}
	return rep, nil
}

// pair plays a session under a second policy and collects what that changes.
type pair struct {
	second *player
	flips  []Flip
	lacks  []Lack
}

// compare takes down a step that the policies decide differently.
func (p *player) compare(in *policy.Input, seq uint64, a, b *proviso.Decision) {
	if l := (Lack{Seq: seq, Tool: in.Tool(), Old: lacks(a), New: lacks(b)}); len(l.Old)+len(l.New) > 0 {
		p.pair.lacks = append(p.pair.lacks, l)
	}
	f := Flip{Seq: seq, Point: in.Event.Point, Tool: in.Tool()}
	switch {
	case b.Outcome > a.Outcome:
		f.Direction = Widened
	case b.Outcome < a.Outcome:
		f.Direction = Narrowed
	case !sameEdits(a.Edits, b.Edits):
		f.Direction = Reworded
	default:
		return
	}
	f.Old, f.New = p.frame.ruling(a), p.pair.second.frame.ruling(b)
	f.Quote = quote(in, append(slices.Clip(f.Old.Because), f.New.Because...))
	p.pair.flips = append(p.pair.flips, f)
}

// sameEdits reports whether edits do the same, whichever rules make them.
func sameEdits(a, b []proviso.Edit) bool {
	return slices.EqualFunc(a, b, func(x, y proviso.Edit) bool {
		return x.Path == y.Path && x.Start == y.Start && x.End == y.End && x.Text == y.Text && string(proviso.CanonicalJSON(x.Value)) == string(proviso.CanonicalJSON(y.Value))
	})
}

// ruling says what decided, with the clauses of the rules.
func (f *frame) ruling(d *proviso.Decision) Ruling {
	r := Ruling{Outcome: d.Outcome, Missing: lacks(d), Edits: d.Edits}
	for _, x := range d.Reasons {
		if x.Mode != "" {
			continue
		}
		r.Rules = append(r.Rules, x.Rule)
		for _, c := range x.Clauses {
			r.Clauses = addClause(r.Clauses, c)
		}
		r.Because = append(r.Because, plain(x.Because, d.Errors)...)
	}
	for _, e := range d.Edits {
		if !slices.Contains(r.Rules, e.Rule) {
			r.Rules = append(r.Rules, e.Rule)
			if info := f.rules[e.Rule]; info != nil {
				for _, n := range info.clauses {
					r.Clauses = addClause(r.Clauses, f.clauses[n])
				}
			}
		}
	}
	return r
}

// lacks names what a decision misses.
func lacks(d *proviso.Decision) []string {
	var out []string
	for _, m := range d.Missing {
		switch m.Kind {
		case proviso.MissingFact:
			out = append(out, "fact "+factText(m))
		case proviso.MissingQuestion:
			out = append(out, "answer to "+m.Question)
		case proviso.MissingConfirmation:
			out = append(out, "confirmation")
		}
	}
	return out
}

// stricter is the side of a flip that permits less.
func (f *Flip) stricter() *Ruling {
	if f.Direction == Narrowed || f.Direction == Reworded && len(f.New.Rules) > 0 {
		return &f.New
	}
	return &f.Old
}

// opened reports whether a denied step is allowed now.
func (f *Flip) opened() bool { return f.Old.Outcome == proviso.Deny && f.New.Outcome == proviso.Allow }

// rank orders flips: from deny to allow, what permits more, what permits less, other edits.
func (f *Flip) rank() int {
	switch {
	case f.opened():
		return 0
	case f.Direction == Widened:
		return 1
	case f.Direction == Narrowed:
		return 2
	}
	return 3
}

// diff puts the report of a comparison together.
func (r *run) diff(files int) *DiffReport {
	slices.SortFunc(r.done, func(a, b numbered) int { return cmp.Compare(a.place, b.place) })
	r.diags.Sort()
	rep := &DiffReport{Old: r.cfg.Policy.Digest(), Diagnostics: r.diags, Rules: []RuleFlips{}, Flips: []Flip{}}
	t := &rep.Totals
	t.Files = files
	byRule := map[string]*RuleFlips{}
	for i := range r.done {
		s := &r.done[i].Session
		t.Sessions++
		t.Events += s.Events
		t.Calls += s.Calls
		t.Lacking += len(s.pair.lacks)
		for _, l := range s.pair.lacks {
			l.Session, l.Source, l.Line = s.Session, s.Source, s.Line
			if len(rep.Lacking) < MaxFlips {
				rep.Lacking = append(rep.Lacking, l)
			}
		}
		for _, f := range s.pair.flips {
			f.Session, f.Source, f.Line = s.Session, s.Source, s.Line
			rep.count(&f, byRule)
			rep.Flips = append(rep.Flips, f)
		}
	}
	for _, c := range byRule {
		rep.Rules = append(rep.Rules, *c)
	}
	slices.SortFunc(rep.Rules, func(a, b RuleFlips) int {
		return cmp.Or(cmp.Compare(b.Opened, a.Opened), cmp.Compare(b.Widened, a.Widened), cmp.Compare(b.Narrowed, a.Narrowed), cmp.Compare(a.Rule, b.Rule))
	})
	slices.SortStableFunc(rep.Flips, func(a, b Flip) int { return cmp.Compare(a.rank(), b.rank()) })
	rep.Flips = rep.Flips[:min(len(rep.Flips), MaxFlips)]
	return rep
}

// count counts a flip in the totals and for each rule of its stricter side.
func (rep *DiffReport) count(f *Flip, byRule map[string]*RuleFlips) {
	t := &rep.Totals
	add := func(opened, widened, narrowed, edited *int) {
		if f.opened() {
			*opened++
		}
		switch f.Direction {
		case Widened:
			*widened++
		case Narrowed:
			*narrowed++
		case Reworded:
			*edited++
		}
	}
	add(&t.Opened, &t.Widened, &t.Narrowed, &t.Edited)
	side := f.stricter()
	rules := side.Rules
	if len(rules) == 0 {
		rules = []string{"(no rule)"}
	}
	for _, id := range rules {
		c := byRule[id]
		if c == nil {
			c = &RuleFlips{Rule: id}
			byRule[id] = c
		}
		for _, cl := range side.Clauses {
			c.Clauses = addClause(c.Clauses, cl)
		}
		add(&c.Opened, &c.Widened, &c.Narrowed, &c.Edited)
	}
}
