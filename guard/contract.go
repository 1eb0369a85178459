package guard

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
)

// TestApprovals is the contract of Approvals: every store calls it in its own test. open returns an empty store and, where the store survives its process, a function that closes it and opens it again; nil otherwise.
// The test closes what is open last. Run it with -race as well.
func TestApprovals(t *testing.T, open func(t testing.TB) (store Approvals, restart func() Approvals)) {
	for _, c := range approvalContract {
		t.Run(c.name, func(t *testing.T) {
			s, restart := open(t)
			if restart == nil {
				restart = func() Approvals { return s }
			}
			c.test(approvalStore{t, s}, func() approvalStore { return approvalStore{t, restart()} })
		})
	}
}

var approvalContract = []struct {
	name string
	test func(s approvalStore, restart func() approvalStore)
}{
	{"everything comes back", testApprovalContents},
	{"asked twice is one request", testAskedTwice},
	{"unknown request", testUnknownRequest},
	{"double approve", testDoubleApprove},
	{"approve after the arguments changed", testOtherArguments},
	{"approver is the requester", testSelfApproval},
	{"expiry across a restart", testExpiry},
	{"replayed approval", testReplay},
	{"many at once", testManyAtOnce},
	{"newest first and bounded", testNewestFirst},
	{"cancelled and closed", testApprovalsClosed},
}

