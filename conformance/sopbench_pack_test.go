package conformance

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// sopRule is one generated rule; JSON is YAML, so it is written as it stands.
type sopRule struct {
	ID      string   `json:"id"`
	Clause  []string `json:"clause"`
	Tools   []string `json:"tools"`
	Require any      `json:"require"`
}

// sopDesk is a pack that was written for a domain, compiled with the conditions that tasks switch on.
type sopDesk struct {
	dir        string
	conditions map[string]sopCondition
	files      fstest.MapFS
	compiled   map[string]*policy.Policy // by the rules' text
}

func newSOPDesk(t testing.TB, dir string) *sopDesk {
	t.Helper()
	d := &sopDesk{dir: dir, conditions: sopConditions(t, dir), files: fstest.MapFS{}, compiled: map[string]*policy.Policy{}}
	src := os.DirFS("testdata")
	must(t, fs.WalkDir(src, dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := fs.ReadFile(src, p)
		d.files[p] = &fstest.MapFile{Data: b}
		return err
	}))
	return d
}

// rule turns a condition tree of the suite into a rule of the pack; it fails where no condition stands for a predicate.
func (d *sopDesk) rule(id, tool string, n *sopNode) (sopRule, error) {
	r := sopRule{ID: id, Tools: []string{tool}}
	var unknown error
	r.Require = n.require(func(leaf *sopNode) string {
		c, ok := d.conditions["not "+leaf.key()]
		if !leaf.negated || !ok {
			c, ok = d.conditions[leaf.key()]
		}
		if !ok {
			unknown = fmt.Errorf("%s: no condition of %s stands for %s", tool, d.dir, leaf.key())
		}
		if !slices.Contains(r.Clause, c.clause) {
			r.Clause = append(r.Clause, c.clause)
		}
		return c.let
	})
	return r, unknown
}

// parts are the conditions that a tree requires one beside the other, each of which becomes a rule of its own, so that a denial names what fails.
func (n *sopNode) parts() []*sopNode {
	if n == nil {
		return nil
	}
	if n.op == "and" {
		return n.kids
	}
	return []*sopNode{n}
}

func sopPartID(tool string, i int) string { return fmt.Sprintf("%s-%d", tool, i+1) }

// policy compiles the pack with these rules in place of the defaults.
func (d *sopDesk) policy(t testing.TB, rules []sopRule) *policy.Policy {
	t.Helper()
	if rules == nil {
		rules = []sopRule{}
	}
	text := encode(t, map[string]any{"rules": rules})
	if p, ok := d.compiled[string(text)]; ok {
		return p
	}
	files := maps.Clone(d.files)
	files[path.Join(d.dir, "rules.yaml")] = &fstest.MapFile{Data: text}
	p := loadPackFrom(t, files, d.dir)
	d.compiled[string(text)] = p
	return p
}

// alone is the pack with one condition as the only rule of a tool, which requires just the arguments that the condition reads.
func (d *sopDesk) alone(t testing.TB, tool string, leaf *sopNode) (*policy.Policy, error) {
	t.Helper()
	rule, err := d.rule("leaf", tool, leaf)
	if err != nil {
		return nil, err
	}
	tools := parse[[]struct {
		Type     string         `json:"type"`
		Function map[string]any `json:"function"`
	}](t, d.files[path.Join(d.dir, "tools.json")].Data)
	for _, f := range tools {
		if f.Function["name"] == tool {
			f.Function["parameters"].(map[string]any)["required"] = append([]string{}, slices.Sorted(maps.Values(leaf.params))...)
		}
	}
	other := &sopDesk{dir: d.dir, files: maps.Clone(d.files), compiled: map[string]*policy.Policy{}}
	other.files[path.Join(d.dir, "tools.json")] = &fstest.MapFile{Data: encode(t, tools)}
	return other.policy(t, []sopRule{rule}), nil
}

// rulesFor turns the tree of a call into rules.
func (d *sopDesk) rulesFor(c sopCall) (rules []sopRule, err error) {
	for i, part := range c.Tree.parts() {
		r, e := d.rule(sopPartID(c.Tool, i), c.Tool, part)
		if e != nil {
			err = e
		}
		rules = append(rules, r)
	}
	return rules, err
}

