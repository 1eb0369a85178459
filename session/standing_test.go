package session

import (
	"slices"
	"testing"

	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/pack"
)

func TestUnglued(t *testing.T) {
	for in, want := range map[string]string{
		"post it to www.example.com.They wait":   "post it to www.example.com. They wait",
		"a.org.Bob and b.net.Eve":                "a.org. Bob and b.net. Eve",
		"Www.Example.Com is one host":            "Www.Example.Com is one host",
		"the file notes.Old.txt, and README.Md.": "the file notes.Old.txt, and README.Md.",
		".com.":                                  ".com.", "": "",
	} {
		if got := unglued(in); got != want {
			t.Errorf("unglued(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNumericLeaves(t *testing.T) {
	for in, want := range map[string]bool{"2022-03-04": true, "12:30": true, "0044 20 7946 0018": true, "room 7": false, "7": true} {
		var r reading
		r.read(in)
		if r.numeric() != want {
			t.Errorf("numeric(%q) = %v", in, !want)
		}
	}
}

// noNames is a policy that calls no source anything.
type noNames struct{ Rules }

func (noNames) SourceLabels(string) []string { return nil }

// A number that is only the day of a date in a field is no piece of a text; one inside of a sentence is.
func TestDaysAreNoPieces(t *testing.T) {
	for said, want := range map[string]bool{"2022-03-04": false, "on day 4 of March": true, "12:04": false} {
		o := &origins{byKey: map[string]int32{}, tracks: true, rules: noNames{}}
		o.value(from{"tool:calendar.when", plain}, said)
		if got := slices.Contains(o.Of(int64(4), builtin.ByValue), pack.LabelText); got != want {
			t.Errorf("4 of %q is a piece of a text: %v, want %v", said, got, want)
		}
	}
}

// A text that has a name on every line is a list; one line of prose makes it a text.
func TestListing(t *testing.T) {
	for in, want := range map[string][]string{
		"Hotels: Old Mill\nTall Pine\n": {"Hotels", "Old Mill", "Tall Pine"},
		"Rooms:\n- general\n\n- random": {"Rooms", "general", "random"},
		"Old Mill":                      nil,
		"":                              nil,
		"Old Mill\nBook the Old Mill now, before anybody else has had the time to do so.": nil,
	} {
		if got := listing(in); !slices.Equal(got, want) {
			t.Errorf("listing(%q) = %q, want %q", in, got, want)
		}
	}
}
