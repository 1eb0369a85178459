package journal

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"
)

// Finding is one thing that is wrong with a journal.
// Kind is "edited", "missing", "order", "duplicate", "moved", "replaced", "cut", "body", "checkpoint", "snapshot" or "damaged".
type Finding struct {
	Kind    string `json:"kind"`
	Session string `json:"session,omitempty"`
	Seq     uint64 `json:"seq,omitempty"`
	Msg     string `json:"message"`
}

// Report is what a verification found. It is sound where Findings is empty; Limit says what even then nobody can know.
type Report struct {
	Store     string    `json:"store,omitempty"`
	Records   int64     `json:"records"`
	Sessions  int       `json:"sessions"`
	Redacted  int64     `json:"redacted"`  // records whose body was taken out in the open
	Forgotten int       `json:"forgotten"` // sessions deleted in the open
	Kept      uint64    `json:"kept"`      // number of the newest checkpoint that was compared; 0 for none
	Findings  []Finding `json:"findings"`
	More      int64     `json:"more,omitempty"` // findings beyond those listed
	Notes     []string  `json:"notes,omitempty"`
	Limit     string    `json:"limit"`
}

// MaxFindings bounds the findings that a report lists.
const MaxFindings = 1000

// Verifier checks a journal as its parts stream by: checkpoints first, then all acts, then all records in the order in which they were appended. The zero value is ready to use.
// It keeps some 200 bytes for each session and for each line of a checkpoint, whatever the length of the sessions.
type Verifier struct {
	// Key is the public key that checkpoints have to be signed by; nil accepts any key and says so.
	Key ed25519.PublicKey

	report   Report
	kept     []*Checkpoint
	acts     Tip
	taken    map[string][]span // redacted, by session
	gone     map[string]death  // forgotten sessions
	since    int               // acts behind the newest checkpoint
	sessions map[string]*link
}

type span struct{ from, to uint64 }

// death is the newest act that forgot a session, and how long the session was.
type death struct{ act, length uint64 }

// excuses reports whether a checkpoint may have seen a session that is not there any more: it was forgotten afterwards, and was no shorter then.
func (d death) excuses(c *Checkpoint, length uint64) bool {
	return d.act > c.Acts.Length && d.length >= length
}

// link is the last record seen of a session.
type link struct {
	seq  uint64
	hash Hash
	gaps []span
}

func (v *Verifier) find(f Finding) {
	if len(v.report.Findings) >= MaxFindings {
		v.report.More++
		return
	}
	v.report.Findings = append(v.report.Findings, f)
}

func (v *Verifier) note(format string, args ...any) {
	v.report.Notes = append(v.report.Notes, fmt.Sprintf(format, args...))
}

// Store names the store that is verified, before its acts and records; checkpoints of another one are findings.
func (v *Verifier) Store(id string) {
	v.report.Store = id
	v.report.Kept = 0
	v.kept = slices.DeleteFunc(v.kept, func(c *Checkpoint) bool {
		if c.Store == id {
			v.report.Kept = max(v.report.Kept, c.Number)
			return false
		}
		v.foreign(c)
		return true
	})
}

func (v *Verifier) foreign(c *Checkpoint) {
	v.find(Finding{Kind: "checkpoint", Msg: fmt.Sprintf("checkpoint %d is of another store: %s, not %s", c.Number, c.Store, v.report.Store)})
}

// Checkpoint has the journal compared with a checkpoint, given as its text. from says where it came from, for messages.
func (v *Verifier) Checkpoint(from string, text []byte) {
	c, err := ParseCheckpoint(text)
	switch {
	case err != nil:
		v.find(Finding{Kind: "checkpoint", Msg: fmt.Sprintf("%s: %s", from, err.(*ChainError).Msg)})
	case v.Key != nil && !bytes.Equal(v.Key, c.Key):
		v.find(Finding{Kind: "checkpoint", Msg: fmt.Sprintf("%s: checkpoint %d is signed by the key %s, not by yours", from, c.Number, HashOf(c.Key).Short())})
	case v.report.Store != "" && c.Store != v.report.Store:
		v.foreign(c)
	case slices.ContainsFunc(v.kept, func(k *Checkpoint) bool { return bytes.Equal(k.Text, c.Text) }):
	default:
		if v.Key == nil {
			v.note("%s: checkpoint %d is signed by the key %s; compare that with your own", from, c.Number, HashOf(c.Key).Short())
		}
		v.kept = append(v.kept, c)
		v.report.Kept = max(v.report.Kept, c.Number)
	}
}

// Act checks the next act.
func (v *Verifier) Act(s SealedAct) {
	n := v.acts.Length + 1
	bad := func(kind, format string, args ...any) {
		v.find(Finding{Kind: kind, Seq: n, Msg: fmt.Sprintf("act %d "+format, append([]any{n}, args...)...)})
	}
	a, err := s.Act()
	switch {
	case err != nil:
		bad("edited", "cannot be read")
	case HashOf(s.Text) != s.Hash:
		bad("edited", "was edited: its bytes have the hash %s, the chain says %s", HashOf(s.Text).Short(), s.Hash.Short())
	case a.Number != n:
		bad("missing", "is missing: act %d stands in its place", a.Number)
	case a.Prev != v.acts.Head:
		bad("replaced", "follows a link with the hash %s, the one before has %s", a.Prev.Short(), v.acts.Head.Short())
	}
	v.acts = Tip{max(n, a.Number), s.Hash}
	behind := len(v.kept) > 0
	for _, c := range v.kept {
		if c.Acts.Length == n && c.Acts.Head != s.Hash {
			bad("replaced", "is another one than checkpoint %d has seen", c.Number)
		}
		behind = behind && n > c.Acts.Length
	}
	if behind {
		v.since++
	}
	if v.taken == nil {
		v.taken, v.gone = map[string][]span{}, map[string]death{}
	}
	switch a.Kind {
	case Redacted:
		v.taken[a.Session] = append(v.taken[a.Session], span{a.From, a.To})
	case Forgotten:
		v.gone[a.Session] = death{n, a.To}
		v.report.Forgotten++
	}
}

