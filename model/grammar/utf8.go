package grammar

import (
	"slices"
	"unicode/utf8"
)

// class makes symbols that read one character of the ranges, in UTF-8.
func (c *compiler) class(ranges []runeRange) []symbol {
	var ascii byteSet
	var alts [][]symbol
	for _, r := range normalize(ranges) {
		if r.lo < utf8.RuneSelf {
			ascii.add(byte(r.lo), byte(min(r.hi, utf8.RuneSelf-1)))
			r.lo = utf8.RuneSelf
		}
		for _, s := range utf8Sequences(r.lo, r.hi) {
			a := make([]symbol, len(s))
			for i, b := range s {
				var set byteSet
				set.add(b[0], b[1])
				a[i].set = &set
			}
			alts = append(alts, a)
			c.size += len(a)
		}
	}
	if len(alts) == 0 {
		return []symbol{{set: &ascii}}
	}
	if ascii != (byteSet{}) {
		alts = append(alts, []symbol{{set: &ascii}})
	}
	return []symbol{c.fresh(alts)}
}

// normalize sorts ranges, joins those that overlap, and takes out the surrogates, which are no characters.
func normalize(ranges []runeRange) []runeRange {
	var in []runeRange
	for _, r := range ranges {
		r.hi = min(r.hi, utf8.MaxRune)
		if r.lo <= min(r.hi, 0xd7ff) {
			in = append(in, runeRange{r.lo, min(r.hi, 0xd7ff)})
		}
		if max(r.lo, 0xe000) <= r.hi {
			in = append(in, runeRange{max(r.lo, 0xe000), r.hi})
		}
	}
	slices.SortFunc(in, func(a, b runeRange) int { return int(a.lo) - int(b.lo) })
	var out []runeRange
	for _, r := range in {
		if n := len(out); n > 0 && r.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

// invert returns the characters that are in none of the ranges.
func invert(ranges []runeRange) []runeRange {
	var out []runeRange
	next := rune(0)
	for _, r := range normalize(ranges) {
		if r.lo > next {
			out = append(out, runeRange{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= utf8.MaxRune {
		out = append(out, runeRange{next, utf8.MaxRune})
	}
	return normalize(out)
}

// without returns the characters of a that are not in b.
func without(a, b []runeRange) []runeRange {
	return invert(append(invert(a), b...))
}

// utf8Sequences covers the characters from lo to hi, none of which is ASCII or a surrogate, by sequences of byte ranges: the characters are cut where their length in bytes changes, and then so that all bytes behind the first that differs are free.
func utf8Sequences(lo, hi rune) [][][2]byte {
	if lo > hi {
		return nil
	}
	for _, limit := range []rune{0x7ff, 0xffff} {
		if lo <= limit && limit < hi {
			return append(utf8Sequences(lo, limit), utf8Sequences(limit+1, hi)...)
		}
	}
	for bits := 6; bits <= 18; bits += 6 {
		mask := rune(1)<<bits - 1
		if lo&^mask == hi&^mask {
			continue
		}
		if lo&mask != 0 {
			return append(utf8Sequences(lo, lo|mask), utf8Sequences((lo|mask)+1, hi)...)
		}
		if hi&mask != mask {
			return append(utf8Sequences(lo, (hi&^mask)-1), utf8Sequences(hi&^mask, hi)...)
		}
	}
	a, b := utf8.AppendRune(nil, lo), utf8.AppendRune(nil, hi)
	out := make([][2]byte, len(a))
	for i := range a {
		out[i] = [2]byte{a[i], b[i]}
	}
	return [][][2]byte{out}
}
