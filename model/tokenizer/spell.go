package tokenizer

import "strings"

// The format spells each byte as one printable character (OpenAI's GPT-2 code): those that are printable in Latin-1 as themselves, the others from U+0100 on.
var spellByte, byteOfRune = func() (spell [256]rune, back map[rune]byte) {
	back = make(map[rune]byte, 256)
	next := rune(256)
	for b := range spell {
		c := rune(b)
		if c < '!' || c > '~' && c < '¡' || c == '\u00ad' {
			c = next
			next++
		}
		spell[b] = c
		back[c] = byte(b)
	}
	return spell, back
}()

// spell writes bytes as the format does.
func spell(raw string) string {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		b.WriteRune(spellByte[raw[i]])
	}
	return b.String()
}

// unspell is the inverse of spell; ok is false where a character spells no byte.
func unspell(spelled string) (raw string, ok bool) {
	b := make([]byte, 0, len(spelled))
	for _, r := range spelled {
		c, ok := byteOfRune[r]
		if !ok {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), true
}
