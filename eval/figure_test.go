package eval

import (
	"strings"
	"testing"
)

func TestReadFigures(t *testing.T) {
	got, err := ReadFigures(strings.NewReader(`=== RUN   TestX
figure: a.share = 0.919 (n=37)
    kill_test.go:193: figure: b.lost = 0 (n=12 kills, 3 torn ends seen)
figure: a.share = 0.919 (n=37)
figure: broken = many (n=3)
figure: broken = 1
`))
	if err != nil || len(got) != 2 || got[0] != (Figure{"a.share", 0.919, 37}) || got[1] != (Figure{"b.lost", 0, 12}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := ReadFigures(strings.NewReader("figure: a = 1 (n=1)\nfigure: a = 2 (n=1)\n")); err == nil || !strings.Contains(err.Error(), "figure a is 1 (n=1) and 2 (n=1)") {
		t.Errorf("two values of one figure give %v", err)
	}
}

// Every figure is marked against what is wanted; one that was taken of nothing is not as wanted, and none gets lost.
func TestTabulate(t *testing.T) {
	sections := []Section{{Name: "s", Title: "S", Figures: []Wanted{
		{Name: "s.exact", Want: Exactly(1), Share: true},
		{Name: "s.low", Want: AtLeast(0.99)},
		{Name: "s.high", Want: AtMost(0.01)},
		{Name: "s.empty", Want: Exactly(1), Share: true},
		{Name: "s.gone", Want: AtLeast(1)},
		{Name: "s.rare", Want: AtLeast(1), Rare: true},
		{Name: "s.told"},
		{Name: "s.fast", Want: AtLeast(100), Speed: true},
		{Name: "s.slow", Want: AtLeast(100), Speed: true},
	}}}
	tables := Tabulate(sections, []Figure{{"other", 3, 1}, {"s.exact", 1, 50}, {"s.low", 0.98, 50}, {"s.high", 0.01, 50}, {"s.empty", 1, 0}, {"s.told", 0.5, 2}, {"s.fast", 100, 3}, {"s.slow", 99, 3}})
	if len(tables) != 2 || len(tables[1].Rows) != 1 || tables[1].Rows[0].Name != "other" {
		t.Fatalf("%+v", tables)
	}
	var marks []string
	for _, r := range tables[0].Rows {
		marks = append(marks, strings.TrimPrefix(r.Name, "s.")+" "+r.Mark.String())
	}
	if got, want := strings.Join(marks, ", "), "exact met, low unmet, high met, empty unmet, gone missing, rare absent, told told, fast met, slow slow"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if in := tables[0].Rows[0].Range; in == nil || *in != Wilson(50, 50) {
		t.Errorf("interval %v", in)
	}
}

func TestFormatValue(t *testing.T) {
	for v, want := range map[float64]string{1: "1", 0: "0", 0.5: "0.5", 0.0000000001: "0", 0.97500: "0.975", 0.99957: "0.9996", 0.999998: "0.999998", 0.0000012: "0.000001", 490123.4: "490,123", -12345: "-12,345", 3.274: "3.274", 17: "17"} {
		if got := FormatValue(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	if got := FormatCount(1234567); got != "1,234,567" {
		t.Error(got)
	}
}
