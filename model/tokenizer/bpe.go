package tokenizer

import "container/heap"

// pair is two neighbouring tokens.
type pair struct{ left, right int32 }

// merge says what a pair becomes, and which merges go before it: those of lower rank.
type merge struct {
	rank int
	id   int32
}

// symbol is a token within a word, in a list of those that are left.
type symbol struct {
	id         int32
	prev, next int // indexes, -1 at the ends
	dead       bool
}

// candidate is a pair that may merge. It is stale when either side has changed since.
type candidate struct {
	merge
	at   int // index of the left symbol
	pair pair
}

type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	if c[i].rank != c[j].rank {
		return c[i].rank < c[j].rank
	}
	return c[i].at < c[j].at
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	old := *c
	last := old[len(old)-1]
	*c = old[:len(old)-1]
	return last
}

// merge spells a word in bytes and merges neighbours, lowest rank first and from the left among equals, until no pair of the word merges. It takes n log n steps for n bytes, so that a long word is no attack.
func (t *Tokenizer) merge(w string) []int32 {
	list := make([]symbol, len(w))
	for i := range list {
		list[i] = symbol{id: t.byteID[w[i]], prev: i - 1, next: i + 1}
	}
	list[len(list)-1].next = -1
	var open candidates
	offer := func(at int) {
		if at < 0 || list[at].next < 0 {
			return
		}
		p := pair{list[at].id, list[list[at].next].id}
		if m, ok := t.ranks[p]; ok {
			heap.Push(&open, candidate{merge: m, at: at, pair: p})
		}
	}
	for i := range list {
		offer(i)
	}
	for len(open) > 0 {
		c := heap.Pop(&open).(candidate)
		left := &list[c.at]
		if left.dead || left.id != c.pair.left || left.next < 0 || list[left.next].id != c.pair.right {
			continue
		}
		right := &list[left.next]
		right.dead = true
		left.id, left.next = c.id, right.next
		if right.next >= 0 {
			list[right.next].prev = c.at
		}
		offer(left.prev)
		offer(c.at)
	}
	var ids []int32
	for i := 0; i >= 0; i = list[i].next {
		ids = append(ids, list[i].id)
	}
	return ids
}
