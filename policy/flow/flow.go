package flow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// Text is what becomes of streamed text. It is safe for concurrent use. The zero value lets it flow.
type Text struct {
	held     bool
	patterns []*pattern
	longest  int // bytes that a match of a pattern has at most
	personal []string
	watch    builtin.Watcher // of the personal kinds; nil for none
	denials  []formula       // of the rules that deny: when they do
	edits    bool            // a rule changes the text before others see it
}

// Held reports whether the text waits until it is whole.
func (t *Text) Held() bool { return t.held }

// Windowed reports whether the text flows behind a window.
func (t *Text) Windowed() bool { return !t.held && (len(t.patterns) > 0 || t.watch != nil) }

// String is the word of the list of routes: "flows", "held", or "windows of" what is kept back.
func (t *Text) String() string {
	if t.held {
		return "held"
	}
	var of []string
	if len(t.patterns) > 0 {
		of = append(of, fmt.Sprintf("%d bytes", t.longest))
	}
	if t.watch != nil {
		of = append(of, fmt.Sprintf("%d words", builtin.WatchWords))
	}
	if of == nil {
		return "flows"
	}
	return "windows of " + strings.Join(of, " and ")
}

// points are those at which the text of an answer is decided.
var points = []proviso.Point{proviso.Output, proviso.ModelResponsePoint}

// Of reads off the rules of a policy what becomes of streamed text.
func Of(p *policy.Policy) *Text {
	t := &Text{}
	for _, pk := range p.Packs() {
		for _, at := range points {
			if o, ok := pk.Defaults.Outcome[at]; ok && o != proviso.Allow {
				return &Text{held: true}
			}
		}
		for i := range pk.Rules {
			r := &pk.Rules[i]
			if r.Mode == pack.Enforce && slices.ContainsFunc(points, func(at proviso.Point) bool { return slices.Contains(r.On, at) }) && !t.silent(r) {
				return &Text{held: true}
			}
		}
	}
	if t.edits {
		t.denials = nil // the text that other rules see is another one
		for _, p := range t.patterns {
			p.holds = true
		}
	}
	if len(t.personal) > 0 {
		var err error
		if t.watch, err = builtin.NewWatcher(t.personal); err != nil {
			return &Text{held: true} // a kind that does not exist is an error of every decision
		}
	}
	return t
}

// silent reports whether a rule neither stops nor changes a text in which nothing matches, and adds what that takes.
func (t *Text) silent(r *pack.Rule) bool {
	e := &r.Else
	if e.Outcome == proviso.Allow && len(e.Redact)+len(e.PII) > 0 && len(e.Secrets)+len(e.Set)+len(e.Notice) == 0 {
		for _, source := range e.Redact {
			p := t.add(source.S)
			if p == nil {
				return false
			}
			p.holds = p.holds || r.When != nil || r.Require != nil // another time it may not be replaced
		}
		for _, k := range e.PII {
			t.personal = append(t.personal, k.S)
		}
		t.edits = t.edits || slices.Contains(r.On, proviso.ModelResponsePoint)
		return true
	}
	read := reader{text: t, lets: map[string]string{}}
	for _, l := range r.Lets {
		read.lets[l.Name.S] = l.Expr.S
	}
	fires := constant(tree.IsTrue)
	if r.When != nil {
		fires = read.cond(r.When)
	}
	if r.Require != nil {
		fires = and(fires, not(read.cond(r.Require)))
	}
	if fires(func(*pattern) tree.Set { return tree.IsFalse }) != tree.IsFalse {
		return false
	}
	if e.Outcome == proviso.Deny {
		t.denials = append(t.denials, fires)
	}
	return true
}
