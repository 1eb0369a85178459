package guard

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy"
)

func TestMemoryApprovals(t *testing.T) {
	TestApprovals(t, func(testing.TB) (Approvals, func() Approvals) { return &MemoryApprovals{}, nil })
}

// large escalates every payment and lets calls of one response pass together or not at all.
const large = `
grants: [{tools: [get_*, pay, gift, close]}]
rules:
  - {id: large, clause: [limit], tools: [pay], when: "args.amount > 80.0", else: escalate, message: a manager has to approve it}
`

// away is a store of approvals that fails.
type away struct {
	MemoryApprovals
	find, file, spend bool
}

var errAway = errors.New("away")

func (a *away) Find(ctx context.Context, b proviso.Binding) ([]proviso.Approval, error) {
	if a.find {
		return nil, errAway
	}
	return a.MemoryApprovals.Find(ctx, b)
}

func (a *away) File(ctx context.Context, r proviso.Approval) (proviso.Approval, error) {
	if a.file {
		return r, errAway
	}
	return a.MemoryApprovals.File(ctx, r)
}

func (a *away) Spend(ctx context.Context, id string, b proviso.Binding, at time.Time) (proviso.Approval, error) {
	if a.spend {
		return proviso.Approval{}, errAway
	}
	return a.MemoryApprovals.Spend(ctx, id, b, at)
}

func newest(t *testing.T, s Approvals, state proviso.ApprovalStatus) proviso.Approval {
	t.Helper()
	for a, err := range s.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		if a.State == state {
			return a
		}
	}
	t.Fatalf("no request is %s", state)
	return proviso.Approval{}
}

func grant(t *testing.T, s Approvals) proviso.Approval {
	t.Helper()
	a := newest(t, s, proviso.Pending)
	if _, err := s.Resolve(context.Background(), a.ID, proviso.Resolution{Grant: true, By: "boss", At: a.Asked}); err != nil {
		t.Fatal(err)
	}
	return a
}

// A store that fails releases nothing, whichever of its methods it is.
func TestApprovalStoreFails(t *testing.T) {
	ctx := context.Background()
	store := &away{}
	g := &Guard{Policy: bankWith(t, large), Journal: &journal.Memory{}, Approvals: store}
	pay := proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("", "pay", `{"id":"A1","amount":90.0}`)}
	fails := func(what string) {
		t.Helper()
		_, err := g.Do(ctx, pay, returns(`{}`))
		var denied *DeniedError
		if !errors.As(err, &denied) || denied.Outcome() != proviso.Escalate || denied.Record.Decision.Errors[0].Code != CodeApprovals {
			t.Errorf("%s: %v", what, err)
		}
	}
	store.file = true
	fails("file")
	store.file = false
	if _, err := g.Do(ctx, pay, returns(`{}`)); err == nil {
		t.Error("released without approval")
	}
	grant(t, store)
	store.find = true
	fails("find")
	store.find, store.spend = false, true
	fails("spend")
	store.spend = false
	e, err := g.Do(ctx, pay, returns(`{}`))
	if err != nil || e.Record.Approval == nil || e.Record.Approval.By != "boss" {
		t.Errorf("%v, %+v", err, e.Record.Approval)
	}
	if n := g.Counts().Approvals; n != 3 {
		t.Errorf("%d failures were counted", n)
	}
}

// Where another guard on the same journal is faster, the approval that was spent already serves the second try, and only one is used.
func TestApprovalSurvivesConflict(t *testing.T) {
	ctx := context.Background()
	log, store := &overtaken{}, &MemoryApprovals{}
	g := &Guard{Policy: bankWith(t, large), Journal: log, Approvals: store}
	pay := proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("", "pay", `{"id":"A1","amount":90.0}`)}
	if _, err := g.Do(ctx, pay, nil); err == nil {
		t.Fatal("released without approval")
	}
	grant(t, store)
	log.conflicts = 2
	if _, err := g.Do(ctx, pay, nil); err != nil {
		t.Error(err)
	}
	if newest(t, store, proviso.Used); log.conflicts != 0 {
		t.Errorf("%d conflicts left", log.conflicts)
	}
	if _, err := g.Do(ctx, proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("2", "pay", `{"id":"A1","amount":90.0}`)}, nil); err == nil {
		t.Error("the approval was used twice")
	}
}

// overtaken is a journal in which somebody else is faster a number of times.
type overtaken struct {
	journal.Memory
	conflicts int
}

func (o *overtaken) Take(ctx context.Context, _ bool, records ...*proviso.Record) error {
	return o.Append(ctx, values(records)...)
}

func (o *overtaken) Append(ctx context.Context, records ...proviso.Record) error {
	if o.conflicts > 0 {
		o.conflicts--
		return &journal.SeqError{Session: "s", Got: 1, Want: 2}
	}
	return o.Memory.Append(ctx, records...)
}

