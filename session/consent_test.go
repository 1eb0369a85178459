package session

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
)

var stanceNames = map[stance]string{silent: "silent", doubts: "doubts", refuses: "refuses", agrees: "agrees"}

// eachLine calls f with every line of an archive's files.
func eachLine(t *testing.T, glob string, f func(t *testing.T, where, line string)) {
	testkit.Archives(t, glob, func(t *testing.T, a *testkit.Archive) {
		for _, file := range a.Files {
			for i, line := range strings.Split(strings.TrimRight(string(file.Data), "\n"), "\n") {
				f(t, fmt.Sprintf("%s:%d", file.Name, i+1), line)
			}
		}
	})
}

func TestStance(t *testing.T) {
	eachLine(t, "testdata/agreement.txtar", func(t *testing.T, where, line string) {
		want, text, _ := strings.Cut(line, " ")
		if got := stanceNames[stanceOf(strings.TrimSpace(text))]; got != want {
			t.Errorf("%s: %q %s, want %s", where, strings.TrimSpace(text), got, want)
		}
	})
}

func TestNaming(t *testing.T) {
	eachLine(t, "testdata/naming.txtar", func(t *testing.T, where, line string) {
		want, rest, _ := strings.Cut(line, " ")
		args, text, _ := strings.Cut(strings.TrimSpace(rest), "} ")
		in := script{}.Bind(&proviso.Event{Body: &proviso.ToolCall{Tool: "cancel", Args: proviso.JSON(args + "}")}}, nil)
		if in.Fault != nil {
			t.Fatalf("%s: %v", where, in.Fault)
		}
		p := proposalOf(in, script{}.KeyArguments(in))
		if got := map[bool]string{true: "yes", false: "no"}[p.in(fold(text))]; got != want {
			t.Errorf("%s: %q names %s}: %s, want %s", where, text, args, got, want)
		}
	})
}