// sopReads are the read tools that the packs ask for. The suite's check for a card looks the number up among records instead of numbers, and so never finds one;
// ours answers as it does (TestSOPBenchReads).
var sopReads = map[string]func(books json.RawMessage, args map[string]any) (json.RawMessage, error){
	"internal_get_database": func(books json.RawMessage, _ map[string]any) (json.RawMessage, error) { return books, nil },
	"internal_check_credit_card_exist": func(books json.RawMessage, args map[string]any) (json.RawMessage, error) {
		var db struct{ Accounts map[string]json.RawMessage }
		if err := json.Unmarshal(books, &db); err != nil {
			return nil, err
		}
		if db.Accounts[text(args, "username")] == nil {
			return nil, fmt.Errorf("no such account")
		}
		return json.RawMessage("false"), nil
	},
	"internal_convert_human_date_to_iso": func(_ json.RawMessage, args map[string]any) (json.RawMessage, error) {
		words := ordinal.ReplaceAllString(text(args, "date_string"), "$1")
		day, err := time.Parse("January 2, 2006", words)
		if err != nil {
			return nil, err
		}
		return json.Marshal(day.Format(time.DateOnly))
	},
}

var ordinal = regexp.MustCompile(`(\d)(st|nd|rd|th)\b`)

// Our twins of the suite's reads answer as the suite recorded.
func TestSOPBenchReads(t *testing.T) {
	data := readSOP(t)
	compared := map[string]int{}
	for _, c := range data.calls {
		read := sopReads[c.Tool]
		if read == nil || c.Permit == nil || !*c.Permit {
			continue
		}
		compared[c.Tool]++
		raw, err := read(data.books[c.DB], parse[map[string]any](t, c.Args))
		var pair []json.RawMessage
		found := json.Unmarshal(c.Result, &pair) == nil && len(pair) == 2
		if (err == nil) != found || found && canonical(t, raw) != canonical(t, pair[1]) {
			t.Errorf("%s: %s: ours %.200s %v, the suite %.200s", c.ID, c.Tool, raw, err, c.Result)
		}
	}
	t.Logf("answers of the suite's tools compared: %v", compared)
	if len(compared) == 0 {
		t.Error("nothing was compared")
	}
}

// The packs' own rules are the conditions that the suite switches on by default. With -update they are written so.
func TestSOPBenchPacksSayTheDefaults(t *testing.T) {
	for _, domain := range readSOP(t).domains() {
		dir, ok := sopPackOf(domain)
		if !ok {
			continue
		}
		d := newSOPDesk(t, dir)
		var wanted []sopRule
		testkit.Lines(t, "sopbench/policies.jsonl", func(line []byte) {
			var r struct {
				Domain, Tool string
				Tree         *sopNode `json:"default_full_tree"`
			}
			must(t, json.Unmarshal(line, &r))
			if r.Domain != domain || r.Tree == nil {
				return
			}
			want, err := d.rule(r.Tool, r.Tool, r.Tree)
			must(t, err)
			wanted = append(wanted, want)
		})
		if testkit.Update() {
			text := "# The conditions as the suite sets them by default. What a condition says stands in facts.yaml.\nrules:\n"
			for _, r := range wanted {
				text += fmt.Sprintf("  - id: %s\n    clause: %s\n    tools: %s\n    require: %s\n", r.ID, encode(t, r.Clause), encode(t, r.Tools), encode(t, r.Require))
			}
			must(t, os.WriteFile(path.Join("testdata", dir, "rules.yaml"), []byte(text), 0o644))
		}
		pk, ds := pack.Load(os.DirFS("testdata"), dir)
		if ds.Worst(proviso.Error) {
			t.Fatal(ds)
		}
		loadPack(t, dir)
		written := map[string]pack.Rule{}
		for _, r := range pk.Rules {
			written[r.ID.S] = r
		}
		for _, want := range wanted {
			got, ok := written[want.ID]
			if !ok {
				t.Errorf("%s: %s: the pack has no rule", dir, want.ID)
				continue
			}
			if g, w := string(encode(t, condOf(got.Require))), string(encode(t, want.Require)); g != w {
				t.Errorf("%s: %s: the pack says\n%s, the suite\n%s", dir, want.ID, g, w)
			}
			if g, w := clausesOf(got), want.Clause; !slices.Equal(slices.Sorted(slices.Values(g)), slices.Sorted(slices.Values(w))) {
				t.Errorf("%s: %s: the pack cites %v, want %v", dir, want.ID, g, w)
			}
		}
		if len(wanted) != len(pk.Rules) {
			t.Errorf("%s: the pack has %d rules, the suite %d conditions", dir, len(pk.Rules), len(wanted))
		}
	}
}

