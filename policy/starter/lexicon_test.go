package starter

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A word with two meanings in one table would be read now this way and now that way.
func TestWordsHaveOneMeaning(t *testing.T) {
	once(t, "verb", verbLists)
	once(t, "noun", nounLists)
}

func once[T ~string](t *testing.T, what string, lists map[T]string) {
	t.Helper()
	of := map[string][]string{}
	for meaning, list := range lists {
		for w := range set(list) {
			of[w] = append(of[w], string(meaning))
		}
	}
	for w, meanings := range of {
		if len(meanings) > 1 {
			slices.Sort(meanings)
			t.Errorf("%s %q means %s", what, w, strings.Join(meanings, " and "))
		}
	}
}

// Every role and effect that a table names is ordered.
func TestEveryMeaningIsOrdered(t *testing.T) {
	for r := range nounLists {
		if !slices.Contains(strictness, r) {
			t.Errorf("role %s has no place among the strict ones", r)
		}
		if _, ok := samples[r]; !ok && r != Amount {
			t.Errorf("role %s has no sample", r)
		}
	}
	for e := range verbLists {
		if rank(e) < 0 {
			t.Errorf("effect %s has no rank", e)
		}
	}
}

func TestBases(t *testing.T) {
	for _, c := range [][2]string{{"sends", "send"}, {"posts", "post"}, {"searches", "search"}, {"retrieving", "retrieve"}, {"deleted", "delete"}, {"copies", "copy"}, {"getting", "get"}, {"removes", "remove"}, {"send", "send"}} {
		if !slices.Contains(bases(c[0]), c[1]) {
			t.Errorf("%s is not taken for a form of %s: %v", c[0], c[1], bases(c[0]))
		}
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"send_money": "[send money]", "getHTTPResponse": "[get http response]", "file.path-name": "[file path name]", "IBANs of": "[ibans of]", "": "[]", "x2": "[x2]",
	} {
		if got := fmt.Sprint(words(in)); got != want {
			t.Errorf("words(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestHead(t *testing.T) {
	for in, want := range map[string]string{
		"The URL of the webpage.":                       "[url]",
		"IBAN of the recipient":                         "[iban]",
		"List of e-mail addresses of the participants.": "[e mail addresses]",
		"The user to add to the channel.":               "[user]",
		"The user whose inbox to read.":                 "[user]",
		"New password for the user":                     "[password]",
		"The name of the hotel to reserve":              "[hotel]",
		"Number of rows":                                "[rows]",
		"":                                              "[]",
		"of":                                            "[]",
	} {
		if got := fmt.Sprint(head(in)); got != want {
			t.Errorf("head(%q) = %s, want %s", in, got, want)
		}
	}
}
