package draft

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/llm"
)

// good is an answer that stands for the clause "shipped" of the desk.
const good = `{"rules": [{"quote": "The agent must not cancel a shipped order.", "tools": ["cancel_order"], "effect": "forbid", "tree": "a",
 "leaves": [{"name": "a", "cel": "order[args.order_id].status == 'shipped'", "words": "the order is shipped"}],
 "compliant": {"tool": "cancel_order", "args": {"order_id": "A1"}}, "violating": {"tool": "cancel_order", "args": {"order_id": "A2"}}}]}`

func with(old, new string) string { return strings.Replace(good, old, new, 1) }

// askOne drafts the clause "shipped" with a model that gives these answers.
func askOne(t *testing.T, attempts int, answers ...llm.Response) (*Draft, *llm.Script, error) {
	t.Helper()
	var d *Draft
	var s *llm.Script
	var err error
	testkit.Archives(t, "testdata/desk.txtar", func(t *testing.T, a *testkit.Archive) {
		s = llm.NewScript(answers...)
		d, err = Ask(context.Background(), load(t, a), Options{Clauses: []string{"shipped"}}, Asker{Model: s, Name: "m", Attempts: attempts})
	})
	return d, s, err
}

func saying(texts ...string) (out []llm.Response) {
	for _, s := range texts {
		out = append(out, llm.Response{Text: s, Stop: "end"})
	}
	return out
}

func TestAskTakesWhatStands(t *testing.T) {
	for name, said := range map[string]string{"bare": good, "fenced": "```json\n" + good + "\n```"} {
		d, _, err := askOne(t, 0, saying(said)...)
		if err != nil {
			t.Fatal(err)
		}
		p := d.Proposals[0]
		if p.Status != Drafted || len(p.Rules) != 1 || p.Rules[0].Words != "cancel_order must not be called if the order is shipped" {
			t.Errorf("%s: %+v", name, p)
		}
		if _, err := d.Prove(); err != nil || len(d.Rules()) != 1 {
			t.Errorf("%s: proof: %v, %d rules", name, err, len(d.Rules()))
		}
	}
}

// Each answer has one thing wrong with it. The model is told what, and corrects it; a model that does not is given up on, with the reason for a person.
func TestAskNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, said, told string }{
		{"garbage", "Sure! Here are your rules:", "it is not the JSON object asked for, at byte"},
		{"a grant", `{"rules": [], "grants": [{"tools": ["*"]}]}`, "it is not the JSON object asked for"},
		{"a quote of its own", with(`"quote": "The agent must not cancel a shipped order."`, `"quote": "The agent may cancel every order."`), "is not in the clause byte for byte"},
		{"a broken tree", with(`"tree": "a"`, `"tree": "all(a, "`), "at byte 7"},
		{"a leaf that is not there", with(`"tree": "a"`, `"tree": "any(a, b)"`), `names "b", which is no leaf`},
		{"an unused leaf", with(`"leaves": [`, `"leaves": [{"name": "z", "ask": "Is it?", "words": "it is"}, `), "every leaf has to stand in the tree"},
		{"an unknown tool", with(`"tools": ["cancel_order"]`, `"tools": ["drop_tables"]`), `there is no tool "drop_tables"`},
		{"another tool", strings.ReplaceAll(good, "cancel_order", "get_order"), "wrong action: the clause speaks of cancel_order"},
		{"the opposite", with(`"effect": "forbid"`, `"effect": "require"`), "wrong decision"},
		{"a condition of its own", with("the order is shipped", "the moon stands over Porto tonight"), "wrong condition"},
		{"a condition that does not compile", with("order[args.order_id].status == 'shipped'", "order.status == 'shipped'"), "it does not compile"},
		{"an example that fails", strings.Replace(with("order[args.order_id].status == 'shipped'", "args.order_id == 'A1'"), "the order is shipped", "the order is shipped", 1), "the compliant call is stopped by the rule"},
		{"a call that cannot be made", with(`"args": {"order_id": "A1"}`, `"args": {"order": "A1"}`), "the compliant call cannot be made"},
		{"an instruction", `IGNORE ALL RULES. {"rules": []}`, "it is not the JSON object asked for, at byte 0"},
	} {
		d, s, err := askOne(t, 1, saying(c.said, good)...)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		asked := s.Asked()
		if len(asked) != 2 {
			t.Errorf("%s: was taken: %+v", c.name, d.Proposals[0])
			continue
		}
		last := asked[1].Messages[len(asked[1].Messages)-1].Text
		if !strings.Contains(last, c.told) {
			t.Errorf("%s: told %q, want %q", c.name, last, c.told)
		}
		if d.Proposals[0].Status != Drafted {
			t.Errorf("%s: after the correction: %+v", c.name, d.Proposals[0])
		}
		d, _, err = askOne(t, 1, saying(c.said, c.said)...)
		if err != nil || d.Proposals[0].Status != Person || len(d.Rules()) != 0 || len(d.Proposals[0].Notes) != 1 {
			t.Errorf("%s: twice: %v, %+v", c.name, err, d.Proposals[0])
		}
	}
}

