package session

import (
	"strings"
	"unicode"
)

// stance is how a user's message answers a proposal.
type stance uint8

// The stances. Silent says nothing either way; doubts is anything that could be read as a condition, a change or a contradiction.
const (
	silent stance = iota
	doubts
	refuses
	agrees
)

// The lexicon is closed: what is not listed says nothing. A message is cut into clauses at punctuation; each clause is looked at alone.
//
//   - A clause agrees where, after words of courtesy, it begins with one of strong or weak, or consists of one of wholly, and has neither a negation nor a word of doubt.
//   - A clause refuses where it begins with one of refusals, or negates an agreement ("I do not agree").
//   - A clause doubts where it has a word of doubt, or another negation.
//   - A clause that ends in a question mark neither agrees nor refuses.
//
// Of the message: agreement and refusal together are a doubt ("yes, no, wait"); else a refusal wins over doubts, and a doubt over agreements ("yes, but …").
// Weak agreements ("ok", "sure") count only where nothing is asked, because they also open questions.
// So "yes, cancel it" agrees, "no, cancel it" refuses, and "cancel it" is silent. Words are compared without apostrophes and case. Languages other than English are silent: use Message.Confirms there.
var (
	strong = phrases(`
		yes; yeah; yep; yup; yea; absolutely; definitely; certainly; of course; affirmative; agreed; by all means; make it so
		i agree; i confirm; i hereby confirm; i approve; i accept; i consent; i authorize; i can confirm; i am confirming; im confirming
		go ahead; go for it; proceed; do it; do that; do so; lets do it; lets do that; lets go ahead; lets proceed; let us proceed
		you may proceed; you can proceed; you may go ahead; you can go ahead; you have my permission; you have my consent; you have my confirmation
		id like to proceed; i would like to proceed; i want to proceed; id like you to proceed; i would like you to proceed; i want you to proceed
		id like to go ahead; i would like to go ahead; i want to go ahead; id like to confirm; i would like to confirm; i want to confirm`)
	weak = phrases(`
		ok; okay; sure; alright; all right; thats fine; that is fine; thats ok; that is ok; thats okay; that is okay; that works; works for me
		sounds good; sounds great; that sounds good; that sounds great; looks good; looks great; that looks good; fine by me; fine with me
		im ok with; i am ok with; im okay with; i am okay with; im fine with; i am fine with; im happy with; i am happy with`)
	wholly = phrases(`
		y; do; confirm; confirmed; approve; approved; accept; accepted; agree; correct; thats correct; that is correct; all correct
		right; thats right; that is right; exactly; fine; indeed; i do; confirming`)
	refusals = phrases(`
		nope; nah; dont; do not; stop; never; abort; incorrect; wrong; forget it; forget that; nevermind; hold off; leave it
		i disagree; i refuse; i decline; i reject; id rather not; i would rather not; i dont want; i do not want; i dont wish; i do not wish
		i changed my mind; ive changed my mind; i have changed my mind; absolutely not; definitely not; certainly not; of course not; probably not
		not now; not yet; not ok; not okay; not that; not this; thats wrong; that is wrong; thats not right; thats not correct; that is not correct; thats incorrect; that is incorrect`)
	// courtesies open a clause without meaning anything; after a plain "no" they and followers show that it stands alone, while "no bags" is not a refusal.
	courtesies = words(`oh well hi hello hey great perfect wonderful excellent awesome good so and then um uh ah please just now`)
	followers  = words(`i im id you we it that this thats dont do please way sorry never not stop wait let lets keep leave absolutely definitely no nope really`)
	trailers   = words(`please then now it that so sir madam`)
	negations  = words(`no not never dont doesnt didnt wont wouldnt cant cannot couldnt shouldnt isnt arent wasnt havent hasnt nothing none neither nor without refuse decline disagree`)
	doubtWords = words(`but however unless except instead actually wait hold only if rather maybe perhaps might unsure depends until though although different another other later provided assuming otherwise hmm hesitant reconsider`)
	// harmless phrases have a negation or a doubt in them and mean neither.
	harmless = []string{
		"no problem", "not a problem", "no worries", "dont worry", "do not worry", "no rush", "no doubt", "no objections", "no objection", "no issues", "no issue",
		"no further questions", "no other questions", "no more questions", "no questions", "nothing else", "anything else", "cant wait", "if possible", "if you can", "why not",
		"thank you very much", "thank you so much", "thank you", "thanks a lot", "thanks",
	}
)

