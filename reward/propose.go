package reward

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// Form is a kind of sentence that an operator may say about rewards. The list is Forms.
type Form struct {
	Name    string
	Doc     string
	Example string
	// pattern is matched against a sentence without its full stop, in any case of letters; read makes of it a change of the Spec, and says in words what it means.
	pattern *lazyregexp.Regexp
	read    func(s *Spec, m []string) (says string, ok bool)
}

// Reading is a sentence with what it was read as.
type Reading struct {
	Sentence string `json:"sentence"`
	Form     string `json:"form"`
	Says     string `json:"says"`
}

// Proposal is what was made of sentences.
type Proposal struct {
	Spec     Spec      `json:"spec"` // a draft
	Readings []Reading `json:"readings"`
}

// factor are words for numbers.
var factors = map[string]float64{"once": 1, "one": 1, "twice": 2, "two": 2, "double": 2, "three": 3, "thrice": 3, "triple": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "half": 0.5}

const (
	amount  = `(\d+(?:\.\d+)?|once|one|twice|two|double|three|thrice|triple|four|five|six|seven|eight|nine|ten|half)`
	mistake = `(?:a |an |every |each )?(wrong(?:ly)? allow(?:ing|ed|s)?|wrong(?:ly)? den(?:y|ying|ied|ies|ial)|wrong(?:ly)? refus(?:al|ing|ed)|over-?refusals?|wrong answers?)(?: call| calls)?`
	// defaultLimit is what a short answer is, in words.
	defaultLimit = 40
	// wish is the weight of a term that is preferred and not demanded.
	wish = 0.5
)

func count(word string) (float64, bool) {
	word = strings.ToLower(word)
	if f, ok := factors[word]; ok {
		return f, true
	}
	f, err := strconv.ParseFloat(word, 64)
	return f, err == nil && f > 0 && f <= maxWeight
}

// costOf is the cost that a mistake is called by.
func costOf(s *Spec, words string) (*float64, string) {
	words = strings.ToLower(words)
	switch {
	case strings.Contains(words, "allow"):
		return &s.Costs.WrongAllow, "doing what is forbidden"
	case strings.Contains(words, "answer"):
		return &s.Costs.Wrong, "another answer"
	}
	return &s.Costs.WrongDeny, "refusing what is permitted"
}

// quoted takes a text out of its quotes. It is read as it stands: nobody here knows what it means.
func quoted(text string) string {
	text = strings.TrimSpace(text)
	for _, q := range []string{`""`, `''`, "“”", "‘’", "``"} {
		open, shut := string([]rune(q)[0]), string([]rune(q)[1])
		if len(text) > len(open)+len(shut) && strings.HasPrefix(text, open) && strings.HasSuffix(text, shut) {
			return text[len(open) : len(text)-len(shut)]
		}
	}
	return text
}

func (s *Spec) term(t Term) Term {
	base := t.ID
	for n := 2; ; n++ {
		taken := false
		for i := range s.Terms {
			taken = taken || s.Terms[i].ID == t.ID
		}
		if !taken {
			break
		}
		t.ID = base + "-" + strconv.Itoa(n)
	}
	s.Terms = append(s.Terms, t)
	return t
}

func form(pattern string) *lazyregexp.Regexp {
	return lazyregexp.New(`(?i)^(?:please )?` + pattern + `$`)
}