// Calls that are done together or not at all wait for their approvals together, and none is spent before all can be released.
func TestApprovalsOfAtomicCalls(t *testing.T) {
	ctx := context.Background()
	store := &MemoryApprovals{}
	g := &Guard{Policy: atomicPolicy{bankWith(t, large)}, Journal: &journal.Memory{}, Approvals: store}
	calls := func() []proviso.Event {
		var out []proviso.Event
		for i, args := range []string{`{"id":"A1","amount":90.0}`, `{"id":"A2","amount":95.0}`} {
			c := callOf("", "pay", args)
			c.Index = i
			out = append(out, proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: c})
		}
		return out
	}
	ran := func() (n int) {
		effects, _ := g.Batch(ctx, calls(), returns(`{}`))
		for _, e := range effects {
			if e.Result != nil {
				n++
			}
		}
		return n
	}
	for round, want := range []int{0, 0, 2} {
		if n := ran(); n != want {
			t.Fatalf("round %d: %d calls ran, want %d", round, n, want)
		}
		if round < 2 {
			for a := range store.All(ctx) {
				if a.State == proviso.Used {
					t.Errorf("round %d: %s was spent", round, a.ID)
				}
			}
			grant(t, store)
		}
	}
	if n := ran(); n != 0 {
		t.Errorf("%d calls ran with used approvals", n)
	}
}

// atomicPolicy does the calls of one response together or not at all.
type atomicPolicy struct{ Policy }

func (atomicPolicy) Atomic() bool { return true }

// Only calls can be approved: an escalated text stays stopped.
func TestTextIsNotApproved(t *testing.T) {
	g := &Guard{Journal: &journal.Memory{}, Approvals: &MemoryApprovals{}, Policy: bankWith(t, `
grants: [{tools: [get_*]}]
rules: [{id: angry, clause: [limit], on: output, when: "text.contains('!')", else: escalate}]
`)}
	_, err := g.Do(context.Background(), proviso.Event{Session: "s", Point: proviso.Output, Body: &proviso.Message{Role: proviso.Assistant, Text: "No!"}}, nil)
	var denied *DeniedError
	if !errors.As(err, &denied) || denied.Outcome() != proviso.Escalate || len(denied.Record.Decision.Errors) > 0 {
		t.Error(err)
	}
	for a := range g.Approvals.All(context.Background()) {
		t.Errorf("%s was asked for", a.ID)
	}
}

// bankWith is the bank under other rules.
func bankWith(t testing.TB, rules string) *policy.Policy {
	t.Helper()
	b, err := os.ReadFile("testdata/allow_deny.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return compiled(t, append(txtar.Parse(b).Files, testkit.File{Name: "other-rules.yaml", Data: []byte(rules)}), "other-rules.yaml")
}

// Where the record of an approved call cannot be written, the call does not happen, and its approval is gone: it can never release a second call.
func TestApprovalOfACallThatIsNotRecorded(t *testing.T) {
	ctx := context.Background()
	log, store := &refusing{}, &MemoryApprovals{}
	g := &Guard{Policy: bankWith(t, large), Journal: log, Approvals: store}
	pay := proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("", "pay", `{"id":"A1","amount":90.0}`)}
	if _, err := g.Do(ctx, pay, nil); err == nil {
		t.Fatal("released without approval")
	}
	grant(t, store)
	log.refuses = true
	if _, err := g.Do(ctx, pay, nil); err == nil || !strings.Contains(err.Error(), "could not be written down") {
		t.Error(err)
	}
	log.refuses = false
	if _, err := g.Do(ctx, pay, nil); err == nil {
		t.Error("the approval released another call")
	}
	newest(t, store, proviso.Used)
}

// refusing is a journal that fails while it is told to.
type refusing struct {
	journal.Memory
	refuses bool
}

func (r *refusing) Take(ctx context.Context, _ bool, records ...*proviso.Record) error {
	return r.Append(ctx, values(records)...)
}

func (r *refusing) Append(ctx context.Context, records ...proviso.Record) error {
	if r.refuses {
		return errAway
	}
	return r.Memory.Append(ctx, records...)
}

// A call that comes with the wrong number is denied without using its approval up.
func TestWrongNumberSpendsNothing(t *testing.T) {
	ctx := context.Background()
	store := &MemoryApprovals{}
	g := &Guard{Policy: bankWith(t, large), Journal: &journal.Memory{}, Approvals: store}
	pay := proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("", "pay", `{"id":"A1","amount":90.0}`)}
	if _, err := g.Do(ctx, pay, nil); err == nil {
		t.Fatal("released without approval")
	}
	grant(t, store)
	late := pay
	late.Seq = 7
	if _, err := g.Do(ctx, late, nil); err == nil || !strings.Contains(err.Error(), "number 7") {
		t.Error(err)
	}
	newest(t, store, proviso.Granted)
	if _, err := g.Do(ctx, pay, nil); err != nil {
		t.Error(err)
	}
}