func condOf(c *pack.Cond) any {
	name := c.Op.String()
	if len(c.Kids) == 0 {
		return c.Expr.S
	}
	if name == "not" {
		return map[string]any{name: condOf(c.Kids[0])}
	}
	var kids []any
	for _, k := range c.Kids {
		kids = append(kids, condOf(k))
	}
	return map[string]any{name: kids}
}

func clausesOf(r pack.Rule) (out []string) {
	for _, c := range r.Clauses {
		out = append(out, c.S)
	}
	return out
}

// decide asks for the call in a session of its own and reads what the decisions ask for. It returns the last decision and the first outcome.
func (c sopCall) decide(t testing.TB, p *policy.Policy, books json.RawMessage) (proviso.Decision, proviso.Outcome) {
	line := newLine(t, p, c.attributes())
	var first proviso.Outcome
	for step := 1; ; step++ {
		got := line.callJSON(c.Tool, proviso.JSON(c.Args), func() (json.RawMessage, error) { return json.RawMessage("null"), nil })
		if step == 1 {
			first = got.Outcome
		}
		if got.Outcome != proviso.NeedInfo || step == maxSteps {
			return got, first
		}
		for _, m := range got.Missing {
			for _, s := range m.Suppliers[:min(1, len(m.Suppliers))] {
				read := sopReads[s.Tool]
				if read == nil || len(s.Open) > 0 {
					return got, first
				}
				line.call(s.Tool, s.Args, func() (json.RawMessage, error) { return read(books, s.Args) })
			}
		}
	}
}