// Entry checks the next record.
func (v *Verifier) Entry(e *Entry) {
	v.report.Records++
	if v.sessions == nil {
		v.sessions = map[string]*link{}
	}
	l := v.sessions[e.Session]
	if l == nil {
		l = &link{}
		v.sessions[e.Session] = l
	}
	h, err := e.check()
	if err != nil {
		v.find(err.(*ChainError).Finding)
	}
	bad := func(kind, format string, args ...any) { v.find(e.fault(kind, fmt.Sprintf(format, args...)).Finding) }
	switch {
	case e.Seq == l.seq+1:
		if err == nil && h.Prev != l.hash {
			v.find(e.replaced(h.Prev, l.hash).(*ChainError).Finding)
		}
	case e.Seq > l.seq+1:
		l.gaps = append(l.gaps, span{l.seq + 1, e.Seq - 1})
	case l.fill(e.Seq):
		bad("order", "stands behind record %d: the order was changed", l.seq)
	default:
		bad("duplicate", "stands there a second time, behind record %d", l.seq)
	}
	if e.Seq > l.seq {
		l.seq, l.hash = e.Seq, e.Hash
	}
	if len(e.Body) == 0 {
		v.report.Redacted++
		if !slices.ContainsFunc(v.taken[e.Session], func(s span) bool { return s.from <= e.Seq && e.Seq <= s.to }) {
			bad("body", "has lost its body, and no redaction is on record that took it out")
		}
	}
	for _, c := range v.kept {
		if t, ok := c.Sessions[e.Session]; ok && t.Length == e.Seq && t.Head != e.Hash && !v.gone[e.Session].excuses(c, e.Seq) {
			bad("replaced", "is another one than checkpoint %d has seen: the session was written anew up to here", c.Number)
		}
	}
}

// fill takes a number out of the gaps and reports whether it was in one.
func (l *link) fill(seq uint64) bool {
	for i, g := range l.gaps {
		if g.from <= seq && seq <= g.to {
			l.gaps = slices.Delete(l.gaps, i, i+1)
			if g.from < seq {
				l.gaps = append(l.gaps, span{g.from, seq - 1})
			}
			if seq < g.to {
				l.gaps = append(l.gaps, span{seq + 1, g.to})
			}
			return true
		}
	}
	return false
}

// Finding adds a finding of the back end's own.
func (v *Verifier) Finding(f Finding) { v.find(f) }

// Damaged adds a finding about a part that is no record at all.
func (v *Verifier) Damaged(where, what string) {
	v.find(Finding{Kind: "damaged", Msg: where + ": " + what})
}

// Torn notes an incomplete end, which is what a crash leaves behind and no sign of tampering. Nothing of it was ever acknowledged.
func (v *Verifier) Torn(what string) {
	v.note("the end is torn, as by a crash: %s; nothing of it was acknowledged", what)
}

// Report ends the verification. The Verifier must not be used afterwards.
func (v *Verifier) Report() *Report {
	r := &v.report
	for _, id := range slices.Sorted(maps.Keys(v.sessions)) {
		for _, g := range v.sessions[id].gaps {
			v.find(Finding{Kind: "missing", Session: id, Seq: g.from, Msg: missing(id, g)})
		}
	}
	for _, c := range v.kept {
		v.compare(c)
	}
	r.Sessions = len(v.sessions)
	if v.since > 0 {
		v.note("%s on record behind checkpoint %d; no checkpoint vouches for what they took away", count(v.since, "act is", "acts are"), r.Kept)
	}
	r.Limit = "no checkpoint was given: whoever can write the store can have written all of it anew; compare it with a checkpoint that is kept elsewhere"
	if r.Kept > 0 {
		r.Limit = fmt.Sprintf("what was appended after checkpoint %d can have been written anew or cut off by whoever can write the store; nobody can know", r.Kept)
	}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	return r
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func missing(id string, g span) string {
	if g.from == g.to {
		return fmt.Sprintf("record %d of session %q is missing", g.from, id)
	}
	return fmt.Sprintf("records %d to %d of session %q are missing", g.from, g.to, id)
}

// compare looks for what a checkpoint has seen and is not there any more.
func (v *Verifier) compare(c *Checkpoint) {
	for _, id := range slices.Sorted(maps.Keys(c.Sessions)) {
		want, l := c.Sessions[id].Length, v.sessions[id]
		switch {
		case v.gone[id].excuses(c, want):
		case l == nil:
			v.find(Finding{Kind: "cut", Session: id, Seq: 1, Msg: fmt.Sprintf("session %q is gone: checkpoint %d has seen %s, and no act says that it was forgotten", id, c.Number, count(int(want), "record", "records"))})
		case l.seq < want:
			v.find(Finding{Kind: "cut", Session: id, Seq: l.seq + 1, Msg: fmt.Sprintf("session %q was cut off behind record %d: checkpoint %d has seen %d", id, l.seq, c.Number, want)})
		}
	}
	if v.acts.Length < c.Acts.Length {
		v.find(Finding{Kind: "cut", Seq: v.acts.Length + 1, Msg: fmt.Sprintf("the acts were cut off behind act %d: checkpoint %d has seen %d", v.acts.Length, c.Number, c.Acts.Length)})
	}
}