// Forms are all forms of sentences; the first that matches reads a sentence.
var Forms = []Form{
	{"never", "a gate: the words may not occur, however they are spelled", `never reveal "GOLD-42"`, form(`(?:never|do not|don't|must not|must never|answers must not) (?:reveal|mention|say|tell|disclose|name|use|write|contain|repeat) (?:the word |the words |the phrase )?(.+)`), func(s *Spec, m []string) (string, bool) {
		text := quoted(m[1])
		if !hasLetters(text) {
			return "", false
		}
		s.term(Term{ID: "never", Kind: Lacks, Text: text, Gate: true})
		s.Costs.Broken = max(s.Costs.Broken, 1)
		return fmt.Sprintf("no reward, and 1 taken away, where the words %q occur; other words for the same are not found", text), true
	}},
	{"must-say", "a gate: the words have to occur", `answers must say "case number"`, form(`(?:(?:the |every |each |all )?answers? must|must|always) (?:always )?(?:say|mention|contain|include|name) (?:the word |the words |the phrase )?(.+)`), func(s *Spec, m []string) (string, bool) {
		text := quoted(m[1])
		s.term(Term{ID: "says", Kind: Contains, Text: text, Gate: true})
		return fmt.Sprintf("no reward without the words %q", text), text != ""
	}},
	{"prefer-say", "the words are worth something", `prefer answers that mention "thank you"`, form(`(?:prefer|reward|favou?r) (?:answers )?that (?:say|mention|contain|include) (.+)`), func(s *Spec, m []string) (string, bool) {
		text := quoted(m[1])
		s.term(Term{ID: "says", Kind: Contains, Text: text, Weight: wish})
		return fmt.Sprintf("a right answer earns more with the words %q", text), text != ""
	}},
	{"limit", "answers of so many words are long", "answers should have at most 30 words", form(`(?:(?:prefer |keep |the )?answers?,? ?(?:should |must |may )?(?:be |have |of |with |to |under |in )*)?(?:at most|no more than|not more than|under|below|within|up to) (\d{1,6}) words?(?: long)?`), func(s *Spec, m []string) (string, bool) {
		n, err := strconv.Atoi(m[1])
		if err != nil || n < 1 {
			return "", false
		}
		s.term(Term{ID: "short", Kind: Length, Limit: n, Weight: wish})
		return fmt.Sprintf("a right answer earns less beyond %d words, and nothing for its length from %d on", n, 2*n), true
	}},
	{"short", "short answers are preferred", "prefer short answers", form(`(?:(?:prefer|favou?r|reward|we like) (?:short|shorter|brief|concise)(?: answers?| replies| responses)?|keep (?:answers|replies|it|them) (?:short|brief|concise)|be (?:brief|concise|short)|answers should be (?:short|brief|concise))`), func(s *Spec, _ []string) (string, bool) {
		s.term(Term{ID: "short", Kind: Length, Limit: defaultLimit, Weight: wish})
		return fmt.Sprintf("a right answer earns less beyond %d words; say \"at most N words\" for another number", defaultLimit), true
	}},
	{"costs-times", "a mistake costs so many times what the opposite one costs", "a wrong allow costs three times as much as a wrong deny", form(mistake + ` (?:should )?(?:costs?|weighs?|counts?)(?: is)? ` + amount + `(?: times)?(?: as much| as bad| as heavy| more| the cost)?(?: (?:as|than|of) ` + mistake + `)?`), func(s *Spec, m []string) (string, bool) {
		k, ok := count(m[2])
		if !ok {
			return "", false
		}
		cost, what := costOf(s, m[1])
		other, whatElse := &s.Costs.WrongDeny, "refusing what is permitted"
		if cost == other {
			other, whatElse = &s.Costs.WrongAllow, "doing what is forbidden"
		}
		if m[3] != "" {
			other, whatElse = costOf(s, m[3])
		}
		if other == cost {
			return "", false
		}
		if *other == 0 {
			*other = 1
		}
		*cost = k * *other
		return fmt.Sprintf("%s costs %g, %s %g", what, *cost, whatElse, *other), *cost <= maxWeight
	}},
	{"worse", "a mistake costs twice what the opposite one costs", "a wrong allow is worse than a wrong deny", form(mistake + ` is worse than ` + mistake), func(s *Spec, m []string) (string, bool) {
		cost, what := costOf(s, m[1])
		other, whatElse := costOf(s, m[2])
		if other == cost {
			return "", false
		}
		if *other == 0 {
			*other = 1
		}
		*cost = 2 * *other
		return fmt.Sprintf("%s costs %g, %s %g", what, *cost, whatElse, *other), *cost <= maxWeight
	}},
	{"cite-must", "a gate: a clause has to be cited", "answers must cite a clause", form(`(?:(?:the |every )?answers? must|must|always) (?:always )?cite (?:a |at least one |the )?(?:clauses?|rules?)`), func(s *Spec, _ []string) (string, bool) {
		s.term(Term{ID: "cites", Kind: Cites, Gate: true})
		return "no reward without a clause of the policy cited in the thought", true
	}},
	{"cite", "the right clauses count as much as the verdict", "cite the right clauses", form(`(?:prefer answers that )?(?:cite|citing|name|quote) (?:the )?(?:right |correct )?(?:clauses?|rules?)(?: matters?)?|(?:the )?(?:right )?citations matter`), func(s *Spec, _ []string) (string, bool) {
		s.Weights.Citations = 1
		return "the clauses cited count as much as the verdict itself, and nothing where it is wrong", true
	}},
	{"no-cite", "citations count for nothing", "citations do not matter", form(`(?:ignore (?:the )?citations|citations (?:do not|don't) (?:matter|count))`), func(s *Spec, _ []string) (string, bool) {
		s.Weights.Citations = 0
		return "clauses cited are worth nothing", true
	}},
	{"invent", "three invented ids cost as much as a right verdict earns", "do not invent clauses", form(`(?:never|do not|don't|must not) (?:invent|make up|hallucinate) (?:clauses|citations|rules|clause ids)`), func(s *Spec, _ []string) (string, bool) {
		s.Weights.Invented = s.Weights.Verdict
		return fmt.Sprintf("each invented clause costs %.2g, up to three", s.Weights.Invented/3), true
	}},
	{"arguments", "the arguments count as much as the tool", "the arguments matter as much as the tool", form(`(?:the )?arguments (?:of calls )?(?:matter|count)(?: as much as the (?:tool|verdict))?`), func(s *Spec, _ []string) (string, bool) {
		s.Weights.Arguments = 1
		return "the arguments of a call count as much as the verdict itself", true
	}},
	{"think", "a thought is worth something", "think before answering", form(`(?:prefer |reward )?(?:think(?:ing)?|reason(?:ing)?) (?:first|before (?:you answer|answering|acting))`), func(s *Spec, _ []string) (string, bool) {
		s.term(Term{ID: "thinks", Kind: Thinks, Weight: wish})
		return "a right answer earns more with a thought before it", true
	}},
}