// Calls that real models made are decided as the suite's own evaluator decided them. What a decision asks for is read and the call is asked again;
// a call that still waits for something counts as stopped. Every right denial by a rule names a check that the suite found missing.
func TestSOPBenchDecisions(t *testing.T) {
	data := readSOP(t)
	var all, withTree, wrongful, harmful, missed, names, only, malformed tally
	stopped := map[string]bool{} // by the id of the decision
	for _, domain := range data.domains() {
		dir, ok := sopPackOf(domain)
		if !ok {
			t.Logf("%s: no pack was written; its trees alone are decided", domain)
			continue
		}
		d := newSOPDesk(t, dir)
		table := map[string]*confusion{}
		total := &confusion{}
		var agreement, named tally
		differ := map[string][]string{}
		for _, c := range data.calls {
			if c.Domain != domain || c.Permit == nil {
				continue
			}
			rules, err := d.rulesFor(c)
			var got proviso.Decision
			var first proviso.Outcome
			if err == nil {
				got, first = c.decide(t, d.policy(t, rules), data.books[c.DB])
			}
			stopped[c.ID] = got.Outcome != proviso.Allow
			right := err == nil && (got.Outcome == proviso.Allow) == *c.Permit
			all.add(right)
			if c.Tree != nil {
				if table[c.Tool] == nil {
					table[c.Tool] = &confusion{}
				}
				agreement.add(right)
				table[c.Tool].add(*c.Permit, got.Outcome, first)
				total.add(*c.Permit, got.Outcome, first)
				if *c.Permit {
					harmful.add(!right && c.worked(t))
				}
				if right && !*c.Permit {
					faulty := len(got.Errors) > 0 // the arguments are refused before any rule is asked
					malformed.add(faulty)
					if !faulty {
						missing, others := c.named(got)
						named.add(missing > 0)
						only.add(missing > 0 && others == 0)
						if missing == 0 || others > 0 {
							why := fmt.Sprintf("%s: names %d missing checks and %d others: %s", c.Tool, missing, others, explain(got))
							differ[why] = append(differ[why], c.ID)
						}
					}
				}
			}
			if !right {
				why := fmt.Sprintf("%s permit=%v: %s", c.Tool, *c.Permit, explain(got))
				if err != nil {
					why = err.Error()
				}
				differ[why] = append(differ[why], c.ID)
			}
		}
		t.Logf("%-36s %s", domain, confusionHeader)
		for _, tool := range slices.Sorted(maps.Keys(table)) {
			t.Logf("%-36s %s", tool, table[tool])
		}
		t.Logf("%-36s %s", "all", total)
		for _, why := range byCount(differ) {
			t.Logf("%d × %s\n\t%s", len(differ[why]), why, strings.Join(differ[why], " "))
		}
		exactly("sopbench."+domain+"_agreement", agreement)
		exactly("sopbench."+domain+"_names_missing_check", named)
		names.join(named)
		withTree.join(agreement)
		wrongful.join(tally{float64(total.wrongful()), total.permitted()})
		missed.join(tally{float64(total[0][proviso.Allow]), total.forbidden()})
	}
	if all.n == 0 {
		t.Skip("no domain of the suite has a pack")
	}
	exactly("sopbench.decision_agreement", withTree)
	exactly("sopbench.decision_agreement_all", all)
	exactly("sopbench.wrongful_denials", wrongful)
	exactly("sopbench.wrongful_denials_of_calls_that_work", harmful)
	exactly("sopbench.missed_violations", missed)
	exactly("sopbench.names_missing_check", names)
	exactly("sopbench.names_only_missing_checks", only)
	exactly("sopbench.denied_as_malformed", malformed)
	if withTree.share() < 0.99 {
		t.Errorf("%.4f of %d decisions agree, want at least 0.99", withTree.share(), withTree.n)
	}
	if missed.sum > 0 {
		t.Errorf("%v violations are missed", missed.sum)
	}
	if names.share() < 1 {
		t.Errorf("%.4f of %d denials name a missing check", names.share(), names.n)
	}
	sopRuns(t, data, stopped)
}

// named counts the rules that a denial names, with a clause and what decided: those that stand for a part of the tree that the suite found not to hold, and others.
func (c sopCall) named(d proviso.Decision) (missing, others int) {
	parts := map[string]*sopNode{}
	for i, p := range c.Tree.parts() {
		parts[sopPartID(c.Tool, i)] = p
	}
	for _, r := range d.Reasons {
		if p := parts[r.Rule]; p == nil || p.value(c.tri) == proviso.True || len(r.Because) == 0 || len(r.Clauses) == 0 {
			others++
		} else {
			missing++
		}
	}
	return missing, others
}

// sopRuns counts whole recorded runs: ours stops some call exactly where the suite's evaluator forbids one.
func sopRuns(t *testing.T, data *sopData, stopped map[string]bool) {
	permits := map[string]*bool{}
	for _, c := range data.calls {
		permits[c.ID] = c.Permit
	}
	var agree, flags tally
	testkit.Lines(t, "sopbench/runs.jsonl", func(line []byte) {
		var r struct {
			Decisions  []string
			Evaluation struct {
				Kept *bool `json:"constraint_not_violated"`
			}
		}
		must(t, json.Unmarshal(line, &r))
		if len(r.Decisions) == 0 {
			return
		}
		ours, truth := false, false
		for _, id := range r.Decisions {
			stop, decided := stopped[id]
			if !decided {
				return
			}
			ours, truth = ours || stop, truth || !*permits[id]
		}
		agree.add(ours == truth)
		if r.Evaluation.Kept != nil {
			flags.add(ours != *r.Evaluation.Kept)
		}
	})
	exactly("sopbench.run_agreement", agree)
	exactly("sopbench.run_agreement_with_authors", flags)
	if agree.n == 0 || agree.share() < 0.99 {
		t.Errorf("%.4f of %d runs agree, want at least 0.99", agree.share(), agree.n)
	}
}

