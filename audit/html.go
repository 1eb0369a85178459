package audit

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/form"
)

// HTML is one page that works from a disk without a network: a matrix of sessions and clauses, and each session with its transcript, the quotes marked.
// Transcripts are on it where the audit kept the records (Config.Traces).
var HTML = &Renderer{
	Name:   "html",
	Doc:    "one HTML page that needs nothing else: a matrix of sessions and clauses, transcripts with quotes marked",
	Render: renderHTML,
}

// MaxPage is how many sessions, the worst first, or changed decisions a page shows.
const MaxPage = 500

//go:embed page.html
var pageText string

var page = form.NewPage(pageText)

// glyphs shows a status without colour.
var glyphs = map[proviso.Status]string{proviso.Violated: "✕", proviso.Errored: "!", proviso.Undetermined: "?", proviso.Satisfied: "✓", proviso.Dormant: "·"}

type pageClause struct {
	ID, Text                                      string
	Bar                                           form.Bar
	Violated, Errors, Unknown, Satisfied, Dormant string
	Near                                          string
}

type pageSession struct {
	ID, Name, Source, Status, Is, Near string
	Events, Calls                      int
	Truncated                          bool
	Cells                              []pageCell
	Findings                           []pageFinding
	Misses                             []pageMiss
	Duties                             []pageDuty
	Notes                              []string
	Talk                               []pageTurn
}

type pageCell struct{ Class, Glyph string }

type pageFinding struct {
	Status, Clause, Text string
	Would                bool
	Evidence             []pageEvidence
}

type pageEvidence struct {
	Where, Rule, Quote, Link string
	Because                  []string
}

type pageMiss struct {
	Label, Text, Quote string
	Clauses            []string
}

type pageDuty struct{ Status, Rule string }

type pageTurn struct {
	ID, Who, Outcome, Class string
	Seq                     uint64
	Hit                     bool
	Text                    []passage
}

// passage is a part of a text; Class is empty, "quote" or "value".
type passage struct{ Text, Class string }

func renderHTML(w io.Writer, r *Report) error {
	data := struct {
		Title, Policy, Status string
		Tiles                 []form.Tile
		Clauses               []pageClause
		Uncited               []proviso.Clause
		Kinds                 []string
		Sessions              []pageSession
		Left                  int
		Diagnostics           []string
	}{Title: "Proviso audit", Policy: r.Policy, Status: r.Status().String(), Uncited: r.Uncited, Kinds: []string{"violated", "error", "unknown", "near", "satisfied", "dormant"}}
	t := r.Totals
	data.Tiles = []form.Tile{{Name: "sessions", Class: "", Count: t.Sessions}, {Name: "events", Class: "", Count: t.Events}, {Name: "violated", Class: "violated", Count: t.Violated}, {Name: "in error", Class: "error", Count: t.Errors}, {Name: "unknown", Class: "unknown", Count: t.Unknown}, {Name: "satisfied", Class: "satisfied", Count: t.Satisfied}, {Name: "dormant", Class: "dormant", Count: t.Dormant}, {Name: "near misses", Class: "near", Count: t.NearMisses}, {Name: "obligations not met", Class: "violated", Count: t.Missed}}
	for _, c := range r.Clauses {
		data.Clauses = append(data.Clauses, pageClause{ID: c.Clause.ID, Text: c.Clause.Text, Bar: barOf(c.Counts), Violated: count(c.Violated), Errors: count(c.Errors), Unknown: count(c.Unknown), Satisfied: count(c.Satisfied), Dormant: count(c.Dormant), Near: count(c.NearMisses)})
	}
	order := make([]int, len(r.Sessions))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return r.Sessions[order[a]].Status > r.Sessions[order[b]].Status })
	data.Left = max(0, len(order)-MaxPage)
	for _, i := range order[:len(order)-data.Left] {
		data.Sessions = append(data.Sessions, pageOf(&r.Sessions[i], fmt.Sprintf("s%d", i+1), r.Clauses))
	}
	for _, d := range r.Diagnostics {
		data.Diagnostics = append(data.Diagnostics, form.Line(d.Error()))
	}
	return page.Write(w, "audit", data)
}

