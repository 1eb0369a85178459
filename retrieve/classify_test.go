package retrieve

import (
	"slices"
	"testing"
)

func TestClassifier(t *testing.T) {
	var examples []Example
	for _, noun := range []string{"order", "parcel", "card", "voucher", "ticket", "bag", "seat", "meal"} {
		examples = append(examples,
			Example{"We refund the " + noun + " to the buyer.", []string{"refund"}},
			Example{"Your " + noun + " data is kept for two years.", []string{"data"}},
			Example{"We refund the " + noun + " and delete its data.", []string{"data", "refund"}},
		)
	}
	c := Learn(examples)
	for text, want := range map[string][]string{
		"We refund the hotel to the buyer.":    {"refund"},
		"Your hotel data is kept for a month.": {"data"},
	} {
		if got := c.Classify(text); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	again := Learn(examples)
	for l := range c.linear {
		if !slices.Equal(c.linear[l], again.linear[l]) || !slices.Equal(c.second[l], again.second[l]) {
			t.Fatal("learnt twice, and not the same")
		}
	}
	if got := Learn(nil).Classify("anything"); got != nil {
		t.Errorf("learnt nothing and says %q", got)
	}
}
