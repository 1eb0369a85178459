package flow

import (
	"unicode/utf8"

	"github.com/proviso-dev/proviso/tree"
)

// Window follows one text as it arrives. It is not safe for concurrent use.
type Window struct {
	of      *Text
	tail    []byte // what has to be looked at together with what comes
	total   int
	safe    int
	looked  int // how much of the text was searched for personal data
	need    int // where in the text the next search begins
	waiting bool
	edited  bool
	lasting []bool // by pattern: a match was seen that stays, whatever follows
}

// Window returns the window of a text of which nothing has come yet.
func (t *Text) Window() Window { return Window{of: t} }

// Len is how many bytes of the text have come.
func (w *Window) Len() int { return w.total }

// Safe is how many bytes at the beginning of the text are decided: nothing that a rule forbids begins in them, and what is replaced of them is the same whatever follows. Once Add was false it stays as it is.
func (w *Window) Safe() int { return w.safe }

// Edited reports whether something may be replaced of what the last Add made safe, or of what will be; where it is false, what it made safe goes out as it came.
// The replacements of the text so far that begin before Safe are those of the whole; one that ends behind it may still grow.
func (w *Window) Edited() bool { return w.edited }

// searchEvery is how many bytes have to come before personal data are searched for again: a search costs the same for one.
const searchEvery = 32

// Add takes the next piece of the text, which ends with a whole character. It is false from the first piece on with which something may match; what is not safe then has to wait for the decision about the whole.
func (w *Window) Add(piece string) bool {
	w.tail = append(w.tail, piece...)
	w.total += len(piece)
	begins := w.total - len(w.tail)
	if !w.waiting {
		w.waiting = w.suspicious(begins)
	}
	if w.waiting {
		w.last(begins)
	}
	// A match that begins before the window has ended, with a character behind it for an assertion to look at, and was looked for. A character before the window is kept for assertions, too.
	from := len(w.tail) - w.of.longest - 2*utf8.UTFMax
	if w.of.watch != nil && !w.waiting {
		from = min(from, w.need-begins)
	}
	for from > 0 && !utf8.RuneStart(w.tail[from]) {
		from--
	}
	if from > 0 {
		w.tail = append(w.tail[:0], w.tail[from:]...)
	}
	return !w.waiting
}

// cut is the index of the patterns' expressions for a tail that begins there.
func cut(begins int) int { return min(begins, 1) }

// suspicious reports whether something in the tail may match; where nothing does, more of the text is safe.
func (w *Window) suspicious(begins int) bool {
	t := w.of
	w.edited = false
	for _, p := range t.patterns {
		if p.any[0].Match(w.tail) && p.any[cut(begins)].Match(w.tail) {
			if p.holds {
				return true
			}
			w.edited = true
		}
	}
	safe := w.total
	if t.watch != nil {
		if w.total-w.looked < searchEvery {
			return false
		}
		found, safeOf, need := t.watch(string(w.tail))
		if found {
			return true
		}
		w.looked, w.need, safe = w.total, begins+need, begins+safeOf
	}
	w.safe = max(w.safe, min(safe, w.total-t.longest))
	return false
}

// last looks for matches that stay.
func (w *Window) last(begins int) {
	if len(w.of.denials) == 0 {
		return
	}
	if w.lasting == nil {
		w.lasting = make([]bool, len(w.of.patterns))
	}
	for i, p := range w.of.patterns {
		w.lasting[i] = w.lasting[i] || p.lasting[cut(begins)].Match(w.tail)
	}
}

// Denied reports whether a rule denies the text whatever follows, where it applies.
func (w *Window) Denied() bool {
	if !w.waiting || w.lasting == nil {
		return false
	}
	known := func(p *pattern) tree.Set {
		for i, q := range w.of.patterns {
			if p == q && w.lasting[i] {
				return tree.IsTrue
			}
		}
		return tree.Open
	}
	for _, d := range w.of.denials {
		if d(known) == tree.IsTrue {
			return true
		}
	}
	return false
}
