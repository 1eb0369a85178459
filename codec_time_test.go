package proviso

import (
	"testing"
	"time"
)

// A time is written as its own MarshalJSON writes it, whether it can be reached through a pointer or not, and one that has no such form is an error.
func TestTimesAreWrittenAsTheyMarshal(t *testing.T) {
	for _, at := range []time.Time{{}, time.Date(2026, 3, 1, 12, 0, 0, 120, time.UTC), time.Date(1999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -5400))} {
		want, err := at.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string]any{"value": at, "pointer": &at} {
			if got, err := AppendJSON([]byte("x"), v); err != nil || string(got) != "x"+string(want) {
				t.Errorf("%s: %s, %v, want x%s", name, got, err, want)
			}
		}
		if got, err := AppendJSON(nil, map[string]any{"at": at}); err != nil || string(got) != `{"at":`+string(want)+`}` {
			t.Errorf("in a map: %s, %v", got, err)
		}
	}
	if b, err := AppendJSON(nil, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil {
		t.Errorf("a year of five digits is %s", b)
	}
}