func barOf(c Counts) form.Bar {
	return form.NewBar(form.Tile{Name: "violated", Class: "violated", Count: c.Violated}, form.Tile{Name: "error", Class: "error", Count: c.Errors},
		form.Tile{Name: "unknown", Class: "unknown", Count: c.Unknown}, form.Tile{Name: "satisfied", Class: "satisfied", Count: c.Satisfied}, form.Tile{Name: "dormant", Class: "dormant", Count: c.Dormant})
}

func pageOf(s *Session, id string, clauses []ClauseTotal) pageSession {
	p := pageSession{ID: id, Name: s.Session, Source: s.Source, Status: s.Status.String(), Is: s.Status.String(), Events: s.Events, Calls: s.Calls, Truncated: s.Truncated}
	if s.Line > 1 {
		p.Source = fmt.Sprintf("%s:%d", s.Source, s.Line)
	}
	status := map[string]proviso.Status{}
	marks := map[uint64][]proviso.Evidence{}
	for n, list := range [][]proviso.Verdict{s.Verdicts, s.Would} {
		for i := range list {
			v := &list[i]
			if n == 0 {
				status[v.Clause.ID] = v.Status
			}
			if v.Status <= proviso.Satisfied {
				continue
			}
			f := pageFinding{Status: v.Status.String(), Clause: v.Clause.ID, Text: v.Clause.Text, Would: n == 1}
			for j := range v.Evidence {
				e := &v.Evidence[j]
				marks[e.Seq] = append(marks[e.Seq], *e)
				f.Evidence = append(f.Evidence, pageEvidence{place(e), e.Rule, e.Quote, fmt.Sprintf("%s-%d", id, e.Seq), because(e)})
				for _, src := range e.From {
					if src.Seq > 0 {
						marks[src.Seq] = append(marks[src.Seq], proviso.Evidence{From: []proviso.Source{src}})
					}
				}
			}
			p.Findings = append(p.Findings, f)
		}
	}
	for _, c := range clauses {
		st := status[c.Clause.ID]
		p.Cells = append(p.Cells, pageCell{st.String(), glyphs[st]})
	}
	for i := range s.NearMisses {
		m := &s.NearMisses[i]
		p.Misses = append(p.Misses, pageMiss{m.label(), m.text(), m.Quote, ids(m.Clauses)})
		marks[m.Seq] = append(marks[m.Seq], proviso.Evidence{Status: proviso.Undetermined, Quote: m.Quote})
	}
	if n := len(s.NearMisses); n > 0 {
		p.Is += " near"
		p.Near = fmt.Sprintf("%d before their check", n)
	}
	for _, o := range s.Obligations {
		p.Duties = append(p.Duties, pageDuty{o.Status.String(), o.Rule})
	}
	for _, d := range s.Notes {
		p.Notes = append(p.Notes, form.Line(d.Error()))
	}
	if s.Trace != nil {
		for i := range s.Trace.Records {
			p.Talk = append(p.Talk, turnOf(s, i, id, marks))
		}
	}
	return p
}

// number is the number that an event of the trace had in its recording.
func (s *Session) number(i int) uint64 {
	if i < len(s.Numbers) {
		return s.Numbers[i]
	}
	return s.Trace.Records[i].Event.Seq
}

func turnOf(s *Session, i int, id string, marks map[uint64][]proviso.Evidence) pageTurn {
	rec := &s.Trace.Records[i]
	seq := s.number(i)
	who, text := turn(&rec.Event)
	t := pageTurn{ID: fmt.Sprintf("%s-%d", id, seq), Seq: seq, Who: who}
	if o := rec.Decision.Outcome; o != proviso.Allow {
		t.Outcome = o.String()
		t.Class = map[proviso.Outcome]string{proviso.Deny: "violated", proviso.NeedInfo: "unknown", proviso.Escalate: "error"}[o]
	}
	var quotes, values []string
	for _, e := range marks[seq] {
		t.Hit = t.Hit || e.Status > proviso.Satisfied
		if e.Quote != "" {
			quotes = append(quotes, e.Quote)
		}
		for _, c := range e.Cause {
			for _, v := range c.Inputs {
				values = append(values, sayings(v.Val)...)
			}
		}
		for _, src := range e.From {
			values = append(values, src.Value)
		}
	}
	t.Text = marked(text, quotes, values)
	return t
}

