package main

import (
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/analyze"
)

// relationCodes are the codes and severities of what a change does to a tool. A change that could not be judged is as bad as a widening.
var relationCodes = map[analyze.Relation]struct {
	code     string
	severity proviso.Severity
	words    string
}{
	analyze.Narrowing: {"PV822", proviso.Note, "narrowing: no call of %s is treated more mildly"},
	analyze.Widening:  {"PV821", proviso.Error, "widening: a call of %s is treated more mildly"},
	analyze.Both:      {"PV823", proviso.Error, "both: some calls of %s are treated more mildly, others more strictly"},
	analyze.Unknown:   {"PV824", proviso.Error, "unknown: what changes for calls of %s was not proved"},
}

// prove compares two packs for every call that there can be, without recordings.
func (c *diffCmd) prove(a *app, old, next *opened) error {
	r := a.reportOf("diff", next)
	r.Tally.Lenient = c.FailOn == "none"
	var ds proviso.Diagnostics
	same := 0
	for _, ch := range analyze.Compare(old.policy, next.policy) {
		rel, known := relationCodes[ch.Relation]
		if !known {
			same++
			continue
		}
		ds = append(ds, c.changed(old, next, ch, proviso.Diagnostic{Code: rel.code, Severity: rel.severity, Msg: fmt.Sprintf(rel.words, ch.Tool)}))
	}
	next.locate(ds)
	r.add("narrowing", ds)
	a.say("%d tools compared, %d the same", same+len(ds), same)
	return a.finish(r)
}

// changed completes the diagnostic of one tool: where it is declared, how bad the change is for this command line, and the calls that show it.
func (c *diffCmd) changed(old, next *opened, ch analyze.Change, d proviso.Diagnostic) proviso.Diagnostic {
	if an, ok := next.policy.Anatomy(ch.Tool); ok {
		d.Pos = an.Decl.Pos
	} else if an, ok := old.policy.Anatomy(ch.Tool); ok {
		d.Pos = an.Decl.Pos
	}
	switch {
	case c.ApproveWidening && ch.Relation != analyze.Unknown:
		d.Severity = proviso.Note
	case c.FailOn == "narrow" && ch.Relation == analyze.Widening:
		d.Severity = proviso.Note
	case c.FailOn != "widen" && ch.Relation == analyze.Narrowing:
		d.Severity = proviso.Error
	}
	var shown []string
	for _, w := range []struct {
		what  string
		shows *analyze.Witness
	}{{"now milder", ch.Widens}, {"now stricter", ch.Narrows}} {
		if w.shows != nil {
			shown = append(shown, fmt.Sprintf("%s (%s, then %s): %s", w.what, w.shows.Decide(old.policy).Outcome, w.shows.Decide(next.policy).Outcome, strings.ReplaceAll(w.shows.String(), "\n", " ·")))
		}
	}
	if ch.Why != "" {
		shown = append(shown, ch.Why)
	}
	d.Hint = strings.Join(shown, "; ")
	return d
}
