package importer

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/policy/condition"
)

// side says which way a condition may be off where it cannot be exact: a condition that lets calls through must not hold too often, and one that stops them not too rarely.
type side bool

const (
	least side = false // holds at most where the original does
	most  side = true  // holds at least where the original does
)

// pyRegex writes a regular expression of Python's re module (3.11, texts) for RE2. Whole wants the text as a whole to match, as fullmatch does; else a match anywhere counts, as with search.
// Digits, word characters and blanks are those of Unicode there and of ASCII here, $ passes a final newline there, and {,n} is a literal here: these are written out.
// What RE2 does not have is an error; a word boundary, which means other letters there, is dropped where more matches do no harm.
func pyRegex(p string, whole bool, s side) (string, error) {
	t := pyTranslator{in: p, whole: whole, side: s, fold: strings.HasPrefix(p, "(?i")}
	for t.at < len(t.in) {
		if err := t.step(); err != nil {
			return "", err
		}
	}
	out := t.out.String()
	if whole {
		out = `\A(?:` + out + `)\z`
	}
	if problem := condition.RegexProblem(out); problem != "" {
		return "", fmt.Errorf("%s", problem)
	}
	return out, nil
}

type pyTranslator struct {
	in    string
	at    int
	out   strings.Builder
	whole bool
	side  side
	fold  bool // letters match whatever their case
}

const pyBlank = `\t-\r\x1c-\x1f\x{85}\p{Z}`

// pyClasses are the escapes for kinds of characters, as members of a class.
var pyClasses = map[byte]string{'d': `\p{Nd}`, 'D': `\P{Nd}`, 'w': `\p{L}\p{N}_`, 's': pyBlank}

// pyPlain are the escapes that mean the same in both.
var pyPlain = lazyregexp.New(`^(?:[anrtfv]|x[0-9a-fA-F]{2}|[^A-Za-z0-9])`)

var (
	pyUnicode = lazyregexp.New(`^(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))`)
	pyUpTo    = lazyregexp.New(`^\{,([0-9]+)\}`)
	pyGroup   = lazyregexp.New(`^\((?:\?(?:[is]*:|P<[A-Za-z_][A-Za-z0-9_]*>)|[^?*]|$)`)
	pyFlags   = lazyregexp.New(`^\(\?[is]+\)`)
)

func (t *pyTranslator) step() error {
	rest := t.in[t.at:]
	switch c := rest[0]; {
	case c == '\\':
		return t.escape(false)
	case c == '[':
		return t.class()
	case c == '$':
		t.at++
		if t.whole {
			t.out.WriteString(`\z`)
		} else {
			t.out.WriteString(`(?:\n?\z)`)
		}
	case c == '^':
		t.at++
		t.out.WriteString(`\A`)
	case c == '(':
		if flags := pyFlags.FindString(rest); flags != "" && t.at == 0 {
			t.at += len(flags)
			t.out.WriteString(flags)
		} else if !pyGroup.MatchString(rest) || strings.HasPrefix(rest, "(?i") && t.at > 0 {
			return fmt.Errorf("%q is not in RE2: patterns cannot look ahead or behind, refer back or set flags in the middle", short(rest))
		} else {
			n := strings.IndexAny(rest, ":>") + 1
			if !strings.HasPrefix(rest, "(?") {
				n = 1
			}
			t.at += n
			t.out.WriteString(rest[:n])
		}
	case pyUpTo.MatchString(rest):
		m := pyUpTo.FindStringSubmatch(rest)
		t.at += len(m[0])
		t.out.WriteString("{0," + m[1] + "}")
	case (c == 'i' || c == 'I') && t.fold && t.side == most:
		t.at++
		t.out.WriteString("[iIİı]") // the letters that fold to i in Python
	default:
		t.at++
		t.out.WriteByte(c)
	}
	return nil
}

// escape translates a backslash and what follows it.
func (t *pyTranslator) escape(inClass bool) error {
	rest := t.in[t.at+1:]
	if rest == "" {
		return fmt.Errorf("the pattern ends in a backslash")
	}
	c := rest[0]
	if kind := pyClasses[c]; kind != "" {
		t.at += 2
		if inClass {
			t.out.WriteString(kind)
		} else {
			t.out.WriteString("[" + kind + "]")
		}
		return nil
	}
	if m := pyUnicode.FindStringSubmatch(rest); m != nil {
		t.at += 1 + len(m[0])
		n, _ := strconv.ParseUint(m[1]+m[2], 16, 32) // the pattern has checked the digits
		fmt.Fprintf(&t.out, `\x{%x}`, n)
		return nil
	}
	if m := pyPlain.FindString(rest); m != "" {
		t.at += 1 + len(m)
		if rest[0] >= 0x80 { // only ASCII may be escaped here
			t.out.WriteString(m)
		} else {
			t.out.WriteString(`\` + m)
		}
		return nil
	}
	t.at += 2
	switch {
	case inClass && c == 'b':
		t.out.WriteString(`\x08`)
	case !inClass && c == 'A':
		t.out.WriteString(`\A`)
	case !inClass && c == 'Z':
		t.out.WriteString(`\z`)
	case !inClass && (c == 'W' || c == 'S'):
		t.out.WriteString("[^" + pyClasses[c+'a'-'A'] + "]")
	case !inClass && (c == 'b' || c == 'B') && t.side == most:
	case c == 'b' || c == 'B':
		return fmt.Errorf(`\%c counts other letters here: name the characters that may stand there`, c)
	default:
		return fmt.Errorf(`\%c is not in RE2`, c)
	}
	return nil
}

// class translates a class in brackets.
func (t *pyTranslator) class() error {
	t.at++
	t.out.WriteByte('[')
	negated := strings.HasPrefix(t.in[t.at:], "^")
	if negated {
		t.at++
		t.out.WriteByte('^')
		if t.fold && t.side == least {
			return fmt.Errorf("a negated class and (?i) mean other letters here")
		}
	}
	for first := true; ; first = false {
		if t.at >= len(t.in) {
			return fmt.Errorf("a [ is not closed")
		}
		switch c := t.in[t.at]; {
		case c == ']' && !first:
			t.at++
			if t.fold && t.side == most && !negated {
				t.out.WriteString("İı")
			}
			t.out.WriteByte(']')
			return nil
		case c == '\\':
			if err := t.escape(true); err != nil {
				return err
			}
		case c == '[' || c == ']':
			t.at++
			t.out.WriteByte('\\')
			t.out.WriteByte(c)
		default:
			t.at++
			t.out.WriteByte(c)
		}
	}
}

// short cuts a text for a message.
func short(s string) string {
	if r := []rune(s); len(r) > 24 {
		return string(r[:24]) + "…"
	}
	return s
}