// approvalStore is a store under test.
type approvalStore struct {
	t testing.TB
	Approvals
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// request is a pending request of mia's for paying an amount, asked after n minutes, which counts for an hour.
func request(amount, n int, rules ...string) proviso.Approval {
	args := proviso.JSON(fmt.Sprintf(`{ "amount":%d.0}`, amount))
	b := proviso.Binding{Caller: "mia", Agents: []string{"desk", "root"}, Tool: "pay", Hash: proviso.HashCall("pay", args), Policy: "digest"}
	asked := noon.Add(time.Duration(n) * time.Minute)
	if len(rules) == 0 {
		rules = []string{"large"}
	}
	return proviso.NewApproval(b, rules, args, "s", uint64(n)+1, asked, asked.Add(time.Hour))
}

func (s approvalStore) file(r proviso.Approval) proviso.Approval {
	s.t.Helper()
	a, err := s.File(context.Background(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s approvalStore) resolve(id, by string, grant bool, minutes int, code string) {
	s.t.Helper()
	_, err := s.Resolve(context.Background(), id, proviso.Resolution{Grant: grant, By: by, Note: "seen", At: noon.Add(time.Duration(minutes) * time.Minute)})
	s.want("resolve", err, code)
}

func (s approvalStore) spend(id string, b proviso.Binding, minutes int, code string) {
	s.t.Helper()
	_, err := s.Spend(context.Background(), id, b, noon.Add(time.Duration(minutes)*time.Minute))
	s.want("spend", err, code)
}

// want compares the code of an error; the empty code wants none.
func (s approvalStore) want(what string, err error, code string) {
	s.t.Helper()
	var e *proviso.ApprovalError
	if code == "" && err != nil || code != "" && (!errors.As(err, &e) || e.Code != code) {
		s.t.Errorf("%s: %v, want %q", what, err, code)
	}
}

func (s approvalStore) status(id string, minutes int, want proviso.ApprovalStatus) proviso.Approval {
	s.t.Helper()
	a, err := s.Get(context.Background(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	if got := a.Status(noon.Add(time.Duration(minutes) * time.Minute)); got != want {
		s.t.Errorf("%s is %s after %d minutes, want %s", id, got, minutes, want)
	}
	return a
}

func testApprovalContents(s approvalStore, restart func() approvalStore) {
	r := request(90, 0, "b", "a")
	r.Reasons = []proviso.Reason{{Rule: "a", Outcome: proviso.Escalate, Class: proviso.WithApproval, Agent: "a manager has to approve it", Clauses: []proviso.Clause{{ID: "limit", Text: "At most 80."}}}}
	s.file(r)
	s.resolve(r.ID, " boss ", true, 1, "")
	s.spend(r.ID, r.Binding, 2, "")
	s = restart()
	defer s.Close()
	want := r
	want.Rules = []string{"a", "b"}
	want.State, want.By, want.Note, want.Decided, want.Spent = proviso.Used, "boss", "seen", noon.Add(time.Minute), noon.Add(2*time.Minute)
	if got := s.status(r.ID, 0, proviso.Used); !reflect.DeepEqual(got, want) {
		s.t.Errorf("came back as\n%+v\nwant\n%+v", got, want)
	}
}

func testAskedTwice(s approvalStore, restart func() approvalStore) {
	first := s.file(request(90, 0))
	if again := s.file(request(90, 1)); again.ID != first.ID {
		s.t.Errorf("asked again while it stands: %s and %s", first.ID, again.ID)
	}
	if other := s.file(request(90, 1, "large", "night")); other.ID == first.ID {
		s.t.Error("a request for more rules is the same request")
	}
	if late := s.file(request(90, 60)); late.ID == first.ID {
		s.t.Error("an expired request still stands")
	}
	s.resolve(first.ID, "boss", true, 60, proviso.CodeApprovalExpired)
	s = restart()
	defer s.Close()
	found, err := s.Find(context.Background(), first.Binding)
	if err != nil || len(found) != 3 || found[2].ID != first.ID {
		s.t.Errorf("%d found, %v", len(found), err)
	}
}

func testUnknownRequest(s approvalStore, _ func() approvalStore) {
	defer s.Close()
	s.resolve("none", "boss", true, 0, proviso.CodeNoApproval)
	s.spend("none", request(1, 0).Binding, 0, proviso.CodeNoApproval)
	_, err := s.Get(context.Background(), "none")
	s.want("get", err, proviso.CodeNoApproval)
}

func testDoubleApprove(s approvalStore, restart func() approvalStore) {
	a := s.file(request(90, 0))
	s.resolve(a.ID, "boss", true, 1, "")
	s.resolve(a.ID, "boss", true, 2, proviso.CodeApprovalDecided)
	s = restart()
	defer s.Close()
	s.resolve(a.ID, "chief", false, 3, proviso.CodeApprovalDecided)
	if got := s.status(a.ID, 3, proviso.Granted); got.By != "boss" {
		s.t.Errorf("by %q", got.By)
	}
	b := s.file(request(91, 0))
	s.resolve(b.ID, "boss", false, 1, "")
	s.resolve(b.ID, "boss", true, 2, proviso.CodeApprovalDecided)
	s.spend(b.ID, b.Binding, 3, proviso.CodeApprovalCall)
}

func testOtherArguments(s approvalStore, _ func() approvalStore) {
	defer s.Close()
	a := s.file(request(90, 0))
	s.resolve(a.ID, "boss", true, 1, "")
	for what, change := range map[string]func(*proviso.Binding){
		"arguments": func(b *proviso.Binding) { b.Hash = proviso.HashCall("pay", proviso.JSON(`{ "amount":91.0}`)) },
		"spacing":   func(b *proviso.Binding) { b.Hash = proviso.HashCall("pay", proviso.JSON(`{"amount":90.0}`)) },
		"tool":      func(b *proviso.Binding) { b.Tool = "refund" },
		"caller":    func(b *proviso.Binding) { b.Caller = "max" },
		"stranger":  func(b *proviso.Binding) { b.Caller, b.Session = "", "mia" },
		"agent":     func(b *proviso.Binding) { b.Agents = []string{"root"} },
		"policy":    func(b *proviso.Binding) { b.Policy = "other" },
	} {
		b := a.Binding
		change(&b)
		if _, err := s.Spend(context.Background(), a.ID, b, noon.Add(time.Minute)); err == nil {
			s.t.Errorf("another %s: spent", what)
		}
		if found, err := s.Find(context.Background(), b); err != nil || len(found) != 0 {
			s.t.Errorf("another %s: found %d, %v", what, len(found), err)
		}
	}
	s.status(a.ID, 1, proviso.Granted)
}

func testSelfApproval(s approvalStore, _ func() approvalStore) {
	defer s.Close()
	a := s.file(request(90, 0))
	for _, by := range []string{"mia", "Mia", " MIA\t", "desk", "root", "", "  "} {
		s.resolve(a.ID, by, true, 1, proviso.CodeApprover)
		s.resolve(a.ID, by, false, 1, proviso.CodeApprover)
	}
	s.status(a.ID, 1, proviso.Pending)
}

func testExpiry(s approvalStore, restart func() approvalStore) {
	asked, granted := s.file(request(90, 0)), s.file(request(91, 0))
	s.resolve(granted.ID, "boss", true, 59, "")
	s = restart()
	defer s.Close()
	s.status(asked.ID, 59, proviso.Pending)
	s.status(asked.ID, 60, proviso.Expired)
	s.status(granted.ID, 60, proviso.Expired)
	s.resolve(asked.ID, "boss", true, 60, proviso.CodeApprovalExpired)
	s.spend(granted.ID, granted.Binding, 60, proviso.CodeApprovalExpired)
	s.spend(granted.ID, granted.Binding, 59, "")
}

func testReplay(s approvalStore, restart func() approvalStore) {
	a := s.file(request(90, 0))
	s.spend(a.ID, a.Binding, 1, proviso.CodeApprovalCall)
	s.resolve(a.ID, "boss", true, 1, "")
	s.spend(a.ID, a.Binding, 2, "")
	s.spend(a.ID, a.Binding, 2, proviso.CodeApprovalCall)
	s = restart()
	defer s.Close()
	s.spend(a.ID, a.Binding, 3, proviso.CodeApprovalCall)
	s.resolve(a.ID, "boss", true, 3, proviso.CodeApprovalDecided)
	if next := s.file(request(90, 4)); next.ID == a.ID {
		s.t.Error("a used approval stands for the next call")
	}
}

func testManyAtOnce(s approvalStore, _ func() approvalStore) {
	defer s.Close()
	ctx := context.Background()
	const tries, rounds = 8, 5
	for n := range rounds {
		ids := make([]string, tries)
		var resolved, spent atomic.Int32
		var wg sync.WaitGroup
		r := request(90, n*2)
		for i := range tries {
			wg.Go(func() {
				a, err := s.File(ctx, request(90, n*2))
				if err != nil {
					s.t.Error(err)
				}
				ids[i] = a.ID
				if _, err := s.Resolve(ctx, a.ID, proviso.Resolution{Grant: true, By: "boss", At: a.Asked}); err == nil {
					resolved.Add(1)
				} else {
					s.want("resolve", err, proviso.CodeApprovalDecided)
				}
			})
		}
		wg.Wait()
		for range tries {
			wg.Go(func() {
				if _, err := s.Spend(ctx, r.ID, r.Binding, r.Asked); err == nil {
					spent.Add(1)
				} else {
					s.want("spend", err, proviso.CodeApprovalCall)
				}
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id != r.ID {
				s.t.Errorf("filed as %s and %s", id, r.ID)
			}
		}
		if resolved.Load() != 1 || spent.Load() != 1 {
			s.t.Fatalf("resolved %d times, spent %d times", resolved.Load(), spent.Load())
		}
	}
}

func testNewestFirst(s approvalStore, restart func() approvalStore) {
	for n := range FindLimit + 4 {
		s.file(request(90, n*60))
	}
	s = restart()
	defer s.Close()
	found, err := s.Find(context.Background(), request(90, 0).Binding)
	if err != nil || len(found) != FindLimit {
		s.t.Fatalf("%d found, %v", len(found), err)
	}
	var all []proviso.Approval
	for a, err := range s.All(context.Background()) {
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, a)
	}
	if len(all) != FindLimit+4 {
		s.t.Fatalf("%d in all", len(all))
	}
	for i := range all {
		if i > 0 && !all[i].Asked.Before(all[i-1].Asked) || i < FindLimit && all[i].ID != found[i].ID {
			s.t.Errorf("%d is out of order", i)
		}
	}
	for range s.All(context.Background()) {
		break // a reader may stop early
	}
}

func testApprovalsClosed(s approvalStore, _ func() approvalStore) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.File(ctx, request(90, 0)); !errors.Is(err, context.Canceled) {
		s.t.Errorf("file: %v", err)
	}
	if err := s.Close(); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.File(context.Background(), request(90, 0)); err == nil {
		s.t.Error("filed after it was closed")
	}
	if _, err := s.Find(context.Background(), request(90, 0).Binding); err == nil {
		s.t.Error("found after it was closed")
	}
	for _, err := range s.All(context.Background()) {
		if err == nil {
			s.t.Error("listed after it was closed")
		}
	}
}
