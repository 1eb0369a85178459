package leak

import (
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/world"
)

// Verdict finds traces with their verdict in prompts.
var Verdict = &Check{
	Name: "verdict",
	Doc: "Somewhere in the prompt a step of a trace says the answer: a part of a line that has the answer, or a usual other word for it, behind a clause of the policy in brackets, within the marks of a thought, or behind a word that concludes (therefore, hence, so, thus, verdict, conclusion, final answer, the answer is, step N). " +
		"A policy that is shown on purpose is not looked at. An answer that the same part of a line sets beside other answers is a list of choices.",
	Look: func(s *Set) []Finding {
		var out []Finding
		for _, g := range groups(s) {
			lex := newLexicon(g.labels)
			for k, i := range g.rows {
				text := s.shown[i]
				if s.Rows[i].From.Informed {
					text = s.cases[i]
				}
				if part := concludes(s, i, text, lex, g.of[k]); part != "" {
					out = append(out, s.leak(i, "prompt", "a step of a trace in the prompt says the answer %q: “%s”", g.labels[g.of[k]], short(part)))
				}
			}
		}
		return out
	},
}

var (
	concluding = lazyregexp.New(`(?i)\b(?:therefore|hence|thus|so the|so,|verdict|conclusion|concluding|final answer|the answer is|correct answer|step [0-9]+)\b`)
	mark       = lazyregexp.New(`\[([A-Za-z0-9][A-Za-z0-9_./-]*)\]`)
)

// concludes returns the part of a text that says the answer as a conclusion, or nothing.
func concludes(s *Set, row int, text string, lex *lexicon, label int) string {
	if lex.count(tokens(text))[label] == 0 { // most prompts; the rest costs more
		return ""
	}
	policy := s.policies[s.Rows[row].From.Policy]
	for _, part := range parts(text) {
		lower := strings.ToLower(part)
		at := -1
		if i := strings.Index(lower, world.ThinkOpen); i >= 0 {
			at = i
		}
		if m := concluding.FindStringIndex(part); m != nil && (at < 0 || m[0] < at) {
			at = m[0]
		}
		for _, m := range mark.FindAllStringSubmatchIndex(part, -1) {
			if policy != nil && policy.ids[part[m[2]:m[3]]] && (at < 0 || m[0] < at) {
				at = m[0]
			}
		}
		if at < 0 {
			continue
		}
		counts := lex.count(tokens(part[at:]))
		if counts[label] == 0 {
			continue
		}
		others := 0
		for l, n := range counts {
			if n > 0 && !lex.same(l, label) {
				others++
			}
		}
		if others == 0 {
			return strings.TrimSpace(part[shownFrom(part, at):])
		}
	}
	return ""
}

// shownFrom is where a part is quoted from: its beginning, or what concludes where that is too far behind it to be seen.
func shownFrom(part string, at int) int {
	if at > mostQuoted/2 {
		return at
	}
	return 0
}

// parts cuts a text into lines; a thought is one part, whatever its lines.
func parts(text string) []string {
	var out []string
	for {
		open := strings.Index(text, world.ThinkOpen)
		if open < 0 {
			return append(out, strings.Split(text, "\n")...)
		}
		out = append(out, strings.Split(text[:open], "\n")...)
		end := strings.Index(text[open:], world.ThinkClose)
		if end < 0 {
			return append(out, text[open:])
		}
		end += open + len(world.ThinkClose)
		if line := strings.IndexByte(text[end:], '\n'); line >= 0 {
			end += line
		} else {
			end = len(text)
		}
		out = append(out, text[open:end])
		text = text[end:]
	}
}

// mostQuoted is how many characters of a prompt a message quotes.
const mostQuoted = 120

// short is a text that fits into a message.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > mostQuoted {
		return string(r[:mostQuoted-1]) + "…"
	}
	return s
}
