package session

import (
	"encoding/binary"
	"fmt"
)

// snapOrigins is origins as JSON: no text, only hashes of words.
type snapOrigins struct {
	Classes []class   `json:"classes,omitempty"`
	Inherit []string  `json:"inherit,omitempty"`
	Gens    []snapGen `json:"texts,omitempty"` // the newer one first
}

// snapGen is one generation: the prints of its words in the order of their ids, and its log as zig-zag varints.
type snapGen struct {
	Prints []byte `json:"prints"`
	Log    []byte `json:"log"`
}

func (o *origins) snapshot() *snapOrigins {
	if len(o.classes) == 0 && len(o.inherit) == 0 {
		return nil
	}
	x := &snapOrigins{Classes: o.classes, Inherit: o.inherit}
	for _, p := range o.gens {
		if p == nil {
			continue
		}
		g := snapGen{Prints: make([]byte, len(p.ids)*len(print{}))}
		for w, id := range p.ids {
			copy(g.Prints[int(id)*len(w):], w[:])
		}
		for _, n := range p.log {
			g.Log = binary.AppendVarint(g.Log, int64(n))
		}
		x.Gens = append(x.Gens, g)
	}
	return x
}

func (o *origins) restore(x *snapOrigins) error {
	if x == nil {
		return nil
	}
	o.classes, o.inherit = x.Classes, x.Inherit
	o.grow(x.Inherit)
	for i, c := range x.Classes {
		o.byKey[c.Key] = int32(i)
		o.grow(c.Labels)
	}
	if len(x.Gens) > len(o.gens) {
		return &FoldError{CodeSnapshot, "snapshot: more generations of texts than are kept"}
	}
	for i, g := range x.Gens {
		p, err := g.replay(int32(len(x.Classes)))
		if err != nil {
			return err
		}
		o.gens[i] = p
	}
	return nil
}

// replay builds the index again.
func (g *snapGen) replay(classes int32) (*passages, error) {
	p := newPassages()
	size := len(print{})
	for b := g.Prints; len(b) >= size; b = b[size:] {
		p.ids[print(b[:size])] = int32(len(p.ids))
	}
	words := int32(len(p.ids))
	bad := func(what string) (*passages, error) {
		return nil, &FoldError{CodeSnapshot, fmt.Sprintf("snapshot: the words of texts: %s", what)}
	}
	if len(g.Prints)%size != 0 || int(words)*size != len(g.Prints) {
		return bad("cut off, or twice the same")
	}
	var leaf []int32
	inLeaf := false
	for b := g.Log; len(b) > 0; {
		v, n := binary.Varint(b)
		if n <= 0 {
			return bad("the log is cut off")
		}
		b = b[n:]
		switch at := int32(v); {
		case int64(at) != v || at >= words || at <= markClass && markClass-at >= classes:
			return bad("a number that means nothing")
		case p.class < 0 && at > markClass:
			return bad("a text without a source")
		case inLeaf && at >= 0:
			leaf = append(leaf, at)
		case at == markLeaf:
			leaf, inLeaf = leaf[:0], true
		case at == markEnd && (len(leaf) == 0 || p.class+ofWhole >= classes):
			return bad("a field without words or without a source")
		case at == markEnd:
			p.leafIDs(leaf)
			leaf, inLeaf = leaf[:0], false
		case at >= 0:
			p.addID(at)
		case at == markText:
			p.last = 0
			p.log = append(p.log, markText)
		default:
			p.class = markClass - at
			p.log = append(p.log, at)
		}
	}
	return p, nil
}