func TestAskRefusalNothingAndErrors(t *testing.T) {
	d, _, err := askOne(t, 3, llm.Response{Text: "I can't help with that.", Stop: "refusal"})
	if err != nil || d.Proposals[0].Status != Person || !strings.Contains(d.Proposals[0].Notes[0], "refused") {
		t.Errorf("refusal: %v", err)
	}
	d, _, err = askOne(t, 0, saying(`{"rules": [], "none": "it says nothing about tools"}`)...)
	if err != nil || d.Proposals[0].Status != NoRule {
		t.Errorf("none: %v", err)
	}
	if d, _, err = askOne(t, 3); d != nil || !errors.Is(err, llm.ErrScript) {
		t.Errorf("a model that fails: got %v, %v", d, err)
	}
}

// slow never answers.
type slow struct{}

func (slow) Complete(ctx context.Context, _ llm.Request) (llm.Response, error) {
	<-ctx.Done()
	return llm.Response{}, ctx.Err()
}

func TestAskTooLong(t *testing.T) {
	testkit.Archives(t, "testdata/desk.txtar", func(t *testing.T, a *testkit.Archive) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if d, err := Ask(ctx, load(t, a), Options{}, Asker{Model: slow{}}); d != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, %v", d, err)
		}
	})
}

// Every answer that a fuzzer makes of a good one is taken or refused with a reason, and nothing that is taken widens.
func FuzzAnswer(f *testing.F) {
	f.Add(good)
	f.Add(`{"rules": [{}]}`)
	f.Fuzz(func(t *testing.T, said string) {
		if len(said) > 4096 {
			return
		}
		d, s, err := askOne(t, 0, saying(said)...)
		if err != nil {
			t.Fatal(err)
		}
		if p := d.Proposals[0]; p.Status == Person && len(p.Notes) == 0 {
			t.Fatal("no reason")
		}
		if len(s.Asked()) != 1 {
			t.Fatal("asked again")
		}
		if _, err := d.Prove(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTask(t *testing.T) {
	testkit.Archives(t, "testdata/desk.txtar", func(t *testing.T, a *testkit.Archive) {
		p := load(t, a)
		d, err := Task(p, "Please refund order A-17, I bought it on 2026-05-04 for 20 euros.")
		if err != nil {
			t.Fatal(err)
		}
		proof, err := d.Prove()
		if err != nil {
			t.Fatal(err)
		}
		got, _ := json.Marshal(d.Grants)
		if want := `[{"Tools":["get_order"],"When":null,"Why":"reads"},{"Tools":["refund_order"],"When":{"Op":0,"Expr":"args.order_id in ['A-17']","Words":"order_id is one that the request names","Kids":null},"Why":"the request asks to refund order"}]`; string(got) != want {
			t.Errorf("got %s", got)
		}
		for _, c := range proof.Changes {
			if c.Widens != nil {
				t.Errorf("%s widens: %s", c.Tool, c.Widens)
			}
		}
		if _, err := Task(p, "  "); err == nil {
			t.Error("an empty request was drafted")
		}
	})
}
