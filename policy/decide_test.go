package policy

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

// agree fails unless Decide and the reference say the same.
func agree(t interface {
	Fatalf(string, ...any)
}, p *Policy, in *Input, v *View) {
	ref, ok := p.reference(in, v)
	if !ok {
		return
	}
	d := p.Decide(in, v)
	want := ref.Outcomes[0]
	if len(ref.Outcomes) > 1 {
		want = proviso.NeedInfo
		if d.Outcome == proviso.Deny && len(d.Errors) > 0 && d.Errors[len(d.Errors)-1].Code == codeUnsupplied {
			want = proviso.Deny // nothing granted can supply what is missing
			if obtainable(d.Missing) {
				t.Fatalf("denied for want of a supplier, but %v can be had", d.Missing)
			}
		}
	}
	if d.Outcome != want {
		t.Fatalf("decided %v, the reference %v\n%s", d.Outcome, ref.Outcomes, dump(d))
	}
	if (len(d.Missing) > 0) != (len(ref.Outcomes) > 1) && !d.Approximate {
		t.Fatalf("outcomes %v but missing %v", ref.Outcomes, d.Missing)
	}
	if d.Outcome != proviso.Allow && len(d.Reasons) == 0 {
		t.Fatalf("%v without a reason", d.Outcome)
	}
	if len(ref.Outcomes) == 1 || d.Approximate {
		return
	}
	prog := p.programOf(in)
	f := p.frame(prog, in, v)
	defer p.release(f)
	s, _ := f.outcomes()
	s, relevant := f.complete(s, &proviso.Decision{})
	for _, i := range f.missingAtoms(s, relevant) {
		// Without errors, and where no atom is repeated, relevance is exact.
		if !slices.Contains(ref.Relevant, prog.atoms[i].key) && len(f.faults) == 0 {
			t.Fatalf("%s is asked for, but cannot change the outcome", prog.atoms[i].text)
		}
	}
}

func dump(v any) string {
	b, _ := json.MarshalIndent(v, "", " ")
	return string(b)
}

func TestDecideAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := mustCompile(t, genPack(t))
		for range 20 {
			agree(t, p, p.Bind(call("act", genArgs(t)), nil), genView(t, p))
		}
	})
}

func FuzzDecideAgreesWithReference(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		p := mustCompile(t, genPack(t))
		agree(t, p, p.Bind(call("act", genArgs(t)), nil), genView(t, p))
	}))
}

// permits is what an outcome lets through, for the monotony properties.
func permits(o proviso.Outcome) bool { return o == proviso.Allow }

func TestAddingARuleNeverPermits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := genPack(t)
		large := *small
		large.Rules = append(append([]pack.Rule(nil), small.Rules...), genRule(t, 99, conditions))
		p, q := mustCompile(t, small), mustCompile(t, &large)
		for range 10 {
			ev, v := call("act", genArgs(t)), genView(t, p)
			a, b := p.Decide(p.Bind(ev, nil), v), q.Decide(q.Bind(ev, nil), v)
			if !permits(a.Outcome) && permits(b.Outcome) {
				t.Fatalf("%v became %v", a.Outcome, b.Outcome)
			}
		}
	})
}

func TestForgettingAFactNeverPermits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := mustCompile(t, genPack(t))
		for range 10 {
			in, v := p.Bind(call("act", genArgs(t)), nil), genView(t, p)
			before := p.Decide(in, v)
			less := *v
			facts := fakeFacts{}
			for k, f := range v.Facts.(fakeFacts) {
				if rapid.Bool().Draw(t, "keep") {
					facts[k] = f
				} else if _, broken := f.(brokenFact); broken {
					facts[k] = f // a broken fact is not known either: forgetting it may permit to ask again
				}
			}
			less.Facts = facts
			if rapid.Bool().Draw(t, "unanswered") {
				less.Answers = nil
			}
			if after := p.Decide(in, &less); permits(after.Outcome) && !permits(before.Outcome) {
				t.Fatalf("%v became %v", before.Outcome, after.Outcome)
			}
		}
	})
}

func TestOrderNeverMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := genPack(t)
		b := *a
		b.Rules = rapid.Permutation(a.Rules).Draw(t, "rules")
		b.Grants = rapid.Permutation(a.Grants).Draw(t, "grants")
		b.Facts = rapid.Permutation(a.Facts).Draw(t, "facts")
		b.Tools = rapid.Permutation(a.Tools).Draw(t, "tools")
		p, q := mustCompile(t, a), mustCompile(t, &b)
		if p.Digest() != q.Digest() {
			t.Fatalf("digest %s became %s", p.Digest(), q.Digest())
		}
		for range 5 {
			ev, v := call("act", genArgs(t)), genView(t, p)
			w := *v
			w.Facts = renumbered(p, q, v.Facts.(fakeFacts))
			w.History, v.History = nil, nil // the fake history numbers queries
			x, y := p.Decide(p.Bind(ev, nil), v), q.Decide(q.Bind(ev, nil), &w)
			if x.Outcome != y.Outcome || !reflect.DeepEqual(ruleIDs(x), ruleIDs(y)) || len(x.Missing) != len(y.Missing) {
				t.Fatalf("%s\nbecame %s", dump(x), dump(y))
			}
		}
	})
}

func renumbered(p, q *Policy, f fakeFacts) fakeFacts {
	out := fakeFacts{}
	for i, fi := range p.Facts() {
		j, _ := q.FactNumber(fi.Name)
		for k, v := range f {
			var n int
			var rest string
			if _, err := fscan(k, &n, &rest); err == nil && n == i {
				out[factPrefix(j)+k[len(factPrefix(i)):]] = v
			}
		}
	}
	return out
}

func ruleIDs(d proviso.Decision) []string {
	var out []string
	for _, r := range d.Reasons {
		out = append(out, r.Rule)
	}
	return out
}

// TestBrokenFactIsNotWaitedFor reads a broken fact beside one that was not observed: nothing that is still to come mends it, so the call is denied at once.
func TestBrokenFactIsNotWaitedFor(t *testing.T) {
	pk := basePack()
	pk.Grants = append(pk.Grants, pack.Grant{Tools: txts("act")})
	pk.Rules = []pack.Rule{{ID: txt("sum"), Tools: txts("act"), Require: leaf("record[args.other].total + record[args.id].total < 200.0")}}
	p := mustCompile(t, pk)
	i, _ := p.FactNumber("record")
	v := &View{Now: testNow, Facts: fakeFacts{factKey(i, Key{N: 1, Part: [pack.MaxKey]string{"x"}}): brokenFact{}}}
	d := p.Decide(p.Bind(call("act", fullArgs()), nil), v)
	if d.Outcome != proviso.Deny || len(d.Errors) != 1 || d.Errors[0].Code != codeFactBroken {
		t.Error(dump(d))
	}
}
