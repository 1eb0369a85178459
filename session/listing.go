package session

import (
	"slices"
	"strings"
)

// The longest line of a list, in bytes and in words.
const maxLine, maxLineWords = 80, 8

// listing returns what a text lists that has a name on every line, with or without a label before it; nil where it is no list. One line of prose makes it a text.
func listing(s string) (names []string) {
	lines := 0
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "-*\u2022"))
		if len(line) > maxLine || len(strings.Fields(line)) > maxLineWords {
			return nil
		}
		label, name, labelled := strings.Cut(line, ": ")
		switch {
		case line == "":
			continue
		case labelled:
			names = append(names, label, strings.TrimSpace(name))
		default:
			names = append(names, strings.TrimSuffix(line, ":"))
		}
		lines++
	}
	if lines < 2 {
		return nil
	}
	return names
}

// numeric reports whether a text has no word but numbers: a date, a time of day, a phone number.
func (r *reading) numeric() bool {
	return !slices.ContainsFunc(r.words, func(w word) bool { return !w.digits })
}
