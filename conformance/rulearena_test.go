package conformance

import (
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path"
	"testing"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// withTables reads a pack of testdata with tables, by their names, beside its own or in place of them.
func withTables(t testing.TB, dir string, tables map[string]any) fstest.MapFS {
	t.Helper()
	files, src := fstest.MapFS{}, os.DirFS("testdata")
	must(t, fs.WalkDir(src, dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := fs.ReadFile(src, p)
		files[p] = &fstest.MapFile{Data: b}
		return err
	}))
	for name, table := range tables {
		delete(files, path.Join(dir, "data", name+".yaml"))
		files[path.Join(dir, "data", name+".json")] = &fstest.MapFile{Data: encode(t, table)}
	}
	return files
}

// decideCall decides one call in a session of its own.
func decideCall(p *policy.Policy, tool string, args json.RawMessage) proviso.Decision {
	in := p.Bind(&proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{Tool: tool, Args: proviso.JSON(args)}}, nil)
	return p.Decide(in, &policy.View{Now: time.Unix(0, 0).UTC(), Session: p.SessionDefaults()})
}

// edited is the value that a decision sets at a path, in canonical JSON; empty where it does not allow or sets nothing there.
func edited(d proviso.Decision, p string) string {
	if d.Outcome != proviso.Allow {
		return ""
	}
	for _, e := range d.Edits {
		if e.Path == p {
			return string(proviso.CanonicalJSON(e.Value))
		}
	}
	return ""
}

func canonicalRaw(t testing.TB, raw []byte) string {
	t.Helper()
	v, err := proviso.DecodeResultJSON(raw)
	must(t, err)
	return string(proviso.CanonicalJSON(v))
}

// airlineFees are the suite's fee tables as the pack reads them: by direction, by bag, by cabin, by region.
func airlineFees(t *testing.T) [2][4]json.RawMessage {
	t.Helper()
	var fees [2][4]json.RawMessage
	testkit.Lines(t, "rulearena/airline_fee_tables.jsonl", func(line []byte) {
		row := parse[struct {
			Bag, Direction int
			Fees           json.RawMessage
		}](t, line)
		fees[row.Direction][row.Bag-1] = row.Fees
	})
	return fees
}

// The total of every passenger is what the pack sets where the call leaves it out, and so is what each bag costs for itself, for its weight and for its size.
func TestRuleArenaAirline(t *testing.T) {
	p := loadPackFrom(t, withTables(t, "rulearena-airline", map[string]any{"fees": airlineFees(t)}), "rulearena-airline")
	var total, breakdown, refused tally
	testkit.Lines(t, "rulearena/airline.jsonl", func(line []byte) {
		r := parse[struct {
			ID        string
			Facts     map[string]json.RawMessage
			Total     json.RawMessage `json:"answer_total_cost"`
			Breakdown json.RawMessage
		}](t, line)
		d := decideCall(p, "quote_bags", encode(t, r.Facts))
		right := edited(d, "total_cost") == canonicalRaw(t, r.Total)
		total.add(right)
		if !right {
			t.Logf("%s: %s %v, the suite says %s\n%v %v", r.ID, d.Outcome, d.Edits, r.Total, d.Reasons, d.Errors)
		}
		same := edited(d, "breakdown") == canonicalRaw(t, r.Breakdown)
		breakdown.add(same)
		if !same {
			t.Logf("%s: %v, the suite says %s", r.ID, d.Edits, r.Breakdown)
		}
		// The same rules refuse a total that is a dollar off.
		r.Facts["total_cost"] = encode(t, parse[int](t, r.Total)+1)
		refused.add(decideCall(p, "quote_bags", encode(t, r.Facts)).Outcome == proviso.Deny)
	})
	exactly("rulearena.airline", total)
	exactly("rulearena.airline_breakdown", breakdown)
	exactly("rulearena.airline_wrong_total_refused", refused)
	if total.share() < 0.99 || refused.share() < 1 {
		t.Error("too few totals agree")
	}
}

// What every taxpayer owes is what the pack sets where the call leaves it out. The suite's answers let credits take more than the tax; the form does not, and its reading is counted as well.
func TestRuleArenaTax(t *testing.T) {
	asSuite := loadPackFrom(t, withTables(t, "rulearena-tax", map[string]any{"reading": map[string]any{"floor": false}}), "rulearena-tax")
	asForm := loadPack(t, "rulearena-tax")
	var owed, written, refused tally
	testkit.Lines(t, "rulearena/tax.jsonl", func(line []byte) {
		r := parse[struct {
			ID    string
			Facts map[string]json.RawMessage
			Owed  float64 `json:"answer_tax_owed"`
		}](t, line)
		agrees := func(p *policy.Policy) bool {
			d := decideCall(p, "file_tax", encode(t, r.Facts))
			got := edited(d, "tax_owed")
			right := got != "" && math.Abs(parse[float64](t, []byte(got))-r.Owed) < 0.005
			if !right {
				t.Logf("%s: %s %s, the suite says %v %v", r.ID, d.Outcome, got, r.Owed, d.Errors)
			}
			return right
		}
		owed.add(agrees(asSuite))
		written.add(agrees(asForm))
		r.Facts["tax_owed"] = encode(t, r.Owed+1)
		refused.add(decideCall(asSuite, "file_tax", encode(t, r.Facts)).Outcome == proviso.Deny)
	})
	exactly("rulearena.tax", owed)
	exactly("rulearena.tax_as_the_form_says", written)
	exactly("rulearena.tax_wrong_amount_refused", refused)
	if owed.share() < 0.99 || refused.share() < 1 {
		t.Error("too few amounts agree")
	}
}

// The packs do what their own cases say, with amounts that were computed by hand; this needs no outside data.
func TestRuleArenaPacks(t *testing.T) {
	for _, dir := range []string{"rulearena-airline", "rulearena-tax", "rulearena-nba"} {
		pk, ds := pack.Load(os.DirFS("testdata"), dir)
		if ds.Worst(proviso.Error) || len(pk.Tests) == 0 {
			t.Fatalf("%s: %d cases\n%v", dir, len(pk.Tests), ds)
		}
		for _, c := range audit.Test(loadPack(t, dir), pk.Tests) {
			if !c.Passed() {
				t.Errorf("%s: %s:\n%v", dir, c.Name, c.Failures)
			}
		}
	}
}
