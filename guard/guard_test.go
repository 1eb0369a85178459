package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/session"
)

var (
	_ Policy  = (*policy.Policy)(nil)
	_ Journal = (journal.Store)(nil)
	_ Taker   = (*journal.Memory)(nil)
)

// bank is the policy of the stories.
func bank(t testing.TB) *policy.Policy {
	t.Helper()
	b, err := os.ReadFile("testdata/allow_deny.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return compiled(t, txtar.Parse(b).Files, "rules.yaml")
}

// values are the records of a list, for journals that count or refuse what they are given.
func values(list []*proviso.Record) (out []proviso.Record) {
	for _, r := range list {
		out = append(out, *r)
	}
	return out
}

func callOf(id, tool, args string) *proviso.ToolCall {
	return &proviso.ToolCall{ID: id, Tool: tool, Args: proviso.JSON(args)}
}

func returns(content string) Next {
	return func(context.Context, proviso.Event) (proviso.ToolResult, error) {
		return proviso.ToolResult{Content: proviso.JSON(content)}, nil
	}
}

func openAccount(t testing.TB, g *Guard, session string) {
	t.Helper()
	if _, err := g.Do(context.Background(), proviso.Event{Session: session, Point: proviso.ToolCallPoint, Body: callOf("", "get_account", `{"id":"A1"}`)}, returns(`{"open":true}`)); err != nil {
		t.Fatal(err)
	}
}

// payAtOnce lets many goroutines pay in one session and returns what was spent while the money was really away.
func payAtOnce(t *testing.T, guards []*Guard, id string, payers int) (spent int64) {
	var wg sync.WaitGroup
	var total, most atomic.Int64
	for i := range payers {
		wg.Go(func() {
			_, err := guards[i%len(guards)].Do(context.Background(), proviso.Event{Session: id, Point: proviso.ToolCallPoint, Body: callOf("", "pay", `{"id":"A1","amount":30.0}`)},
				func(context.Context, proviso.Event) (proviso.ToolResult, error) {
					now := total.Add(30)
					for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
					}
					time.Sleep(time.Millisecond)
					return proviso.ToolResult{Content: proviso.JSON(`{}`)}, nil
				})
			var denied *DeniedError
			if err != nil && !errors.As(err, &denied) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() > 100 {
		t.Errorf("%d were away at once", most.Load())
	}
	return total.Load()
}

// However many callers pay at once, the budget holds; sessions do not touch each other.
func TestConcurrentCalls(t *testing.T) {
	var log journal.Memory
	g := &Guard{Policy: bank(t), Journal: &log}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := fmt.Sprint("s", i)
			openAccount(t, g, id)
			if spent := payAtOnce(t, []*Guard{g}, id, 10); spent != 90 {
				t.Errorf("%s spent %d, want 90", id, spent)
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		sameAsJournal(t, g, &log, fmt.Sprint("s", i))
	}
}

// sameAsJournal checks that the session at hand is the one that its records fold to.
func sameAsJournal(t *testing.T, g *Guard, log *journal.Memory, id string) {
	t.Helper()
	var last uint64
	folded, err := session.Fold(bank(t), id, func(yield func(proviso.Record) bool) {
		for r, err := range log.Read(context.Background(), id, 1) {
			if err != nil {
				t.Fatal(err)
			}
			last = r.Event.Seq
			if !yield(r) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := folded.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	b, err := g.sessions[id].state.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("%s after record %d:\n%s\nat hand:\n%s", id, last, a, b)
	}
}

// Two guards that share a journal keep one budget, and lose no record.
func TestTwoGuards(t *testing.T) {
	var log journal.Memory
	p := bank(t)
	guards := []*Guard{{Policy: p, Journal: &log}, {Policy: p, Journal: &log}}
	openAccount(t, guards[0], "s")
	if spent := payAtOnce(t, guards, "s", 8); spent > 90 {
		t.Errorf("spent %d", spent)
	}
	for _, g := range guards {
		if c := g.Counts(); c.Lost != 0 || c.Journal != 0 {
			t.Errorf("counts %+v", c)
		}
	}
}

// The effects of a batch run side by side.
func TestBatchRuns(t *testing.T) {
	var log journal.Memory
	g := &Guard{Policy: bank(t), Journal: &log}
	openAccount(t, g, "s")
	var calls []proviso.Event
	for i, amount := range []string{"10.0", "200.0", "20.0", "30.0"} {
		c := callOf("", "pay", `{"id":"A1","amount":`+amount+`}`)
		c.Index = 3 - i // decided from the last to the first
		calls = append(calls, proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: c})
	}
	var inside sync.WaitGroup
	inside.Add(3)
	effects, errs := g.Batch(context.Background(), calls, func(_ context.Context, ev proviso.Event) (proviso.ToolResult, error) {
		inside.Done()
		inside.Wait() // returns only when all three run
		return proviso.ToolResult{Content: ev.Body.(*proviso.ToolCall).Args}, nil
	})
	for i, e := range effects {
		denied := i == 1
		if (errs[i] != nil) != denied || (e.Result == nil) != denied {
			t.Errorf("call %d: %v, result %v", i, errs[i], e.Result)
		}
		if e.Result != nil && e.Result.Content.String() != calls[i].Body.(*proviso.ToolCall).Args.String() {
			t.Errorf("call %d got the result %s", i, e.Result.Content)
		}
	}
	if first, last := effects[3].Record.Event.Seq, effects[0].Record.Event.Seq; first > last {
		t.Errorf("index 0 was decided as event %d, index 3 as %d", first, last)
	}
	sameAsJournal(t, g, &log, "s")
}

func TestBatchRefuses(t *testing.T) {
	g := &Guard{Policy: bank(t), Journal: &journal.Memory{}}
	call := func(session, response string) proviso.Event {
		c := callOf("", "get_account", `{"id":"A1"}`)
		c.Response = response
		return proviso.Event{Session: session, Point: proviso.ToolCallPoint, Body: c}
	}
	for name, calls := range map[string][]proviso.Event{
		"two sessions":  {call("a", "m"), call("b", "m")},
		"two responses": {call("a", "m"), call("a", "n")},
		"no call":       {call("a", "m"), {Session: "a", Point: proviso.Input, Body: &proviso.Message{}}},
		"no session":    {call("", "m")},
	} {
		effects, errs := g.Batch(context.Background(), calls, returns(`{}`))
		for i := range calls {
			var denied *DeniedError
			if !errors.As(errs[i], &denied) || effects[i].Result != nil {
				t.Errorf("%s: call %d: %v", name, i, errs[i])
			}
		}
	}
	if effects, errs := g.Batch(context.Background(), nil, nil); len(effects)+len(errs) != 0 {
		t.Error("an empty batch has effects")
	}
}

// What is missing denies: a policy, a journal, a session, a caller who is still there, the right number.
func TestDeniedWithoutDeciding(t *testing.T) {
	p := bank(t)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	ctx := context.Background()
	pay := proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("1", "gift", `{"id":"A1"}`)}
	late := pay
	late.Seq = 7
	nameless := pay
	nameless.Session = ""
	for name, c := range map[string]struct {
		g    *Guard
		ctx  context.Context
		ev   proviso.Event
		want string
	}{
		"the zero guard": {&Guard{}, ctx, pay, CodeNoPolicy},
		"no session":     {&Guard{Policy: p}, ctx, nameless, CodeSession},
		"gone caller":    {&Guard{Policy: p}, gone, pay, CodeSession},
		"wrong number":   {&Guard{Policy: p, Journal: &journal.Memory{}}, ctx, late, CodeSeq},
	} {
		ran := false
		e, err := c.g.Do(c.ctx, c.ev, func(context.Context, proviso.Event) (proviso.ToolResult, error) {
			ran = true
			return proviso.ToolResult{}, nil
		})
		var denied *DeniedError
		if !errors.As(err, &denied) || ran || len(e.Record.Decision.Errors) != 1 || e.Record.Decision.Errors[0].Code != c.want || e.Record.Phase != proviso.Denied {
			t.Errorf("%s: %v, %+v", name, err, e.Record.Decision)
		}
		if n := c.g.Counts().Denied; n != 1 {
			t.Errorf("%s: %d denials were counted", name, n)
		}
	}
}

// Without a journal, audit: required lets nothing happen but reading, and best effort everything.
func TestNoJournal(t *testing.T) {
	for _, audit := range []Audit{Required, BestEffort} {
		g := &Guard{Policy: bank(t), Audit: audit}
		openAccount(t, g, "s")
		_, err := g.Do(context.Background(), proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("", "pay", `{"id":"A1","amount":1.0}`)}, returns(`{}`))
		if (err != nil) != (audit == Required) {
			t.Errorf("audit %d: %v", audit, err)
		}
	}
}

// Without a journal there is nothing to fold a session from when the policy changes: it must not go on as if nothing had happened.
func TestPolicyChangeWithoutJournal(t *testing.T) {
	g := &Guard{Policy: bank(t), Audit: BestEffort}
	openAccount(t, g, "s")
	g.SetPolicy(other{bank(t)})
	if _, err := g.Do(context.Background(), proviso.Event{Session: "s", Point: proviso.Input, Body: &proviso.Message{Role: proviso.User, Text: "hi"}}, nil); err == nil {
		t.Error("the session went on")
	}
}

// other is a policy that says the same under another digest.
type other struct{ *policy.Policy }

func (other) Digest() string { return "other" }

// Sessions beyond the bound are put away and folded again.
func TestMaxSessions(t *testing.T) {
	var log journal.Memory
	g := &Guard{Policy: bank(t), Journal: &log, MaxSessions: 3}
	for round := range 2 {
		for i := range 10 {
			id := fmt.Sprint("s", i)
			if round == 0 {
				openAccount(t, g, id)
			}
			if _, err := g.Do(context.Background(), proviso.Event{Session: id, Point: proviso.ToolCallPoint, Body: callOf("", "pay", `{"id":"A1","amount":40.0}`)}, returns(`{}`)); err != nil {
				t.Errorf("round %d, %s: %v", round, id, err)
			}
		}
	}
	if n := len(g.sessions); n > 3 {
		t.Errorf("%d sessions are at hand", n)
	}
	if g.Counts().Folds == 0 {
		t.Error("nothing was folded")
	}
	none := &Guard{Policy: bank(t), Audit: BestEffort, MaxSessions: 1}
	openAccount(t, none, "a")
	if _, err := none.Do(context.Background(), proviso.Event{Session: "b", Point: proviso.Input, Body: &proviso.Message{}}, nil); err == nil || !strings.Contains(err.Error(), CodeSession) {
		t.Errorf("a session without a journal was put away: %v", err)
	}
}

func TestSessionEndForgets(t *testing.T) {
	g := &Guard{Policy: bank(t), Journal: &journal.Memory{}}
	openAccount(t, g, "s")
	if _, err := g.Do(context.Background(), proviso.Event{Session: "s", Point: proviso.SessionEnd, Body: &proviso.Lifecycle{Kind: "end"}}, nil); err != nil {
		t.Fatal(err)
	}
	if len(g.sessions) != 0 {
		t.Error("an ended session is still at hand")
	}
}

// BenchmarkDo compares a guarded payment and its result, recorded in memory, with the bare decisions on them.
func BenchmarkDo(b *testing.B) {
	p := bank(b)
	ctx := context.Background()
	result := proviso.ToolResult{CallID: "1", Tool: "pay", Content: proviso.JSON(`{"ok":true}`)}
	pay := proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("1", "pay", `{"id":"A1","amount":0.0}`)}
	b.Run("bind+decide", func(b *testing.B) {
		g := &Guard{Policy: p, Journal: &journal.Memory{}}
		openAccount(b, g, "s")
		st := g.sessions["s"].state
		call, answer := pay, proviso.Event{Session: "s", Time: time.Now(), Point: proviso.ToolResultPoint, Body: &result}
		call.Time = time.Now()
		b.ReportAllocs()
		for b.Loop() {
			in := st.Bind(&call)
			if d := p.Decide(in, st.View(in)); d.Outcome != proviso.Allow {
				b.Fatal(d)
			}
			out := p.Bind(&answer, in)
			if d := p.Decide(out, st.View(out)); d.Outcome != proviso.Allow {
				b.Fatal(d)
			}
		}
	})
	b.Run("do", func(b *testing.B) {
		g := &Guard{Policy: p, Journal: &journal.Memory{}}
		openAccount(b, g, "s")
		next := func(context.Context, proviso.Event) (proviso.ToolResult, error) { return result, nil }
		b.ReportAllocs()
		for b.Loop() {
			if _, err := g.Do(ctx, pay, next); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// An answer counts only where its quotes can be found.
func TestAnswersAreChecked(t *testing.T) {
	q := Inquiry{
		Questions:  []session.Asked{{Question: proviso.Question{ID: "q"}, Hash: "h", Clauses: []proviso.Clause{{ID: "c", Text: "Gifts are for birthdays."}}}, {Question: proviso.Question{ID: "free"}, Hash: "f"}},
		Transcript: []proviso.Message{{Role: proviso.User, Text: "It is for her birthday."}},
	}
	good := proviso.Answer{Question: "q", Hash: "h", Value: proviso.True, Quotes: []string{"her birthday"}, Cites: []string{"for birthdays"}}
	for want, change := range map[string]func(a *proviso.Answer){
		"":                               func(*proviso.Answer) {},
		"is to no question that was put": func(a *proviso.Answer) { a.Hash = "other" },
		"quotes nothing of the":          func(a *proviso.Answer) { a.Quotes = nil },
		"quotes \"Her birthday\"":        func(a *proviso.Answer) { a.Quotes = []string{"Her birthday"} },
		"quotes \" \"":                   func(a *proviso.Answer) { a.Quotes = []string{" "} },
		"cites no clause":                func(a *proviso.Answer) { a.Cites = nil },
		"cites \"birthday party\"":       func(a *proviso.Answer) { a.Cites = []string{"birthday party"} },
	} {
		a := good
		change(&a)
		got := q.check(a)
		if (want == "") != (got == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := q.check(proviso.Answer{Question: "free", Hash: "f", Quotes: []string{"birthday"}}); got != "" {
		t.Errorf("a question without clauses needs no citation: %s", got)
	}
}

// busy is a journal in which somebody else is always faster.
type busy struct{ journal.Memory }

func (b *busy) Take(ctx context.Context, _ bool, records ...*proviso.Record) error {
	return b.Append(ctx, values(records)...)
}

func (b *busy) Append(context.Context, ...proviso.Record) error {
	return &journal.SeqError{Session: "s", Got: 1, Want: 2}
}

func TestAlwaysSlower(t *testing.T) {
	g := &Guard{Policy: bank(t), Journal: &busy{}}
	e, err := g.Do(context.Background(), proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("", "get_account", `{"id":"A1"}`)}, returns(`{}`))
	var denied *DeniedError
	if !errors.As(err, &denied) || denied.Outcome() != proviso.Deny || e.Result != nil || g.Counts().Conflicts != maxTries {
		t.Errorf("%v, %+v", err, g.Counts())
	}
}

// failing is a journal that is away.
type failing struct{ journal.Memory }

func (f *failing) Take(ctx context.Context, _ bool, records ...*proviso.Record) error {
	return f.Append(ctx, values(records)...)
}

func (f *failing) Append(context.Context, ...proviso.Record) error { return errors.New("away") }

// What waits for the journal is bounded; under audit: required nothing at all passes once the bound is reached, under best effort the oldest is lost and counted.
func TestJournalAwayForLong(t *testing.T) {
	for _, audit := range []Audit{Required, BestEffort} {
		g := &Guard{Policy: bank(t), Journal: &failing{}, Audit: audit}
		denied := 0
		for range maxBehind + 10 {
			if _, err := g.Do(context.Background(), proviso.Event{Session: "s", Point: proviso.Input, Body: &proviso.Message{Role: proviso.User, Text: "hi"}}, nil); err != nil {
				denied++
			}
		}
		c, waiting := g.Counts(), len(g.sessions["s"].behind)
		if waiting > maxBehind || c.Lost != 10 || (denied == 10) != (audit == Required) || audit == BestEffort && denied != 0 {
			t.Errorf("audit %d: %d denied, %d waiting, %+v", audit, denied, waiting, c)
		}
	}
}

// broken is a policy that panics on one tool.
type broken struct{ *policy.Policy }

func (b broken) Decide(in *policy.Input, v *policy.View) proviso.Decision {
	if in.Tool() == "gift" {
		panic("no such case")
	}
	return b.Policy.Decide(in, v)
}

// A policy that panics denies, and the session goes on.
func TestPanicWhileDeciding(t *testing.T) {
	ctx := context.Background()
	g := &Guard{Policy: broken{bank(t)}, Journal: &journal.Memory{}}
	openAccount(t, g, "s")
	_, err := g.Do(ctx, proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("", "gift", `{"id":"A1"}`)}, returns(`{}`))
	if err == nil || !strings.Contains(err.Error(), CodePanic) {
		t.Error(err)
	}
	if _, err := g.Do(ctx, proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("", "pay", `{"id":"A1","amount":1.0}`)}, returns(`{}`)); err != nil {
		t.Error(err)
	}
	none := &Guard{Policy: (*policy.Policy)(nil), Journal: &journal.Memory{}} // as when the diagnostics of Compile were ignored
	for range 2 {
		if _, err := none.Do(ctx, proviso.Event{Session: "s", Point: proviso.Input, Body: &proviso.Message{}}, nil); err == nil {
			t.Error("a policy that is nil allows")
		}
	}
	if n := g.Counts().Panics + none.Counts().Panics; n != 3 {
		t.Errorf("%d panics were counted", n)
	}
}

func Example() {
	pk, _ := pack.Load(os.DirFS("../examples"), "airline")
	rules, _ := policy.Compile(pk)
	g := &Guard{Policy: rules, Journal: &journal.Memory{}}
	_, err := g.Do(context.Background(), proviso.Event{
		Session: "demo",
		Point:   proviso.ToolCallPoint,
		Body:    &proviso.ToolCall{ID: "1", Tool: "delete_everything", Args: proviso.JSON(`{}`)},
	}, func(context.Context, proviso.Event) (proviso.ToolResult, error) {
		fmt.Println("never runs")
		return proviso.ToolResult{}, nil
	})
	fmt.Println(err != nil)
	// Output: true
}
