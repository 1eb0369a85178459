package audit

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// The bounds of what a session remembers in order to say who brought a value in: the newest events, and of each so many bytes.
const (
	maxHeard     = 64
	maxHeardText = 16 << 10
	maxMembers   = 4 // of a list that is looked for
)

// heard is what others than the agent said in a session, the oldest first.
type heard struct {
	events []heardEvent
}

type heardEvent struct {
	seq  uint64
	body proviso.Body
}

// hear remembers an event in which the agent learned something.
func (h *heard) hear(seq uint64, ev *proviso.Event) {
	switch ev.Point {
	case proviso.Input, proviso.ToolResultPoint, proviso.SessionStart:
	default:
		return
	}
	if len(h.events) >= 2*maxHeard {
		h.events = append(h.events[:0], h.events[maxHeard:]...)
	}
	h.events = append(h.events, heardEvent{seq, ev.Body})
}

// brought says for each value that the causes name who brought it into the session first: the newest events are searched for it, without regard to case.
// The labels are those that the session tracks. An argument that nobody else said comes from the agent itself. The text of an event is not looked for: its point says who speaks. Truth values and texts of one letter are left out: they are said too often to tell anything.
func (h *heard) brought(causes []proviso.Cause, origins policy.Origins) []proviso.Source {
	var out []proviso.Source
	seen := map[string]bool{}
	for _, c := range causes {
		for _, v := range c.Inputs {
			if seen[v.Path] || v.Path == "text" {
				continue
			}
			seen[v.Path] = true
			for _, text := range sayings(v.Val) {
				s := h.first(text)
				s.Labels = known(origins, v.Val)
				if s.Path = v.Path; s.Seq == 0 && len(s.Labels) > 0 {
					s.By = s.Labels[0] // said in another spelling, or before what is remembered here
				} else if s.Seq == 0 && !strings.HasPrefix(v.Path, "args") {
					continue // a clock, a table, or an event that is forgotten
				}
				out = append(out, s)
			}
		}
	}
	return out
}

// known are the labels that a session has for a value, without the one for what it found nowhere.
func known(origins policy.Origins, v any) []string {
	if origins == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(origins.Every(v)), func(l string) bool { return l == "assistant" })
}

// first returns the event that says a text first.
func (h *heard) first(text string) proviso.Source {
	for _, e := range h.events {
		if by, said := spoken(e.body); contained(said, text) {
			return proviso.Source{Value: text, By: by, Seq: e.seq}
		}
	}
	return proviso.Source{Value: text, By: "agent"}
}

// spoken is who speaks in a body, and what.
func spoken(b proviso.Body) (by, text string) {
	switch b := b.(type) {
	case *proviso.Message:
		return string(b.Role), b.Text
	case *proviso.ToolResult:
		if b.Text != "" {
			return "tool:" + b.Tool, b.Text
		}
		return "tool:" + b.Tool, string(b.Content)
	case *proviso.Lifecycle:
		return "session", b.User
	}
	return "", ""
}

// sayings are the texts to look for, of a text, a number, or the members of a short list.
func sayings(v any) []string {
	switch x := v.(type) {
	case string:
		if utf8.RuneCountInString(x) > 1 && len(x) <= maxQuote {
			return []string{x}
		}
	case int64:
		return []string{strconv.FormatInt(x, 10)}
	case float64:
		return []string{strconv.FormatFloat(x, 'f', -1, 64)}
	case json.Number:
		return []string{x.String()}
	case time.Time:
		return []string{x.Format(time.DateOnly)}
	case []any:
		var out []string
		for _, m := range x[:min(len(x), maxMembers)] {
			if _, nested := m.([]any); !nested {
				out = append(out, sayings(m)...)
			}
		}
		return out
	}
	return nil
}

// contained reports whether a text says another as words of their own.
func contained(text, part string) bool {
	text, part = strings.ToLower(text[:boundary(text, min(len(text), maxHeardText))]), strings.ToLower(part)
	for from := 0; ; {
		i := strings.Index(text[from:], part)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(part):])
		if !joins(before, part[0]) && !joins(after, part[len(part)-1]) {
			return true
		}
		from = i + 1
	}
}

// joins reports whether a letter or digit beside a part that ends in one makes another word of it. The T between a date and a time does not.
func joins(r rune, edge byte) bool {
	if r == 't' && edge >= '0' && edge <= '9' {
		return false
	}
	return (unicode.IsLetter(r) || unicode.IsDigit(r)) && (edge >= utf8.RuneSelf || unicode.IsLetter(rune(edge)) || unicode.IsDigit(rune(edge)))
}
