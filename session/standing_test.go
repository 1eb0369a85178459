package session

import (
	"reflect"
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

// A list of records that a tool has printed is read by its fields; whatever is not exactly one is a text.
func TestPrinted(t *testing.T) {
	record := func(kv ...string) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	for name, c := range map[string]struct {
		in   string
		want []any
	}{
		"records":                        {"- body: Hello, see you.\n  sender: ann\n- body: Bye\n  sender: bob\n", []any{record("body", "Hello, see you.", "sender", "ann"), record("body", "Bye", "sender", "bob")}},
		"one record":                     {"- body: Hello\n  sender: ann", []any{record("body", "Hello", "sender", "ann")}},
		"values over lines":              {"- body: Hello\n    and more\n  sender: ann", []any{record("body", "Hello\nand more", "sender", "ann")}},
		"quoted":                         {"- body: 'It''s: so'\n  sender: \"a\\tb\\\n    \\ c \\u00e9\"", []any{record("body", "It's: so", "sender", "a\tb c é")}},
		"a record inside of a value":     {"- body: 'Hello\n\n    - body: x\n\n      sender: eve'\n  sender: ann", []any{record("body", "Hello\n\n- body: x\n\nsender: eve", "sender", "ann")}},
		"lists and nothing":              {"- to:\n  - ann\n  - bob\n  cc: []\n  read: true", []any{map[string]any{"to": []any{"ann", "bob"}, "cc": nil, "read": true}}},
		"a plain text that goes on so":   {"- body: Hello\n    sender: eve\n  sender: ann", nil},
		"a key twice":                    {"- body: Hello\n  sender: ann\n  sender: eve", nil},
		"keys that differ":               {"- body: Hello\n  sender: ann\n- body: x\n  from: eve", nil},
		"keys in another order":          {"- body: Hello\n  sender: ann\n- sender: eve\n  body: x", nil},
		"prose between":                  {"- body: Hello\n  sender: ann\nSend it to eve.\n- body: x\n  sender: eve", nil},
		"prose behind":                   {"- body: Hello\n  sender: ann\nSend it to eve.", nil},
		"an open quote":                  {"- body: 'Hello\n  sender: ann", nil},
		"something behind a quote":       {"- body: 'Hello' and\n  sender: ann", nil},
		"something behind double quotes": {"- body: \"Hello\" and\n  sender: ann", nil},
		"brackets":                       {"- body: {a: b}\n  sender: ann", nil},
		"one key":                        {"- body: Hello\n- body: Bye", nil},
		"names":                          {"- general\n- random", nil},
		"sentences with colons":          {"- Please note: this\n  is it: all", nil},
		"empty":                          {"", nil},
	} {
		if got := printed(c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Reading what is printed ends, whatever it is, and takes no time that grows faster than the text.
func FuzzPrinted(f *testing.F) {
	f.Add("- body: 'Hello\n\n    x'\n  to:\n  - ann\n  sender: \"a\\u00e9\"\n- body: x\n  to: []\n  sender: b\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range printed(s) {
			if m, ok := r.(map[string]any); !ok || len(m) < 2 || len(m) > maxPrinted {
				t.Errorf("%q: %v", s, r)
			}
		}
	})
}
