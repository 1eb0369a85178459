package grammar

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
)

// frame is a place in a rule, and above it the places to go back to: a stack, of which equal ones are one.
type frame struct {
	id int64 // never used twice by a machine
	at int32 // in symbols
	up *frame
}

type frameKey struct {
	at int32
	up int64
}

// State is where a text stands in a grammar: the set of all stacks that the bytes so far can have led to. States belong to the Bound that made them.
type State struct {
	tops  []*frame    // each before a byte
	final bool        // the text may end here
	next  [256]*State // nil: not known yet
	mask  *Mask
}

// dead is the state after a byte that is not allowed.
var dead = &State{}

// Final reports whether the text is complete as it is.
func (s *State) Final() bool { return s.final }

// machine makes states on demand.
type machine struct {
	g      *Grammar
	made   int64 // frames so far
	frames map[frameKey]*frame
	states map[string]*State
}

// forget drops what was made. States that are in use go on: the ids of their frames are not given again.
func (m *machine) forget() {
	m.frames, m.states = map[frameKey]*frame{}, map[string]*State{}
}

func (m *machine) frame(at int32, up *frame) *frame {
	key := frameKey{at, -1}
	if up != nil {
		key.up = up.id
	}
	f := m.frames[key]
	if f == nil {
		f = &frame{id: m.made, at: at, up: up}
		m.made++
		m.frames[key] = f
	}
	return f
}

// closure collects the frames that stand before a byte.
type closure struct {
	m     *machine
	seen  map[*frame]bool
	tops  []*frame
	final bool
}

func (c *closure) add(f *frame) {
	if f == nil {
		c.final = true
		return
	}
	if c.seen[f] {
		return
	}
	c.seen[f] = true
	switch s := c.m.g.symbols[f.at]; {
	case s.set != nil:
		c.tops = append(c.tops, f)
	case s.rule == endOfRule:
		c.add(f.up)
	default:
		back := f.up
		// A call at the end of a rule needs no way back: lists do not make stacks deep.
		if after := c.m.g.symbols[f.at+1]; after.set != nil || after.rule != endOfRule {
			back = c.m.frame(f.at+1, f.up)
		}
		for _, a := range c.m.g.rules[s.rule] {
			c.add(c.m.frame(a, back))
		}
	}
}

// state returns the one state of these frames, nil where there is none.
func (c *closure) state() *State {
	if len(c.tops) == 0 && !c.final {
		return nil
	}
	slices.SortFunc(c.tops, func(a, b *frame) int { return int(a.id - b.id) })
	key := make([]byte, 0, 8*len(c.tops)+1)
	for _, f := range c.tops {
		key = binary.LittleEndian.AppendUint64(key, uint64(f.id))
	}
	if c.final {
		key = append(key, 1)
	}
	s := c.m.states[string(key)]
	if s == nil {
		s = &State{tops: c.tops, final: c.final}
		c.m.states[string(key)] = s
	}
	return s
}

func (m *machine) start() *State {
	c := closure{m: m, seen: map[*frame]bool{}}
	for _, a := range m.g.rules[0] {
		c.add(m.frame(a, nil))
	}
	return c.state()
}

// step returns the state after a byte, nil where the byte is not allowed.
func (m *machine) step(s *State, b byte) *State {
	if t := s.next[b]; t == dead {
		return nil
	} else if t != nil {
		return t
	}
	c := closure{m: m, seen: map[*frame]bool{}}
	for _, f := range s.tops {
		if m.g.symbols[f.at].set.has(b) {
			c.add(m.frame(f.at+1, f.up))
		}
	}
	t := c.state()
	if s.next[b] = t; t == nil {
		s.next[b] = dead
	}
	return t
}

// Mask is the set of tokens that may come next.
type Mask struct {
	bits  []uint64
	Count int // how many tokens may come next
}

// Has reports whether a token may come next.
func (m *Mask) Has(id int32) bool { return m.bits[id>>6]>>(id&63)&1 == 1 }