// reserved are words that "never" does not look for: never inventing clauses is a form of its own.
var reserved = lazyregexp.New(`(?i)^(?:clauses|citations|rules|clause ids)$`)

// maxSentences is how much an operator may say.
const maxSentences = 64

// Propose reads sentences, divided by semicolons, full stops and new lines, into a draft on top of Default. What no form reads stands in Spec.Unread: it is said, never guessed.
func Propose(text string) Proposal {
	p := Proposal{Spec: Default(), Readings: []Reading{}}
	p.Spec.Status = Draft
	for i, sentence := range sentences(text) {
		if i >= maxSentences {
			p.Spec.Unread = append(p.Spec.Unread, sentence)
			continue
		}
		if r, ok := readSentence(&p.Spec, sentence); ok {
			p.Readings = append(p.Readings, r)
			continue
		}
		p.Spec.Unread = append(p.Spec.Unread, sentence)
	}
	return p
}

func readSentence(s *Spec, sentence string) (Reading, bool) {
	for i := range Forms {
		f := &Forms[i]
		m := f.pattern.FindStringSubmatch(sentence)
		if m == nil || f.Name == "never" && reserved.MatchString(m[1]) {
			continue
		}
		trial := *s
		trial.Terms = append([]Term(nil), s.Terms...)
		says, ok := f.read(&trial, m)
		if !ok {
			continue
		}
		for k := len(s.Terms); k < len(trial.Terms); k++ {
			trial.Terms[k].Sentence = sentence
		}
		if trial.Check() != nil {
			continue
		}
		*s = trial
		return Reading{sentence, f.Name, says}, true
	}
	return Reading{}, false
}

// sentences divides a text. What stands in quotes is not divided, nor is a number.
func sentences(text string) []string {
	var out []string
	var b strings.Builder
	end := func() {
		if s := strings.TrimSpace(b.String()); s != "" {
			out = append(out, s)
		}
		b.Reset()
	}
	quote := rune(0)
	runes := []rune(text)
	for i, c := range runes {
		next := ' '
		if i+1 < len(runes) {
			next = runes[i+1]
		}
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '`'):
			quote = c
		case quote == 0 && c == '“':
			quote = '”'
		}
		if quote == 0 && (c == ';' || c == '\n' || (c == '.' || c == '!') && strings.ContainsRune(" \n\t\r", next)) {
			end()
			continue
		}
		b.WriteRune(c)
	}
	end()
	return out
}
