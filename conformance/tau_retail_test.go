package conformance

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// tauSources are the two editions of the suite, the database of each, and how many of its gold writes must be allowed.
// The older edition was never audited: some of its gold breaks the letter of the shop's policy.
var tauSources = []struct {
	name, db, figure string
	allowed          float64
}{
	{"tau2", "tau/db/retail.jsonl", "tau_retail.gold_allowed", 1},
	{"tau1", "tau/db/retail_v1.jsonl", "tau_retail.gold_allowed_v1", 0.95},
}

// loadPack compiles a pack of testdata and fails the test on any diagnostic that stops it.
func loadPack(t testing.TB, dir string) *policy.Policy {
	t.Helper()
	return loadPackFrom(t, os.DirFS("testdata"), dir)
}

func loadPackFrom(t testing.TB, fsys fs.FS, dir string) *policy.Policy {
	t.Helper()
	pk, ds := pack.Load(fsys, dir)
	if ds.Worst(proviso.Error) {
		t.Fatalf("load:\n%v", ds)
	}
	p, ds := policy.Compile(pk)
	if ds.Worst(proviso.Error) {
		t.Fatalf("compile:\n%v", ds)
	}
	return p
}

// openDesk starts a conversation of its own with a customer.
func openDesk(t testing.TB, p *policy.Policy, s *shop, who customer) *desk {
	return &desk{t: t, line: newLine(t, p, nil), shop: s, who: who}
}

// Every write that a right agent makes is allowed within six steps, where each step does only what the decision before it asked for.
func TestTauRetailGold(t *testing.T) {
	p := loadPack(t, "tau-retail")
	for _, src := range tauSources {
		t.Run(src.name, func(t *testing.T) {
			allowed, steps := tally{}, tally{}
			exceptions := map[string][]string{}
			s := readStock(t, src.db)
			for _, k := range readTasks(t, src.name, s) {
				if k.user == "" {
					continue // nobody is looked up and nothing is changed
				}
				d := openDesk(t, p, s.open(), customer{})
				d.who = customer{knows: knownAs(d.shop.user(t, k.user)), agrees: true}
				for _, w := range k.calls {
					if !w.write() {
						continue
					}
					got, n := d.serve(w)
					allowed.add(got.Outcome == proviso.Allow)
					if got.Outcome == proviso.Allow {
						steps.sum, steps.n = steps.sum+float64(n), steps.n+1
						continue
					}
					why := explain(got)
					exceptions[why] = append(exceptions[why], fmt.Sprintf("%s#%d %s", k.id, w.I, w.Name))
				}
			}
			figure(src.figure, allowed)
			if src.name == "tau2" {
				figure("tau_retail.mean_steps", steps)
			}
			for _, why := range byCount(exceptions) {
				t.Logf("%d × %s\n\t%s", len(exceptions[why]), why, strings.Join(exceptions[why], "\n\t"))
			}
			if allowed.n == 0 || allowed.share() < src.allowed {
				t.Errorf("%.4f of %d gold writes are allowed, want at least %.2f", allowed.share(), allowed.n, src.allowed)
			}
		})
	}
}

