package grammar

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// limit is the largest whole number that is written.
var limit = int64(math.Pow10(maxDigits)) - 1

// number makes a number within bounds. Where a bound is no whole number, the numbers between it and the next one inside are left out; that is a part of what is valid.
func (c *schemas) number(o *object, at string, whole bool) *expr {
	lo, hi, bounded := -limit, limit, false
	for _, b := range []struct {
		keyword string
		lower   bool
		beyond  int64
	}{{"minimum", true, 0}, {"exclusiveMinimum", true, 1}, {"maximum", false, 0}, {"exclusiveMaximum", false, 1}} {
		v, ok := o.m[b.keyword]
		if !ok {
			continue
		}
		n, _ := v.(json.Number)
		x, err := n.Float64()
		if err != nil || math.Abs(x) > 1e15 {
			return c.fail(at, "%s is no number that can be kept", b.keyword)
		}
		bounded = true
		if b.lower {
			i := int64(math.Ceil(x))
			if float64(i) == x {
				i += b.beyond
			}
			lo = max(lo, i)
			continue
		}
		i := int64(math.Floor(x))
		if float64(i) == x {
			i -= b.beyond
		}
		hi = min(hi, i)
	}
	switch {
	case !bounded && whole:
		return refTo("integer")
	case !bounded:
		return refTo("number")
	case lo > hi:
		return altOf()
	}
	e := altOf()
	if hi >= 0 {
		e.kids = append(e.kids, magnitude(max(lo, 0), hi, whole))
	}
	if lo < 0 {
		e.kids = append(e.kids, seqOf(lit("-"), magnitude(max(-hi, 1), -lo, whole)))
		if !whole && hi >= 0 { // from -1 to 0
			e.kids = append(e.kids, seqOf(lit("-0"), fraction()))
		}
	}
	return e
}

// magnitude is the numbers from lo to hi, neither negative; with fractions where they do not lead over hi.
func magnitude(lo, hi int64, whole bool) *expr {
	e := altOf(digits(lo, hi))
	if !whole && lo < hi {
		e.kids = append(e.kids, seqOf(digits(lo, hi-1), fraction()))
	}
	return e
}

// digits is the whole numbers from lo to hi in decimal: for each length, the numbers are cut where a digit is free.
func digits(lo, hi int64) *expr {
	e := altOf()
	for lo <= hi {
		top := min(hi, int64(math.Pow10(len(strconv.FormatInt(lo, 10))))-1)
		e.kids = append(e.kids, sameLength(strconv.FormatInt(lo, 10), strconv.FormatInt(top, 10)))
		lo = top + 1
	}
	return e
}

// sameLength is the numbers between two of the same length.
func sameLength(lo, hi string) *expr {
	if lo == "" {
		return lit("")
	}
	if lo[0] == hi[0] {
		return seqOf(lit(lo[:1]), sameLength(lo[1:], hi[1:]))
	}
	n := len(lo) - 1
	rest := times(chars(runeRange{'0', '9'}), n, n)
	from, to := lo[0], hi[0]
	e := altOf()
	if strings.Trim(lo[1:], "0") != "" {
		e.kids = append(e.kids, seqOf(lit(lo[:1]), sameLength(lo[1:], strings.Repeat("9", n))))
		from++
	}
	if strings.Trim(hi[1:], "9") != "" {
		e.kids = append(e.kids, seqOf(lit(hi[:1]), sameLength(strings.Repeat("0", n), hi[1:])))
		to--
	}
	if from <= to {
		e.kids = append(e.kids, seqOf(chars(runeRange{rune(from), rune(to)}), rest))
	}
	return e
}