func TestNamingTimes(t *testing.T) {
	at := time.Date(2024, 5, 20, 15, 30, 0, 0, time.UTC)
	in := script{}.Bind(&proviso.Event{Body: &proviso.ToolCall{Tool: "book", Args: proviso.JSON(`{}`)}}, nil)
	p := proposalOf(in, map[string][]any{"at": {at}})
	for text, want := range map[string]bool{"on May 20 at 3:30 pm": true, "2024-05-20 15:30": true, "2024-05-20T15:30:00Z": true, "on May 20": false, "at 15:30": false} {
		if got := p.in(fold(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// Each line is one step of a conversation about cancelling R1; the last is what confirmed(call) says.
func TestConfirmed(t *testing.T) {
	for name, c := range map[string]struct {
		steps string
		want  proviso.Tri
	}{
		"nothing said":                         {"", proviso.Unknown},
		"proposed, not answered":               {"A: Cancel R1?", proviso.Unknown},
		"proposed and agreed":                  {"A: Cancel R1?|U: yes", proviso.True},
		"agreed before the proposal":           {"U: yes|A: Cancel R1?", proviso.Unknown},
		"agreed before, spoke of else after":   {"U: yes|A: Cancel R1?|U: what is the fee?", proviso.Unknown},
		"declined":                             {"A: Cancel R1?|U: no", proviso.False},
		"declined, proposed again, agreed":     {"A: Cancel R1?|U: no|A: So R1 stays. Or cancel R1 for free?|U: yes please", proviso.True},
		"another reservation":                  {"A: Cancel R2?|U: yes", proviso.Unknown},
		"agreed to a question that names none": {"A: Cancel R1?|U: what is the fee?|A: 10 USD. Shall I?|U: yes", proviso.Unknown},
		"two messages of one turn":             {"A: I can cancel R1.|A: Do you agree?|U: yes", proviso.True},
		"the assistant goes on":                {"A: Cancel R1?|U: yes|A: I am cancelling R1 now.", proviso.True},
		"other talk after":                     {"A: Cancel R1?|U: yes|A: Anything else?|U: my name is Mia", proviso.True},
		"withdrawn":                            {"A: Cancel R1?|U: yes|U: no, stop", proviso.False},
		"doubted later":                        {"A: Cancel R1?|U: yes|A: One moment.|U: actually wait", proviso.Unknown},
		"a condition":                          {"A: Cancel R1?|U: yes but keep the bags", proviso.Unknown},
		"used up":                              {"A: Cancel R1?|U: yes|C: R1", proviso.Unknown},
		"used up, agreed again without asking": {"A: Cancel R1?|U: yes|C: R1|U: yes again", proviso.Unknown},
		"used up, asked again":                 {"A: Cancel R1?|U: yes|C: R1|A: R1 once more?|U: yes", proviso.True},
		"another call in between":              {"A: Cancel R1 and R2?|U: yes|C: R2", proviso.True},
		"a denied attempt uses nothing up":     {"A: Cancel R1?|U: yes|D: R1", proviso.True},
		"a button":                             {"B: ", proviso.True},
		"a button, then a refusal":             {"B: |U: no, don't", proviso.Unknown},
		"a button, used up":                    {"B: |C: R1", proviso.Unknown},
		"the system speaks between":            {"A: Cancel R1?|S: tick|U: yes", proviso.True},
		"only the system agrees":               {"A: Cancel R1?|S: yes", proviso.Unknown},
		"only the assistant agrees":            {"A: Cancel R1?|A: yes", proviso.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t)
			_, target := p.view("cancel", `{"id":"R1"}`)
			for i, step := range strings.Split(c.steps, "|") {
				who, text, _ := strings.Cut(step, ": ")
				switch who {
				case "A":
					p.assistant(text)
				case "U":
					p.user(text)
				case "S":
					p.do(proviso.Input, &proviso.Message{Role: proviso.System, Text: text}, proviso.Allow)
				case "B":
					p.user("", target.Hash)
				case "C":
					p.call(fmt.Sprint("c", i), "cancel", `{"id":"`+text+`"}`)
				case "D":
					p.deny(fmt.Sprint("d", i), "cancel", `{"id":"`+text+`"}`)
				}
			}
			v, in := p.view("cancel", `{"id":"R1"}`)
			if got := v.Consent.Confirmed(in); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// A call that was held for the user's word is what the next proposal asks for; each line is one step, H holds a call, C releases one, and the last is what confirmed(call) says of giving back A1 and A2.
func TestProposalOfAHeldCall(t *testing.T) {
	const two, three = `{"items":["A1","A2"]}`, `{"items":["A1","A2","A3"]}`
	for name, c := range map[string]struct {
		steps string
		want  proviso.Tri
	}{
		"nothing was held":                         {"A: A1, A2 and A3?|U: yes", proviso.True},
		"the same call was held":                   {"H: 2|A: A1 and A2?|U: yes", proviso.True},
		"more was held, agreed to more":            {"H: 3|A: A1, A2 and A3?|U: yes", proviso.Unknown},
		"more was held, agreed to these":           {"H: 3|A: A1, A2 and A3?|U: only the first two|A: So A1 and A2?|U: yes", proviso.True},
		"agreed to more, these held since":         {"H: 3|A: A1, A2 and A3?|U: yes|H: 2", proviso.Unknown},
		"these held after more, asked for more":    {"H: 3|H: 2|A: A1, A2 and A3?|U: yes", proviso.Unknown},
		"these held after more, asked for these":   {"H: 3|H: 2|A: A1 and A2?|U: yes", proviso.True},
		"more was done, then asked for these":      {"H: 3|A: A1, A2 and A3?|U: yes|C: 3|A: A1, A2 and A3 again?|U: yes", proviso.True},
		"more in a message, these in another":      {"H: 3|A: A1, A2 and A3?|A: I mean A1 and A2.|U: yes", proviso.True},
		"held for another tool with the same":      {"X: 2|A: A1 and A2?|U: yes", proviso.Unknown},
		"held for another tool, then for this one": {"X: 2|H: 2|A: A1 and A2?|U: yes", proviso.True},
		"held again and again":                     {"H: 2|H: 2|H: 2|A: A1 and A2?|U: yes", proviso.True},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(name, restart), func(t *testing.T) {
				p := play(t)
				for i, step := range strings.Split(c.steps, "|") {
					who, text, _ := strings.Cut(step, ": ")
					args := map[string]string{"2": two, "3": three}[text]
					switch who {
					case "A":
						p.assistant(text)
					case "U":
						p.user(text)
					case "H":
						p.hold(fmt.Sprint("h", i), "give_back", args)
					case "X":
						p.hold(fmt.Sprint("x", i), "exchange", args)
					case "C":
						p.call(fmt.Sprint("c", i), "give_back", args)
					}
					if restart {
						// Killed between any two steps: what was held has to be known afterwards.
						s, err := Restore(script{"d1"}, snap(t, p.s))
						if err != nil {
							t.Fatal(err)
						}
						p.s = s
					}
				}
				for how, s := range map[string]*State{"live": p.s, "folded": foldAll(t, p.records)} {
					p.s = s
					v, in := p.view("give_back", two)
					if got := v.Consent.Confirmed(in); got != c.want {
						t.Errorf("%s: %s, want %s", how, got, c.want)
					}
				}
			})
		}
	}
}

// Asking for a consent reads the messages, and leaves no trace in what is kept.
func TestConsentIsReadWhenAsked(t *testing.T) {
	p := play(t)
	p.assistant("Cancel R1?")
	p.user("yes")
	p.user(strings.Repeat("yes, ", MaxText))
	before := snap(t, p.s)
	for i := range 2 {
		if m := p.s.talk.said[i]; m.read {
			t.Errorf("%q was read before anybody asked", m.text)
		}
	}
	v, in := p.view("cancel", `{"id":"R1"}`)
	if got := v.Consent.Confirmed(in); got != proviso.True {
		t.Errorf("%s, want true", got)
	}
	if after := snap(t, p.s); !bytes.Equal(before, after) {
		t.Errorf("asking changed the snapshot:\n%s\n%s", before, after)
	}
}

func TestWaitingCallsAreBounded(t *testing.T) {
	p := play(t)
	for i := range 3 * maxWaits {
		p.hold(fmt.Sprint(i), "cancel", fmt.Sprintf(`{"id":"R%d"}`, i))
	}
	if n := len(p.s.talk.waits); n != maxWaits {
		t.Errorf("%d calls wait, want %d", n, maxWaits)
	}
}

// What was denied was never said, and what was edited was said as edited.
func TestConsentRestsOnWhatWasForwarded(t *testing.T) {
	p := play(t)
	p.do(proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: "Cancel R1?"}, proviso.Deny)
	p.user("yes")
	v, in := p.view("cancel", `{"id":"R1"}`)
	if got := v.Consent.Confirmed(in); got != proviso.Unknown {
		t.Errorf("a proposal that was withheld: %s", got)
	}
	p.do(proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: "Cancel R1?"}, proviso.Allow, proviso.Edit{Rule: "hide", Start: 7, End: 9, Text: "…"})
	p.user("yes")
	v, in = p.view("cancel", `{"id":"R1"}`)
	if got := v.Consent.Confirmed(in); got != proviso.Unknown {
		t.Errorf("a proposal whose key argument was redacted: %s", got)
	}
}

func TestConsentIsBounded(t *testing.T) {
	p := play(t)
	p.assistant("Cancel R1?")
	p.user("yes")
	for range MaxMessages {
		p.assistant("and so on")
	}
	v, in := p.view("cancel", `{"id":"R1"}`)
	if got := v.Consent.Confirmed(in); got != proviso.Unknown {
		t.Errorf("a forgotten agreement: %s", got)
	}
	for range 40 {
		p.assistant(strings.Repeat("long ", MaxText/5))
	}
	if n := p.s.talk.bytes; n > MaxTalk {
		t.Errorf("%d bytes of talk", n)
	}
	p.user("Cancel R1? " + strings.Repeat("yes, ", MaxText) + " no")
	if last := p.s.talk.said[len(p.s.talk.said)-1]; last.answers() != doubts {
		t.Errorf("the end of a long message was cut off: %s", stanceNames[last.answers()])
	}
	for i := range maxUsed + 10 {
		p.s.talk.spend(uint64(1000+i), &policy.Input{Event: in.Event, Hash: fmt.Sprint(i)})
	}
	if len(p.s.talk.used) > maxUsed || len(p.s.talk.said) > 0 {
		t.Errorf("%d releases and %d messages are kept", len(p.s.talk.used), len(p.s.talk.said))
	}
}