// Vocab is the tokens of a model by their bytes. It does not change and is safe for concurrent use.
type Vocab struct {
	size   int
	tokens []string
	trie   []branch
	order  []int32 // ids by their bytes
	depth  int     // of the trie
}

// branch is a node of the trie of all tokens. Nodes lie in the order in which they are walked: behind each is what is below it.
type branch struct {
	depth    int32 // in bytes, from 1
	skip     int32 // where what is below it ends
	from, to int32 // in order: the tokens that end here
	b        byte
}

// NewVocab makes a vocabulary of size tokens; bytes returns what a token stands for, and nothing for tokens that are never to be written, such as control tokens.
func NewVocab(size int, bytes func(id int32) string) *Vocab {
	v := &Vocab{size: size, tokens: make([]string, size)}
	for id := range int32(size) {
		if v.tokens[id] = bytes(id); v.tokens[id] != "" {
			v.order = append(v.order, id)
		}
	}
	slices.SortFunc(v.order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(v.tokens[a], v.tokens[b]), cmp.Compare(a, b))
	})
	var path []int // nodes from the root to the last token
	close := func(depth int) {
		for ; len(path) > depth; path = path[:len(path)-1] {
			v.trie[path[len(path)-1]].skip = int32(len(v.trie))
		}
	}
	last := ""
	for i, id := range v.order {
		text := v.tokens[id]
		common := 0
		for common < len(text) && common < len(last) && text[common] == last[common] {
			common++
		}
		close(common)
		for at := common; at < len(text); at++ {
			path = append(path, len(v.trie))
			v.trie = append(v.trie, branch{depth: int32(at + 1), b: text[at]})
		}
		n := &v.trie[path[len(path)-1]]
		if n.from == n.to {
			n.from = int32(i)
		}
		n.to = int32(i + 1)
		last = text
		v.depth = max(v.depth, len(text))
	}
	close(0)
	return v
}

// Bounds of what a Bound remembers. What is over them is computed again.
const (
	maxStates = 1 << 14
	maxMasks  = 1 << 10
)

// Bound is a grammar with a vocabulary, and what was found out about the two. It is safe for concurrent use.
type Bound struct {
	v     *Vocab
	mu    sync.Mutex
	m     machine
	masks int
}

// Bind joins a grammar with a vocabulary.
func (g *Grammar) Bind(v *Vocab) *Bound {
	b := &Bound{v: v, m: machine{g: g}}
	b.m.forget()
	return b
}

// Start returns the state before the first token.
func (b *Bound) Start() *State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.m.start()
}

// Next returns the state after a token. ok is false where the token is not allowed.
func (b *Bound) Next(s *State, id int32) (next *State, ok bool) {
	if id < 0 || int(id) >= b.v.size || b.v.tokens[id] == "" {
		return nil, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trim()
	text := b.v.tokens[id]
	for i := 0; i < len(text); i++ {
		if s = b.m.step(s, text[i]); s == nil {
			return nil, false
		}
	}
	return s, true
}

// Mask returns the tokens that may come after a state. Whether the text may end is State.Final.
func (b *Bound) Mask(s *State) *Mask {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.mask == nil {
		b.trim()
		s.mask = b.mask(s)
		b.masks++
	}
	return s.mask
}

// mask walks the trie: a token may come next where each of its bytes may.
func (b *Bound) mask(s *State) *Mask {
	m := &Mask{bits: make([]uint64, (b.v.size+63)/64)}
	path := make([]*State, b.v.depth+1)
	path[0] = s
	for i := 0; i < len(b.v.trie); {
		n := &b.v.trie[i]
		next := b.m.step(path[n.depth-1], n.b)
		if next == nil {
			i = int(n.skip)
			continue
		}
		path[n.depth] = next
		for _, id := range b.v.order[n.from:n.to] {
			m.bits[id>>6] |= 1 << (id & 63)
			m.Count++
		}
		i++
	}
	return m
}

// trim forgets everything where there is too much of it. States that are in use stay what they are.
func (b *Bound) trim() {
	if len(b.m.states) > maxStates || b.masks > maxMasks {
		b.m.forget()
		b.masks = 0
	}
}
