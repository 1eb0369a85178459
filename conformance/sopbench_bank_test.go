package conformance

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

const bankPack = "sopbench-bank"

// bankConditions says which condition of the pack (a let of facts.yaml) and which clause of its document a predicate of the suite stands for.
// The key is the predicate with the arguments that it reads, in the order of their names; a negation stands in it where another clause says it.
var bankConditions = map[string]struct{ let, clause string }{
	"logged_in_user(username)":                                         {"logged_in", "logged-in"},
	"authenticated_admin_password(username)":                           {"admin_confirmed", "admin-confirmed"},
	"internal_check_username_exist(username)":                          {"account_exists", "account-exists"},
	"not internal_check_username_exist(username)":                      {"account_exists", "name-free"},
	"internal_check_username_exist(destination_username)":              {"destination_exists", "destination-exists"},
	"sufficient_account_balance(amount, username)":                     {"balance_covers", "balance-covers"},
	"get_loan_owed_balance_restr(username)":                            {"debt_below_limit", "debt-limit"},
	"pay_loan_account_balance_restr(username)":                         {"balance_covers_debt", "repayment-covered"},
	"pay_loan_amount_restr(pay_owed_amount_request, username)":         {"balance_covers_repayment", "repayment-covered"},
	"minimal_elgibile_credit_score(username)":                          {"credit_score_suffices", "credit-score"},
	"no_owed_balance(username)":                                        {"no_debt", "no-debt"},
	"no_credit_card_balance(username)":                                 {"cards_settled", "cards-settled"},
	"no_credit_card_balance_on_card(card_number, username)":            {"card_settled", "card-settled"},
	"internal_check_credit_card_exist(card_number, username)":          {"card_exists", "card-exists"},
	"not_over_credit_limit(amount, card_number, username)":             {"card_credit_left", "card-credit"},
	"safety_box_eligible(username)":                                    {"balance_for_safety_box", "safety-box-balance"},
	"maximum_deposit_limit(amount, unit)":                              {"deposit_within_limit", "deposit-limit"},
	"maximum_exchange_amount(amount, unit)":                            {"exchange_within_limit", "exchange-limit"},
	"internal_check_foreign_currency_available(foreign_currency_type)": {"currency_traded", "currency-traded"},
	"amount_positive_restr(amount)":                                    {"amount_positive", "amount-positive"},
	"amount_positive_restr(pay_owed_amount_request)":                   {"repayment_positive", "amount-positive"},
	"call_get_database()":                                              {"from_the_books", "from-the-books"},
}

// bankRule is one generated rule; JSON is YAML, so it is written as it stands.
type bankRule struct {
	ID      string   `json:"id"`
	Clause  []string `json:"clause"`
	Tools   []string `json:"tools"`
	Require any      `json:"require"`
}

// bankRuleOf turns a condition tree of the suite into a rule of the pack.
func bankRuleOf(t testing.TB, tool string, tree json.RawMessage) bankRule {
	t.Helper()
	r := bankRule{ID: tool, Tools: []string{tool}}
	var node func(raw json.RawMessage) any
	node = func(raw json.RawMessage) any {
		parts := parse[[]json.RawMessage](t, raw)
		op := parse[string](t, parts[0])
		if op == "single" {
			predicate, params := parse[string](t, parts[1]), parse[map[string]string](t, parts[2])
			reads := "(" + strings.Join(slices.Sorted(maps.Values(params)), ", ") + ")"
			plain, negated := strings.CutPrefix(predicate, "not ")
			c, ok := bankConditions[predicate+reads]
			if !ok {
				c, ok = bankConditions[plain+reads]
			}
			if !ok {
				t.Fatalf("%s: no condition of the pack stands for %s", tool, predicate+reads)
			}
			if !slices.Contains(r.Clause, c.clause) {
				r.Clause = append(r.Clause, c.clause)
			}
			if negated {
				return map[string]any{"not": c.let}
			}
			return c.let
		}
		var kids []any
		for _, kid := range parse[[]json.RawMessage](t, parts[1]) {
			kids = append(kids, node(kid))
		}
		return map[string]any{map[string]string{"and": "all", "or": "any", "chain": "chain", "gate": "gate"}[op]: kids}
	}
	r.Require = node(tree)
	return r
}

