package proviso

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever is tried in whatever order, an approval is answered once, by somebody else, and spent once, granted, in time and for its own call.
func TestApprovalOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		mine := Binding{Caller: "mia", Agents: []string{"desk"}, Tool: "pay", Hash: "h", Policy: "p"}
		other := mine
		other.Hash = "other"
		a := NewApproval(mine, []string{"b", "a"}, JSON("{}"), "s", 1, start, start.Add(10*time.Minute))
		answered, spent, granted := 0, 0, false
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			at := start.Add(time.Duration(rapid.IntRange(0, 15).Draw(t, "minutes")) * time.Minute)
			before := a
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0, 1:
				r := Resolution{Grant: rapid.Bool().Draw(t, "grant"), By: rapid.SampledFrom([]string{"boss", "chief", "mia", " MIA", "desk", ""}).Draw(t, "by"), At: at}
				if err := a.Resolve(r); err == nil {
					answered++
					granted = r.Grant
					if by := strings.ToLower(strings.TrimSpace(r.By)); by == "" || by == "mia" || by == "desk" || !at.Before(a.Expires) {
						t.Fatalf("%q answered at %v", r.By, at)
					}
					continue
				}
			case 2:
				b := mine
				if rapid.Bool().Draw(t, "other call") {
					b = other
				}
				if err := a.Spend(b, at); err == nil {
					spent++
					if !granted || b.Hash != mine.Hash || !at.Before(a.Expires) {
						t.Fatalf("spent: granted %v, for %s, at %v", granted, b.Hash, at)
					}
					continue
				}
			}
			if a.State != before.State || a.By != before.By || a.Spent != before.Spent {
				t.Fatalf("what was refused changed it: %+v", a)
			}
		}
		if answered > 1 || spent > 1 {
			t.Fatalf("answered %d times, spent %d times", answered, spent)
		}
	})
}

// Two bindings that differ in anything have different keys.
func TestBindingKey(t *testing.T) {
	seen := map[string]Binding{}
	for _, b := range []Binding{
		{}, {Caller: "a"}, {Session: "a"}, {Agents: []string{"a"}}, {Tool: "a"}, {Hash: "a"}, {Policy: "a"},
		{Agents: []string{"a", "b"}}, {Agents: []string{"a,b"}}, {Agents: []string{"ab"}}, {Agents: []string{""}}, {Tool: "a", Hash: "b"}, {Tool: "ab"},
	} {
		if twin, ok := seen[b.Key()]; ok {
			t.Errorf("%+v and %+v have one key", b, twin)
		}
		seen[b.Key()] = b
	}
	if HashCall("a", JSON("b")) == HashCall("ab", nil) {
		t.Error("a tool and its arguments run together")
	}
}
