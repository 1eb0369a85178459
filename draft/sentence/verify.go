package sentence

import (
	"slices"
	"strings"
)

// Fault is what is wrong with rules as a reading of a sentence. The classes are those of RAGent's verifier (Jayasundara, Arachchilage and Russello, arXiv 2409.07489).
type Fault uint8

// The faults. Correct is the zero value.
const (
	Correct Fault = iota
	WrongDecision
	WrongSubject
	WrongAction
	WrongResource
	WrongCondition
	WrongPurpose
	MissingSubject
	MissingResource
	MissingCondition
	MissingPurpose
	MissingRule
	faultCount = iota
)

var faultNames = [faultCount]string{"correct", "wrong decision", "wrong subject", "wrong action", "wrong resource", "wrong condition", "wrong purpose",
	"missing subject", "missing resource", "missing condition", "missing purpose", "missing rule"}

// String returns the name of the fault.
func (f Fault) String() string { return faultNames[f] }

// Verdict is the outcome of Verify. Rule is the index of the faulty rule; for a missing rule, and for none, it is -1. Words tells a person what was expected.
type Verdict struct {
	Fault Fault
	Rule  int
	Words string
}

// Verify names the fault of rules that are meant to say what a sentence says, the gravest first. What a rule states is compared with the words of the sentence, by their base forms:
// a component of which less than half stands in the sentence was not read from it. What it leaves out is compared with the grammar's own reading.
// It is a check by form: a rule that has the sentence's words in other places may pass.
func Verify(text string, rules []Rule) Verdict {
	r := Read(text)
	said := map[string]bool{}
	for _, t := range roots(text) {
		said[t] = true
	}
	for _, c := range []struct {
		fault Fault
		wrong func(Rule) (bool, string)
	}{
		{WrongDecision, r.wrongDecision(text, rules)},
		{WrongAction, func(x Rule) (bool, string) { return absent(said, x.Action, 1), x.Action }},
		{WrongSubject, func(x Rule) (bool, string) { return absent(said, x.Subject, 1), x.Subject }},
		{WrongResource, func(x Rule) (bool, string) { return absent(said, x.Resource, 0.6), x.Resource }},
		{WrongCondition, func(x Rule) (bool, string) { return absent(said, x.Condition, 0.6), x.Condition }},
		{WrongPurpose, func(x Rule) (bool, string) { return absent(said, x.Purpose, 0.6), x.Purpose }},
		{MissingSubject, r.missingSubject(rules)},
		{MissingResource, r.missingResource()},
		{MissingCondition, r.missingCondition(rules)},
		{MissingPurpose, r.missingPurpose(rules)},
	} {
		for i, x := range rules {
			if bad, words := c.wrong(x); bad {
				return Verdict{c.fault, i, words}
			}
		}
	}
	for _, want := range r.Rules {
		if want.Resource != "" && !slices.ContainsFunc(rules, func(x Rule) bool { return covers(x, want) }) && len(r.Rules) > len(rules) {
			return Verdict{MissingRule, -1, Render(want)}
		}
	}
	return Verdict{Correct, -1, ""}
}

// covers reports whether a rule speaks of what another one does.
func covers(x, want Rule) bool {
	return share(x.Resource, want.Resource) && (x.Action == "" || share(x.Action, want.Action)) && (x.Subject == "" || want.Subject == "" || share(x.Subject, want.Subject))
}

// share reports whether two phrases have a word in common.
func share(a, b string) bool {
	bs := roots(b)
	return slices.ContainsFunc(roots(a), func(w string) bool { return slices.Contains(bs, w) })
}

// roots are the base forms of the words of a phrase that mean something by themselves.
func roots(s string) []string {
	var out []string
	for _, w := range strings.Fields(Normal(strings.NewReplacer("(", " ", ")", " ", "[", " ", "]", " ", "-", " ", "/", " ").Replace(s))) {
		t := token{low: w, kind: word}
		if prepositions.in(t) || conjunctions.in(t) || determiners.in(t) || beings.in(t) {
			continue
		}
		out = append(out, Base(w))
	}
	return out
}