// bankPolicy compiles the pack of testdata with the conditions that one task switched on in place of the defaults.
func bankPolicy(t testing.TB, rules []bankRule) *policy.Policy {
	t.Helper()
	files := fstest.MapFS{}
	src := os.DirFS("testdata")
	must(t, fs.WalkDir(src, bankPack, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(src, p)
		files[p] = &fstest.MapFile{Data: b}
		return err
	}))
	if rules == nil {
		rules = []bankRule{}
	}
	files[path.Join(bankPack, "rules.yaml")] = &fstest.MapFile{Data: encode(t, map[string]any{"rules": rules})}
	return loadPackFrom(t, files, bankPack)
}

// bankCall is one recorded call with the state it was made in and what the suite says about it.
type bankCall struct {
	ID      string
	Task    string
	Domain  string
	Tool    string
	Args    json.RawMessage
	DB      string
	Session map[string]any
	Tree    json.RawMessage `json:"policy_tree"`
	Permit  *bool
	Result  json.RawMessage
}

// attributes are the session variables as a door would set them.
func (c bankCall) attributes() map[string]any {
	a := map[string]any{}
	for k, v := range c.Session {
		switch k {
		case "previously_logged_in_username":
			a["logged_in"], _ = v.(string)
		case "prev_auth_admin_pass":
			a["admin"] = v
		default:
			a[k] = v
		}
	}
	return a
}

func readBank(t testing.TB) (calls []bankCall, books map[string]json.RawMessage) {
	t.Helper()
	for _, file := range []string{"sopbench/decisions.jsonl", "sopbench/gold_decisions.jsonl"} {
		testkit.Lines(t, file, func(line []byte) {
			var c bankCall
			must(t, json.Unmarshal(line, &c))
			if c.Domain == "bank" {
				if string(c.Tree) == "null" {
					c.Tree = nil
				}
				calls = append(calls, c)
			}
		})
	}
	books = map[string]json.RawMessage{}
	testkit.Lines(t, "sopbench/databases.jsonl", func(line []byte) {
		var d struct {
			DB   string
			Data json.RawMessage
		}
		must(t, json.Unmarshal(line, &d))
		books[d.DB] = d.Data
	})
	return calls, books
}

// bankReads are the read tools that the pack asks for.
// The suite's check for a card looks the number up among records instead of numbers, and so never finds one; ours answers as it does (TestBankReads).
var bankReads = map[string]func(books json.RawMessage, args map[string]any) (json.RawMessage, error){
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
}

// Our twin of the suite's check for a card answers as the suite recorded.
func TestBankReads(t *testing.T) {
	calls, books := readBank(t)
	n := 0
	for _, c := range calls {
		if c.Tool != "internal_check_credit_card_exist" {
			continue
		}
		n++
		raw, err := bankReads[c.Tool](books[c.DB], parse[map[string]any](t, c.Args))
		var pair []any
		found := json.Unmarshal(c.Result, &pair) == nil && len(pair) == 2
		if (err == nil) != found || found && string(raw) != string(encode(t, pair[1])) {
			t.Errorf("%s: ours %s %v, the suite %s", c.ID, raw, err, c.Result)
		}
	}
	if n == 0 {
		t.Error("nothing was compared")
	}
}

