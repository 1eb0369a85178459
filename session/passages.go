package session

// passages finds the longest passage of words that a list of words has in common with texts seen before, in time that depends on that list alone.
// It is the suffix automaton of all texts (Blumer et al. 1985; built online as in Crochemore, Hancart and Lecroq, Algorithms on Strings, 2007), over words instead of letters;
// each state knows in which classes of sources its passages stand.
type passages struct {
	ids   map[print]int32
	len   []int32
	link  []int32
	set   []setID
	first []int32 // newest transition of a state, -1 for none
	arcs  []arc
	to    map[uint64]int32
	sets  *sets
	last  int32
	class int32
	words int
	log   []int32 // all that was added: words by id, and marks below zero
}

// arc is one transition of a state, by the word that it is for.
type arc struct{ word, next int32 }

// The marks of a log: the start of a text; the start and the end of a leaf; and beyond them the class of what follows.
const (
	markText  = -1
	markLeaf  = -2
	markEnd   = -3
	markClass = -4
)

// The classes of what a leaf says, by their distance from the class of the leaf: its words, pieces of it, and the leaf as a whole.
const (
	ofPieces = 1
	ofWhole  = 2
)

func newPassages() *passages {
	p := &passages{ids: map[print]int32{}, to: map[uint64]int32{}, sets: newSets(), class: -1}
	p.state(0, -1, noSet)
	return p
}

func (p *passages) state(length, link int32, set setID) int32 {
	p.len, p.link, p.set, p.first = append(p.len, length), append(p.link, link), append(p.set, set), append(p.first, -1)
	return int32(len(p.len) - 1)
}

func transition(s, word int32) uint64 { return uint64(s)<<32 | uint64(uint32(word)) }

func (p *passages) go1(s, word int32) (int32, bool) {
	q, ok := p.to[transition(s, word)]
	return q, ok
}

func (p *passages) connect(s, word, q int32) {
	k := transition(s, word)
	if _, ok := p.to[k]; !ok {
		p.arcs = append(p.arcs, arc{word, p.first[s]})
		p.first[s] = int32(len(p.arcs) - 1)
	}
	p.to[k] = q
}

// begin starts a text of a class.
func (p *passages) begin(class int32) {
	p.of(class)
	p.last = 0
	p.log = append(p.log, markText)
}

func (p *passages) of(class int32) {
	if class != p.class {
		p.class = class
		p.log = append(p.log, markClass-class)
	}
}

// add appends a word to the text begun.
func (p *passages) add(w print) { p.addID(p.id(w)) }

func (p *passages) id(w print) int32 {
	id, ok := p.ids[w]
	if !ok {
		id = int32(len(p.ids))
		p.ids[w] = id
	}
	return id
}

func (p *passages) addID(id int32) {
	p.log = append(p.log, id)
	p.words++
	p.last = p.extend(p.last, id)
	p.mark(p.last, p.class)
}

// mark gives a class to a state and to everything that its passages end with. A state that has the class passed it on already.
func (p *passages) mark(s, class int32) {
	for ; s > 0 && !p.sets.has(p.set[s], class); s = p.link[s] {
		p.set[s] = p.sets.with(p.set[s], class)
	}
}

// leaf adds the words of one field, so that a passage that is only a piece of it can be told from the whole.
func (p *passages) leaf(class int32, ws []word) {
	p.of(class)
	ids := make([]int32, len(ws))
	for i, w := range ws {
		ids[i] = p.id(w.print)
	}
	p.leafIDs(ids)
}

func (p *passages) leafIDs(ids []int32) {
	p.log = append(append(append(p.log, markLeaf), ids...), markEnd)
	p.words += len(ids)
	s := int32(0)
	for i, id := range ids {
		s = p.extend(s, id)
		p.mark(s, p.class)
		if i < len(ids)-1 {
			p.mark(s, p.class+ofPieces)
		}
	}
	// What ends where the leaf ends is a piece of it unless it begins where the leaf begins: all but the first word has a state of its own from now on.
	s = 0
	for _, id := range ids[1:] {
		s = p.extend(s, id)
	}
	p.mark(s, p.class+ofPieces)
}

func (p *passages) extend(s, word int32) int32 {
	if q, ok := p.go1(s, word); ok {
		if p.len[q] == p.len[s]+1 {
			return q
		}
		return p.split(s, word, q)
	}
	cur := p.state(p.len[s]+1, 0, noSet)
	for {
		q, ok := p.go1(s, word)
		if !ok {
			p.connect(s, word, cur)
			if s = p.link[s]; s < 0 {
				return cur
			}
			continue
		}
		if p.len[q] != p.len[s]+1 {
			q = p.split(s, word, q)
		}
		p.link[cur] = q
		return cur
	}
}

// split makes a state of its own for the shorter passages of q.
func (p *passages) split(s, word, q int32) int32 {
	c := p.state(p.len[s]+1, p.link[q], p.set[q])
	for e := p.first[q]; e >= 0; e = p.arcs[e].next {
		w := p.arcs[e].word
		p.connect(c, w, p.to[transition(q, w)])
	}
	p.link[q] = c
	for s >= 0 && p.to[transition(s, word)] == q {
		if _, ok := p.go1(s, word); !ok {
			break
		}
		p.to[transition(s, word)] = c
		s = p.link[s]
	}
	return c
}

// longest returns how many of the words, from the first, stand in one text, and the classes in which they do.
func (p *passages) longest(words []word) (n int, in setID) {
	s := int32(0)
	for _, w := range words {
		id, ok := p.ids[w.print]
		if !ok {
			break
		}
		q, ok := p.go1(s, id)
		if !ok {
			break
		}
		s = q
		n++
	}
	return n, p.set[s]
}

// one returns the classes in which a single word or thing stands.
func (p *passages) one(w print) setID {
	if id, ok := p.ids[w]; ok {
		if q, ok := p.go1(0, id); ok {
			return p.set[q]
		}
	}
	return noSet
}

// setID is the number of a set of classes.
type setID int32

// The sets that need no list. Every class is in manySources.
const (
	noSet       setID = 0
	manySources setID = 1
)

// The bounds on sets; beyond them a passage counts as coming from everywhere.
const (
	maxSet      = 128
	maxSetTotal = 1 << 19
)

// sets numbers the sets of classes that occur. Each is sorted, and there is one of each.
type sets struct {
	list  [][]int32
	by    map[string]setID
	next  map[uint64]setID // a set and a class → the set with that class
	total int
}

func newSets() *sets {
	return &sets{list: make([][]int32, 2), by: map[string]setID{}, next: map[uint64]setID{}}
}

func (s *sets) has(id setID, class int32) bool {
	if id == manySources {
		return true
	}
	for _, c := range s.list[id] {
		if c == class {
			return true
		}
	}
	return false
}

func (s *sets) with(id setID, class int32) setID {
	k := uint64(id)<<32 | uint64(uint32(class))
	if n, ok := s.next[k]; ok {
		return n
	}
	old := s.list[id]
	if len(old) >= maxSet || s.total > maxSetTotal {
		return manySources
	}
	list := make([]int32, 0, len(old)+1)
	i := 0
	for ; i < len(old) && old[i] < class; i++ {
		list = append(list, old[i])
	}
	list = append(append(list, class), old[i:]...)
	key := make([]byte, 0, 2*len(list))
	for _, c := range list {
		key = append(key, byte(c>>8), byte(c))
	}
	n, ok := s.by[string(key)]
	if !ok {
		n = setID(len(s.list))
		s.list = append(s.list, list)
		s.by[string(key)] = n
		s.total += len(list)
	}
	s.next[k] = n
	return n
}