// A right write that is made wrong in one way is never allowed, and is denied for that reason.
func TestTauRetailMutants(t *testing.T) {
	p := loadPack(t, "tau-retail")
	results := make([]struct{ right, allowed tally }, len(mutations))
	wrong := map[string][]string{}
	for _, src := range tauSources {
		s := readStock(t, src.db)
		for _, k := range readTasks(t, src.name, s) {
			db := s.open()
			for _, w := range k.calls {
				if !w.write() {
					continue
				}
				before := db.clone()
				db.write(t, w)
				if !lawful(t, p, k, w, before) {
					continue
				}
				for i, kind := range mutations {
					if !slices.Contains(kind.tools, w.Name) {
						continue
					}
					m := newMutant(t, k, w, before)
					if !kind.make(m) {
						continue
					}
					got := m.play(p)
					right := kind.right(got)
					results[i].right.add(right)
					results[i].allowed.add(got.Outcome == proviso.Allow)
					if !right {
						why := kind.name + ": " + explain(got)
						wrong[why] = append(wrong[why], fmt.Sprintf("%s %s#%d %s %s", src.name, k.id, w.I, m.tool, encode(t, m.args)))
					}
				}
			}
		}
	}
	var right, allowed tally
	for i, kind := range mutations {
		r := results[i]
		t.Logf("%5d mutants, %5.1f %% denied with the right clause, %d allowed: %s", r.right.n, 100*r.right.share(), int(r.allowed.sum), kind.name)
		right.join(r.right)
		allowed.join(r.allowed)
		if r.right.n == 0 {
			t.Errorf("%s: no mutant was made", kind.name)
		}
	}
	figure("tau_retail.mutants_denied", right)
	for _, why := range byCount(wrong) {
		list := wrong[why]
		t.Logf("%d × %s\n\t%s", len(list), why, strings.Join(list[:min(3, len(list))], "\n\t"))
	}
	if allowed.sum > 0 {
		t.Errorf("%d mutants are allowed, want none", int(allowed.sum))
	}
	if right.share() < 0.99 {
		t.Errorf("%.4f of %d mutants are denied with the right clause, want at least 0.99", right.share(), right.n)
	}
}

// lawful reports whether a gold write is allowed in a conversation of its own: only a right write can be made wrong.
func lawful(t testing.TB, p *policy.Policy, k task, w goldCall, before *shop) bool {
	d := openDesk(t, p, before.clone(), customer{})
	d.who = customer{knows: knownAs(d.shop.user(t, k.user)), agrees: true}
	got, _ := d.serve(w)
	return got.Outcome == proviso.Allow
}

// play asks for the wrong call in a conversation of its own and returns the last decision.
func (m *mutant) play(p *policy.Policy) proviso.Decision {
	d := openDesk(m.t, p, m.shop, m.who)
	m.before(d)
	got, _ := d.refuse(m.tool, m.args)
	return got
}

// right reports whether a decision denies for the reason that the mutation made.
func (k mutation) right(d proviso.Decision) bool {
	named := false
	for _, id := range d.Clauses() {
		switch {
		case slices.Contains(k.cites, id):
			named = true
		case !slices.Contains(k.beside, id):
			return false
		}
	}
	return named && d.Outcome == proviso.Deny
}

// explain puts into one line what a decision came to and why.
func explain(d proviso.Decision) string {
	s := d.Outcome.String() + " by " + strings.Join(rules(d), ", ") + " citing " + strings.Join(d.Clauses(), ", ")
	for _, m := range d.Missing {
		s += fmt.Sprintf("; missing %s %s%s %s", m.Kind, m.Fact, m.Question, encodeKey(m.Key))
	}
	for _, f := range d.Errors {
		s += "; " + f.String()
	}
	return s
}

func encodeKey(key []proviso.Value) string {
	b, _ := json.Marshal(key)
	return string(b)
}

// tally is a sum over n cases; of yes and no the sum counts the yes.
type tally struct {
	sum float64
	n   int
}

func (y *tally) add(yes bool) {
	y.n++
	if yes {
		y.sum++
	}
}

func (y *tally) join(z tally) { y.sum, y.n = y.sum+z.sum, y.n+z.n }

func (y tally) share() float64 {
	if y.n == 0 {
		return 0
	}
	return y.sum / float64(y.n)
}

// figure prints a result in the form that `make figures` collects.
func figure(name string, y tally) {
	fmt.Printf("figure: %s = %.3f (n=%d)\n", name, y.share(), y.n)
}

func byCount(m map[string][]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		if a, b := len(m[keys[i]]), len(m[keys[j]]); a != b {
			return a > b
		}
		return keys[i] < keys[j]
	})
	return keys
}
