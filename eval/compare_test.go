package eval

import (
	"context"
	"errors"
	"testing"
)

// verdicts is a suite whose cases want and get these outcomes, written as a letter each: a allow, d deny, n needs_info, ! an error.
func verdicts(subject, want, got string) *Suite {
	names := map[byte]string{'a': "allow", 'd': "deny", 'n': "needs_info"}
	s := &Suite{Name: "verdicts", Subject: subject}
	for i := range len(want) {
		s.Cases = append(s.Cases, Case{ID: string(rune('A' + i)), Group: []string{"first", "second"}[2*i/len(want)], Want: []string{names[want[i]]}})
	}
	s.Play = func(_ context.Context, i int) (Answer, error) {
		if got[i] == '!' {
			return Answer{}, errors.New("broken")
		}
		return Answer{Got: []string{names[got[i]]}, Pass: want[i] == got[i]}, nil
	}
	return s
}

// Flips are told apart by direction; errors are not passes; groups add up.
func TestCompare(t *testing.T) {
	const want = "aaaaddddnn"
	old := play(t, verdicts("v1", want, "aaddddaann"), Config{})
	now := play(t, verdicts("v2", want, "aaaad!ddad"), Config{})
	c, err := Compare(old, now)
	if err != nil {
		t.Fatal(err)
	}
	ids := func(list []Flip) (s string) {
		for _, f := range list {
			s += f.New.ID
		}
		return s
	}
	if f, b := ids(c.Fixed), ids(c.Broken); f != "CDGH" || b != "FIJ" || len(c.Failing) != 0 || c.Passing != 3 {
		t.Errorf("fixed %s, broken %s, failing %s, %d passing", f, b, ids(c.Failing), c.Passing)
	}
	if c.Before != (Share{6, 10}) || c.After != (Share{7, 10}) || c.Range.Low > c.Gain || c.Range.High < c.Gain {
		t.Errorf("%+v", c)
	}
	near(t, "p of four fixed and three broken", c.P, 1)
	if g := c.Groups; len(g) != 2 || g[0] != (GroupComparison{"first", Share{3, 5}, Share{5, 5}, 2, 0}) || g[1] != (GroupComparison{"second", Share{3, 5}, Share{2, 5}, 2, 3}) {
		t.Errorf("%+v", g)
	}
	same, err := Compare(old, old)
	if err != nil || len(same.Fixed)+len(same.Broken) != 0 || same.Range != (Interval{}) || same.P != 1 {
		t.Errorf("%+v, %v", same, err)
	}
	if _, err := Compare(old, play(t, sums(10), Config{})); !errors.Is(err, ErrOther) {
		t.Errorf("other cases give %v", err)
	}
	part := *now
	part.Results = part.Results[:4]
	if _, err := Compare(old, &part); !errors.Is(err, ErrPart) {
		t.Errorf("a part of a run gives %v", err)
	}
}

// The two mistakes are told apart, and neither allowing nor denying everything looks good.
func TestConfusion(t *testing.T) {
	const want = "aaaaddddnn"
	for _, c := range []struct {
		got              string
		wrongful, missed Share
		balanced, f1     float64
	}{
		{"aaaaddddnn", Share{0, 4}, Share{0, 6}, 1, 1},
		{"aaaaaaaaaa", Share{0, 4}, Share{6, 6}, 1. / 3, (8. / 14) / 3},
		{"dddddddddd", Share{4, 4}, Share{0, 6}, 1. / 3, (8. / 14) / 3},
		{"andaadddn!", Share{2, 4}, Share{1, 5}, (2./4 + 3./4 + 1) / 3, (4./7 + 6./8 + 2./3) / 3},
	} {
		m := play(t, verdicts("v1", want, c.got), Config{}).Confusion()
		if m.WrongfulDenials() != c.wrongful || m.MissedViolations() != c.missed {
			t.Errorf("%s: wrongful %+v, missed %+v", c.got, m.WrongfulDenials(), m.MissedViolations())
		}
		near(t, c.got+" balanced accuracy", m.BalancedAccuracy(), c.balanced)
		near(t, c.got+" macro F1", m.MacroF1(), c.f1)
	}
	if m := (&Run{}).Confusion(); m.BalancedAccuracy() != 0 || m.MacroF1() != 0 {
		t.Error("of nothing there is no accuracy")
	}
}
