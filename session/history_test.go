package session

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// rescan answers a query the slow and obvious way: from all records, each time. It knows no parallel calls, whose results wait.
func rescan(records []proviso.Record, q policy.Query, values []any, now time.Time) policy.Past {
	type open struct {
		at  time.Time
		sum float64
	}
	var p policy.Past
	var clock time.Time
	flights := map[string]open{}
	var inside []open
	for _, r := range records {
		if r.Event.Time.After(clock) {
			clock = r.Event.Time
		}
		switch b := r.Event.Body.(type) {
		case *proviso.ToolCall:
			args, ok := matching(q, values, b)
			if !ok {
				continue
			}
			e := open{clock, args}
			if q.Phase == proviso.Attempted || q.Phase == proviso.Denied && r.Phase == proviso.Denied {
				inside = append(inside, e)
			}
			if r.Phase == proviso.Released {
				flights[b.ID] = e
			}
		case *proviso.ToolResult:
			e, ok := flights[b.CallID]
			if !ok || r.Unverified {
				continue
			}
			delete(flights, b.CallID)
			e.at = clock
			if r.Phase == q.Phase || q.Phase == policy.Reserved && r.Phase == proviso.OK {
				inside = append(inside, e)
			}
		}
	}
	if q.Phase == proviso.Released || q.Phase == policy.Reserved {
		for _, e := range flights {
			inside = append(inside, e)
		}
	}
	if clock.After(now) {
		now = clock
	}
	sum := 0.0
	for _, e := range inside {
		if q.Within > 0 && e.at.Before(now.Add(-q.Within)) {
			continue
		}
		p.Count++
		sum += e.sum * 1e6
		if e.at.After(p.Last) {
			p.Last = e.at
		}
	}
	p.Sum = math.Round(sum) / 1e6
	return p
}

// matching returns the summed argument of a call that a query counts.
func matching(q policy.Query, values []any, b *proviso.ToolCall) (sum float64, ok bool) {
	for _, t := range q.Tools {
		ok = ok || t == b.Tool
	}
	in := script{}.Bind(&proviso.Event{Body: b}, nil)
	for i, name := range q.Filter {
		ok = ok && in.Args != nil && fmt.Sprint(in.Args[name]) == fmt.Sprint(values[i])
	}
	switch v := in.Args[q.Field].(type) {
	case int64:
		sum = float64(v)
	case float64:
		sum = v
	}
	return sum, ok
}

// The indexes say what a look at all records says.
func TestHistoryAgainstRescan(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := play(t)
		var open []string
		for n := range rapid.IntRange(1, 60).Draw(rt, "steps") {
			p.at = p.at.Add(time.Duration(rapid.IntRange(-3, 12).Draw(rt, "hours")) * time.Hour)
			id := fmt.Sprint(n)
			args := fmt.Sprintf(`{"to":%q,"amount":%d.%02d}`, rapid.SampledFrom([]string{"ann", "bob"}).Draw(rt, "to"), rapid.IntRange(-9, 99).Draw(rt, "units"), rapid.IntRange(0, 99).Draw(rt, "cents"))
			tool := rapid.SampledFrom([]string{"pay", "pay", "cancel"}).Draw(rt, "tool")
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0:
				p.deny(id, tool, args)
			case 1, 2:
				p.call(id, tool, args)
				open = append(open, id)
			default:
				if len(open) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(open)-1).Draw(rt, "which")
				if rapid.Bool().Draw(rt, "fails") {
					p.fails(open[i])
				} else {
					p.result(open[i], `{}`)
				}
				open = append(open[:i], open[i+1:]...)
			}
			for q, query := range scriptQueries {
				var values []any
				if len(query.Filter) > 0 {
					values = []any{"ann"}
				}
				if query.Phase == "" {
					query.Phase = proviso.OK
				}
				got, want := p.past(q, values...), rescan(p.records, query, values, p.at)
				if got.Count != want.Count || got.Sum != want.Sum || !got.Last.Equal(want.Last) {
					rt.Fatalf("query %d after %d records: %+v, want %+v", q, len(p.records), got, want)
				}
			}
		}
	})
}

func TestFilterValues(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	groups := [][]any{
		{int64(1), 1, 1.0}, {"1"}, {1.5}, {true}, {"true"}, {nil}, {"null"}, {""},
		{at, at.In(time.FixedZone("x", 3600))}, {at.Format(time.RFC3339)},
		{[]any{"a", "b"}}, {[]any{"ab"}}, {map[string]any{"a": int64(1)}, map[string]any{"a": 1.0}}, {float64(1 << 62)}, {1e300},
	}
	seen := map[string]int{}
	for i, group := range groups {
		for _, v := range group {
			k := string(appendKey(nil, v))
			if j, ok := seen[k]; ok && j != i {
				t.Errorf("%v is taken for one of %v", v, groups[j])
			}
			seen[k] = i
		}
		if first := string(appendKey(nil, group[0])); len(group) > 1 {
			for _, v := range group[1:] {
				if k := string(appendKey(nil, v)); k != first {
					t.Errorf("%T %v is not the same value as %T %v", v, v, group[0], group[0])
				}
			}
		}
	}
	if a, b := string(appendKey(appendKey(nil, "a"), "bc")), string(appendKey(appendKey(nil, "ab"), "c")); a == b {
		t.Error("two lists of values have one key")
	}
}

func TestSeriesAreBounded(t *testing.T) {
	p := play(t)
	p.s.past.series = MaxSeries
	p.call("1", "pay", `{"to":"ann","amount":1}`)
	p.result("1", `{}`)
	if _, in := p.view("get", `{}`); in.Fault == nil || in.Fault.Code != CodeFull {
		t.Errorf("fault %v", in.Fault)
	}
	p = play(t)
	p.s.past.points = MaxPoints
	p.call("1", "pay", `{"to":"ann","amount":1}`)
	p.result("1", `{}`)
	if _, in := p.view("get", `{}`); in.Fault == nil || in.Fault.Code != CodeFull {
		t.Errorf("fault %v", in.Fault)
	}
}

func TestScopesAreBounded(t *testing.T) {
	p := play(t)
	for range MaxScopes + 1 {
		p.do(proviso.SessionStart, &proviso.Lifecycle{Kind: "handoff", Name: "x"}, proviso.Allow)
	}
	if _, in := p.view("get", `{}`); in.Fault == nil || in.Fault.Code != CodeFull || len(p.s.scopes) > MaxScopes {
		t.Errorf("fault %v, %d scopes", in.Fault, len(p.s.scopes))
	}
}

// Times beyond what nanoseconds since 1970 can count stay in order.
func TestFarTimes(t *testing.T) {
	p := play(t)
	p.at = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	p.call("1", "pay", `{"to":"ann","amount":1}`)
	p.result("1", `{}`)
	p.wantPast(1, 1, payDay, "ann")
	p.at = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)
	p.wantPast(0, 0, payDay, "ann")
	p.call("2", "pay", `{"to":"ann","amount":1}`)
	p.result("2", `{}`)
	p.wantPast(1, 1, payDay, "ann")
}
