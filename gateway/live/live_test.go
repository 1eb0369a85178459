package live

import (
	"context"
	"strings"
	"testing"
)

// The story that is told is the one that happens: the exfiltration is denied and cites its clause, the payment waits for a person and then reaches the agent.
func TestPlay(t *testing.T) {
	var told []string
	if err := Play(context.Background(), func(s Step) { told = append(told, s.Who+" "+s.Outcome+" "+s.Text) }); err != nil {
		t.Fatal(err)
	}
	want := []string{"user ", "gateway allow read_inbox", "mail ", "gateway deny", "gateway escalate", "anna ", "gateway allow pay_invoice", "model "}
	if len(told) != len(want) {
		t.Fatalf("%q", told)
	}
	for i := range want {
		if !strings.HasPrefix(told[i], want[i]) {
			t.Errorf("step %d is %q, want %q", i, told[i], want[i])
		}
	}
	if !strings.Contains(told[3], "Mail goes only to people whom the user named") || strings.Contains(told[3], "evil.example") {
		t.Errorf("%q", told[3])
	}
}