// Each condition of the packs has the truth that the suite recorded for its predicate. It is the only rule, and a call is decided that has the recorded arguments
// which the condition reads, so that others that are missing or of the wrong type do not matter.
func TestSOPBenchLeaves(t *testing.T) {
	data := readSOP(t)
	var all tally
	for _, domain := range data.domains() {
		dir, ok := sopPackOf(domain)
		if !ok {
			continue
		}
		d := newSOPDesk(t, dir)
		var agreement tally
		policies, known := map[string]*policy.Policy{}, map[string]string{}
		differ := map[string][]string{}
		for _, c := range data.calls {
			if c.Domain != domain {
				continue
			}
			for i, leaf := range c.Tree.leaves() {
				holds := c.Leaves[i].Holds
				if holds == nil {
					continue
				}
				rule := c.Tool + " " + leaf.String()
				p := policies[rule]
				if p == nil {
					var err error
					if p, err = d.alone(t, c.Tool, leaf); err != nil {
						agreement.add(false)
						differ[err.Error()] = append(differ[err.Error()], c.ID)
						continue
					}
					policies[rule] = p
				}
				asked := c
				asked.Args = c.only(t, leaf)
				state := fmt.Sprint(rule, asked.DB, string(asked.Args), string(encode(t, asked.attributes())))
				got, ok := known[state]
				if !ok {
					got = asked.truth(t, p, data.books[c.DB])
					known[state] = got
				}
				right := got == fmt.Sprint(*holds)
				agreement.add(right)
				if !right {
					why := fmt.Sprintf("%s %s holds=%v: %s", c.Tool, leaf, *holds, got)
					differ[why] = append(differ[why], c.ID)
				}
			}
		}
		for _, why := range byCount(differ) {
			t.Logf("%d × %s\n\t%s", len(differ[why]), why, strings.Join(differ[why], " "))
		}
		exactly("sopbench."+domain+"_leaf_agreement", agreement)
		all.join(agreement)
	}
	if all.n == 0 {
		t.Skip("no domain of the suite has a pack")
	}
	exactly("sopbench.leaf_agreement", all)
	if all.share() < 0.99 {
		t.Errorf("%.4f of %d leaves agree, want at least 0.99", all.share(), all.n)
	}
}

// only gives the recorded arguments that a leaf reads.
func (c sopCall) only(t testing.TB, leaf *sopNode) json.RawMessage {
	given, read := parse[map[string]json.RawMessage](t, c.Args), map[string]json.RawMessage{}
	for _, source := range leaf.params {
		if v, ok := given[source]; ok {
			read[source] = v
		}
	}
	return encode(t, read)
}

// truth decides the call and gives "true" where it is allowed, "false" where it is denied by a rule, and else what came in between.
func (c sopCall) truth(t testing.TB, p *policy.Policy, books json.RawMessage) string {
	got, _ := c.decide(t, p, books)
	switch {
	case got.Outcome == proviso.Allow:
		return "true"
	case got.Outcome == proviso.Deny && len(got.Errors) == 0:
		return "false"
	}
	return explain(got)
}

// confusion counts outcomes by what the suite permits: row 0 forbidden, row 1 permitted. The last column counts decisions that had to ask for facts first.
type confusion [2][5]int

const confusionHeader = "permitted: allow needs_info escalate deny (asked first) | forbidden: allow needs_info escalate deny (asked first)"

func (c *confusion) add(permit bool, o, first proviso.Outcome) {
	row := &c[0]
	if permit {
		row = &c[1]
	}
	row[o]++
	if first == proviso.NeedInfo {
		row[4]++
	}
}

func (c *confusion) String() string {
	show := func(r [5]int) string {
		return fmt.Sprintf("%9d %10d %8d %4d %13d", r[proviso.Allow], r[proviso.NeedInfo], r[proviso.Escalate], r[proviso.Deny], r[4])
	}
	return show(c[1]) + "  | " + show(c[0])
}

func (c *confusion) permitted() int { return sum(c[1][:4]) }
func (c *confusion) forbidden() int { return sum(c[0][:4]) }
func (c *confusion) wrongful() int  { return c.permitted() - c[1][proviso.Allow] }

func sum(list []int) (n int) {
	for _, i := range list {
		n += i
	}
	return n
}
