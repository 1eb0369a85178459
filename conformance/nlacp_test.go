package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/draft/sentence"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// nlacpRule is an access rule of the suite.
type nlacpRule struct {
	Decision  string  `json:"decision"`
	Subject   *string `json:"subject"`
	Action    *string `json:"action"`
	Resource  *string `json:"resource"`
	Purpose   *string `json:"purpose"`
	Condition *string `json:"condition"`
}

func (r nlacpRule) rule() sentence.Rule {
	said := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return sentence.Rule{Deny: r.Decision == "deny", Subject: said(r.Subject), Action: said(r.Action), Resource: said(r.Resource), Purpose: said(r.Purpose), Condition: said(r.Condition)}
}

func nlacpRules(rs []nlacpRule) (out []sentence.Rule) {
	for _, r := range rs {
		out = append(out, r.rule())
	}
	return out
}

// nlacpSentence is a requirement sentence with the rules that people read from it.
type nlacpSentence struct {
	Corpus   string      `json:"corpus"`
	I        int         `json:"i"`
	Sentence string      `json:"sentence"`
	Policy   bool        `json:"is_policy"`
	Rules    []nlacpRule `json:"rules"`
	Raw      string      `json:"raw"`
	Origin   *string     `json:"origin"`
}

// nlacpLines reads a file of the suite.
func nlacpLines[T any](t *testing.T, name string) (out []T) {
	t.Helper()
	testkit.Lines(t, "nlacp/"+name, func(line []byte) {
		var v T
		if err := proviso.DecodeStrict(line, &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	})
	if len(out) == 0 {
		t.Fatalf("nlacp/%s is empty", name)
	}
	return out
}

// counts are those of a two-way decision.
type counts struct{ hit, false_, missed, rest int }

func (c counts) f1() float64 { return ratio(2*c.hit, 2*c.hit+c.false_+c.missed) }

func (c counts) macro() float64 {
	return (c.f1() + ratio(2*c.rest, 2*c.rest+c.false_+c.missed)) / 2
}

func (c counts) n() int { return c.hit + c.false_ + c.missed + c.rest }

func (c *counts) add(got, want bool) {
	switch {
	case got && want:
		c.hit++
	case got:
		c.false_++
	case want:
		c.missed++
	default:
		c.rest++
	}
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// The grammar has no parameter that was fitted to records. What is fitted, which forms of sentences bear rules, is taken from the one document and measured on the other.
func TestNLACPIdentify(t *testing.T) {
	all := nlacpLines[nlacpSentence](t, "sentences.jsonl")
	var fixed, held counts
	for _, corpus := range []string{"t2p", "ibm"} {
		forms := map[sentence.Form][2]int{}
		for _, s := range all {
			if s.Corpus != corpus {
				f := forms[sentence.Read(s.Sentence).Form]
				if s.Policy {
					f[1]++
				} else {
					f[0]++
				}
				forms[sentence.Read(s.Sentence).Form] = f
			}
		}
		for _, s := range all {
			if s.Corpus != corpus {
				continue
			}
			r := sentence.Read(s.Sentence)
			fixed.add(r.Form.Bearing(), s.Policy)
			f := forms[r.Form]
			learned := r.Form.Bearing()
			if f[0]+f[1] >= 5 {
				learned = f[1] > f[0]
			}
			held.add(learned, s.Policy)
			if testing.Verbose() && r.Form.Bearing() != s.Policy {
				t.Logf("%v %s %d %s: %s", s.Policy, s.Corpus, s.I, r.Form, s.Sentence)
			}
		}
	}
	fmt.Printf("figure: nlacp.identify_f1 = %.3f (n=%d)\n", held.f1(), held.n())
	fmt.Printf("figure: nlacp.identify_macro_f1 = %.3f (n=%d)\n", held.macro(), held.n())
	fmt.Printf("figure: nlacp.identify_f1_fixed = %.3f (n=%d)\n", fixed.f1(), fixed.n())
	fmt.Printf("figure: nlacp.identify_macro_f1_fixed = %.3f (n=%d)\n", fixed.macro(), fixed.n())
	fmt.Printf("figure: nlacp.taken_wrongly_for_rules = %.3f (n=%d)\n", ratio(held.false_, held.false_+held.rest), held.false_+held.rest)
	fmt.Printf("figure: nlacp.rules_missed = %.3f (n=%d)\n", ratio(held.missed, held.hit+held.missed), held.hit+held.missed)
}

// parts are the components of a rule in the form in which they are compared; the decision is not among them, since all but a few permit.
func parts(r sentence.Rule) [5]string {
	return [5]string{sentence.Normal(r.Subject), sentence.Normal(r.Action), sentence.Normal(r.Resource), sentence.Normal(r.Purpose), sentence.Normal(r.Condition)}
}

var partNames = [5]string{"subject", "action", "resource", "purpose", "condition"}

// pair matches rules with rules, those that agree most first.
func pair(got, want []sentence.Rule, each func(got, want *sentence.Rule)) {
	got, want = slices.Clone(got), slices.Clone(want)
	for len(got) > 0 && len(want) > 0 {
		best, at, bt := -1, 0, 0
		for i, g := range got {
			for j, w := range want {
				same := 0
				a, b := parts(g), parts(w)
				for k := range a {
					if a[k] == b[k] {
						same++
						if a[k] != "" {
							same++
						}
					}
				}
				if same > best {
					best, at, bt = same, i, j
				}
			}
		}
		each(&got[at], &want[bt])
		got, want = slices.Delete(got, at, at+1), slices.Delete(want, bt, bt+1)
	}
	for i := range got {
		each(&got[i], nil)
	}
	for i := range want {
		each(nil, &want[i])
	}
}

func TestNLACPRules(t *testing.T) {
	var all counts
	var by [5]counts
	whole, rules, denied, denials := 0, 0, 0, 0
	for _, s := range nlacpLines[nlacpSentence](t, "sentences.jsonl") {
		if !s.Policy {
			continue
		}
		r := sentence.Read(s.Sentence)
		ok := true
		pair(r.Rules, nlacpRules(s.Rules), func(got, want *sentence.Rule) {
			var a, b [5]string
			if got != nil {
				a = parts(*got)
			}
			if want != nil {
				b = parts(*want)
				rules++
				if want.Deny {
					denials++
					if got != nil && got.Deny {
						denied++
					}
				}
				if got != nil && a == b && got.Deny == want.Deny {
					whole++
				}
			}
			ok = ok && a == b
			for k := range a {
				switch {
				case a[k] == b[k] && a[k] != "":
					by[k].hit++
				case a[k] != b[k]:
					if a[k] != "" {
						by[k].false_++
					}
					if b[k] != "" {
						by[k].missed++
					}
				}
			}
		})
		if testing.Verbose() && !ok {
			t.Logf("%s %d: %s\n  got  %+v\n  want %+v", s.Corpus, s.I, s.Sentence, r.Rules, nlacpRules(s.Rules))
		}
	}
	for k, c := range by {
		all.hit, all.false_, all.missed = all.hit+c.hit, all.false_+c.false_, all.missed+c.missed
		fmt.Printf("figure: nlacp.component_f1_%s = %.3f (n=%d)\n", partNames[k], c.f1(), c.hit+c.missed)
	}
	fmt.Printf("figure: nlacp.component_f1 = %.3f (n=%d)\n", all.f1(), all.hit+all.missed)
	fmt.Printf("figure: nlacp.whole_rules = %.3f (n=%d)\n", ratio(whole, rules), rules)
	fmt.Printf("figure: nlacp.denials = %.3f (n=%d)\n", ratio(denied, denials), denials)
}

// nlacpCandidate is a set of rules for a sentence, right or with one kind of error.
type nlacpCandidate struct {
	Split    string      `json:"split"`
	Sentence string      `json:"sentence"`
	Rules    []nlacpRule `json:"candidate_rules"`
	Label    int         `json:"label"`
	Name     string      `json:"label_name"`
}

// The verifier has no parameter: both splits are held out.
func TestNLACPVerifier(t *testing.T) {
	by := map[string]*counts{}
	right, n, caught, wrong, rejected, correct := 0, 0, 0, 0, 0, 0
	for _, c := range nlacpLines[nlacpCandidate](t, "verification.jsonl") {
		rules := nlacpRules(c.Rules)
		got := sentence.Verify(c.Sentence, rules)
		for _, name := range []string{got.Fault.String(), c.Name} {
			if by[name] == nil {
				by[name] = &counts{}
			}
		}
		n++
		if got.Fault.String() == c.Name {
			right++
			by[c.Name].hit++
		} else {
			by[got.Fault.String()].false_++
			by[c.Name].missed++
			if testing.Verbose() {
				t.Logf("want %s, got %s (%s): %s %+v", c.Name, got.Fault, got.Words, c.Sentence, rules)
			}
		}
		if c.Name == sentence.Correct.String() {
			correct++
			if got.Fault != sentence.Correct {
				rejected++
			}
		} else {
			wrong++
			if got.Fault != sentence.Correct {
				caught++
			}
		}
	}
	for f := sentence.Correct; f <= sentence.MissingRule; f++ {
		if c := by[f.String()]; c != nil {
			fmt.Printf("figure: nlacp.verifier_%s = %.3f (n=%d)\n", strings.ReplaceAll(f.String(), " ", "_"), c.f1(), c.hit+c.missed)
		}
	}
	fmt.Printf("figure: nlacp.verifier = %.3f (n=%d)\n", ratio(right, n), n)
	fmt.Printf("figure: nlacp.verifier_catches = %.3f (n=%d)\n", ratio(caught, wrong), wrong)
	fmt.Printf("figure: nlacp.verifier_rejects_correct = %.3f (n=%d)\n", ratio(rejected, correct), correct)
}