// The pack's own rules are the conditions that the suite switches on by default.
func TestBankPackSaysTheDefaults(t *testing.T) {
	pk, ds := pack.Load(os.DirFS("testdata"), bankPack)
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	written := map[string]pack.Rule{}
	for _, r := range pk.Rules {
		written[r.ID.S] = r
	}
	n := 0
	testkit.Lines(t, "sopbench/policies.jsonl", func(line []byte) {
		var r struct {
			Domain, Tool string
			Tree         json.RawMessage `json:"default_full_tree"`
		}
		must(t, json.Unmarshal(line, &r))
		if r.Domain != "bank" || string(r.Tree) == "null" {
			return
		}
		n++
		want := bankRuleOf(t, r.Tool, r.Tree)
		got, ok := written[r.Tool]
		if !ok {
			t.Errorf("%s: the pack has no rule", r.Tool)
			return
		}
		if g, w := string(encode(t, condOf(got.Require))), string(encode(t, want.Require)); g != w {
			t.Errorf("%s: the pack says\n%s, the suite\n%s", r.Tool, g, w)
		}
		if g, w := clausesOf(got), want.Clause; !slices.Equal(slices.Sorted(slices.Values(g)), slices.Sorted(slices.Values(w))) {
			t.Errorf("%s: the pack cites %v, want %v", r.Tool, g, w)
		}
	})
	if n != len(pk.Rules) {
		t.Errorf("the pack has %d rules, the suite %d conditions", len(pk.Rules), n)
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

// Calls that real models made are decided as the suite's own evaluator decided them. What a decision asks for is read and the call is asked again;
// a call that still waits for something counts as stopped.
func TestSOPBenchBank(t *testing.T) {
	calls, books := readBank(t)
	byTask := map[string][]bankCall{}
	for _, c := range calls {
		byTask[c.Task] = append(byTask[c.Task], c)
	}
	var agreement, withTree tally
	table := map[string]*confusion{}
	total := &confusion{}
	differ := map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(byTask)) {
		var rules []bankRule
		seen := map[string]bool{}
		for _, c := range byTask[id] {
			if c.Tree != nil && !seen[c.Tool] {
				seen[c.Tool] = true
				rules = append(rules, bankRuleOf(t, c.Tool, c.Tree))
			}
		}
		p := bankPolicy(t, rules)
		for _, c := range byTask[id] {
			if c.Permit == nil {
				continue
			}
			got, first := c.decide(t, p, books[c.DB])
			if table[c.Tool] == nil {
				table[c.Tool] = &confusion{}
			}
			right := (got.Outcome == proviso.Allow) == *c.Permit
			agreement.add(right)
			if c.Tree != nil {
				withTree.add(right)
				table[c.Tool].add(*c.Permit, got.Outcome, first)
				total.add(*c.Permit, got.Outcome, first)
			}
			if !right {
				why := fmt.Sprintf("%s permit=%v: %s", c.Tool, *c.Permit, explain(got))
				differ[why] = append(differ[why], c.ID)
			}
		}
	}
	t.Logf("%-32s %s", "decisions with conditions", confusionHeader)
	for _, tool := range slices.Sorted(maps.Keys(table)) {
		if table[tool].n() > 0 {
			t.Logf("%-32s %s", tool, table[tool])
		}
	}
	t.Logf("%-32s %s", "all", total)
	for _, why := range byCount(differ) {
		t.Logf("%d × %s\n\t%s", len(differ[why]), why, strings.Join(differ[why], " "))
	}
	figure("sopbench.bank_agreement", withTree)
	figure("sopbench.bank_agreement_all", agreement)
	figure("sopbench.bank_wrongful", tally{float64(total.wrongful()), total.permitted()})
	figure("sopbench.bank_missed", tally{float64(total[0][proviso.Allow]), total.forbidden()})
	if withTree.n == 0 || withTree.share() < 0.97 {
		t.Errorf("%.4f of %d decisions agree, want at least 0.97", withTree.share(), withTree.n)
	}
}

// decide asks for the call in a session of its own and reads what the decisions ask for. It returns the last decision and the first outcome.
func (c bankCall) decide(t testing.TB, p *policy.Policy, books json.RawMessage) (proviso.Decision, proviso.Outcome) {
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
				read := bankReads[s.Tool]
				if read == nil || len(s.Open) > 0 {
					return got, first
				}
				line.call(s.Tool, s.Args, func() (json.RawMessage, error) { return read(books, s.Args) })
			}
		}
	}
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
func (c *confusion) n() int         { return c.permitted() + c.forbidden() }
func (c *confusion) wrongful() int  { return c.permitted() - c[1][proviso.Allow] }

func sum(list []int) (n int) {
	for _, i := range list {
		n += i
	}
	return n
}
