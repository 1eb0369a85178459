package eval

import (
	"testing"
	"time"
)

// A summary counts what was not judged as not passed, keeps groups and measures apart, and tells the two kinds of mistakes only where there can be any.
func TestSummary(t *testing.T) {
	r := play(t, verdicts("v1", "aaaaddddnn", "andaadddn!"), Config{})
	r.Head.Cases = 12 // two were not reached
	s := r.Summary()
	if s.Counts != (Counts{Passed: 6, Failed: 3, Errors: 1, Left: 2}) || s.Passed != (Share{6, 12}) || s.Range != Wilson(6, 12) {
		t.Errorf("%+v", s)
	}
	if len(s.Groups) != 2 || s.Groups[0].Passed != (Share{2, 5}) || s.Groups[1].Passed != (Share{4, 5}) {
		t.Errorf("%+v", s.Groups)
	}
	if *s.Wrongful != (Share{2, 4}) || *s.Missed != (Share{1, 5}) || s.Values != nil {
		t.Errorf("%+v", s)
	}
	sum := play(t, sums(10), Config{}).Summary()
	if sum.Wrongful != nil || sum.Missed != nil || len(sum.Values) != 1 || sum.Values[0].Name != "size" || sum.Values[0].N != 10 {
		t.Errorf("%+v", sum)
	}
	near(t, "mean size", sum.Values[0].Mean, 1.5)
	one := play(t, verdicts("v1", "ad", "ad"), Config{})
	one.Results = one.Results[:1]
	if s := one.Summary(); s.Groups != nil || s.Missed != nil {
		t.Errorf("one group and nothing forbidden: %+v", s)
	}
}

func TestPercentile(t *testing.T) {
	r := &Run{Took: []time.Duration{4, 1, 3, 2}}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 4, 1: 4} {
		if got := r.Percentile(q); got != want {
			t.Errorf("%v of the cases took %v, want %v", q, got, want)
		}
	}
	if got := (&Run{}).Percentile(0.5); got != 0 {
		t.Errorf("of nothing the middle is %v", got)
	}
}

func TestBound(t *testing.T) {
	for b, want := range map[Bound]string{{}: "", AtLeast(0.99): "≥ 0.99", AtMost(200_000): "≤ 200,000", Exactly(1): "= 1"} {
		text, err := b.MarshalText()
		if err != nil || string(text) != want {
			t.Errorf("%s, %v; want %s", text, err, want)
		}
	}
	for _, c := range []struct {
		bound Bound
		value float64
		holds bool
	}{{Bound{}, 7, true}, {AtLeast(1), 1, true}, {AtLeast(1), 0.9999, false}, {AtMost(1), 1.0001, false}, {AtMost(1), 1, true}, {Exactly(0), 0, true}, {Exactly(0), 1e-9, false}} {
		if c.bound.Holds(c.value) != c.holds {
			t.Errorf("%v of %v", c.value, c.bound)
		}
	}
	for m, bad := range map[Mark]bool{Missing: true, Unmet: true, Met: false, Told: false, Absent: false, Slow: false} {
		if text, _ := m.MarshalText(); m.Bad() != bad || string(text) != m.String() {
			t.Errorf("%s", m)
		}
	}
}
