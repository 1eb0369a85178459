package flow

import "github.com/proviso-dev/proviso"

// Choices follows the texts of the choices of one answer. It is not safe for concurrent use.
type Choices struct {
	of   *Text
	list []choice
}

// choice is the text of one. Its parts are joined to one text when the answer is whole, so that it is followed for the first of them only.
type choice struct {
	Window
	part  int
	lost  bool
	edits []proviso.Edit // what is replaced in it, in order
	bound int            // how much of it may go out
}

// Choices returns what follows the texts of an answer of which nothing has come yet.
func (t *Text) Choices() *Choices { return &Choices{of: t} }

// Add takes the next piece of a part of a choice. It is false where something may match, or where the text cannot be followed because another part begins; then everything that was not let go yet has to be held.
func (c *Choices) Add(number, part int, piece string) bool {
	for len(c.list) <= number {
		c.list = append(c.list, choice{Window: c.of.Window()})
	}
	t := &c.list[number]
	if t.Len() > 0 && t.part != part {
		t.lost = true
		return false
	}
	t.part = part
	ok := t.Window.Add(piece)
	t.bound = t.Window.Safe()
	return ok
}

// Len is how many bytes of the text of a choice there were so far.
func (c *Choices) Len(number int) int {
	if number >= len(c.list) {
		return 0
	}
	return c.list[number].Window.Len()
}

// Safe is how many bytes at the beginning of the text of a choice may go out, as Piece has them.
func (c *Choices) Safe(number int) int {
	if number >= len(c.list) {
		return 0
	}
	return c.list[number].bound
}

// Denied reports whether a rule denies the only choice whatever follows, where it applies.
func (c *Choices) Denied() bool {
	return len(c.list) == 1 && !c.list[0].lost && c.list[0].Window.Denied()
}

// Edited reports whether Replace has to be told what is replaced in the text of a choice before Safe and Piece are right.
func (c *Choices) Edited(number int) bool {
	return number < len(c.list) && c.list[number].Window.Edited()
}

// Replace takes the edits that a decision about the text of a choice as far as it came makes, in the order of their position. Nothing goes out from one on that may still grow.
func (c *Choices) Replace(number int, edits []proviso.Edit) {
	t := &c.list[number]
	t.edits = nil
	for _, e := range edits {
		if e.Start < t.bound && e.End > t.bound {
			t.bound = e.Start
		}
		if e.Redacts() && e.End <= t.bound {
			t.edits = append(t.edits, e)
		}
	}
}

// Piece returns a piece of the text of a choice that began at start, as it goes out. A replacement stands where what it replaces begins.
func (c *Choices) Piece(number, start int, piece string) string {
	if number >= len(c.list) {
		return piece
	}
	var mine []proviso.Edit
	for _, e := range c.list[number].edits {
		if e.End <= start || e.Start >= start+len(piece) {
			continue
		}
		if e.Start < start {
			e.Text = ""
		}
		e.Start, e.End = max(e.Start-start, 0), min(e.End-start, len(piece))
		mine = append(mine, e)
	}
	if mine == nil {
		return piece
	}
	return proviso.RedactText(piece, mine)
}