// phrases reads phrases separated by semicolons and line ends, each a list of words.
func phrases(text string) [][]string {
	var out [][]string
	for _, p := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == '\n' }) {
		if w := strings.Fields(p); len(w) > 0 {
			out = append(out, w)
		}
	}
	return out
}

func words(text string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(text) {
		out[w] = true
	}
	return out
}

// stanceOf reads the whole message.
func stanceOf(text string) stance {
	var found [4]bool
	asked, firm := false, false
	for _, c := range clauses(text) {
		asked = asked || c.question
		s, isStrong := c.stance()
		found[s] = true
		firm = firm || isStrong
	}
	switch {
	case found[agrees] && found[refuses]:
		return doubts
	case found[refuses]:
		return refuses
	case found[doubts]:
		return doubts
	case found[agrees] && (firm || !asked):
		return agrees
	}
	return silent
}

// clause is a run of words between punctuation marks.
type clause struct {
	words    []string
	question bool
}

// clauses cuts a message up. Points and commas inside of numbers do not cut.
func clauses(text string) []clause {
	text = strings.ReplaceAll(fold(strings.ReplaceAll(text, "\n", " . ")), "'", "")
	for _, h := range harmless {
		text = replaceWords(text, h)
	}
	var out []clause
	from := 0
	for i, r := range text {
		if !strings.ContainsRune(".,;:!?()", r) || i > 0 && i+1 < len(text) && isDigit(text[i-1]) && isDigit(text[i+1]) {
			continue
		}
		if w := wordsOf(text[from:i]); len(w) > 0 {
			out = append(out, clause{w, r == '?'})
		} else if n := len(out); n > 0 && r == '?' {
			out[n-1].question = true
		}
		from = i + 1
	}
	if w := wordsOf(text[from:]); len(w) > 0 {
		out = append(out, clause{w, false})
	}
	return out
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func wordsOf(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
}

// replaceWords takes a phrase out of a text where it stands as whole words.
func replaceWords(text, phrase string) string {
	for from := 0; ; {
		i := strings.Index(text[from:], phrase)
		if i < 0 {
			return text
		}
		i += from
		end := i + len(phrase)
		if (i == 0 || !isWordByte(text[i-1])) && (end == len(text) || !isWordByte(text[end])) {
			text = text[:i] + " " + text[end:]
			from = i + 1
		} else {
			from = end
		}
	}
}

func isWordByte(c byte) bool { return c == '_' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 0x80 }

// stance reads one clause; isStrong tells a strong agreement from a weak one.
func (c clause) stance() (s stance, isStrong bool) {
	w := c.words
	for len(w) > 0 && courtesies[w[0]] {
		w = w[1:]
	}
	if len(w) == 0 {
		return silent, false
	}
	negated, doubtful := false, false
	for _, x := range w {
		negated = negated || negations[x]
		doubtful = doubtful || doubtWords[x]
	}
	plainNo := w[0] == "no" && (len(w) == 1 || followers[w[1]])
	begins := plainNo || beginsWith(w, refusals)
	isStrong = beginsWith(w, strong) || wholeIs(w, wholly)
	agreeing := isStrong || beginsWith(w, weak)
	switch {
	case c.question:
		if doubtful {
			return doubts, false
		}
		return silent, false
	case begins, negated && !agreeing && hasAgreement(w):
		return refuses, false
	case doubtful || negated:
		return doubts, false
	case agreeing:
		return agrees, isStrong
	}
	return silent, false
}

func beginsWith(w []string, list [][]string) bool {
	for _, p := range list {
		if len(p) <= len(w) && equalWords(w[:len(p)], p) {
			return true
		}
	}
	return false
}

// wholeIs reports whether the clause is one of the phrases, but for trailers.
func wholeIs(w []string, list [][]string) bool {
	for _, p := range list {
		if len(p) > len(w) || !equalWords(w[:len(p)], p) {
			continue
		}
		rest := w[len(p):]
		for len(rest) > 0 && trailers[rest[0]] {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			return true
		}
	}
	return false
}

func equalWords(a, b []string) bool {
	for i := range b {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// consentWords are what a negation in the same clause turns into a refusal.
var consentWords = words(`agree confirm approve accept consent authorize proceed correct ok okay fine`)

func hasAgreement(w []string) bool {
	for _, x := range w {
		if consentWords[x] {
			return true
		}
	}
	return false
}
