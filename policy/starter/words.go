package starter

import (
	"slices"
	"strings"
	"unicode"
)

// words splits an identifier or a sentence into lower-case words: at anything that is no letter or digit, and where camel case changes.
func words(s string) []string {
	var out []string
	var cur []rune
	flush := func() {
		if len(cur) > 0 {
			out = append(out, strings.ToLower(string(cur)))
			cur = cur[:0]
		}
	}
	runes := []rune(s)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			continue
		}
		if unicode.IsUpper(r) && len(cur) > 0 {
			plural := i+1 < len(runes) && runes[i+1] == 's' && (i+2 == len(runes) || !unicode.IsLetter(runes[i+2]))
			after := i+1 < len(runes) && unicode.IsLower(runes[i+1]) && !plural
			if unicode.IsLower(runes[i-1]) || unicode.IsUpper(runes[i-1]) && after {
				flush()
			}
		}
		cur = append(cur, r)
	}
	flush()
	return out
}

// bases lists what a word may be an inflection of, the word itself first: plurals, third persons, participles and past forms of regular words.
func bases(w string) []string {
	out := []string{w}
	add := func(suffix string, ends ...string) {
		stem, ok := strings.CutSuffix(w, suffix)
		if !ok || len(stem) < 2 {
			return
		}
		for _, e := range ends {
			out = append(out, stem+e)
		}
		if n := len(stem); n > 2 && stem[n-1] == stem[n-2] && suffix != "s" {
			out = append(out, stem[:n-1])
		}
	}
	add("s", "")
	add("es", "")
	add("ies", "y")
	add("ing", "", "e")
	add("ed", "", "e")
	add("ied", "y")
	return out
}

// lookup returns what a table says of a word or of what it is an inflection of.
func lookup[T any](table map[string]T, w string) (v T, ok bool) {
	for _, b := range bases(w) {
		if v, ok = table[b]; ok {
			return v, true
		}
	}
	return v, false
}

// head returns the words that say what a description of a value is of: "The new email of the user, if known" is about "new email".
// Words that only say that there is a value ("name", "list", "value" …) give way to what follows their "of".
func head(description string) []string {
	phrase := sentence(description)
	ws := words(phrase)
	for len(ws) > 0 {
		for len(ws) > 0 && leading[ws[0]] {
			ws = ws[1:]
		}
		end := slices.IndexFunc(ws, func(w string) bool { return ending[w] })
		if end < 0 {
			end = len(ws)
		}
		if end == 0 {
			if ws = ws[1:]; len(ws) == 0 {
				return nil
			}
			continue
		}
		last := ws[end-1]
		if hollow, _ := lookup(hollow, last); hollow && end < len(ws) && (ws[end] == "of" || ws[end] == "for") && end == 1 {
			ws = ws[end+1:]
			continue
		}
		return ws[:end]
	}
	return nil
}

// sentence is the first sentence of a text, without the marks of a documentation comment.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	for i, r := range s {
		next := i + len(string(r))
		switch {
		case r == '\n' && strings.HasPrefix(strings.TrimLeft(s[next:], " \t"), "\n"):
			return s[:i]
		case (r == '.' || r == ';') && (next >= len(s) || s[next] == ' ' || s[next] == '\n'):
			if !strings.HasSuffix(s[:i], "e.g") && !strings.HasSuffix(s[:i], "i.e") {
				return s[:i]
			}
		}
	}
	return s
}

var (
	// leading are words before the one that matters.
	leading = set("the a an any some this that your new next current given optional required exact full valid whole main single specific desired target additional its their")
	// ending are the words at which the noun phrase of a description ends.
	ending = set("of for to from in on at by with as where whose which that who when if is are was be will and or you we the within into after before using e.g eg such like should must can to")
	// hollow are nouns that say only that there is a value.
	hollow = set("list array set name value string field sequence collection kind type number")
)

func set(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}