// absent reports whether less than the share of a phrase's words stands in the sentence. An empty phrase is not absent.
func absent(said map[string]bool, phrase string, want float64) bool {
	ws := roots(phrase)
	if len(ws) == 0 {
		return false
	}
	n := 0
	for _, w := range ws {
		if said[w] || said[strings.TrimSuffix(w, "s")] || said[strings.TrimSuffix(w, "e")] {
			n++
		}
	}
	return float64(n) < want*float64(len(ws))
}

// wrongDecision compares what a rule permits with what the sentence does. Where the grammar found no such rule, a negation of the sentence decides.
func (r *Reading) wrongDecision(text string, rules []Rule) func(Rule) (bool, string) {
	denies := slices.ContainsFunc(r.Rules, func(x Rule) bool { return x.Deny })
	permits := slices.ContainsFunc(r.Rules, func(x Rule) bool { return !x.Deny })
	negated := slices.ContainsFunc(scan(text), func(t token) bool { return negations.in(t) || bans.in(t) })
	return func(x Rule) (bool, string) {
		want := denies
		if denies && permits {
			for _, y := range r.Rules {
				if covers(x, y) {
					want = y.Deny
					break
				}
			}
		}
		if len(r.Rules) == 0 {
			want = negated
		}
		return x.Deny != want, decision(want)
	}
}

func decision(deny bool) string {
	if deny {
		return "must not"
	}
	return "may"
}

func (r *Reading) missingSubject(rules []Rule) func(Rule) (bool, string) {
	return func(x Rule) (bool, string) {
		if x.Subject != "" {
			return false, ""
		}
		for _, y := range rules {
			if y.Subject != "" && y.Action == x.Action {
				return true, y.Subject
			}
		}
		for _, y := range r.Rules {
			if y.Subject != "" && share(y.Action, x.Action) {
				return true, y.Subject
			}
		}
		return false, ""
	}
}

func (r *Reading) missingResource() func(Rule) (bool, string) {
	return func(x Rule) (bool, string) {
		if x.Resource != "" {
			return false, ""
		}
		for _, y := range r.Rules {
			if y.Resource != "" {
				return true, y.Resource
			}
		}
		return true, "what it is done to"
	}
}

// missingCondition compares with the sentence's own conditions, and with those of other rules about it.
func (r *Reading) missingCondition(rules []Rule) func(Rule) (bool, string) {
	return func(x Rule) (bool, string) {
		if x.Condition != "" {
			return false, ""
		}
		for _, y := range slices.Concat(r.Rules, rules) {
			if y.Condition != "" && (share(y.Resource, x.Resource) || share(y.Action, x.Action)) {
				return true, y.Condition
			}
		}
		return false, ""
	}
}

func (r *Reading) missingPurpose(rules []Rule) func(Rule) (bool, string) {
	return func(x Rule) (bool, string) {
		if x.Purpose != "" {
			return false, ""
		}
		for _, y := range slices.Concat(r.Rules, rules) {
			if y.Purpose != "" && y.Action == x.Action && (share(y.Resource, x.Resource) || y.Resource == "") {
				return true, y.Purpose
			}
		}
		return false, ""
	}
}

// Render writes a rule back as a sentence, for people to compare with the one that it was made of.
func Render(r Rule) string {
	var b strings.Builder
	b.WriteString(orWhoever(r.Subject))
	b.WriteString(" " + decision(r.Deny) + " ")
	b.WriteString(r.Action)
	if r.Resource != "" {
		b.WriteString(" " + r.Resource)
	}
	if r.Purpose != "" {
		b.WriteString(" to " + strings.TrimPrefix(r.Purpose, "to "))
	}
	if r.Condition != "" {
		if !strings.HasPrefix(r.Condition, "unless ") {
			b.WriteString(" if")
		}
		b.WriteString(" " + r.Condition)
	}
	return b.String()
}

func orWhoever(s string) string {
	if s == "" {
		return "anybody"
	}
	return s
}