// turn says who speaks in an event, and what.
func turn(ev *proviso.Event) (who, text string) {
	switch b := ev.Body.(type) {
	case *proviso.Message:
		return string(b.Role), b.Text
	case *proviso.ToolCall:
		return "calls " + b.Tool, string(b.Args)
	case *proviso.ToolResult:
		if b.Text != "" {
			return "result of " + b.Tool, b.Text
		}
		return "result of " + b.Tool, string(b.Content)
	case *proviso.ModelRequest:
		return "to the model", b.Text
	case *proviso.ModelResponse:
		return "model", b.Text
	case *proviso.ToolList:
		return "tools", strings.Join(b.Tools, ", ")
	case *proviso.Lifecycle:
		return "session", strings.TrimSpace(b.Kind + " " + b.Name + " " + b.User)
	}
	return ev.Point.String(), ""
}

// marked cuts a text where quotes and values begin and end. A value inside a quote stands out of it.
func marked(text string, quotes, values []string) []passage {
	const quoted, valued = 1, 2
	level := make([]byte, len(text))
	mark := func(part string, l byte) {
		for from := 0; part != ""; {
			i := strings.Index(text[from:], part)
			if i < 0 {
				return
			}
			i += from
			for k := i; k < i+len(part); k++ {
				level[k] = max(level[k], l)
			}
			from = i + len(part)
		}
	}
	for _, q := range quotes {
		mark(q, quoted)
	}
	for _, v := range values {
		mark(v, valued)
	}
	classes := []string{"", "quote", "value"}
	var out []passage
	for from := 0; from < len(text); {
		to := from
		for to < len(text) && level[to] == level[from] {
			to++
		}
		out = append(out, passage{text[from:to], classes[level[from]]})
		from = to
	}
	return out
}

type pageFlip struct {
	Class, Change, Where, Session, Source, Quote string
	Clauses                                      []proviso.Clause
	Lines                                        []string
}

func diffHTML(w io.Writer, r *DiffReport) error {
	t := r.Totals
	data := struct {
		Title, Old, New string
		Tiles           []form.Tile
		Rules           []RuleFlips
		Kinds           []string
		Flips           []pageFlip
		Lacking         []string
		Diagnostics     []string
	}{Title: "Proviso diff", Old: r.Old, New: r.New, Rules: r.Rules, Kinds: []string{"widened", "narrowed", "edited"}}
	data.Tiles = []form.Tile{{Name: "sessions", Class: "", Count: t.Sessions}, {Name: "events", Class: "", Count: t.Events}, {Name: "deny → allow", Class: "widened", Count: t.Opened}, {Name: "widened", Class: "widened", Count: t.Widened}, {Name: "narrowed", Class: "narrowed", Count: t.Narrowed}, {Name: "edited", Class: "edited", Count: t.Edited}, {Name: "lack inputs", Class: "unknown", Count: t.Lacking}}
	for i := range r.Flips[:min(len(r.Flips), MaxPage)] {
		f := &r.Flips[i]
		clauses := slices.Clone(f.Old.Clauses)
		for _, c := range f.New.Clauses {
			clauses = addClause(clauses, c)
		}
		data.Flips = append(data.Flips, pageFlip{string(f.Direction), f.change(), f.where(), f.Session, f.Source, f.Quote, clauses, f.lines()})
	}
	for i := range r.Lacking[:min(len(r.Lacking), MaxPage)] {
		data.Lacking = append(data.Lacking, form.Line(r.Lacking[i].sentence()))
	}
	for _, d := range r.Diagnostics {
		data.Diagnostics = append(data.Diagnostics, form.Line(d.Error()))
	}
	return page.Write(w, "diff", data)
}
