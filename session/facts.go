package session

import (
	"fmt"
	"slices"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// facts holds the entries of every fact. It implements policy.Facts.
type facts struct {
	index  map[string]int
	tables []table
	// marks are the entries that a call in flight makes stale, and those whose call ended while calls released before still are in flight:
	// what these read may be older than the effect.
	marks []mark
	// floor is the release up to which the results of calls supply nothing any more, because their marks had to be forgotten.
	floor uint64
	bytes int // of all entries, about
	// overrun is set where the calls in flight alone make more entries stale than can be kept track of.
	overrun bool
}

// table holds one fact: a tree with a level for each part of the key.
type table struct {
	name      string
	depth     int
	keepFirst bool
	initial   any // of entries that nothing was observed of; nil where those are unknown
	root      level
	n         int
	full      bool
	lost      bool // its initial value is
}

// level is an entry, or the entries below one part of a key.
type level struct {
	kids  map[string]*level
	val   any
	err   string
	state policy.FactState
	size  int // of val in memory, about
}

// mark says that the entries at and below key are stale from the release of the call owner until the event end; 0 while the call is in flight.
type mark struct {
	fact  int
	key   []string
	owner uint64
	end   uint64
}

// maxMarks bounds the marks that are kept for calls that never end.
const maxMarks = 4096

func (f *facts) init(infos []policy.FactInfo) {
	f.index = make(map[string]int, len(infos))
	f.tables = make([]table, len(infos))
	for i, info := range infos {
		f.index[info.Name] = i
		initial, _ := utc(info.Initial)
		f.tables[i] = table{name: info.Name, depth: len(info.Keys), keepFirst: info.KeepFirst, initial: initial}
	}
}

// Fact returns the entry of a fact. An entry that a full table may have lost is in error.
func (f *facts) Fact(i int, key policy.Key) (any, policy.FactState) {
	if i < 0 || i >= len(f.tables) {
		return nil, policy.Unobserved
	}
	t := &f.tables[i]
	l := &t.root
	for _, part := range key.Part[:key.N] {
		if l = l.kids[part]; l == nil {
			if t.full {
				return nil, policy.Broken
			}
			return t.unseen()
		}
	}
	if l.state == policy.Unobserved {
		return t.unseen()
	}
	return l.val, l.state
}

// soFar is the facts of a session together with those that results of parallel calls have shown and conditions must not see yet.
type soFar struct {
	*facts
	held []answered
}

// Fact returns the newest value of an entry.
func (s soFar) Fact(i int, key policy.Key) (any, policy.FactState) {
	for _, h := range slices.Backward(s.held) {
		for _, v := range slices.Backward(h.facts) {
			if s.tables[i].name != v.Fact || !slices.Equal(v.Key, key.Part[:key.N]) {
				continue
			}
			if v.Err != "" {
				return nil, policy.Broken
			}
			return v.Value, policy.Observed
		}
	}
	return s.facts.Fact(i, key)
}

// unseen is an entry that nothing was observed of.
func (t *table) unseen() (any, policy.FactState) {
	if t.initial == nil {
		return nil, policy.Unobserved
	}
	return t.initial, policy.Observed
}

// lose makes the entries of facts with an initial value unknown for the rest of the session: something may have changed them that nobody can read any more.
func (f *facts) lose() {
	for i := range f.tables {
		t := &f.tables[i]
		if t.initial != nil {
			_, bytes := t.root.count()
			f.bytes -= bytes
			t.lost, t.initial, t.root, t.n = true, nil, level{}, 0
		}
	}
}

// observe enters a fact that the result of the call released at event seq supplies.
func (f *facts) observe(v proviso.FactValue, seq uint64) {
	i, ok := f.index[v.Fact]
	if !ok || len(v.Key) != f.tables[i].depth {
		return
	}
	t := &f.tables[i]
	if t.initial == nil && f.outdated(i, v.Key, seq) { // one with an initial value is never stale, and must miss nothing
		return
	}
	size := sizeOf(v.Value)
	for _, part := range v.Key {
		size += len(part)
	}
	old := t.find(v.Key)
	if old == nil && (t.n >= MaxEntries || f.bytes+size > MaxFacts) {
		t.full = true
		return
	}
	if old != nil && f.bytes+size-old.size > MaxFacts {
		// What it was is true no longer, and what it is cannot be kept.
		v.Value, v.Err, size = nil, tooMuch, 0
	}
	l := &t.root
	for _, part := range v.Key {
		if l.kids == nil {
			l.kids = map[string]*level{}
		}
		next := l.kids[part]
		if next == nil {
			next = &level{}
			l.kids[part] = next
		}
		l = next
	}
	if l.state == policy.Unobserved {
		t.n++
	} else if t.keepFirst {
		return
	}
	f.bytes += size - l.size
	l.val, l.err, l.state, l.size = v.Value, v.Err, policy.Observed, size
	if v.Err != "" {
		l.val, l.state = nil, policy.Broken
	}
}

// tooMuch is what an entry says whose value would take the facts beyond MaxFacts.
const tooMuch = "the facts of the session take too much memory"

// sizeOf is about how much memory a value takes, in bytes.
func sizeOf(v any) int {
	const header, entry = 16, 64
	switch v := v.(type) {
	case string:
		return header + len(v)
	case []any:
		n := header
		for _, e := range v {
			n += sizeOf(e)
		}
		return n
	case map[string]any:
		n := header
		for k, e := range v {
			n += entry + len(k) + sizeOf(e)
		}
		return n
	}
	return header
}

// outdated reports whether the result of the call released at event seq may be older than the effect of another call on an entry.
func (f *facts) outdated(fact int, key []string, seq uint64) bool {
	if seq <= f.floor {
		return true
	}
	for _, m := range f.marks {
		if m.owner != seq && (m.end == 0 || m.end > seq) && m.covers(fact, key) {
			return true
		}
	}
	return false
}

func (t *table) find(key []string) *level {
	l := &t.root
	for _, part := range key {
		if l = l.kids[part]; l == nil {
			return nil
		}
	}
	return l
}

// spoil forgets the entries at and below a key. Until the result of the call owner they can only be observed by that result.
func (f *facts) spoil(k proviso.FactKey, owner uint64) {
	i, ok := f.index[k.Fact]
	if !ok || len(k.Key) > f.tables[i].depth {
		return
	}
	f.marks = append(f.marks, mark{fact: i, key: k.Key, owner: owner})
	if len(f.marks) > maxMarks {
		f.forget(owner)
	}
	t := &f.tables[i]
	n, bytes := t.root.remove(k.Key)
	t.n -= n
	f.bytes -= bytes
}

// forget gives up the marks of calls that ended, and with them whatever calls released up to now could still tell.
func (f *facts) forget(now uint64) {
	f.floor = now
	f.marks = slices.DeleteFunc(f.marks, func(m mark) bool { return m.end != 0 })
	f.overrun = len(f.marks) > maxMarks
}

// remove forgets what is at and below key, unlinks levels that become empty, and returns how many entries there were and what they took.
func (l *level) remove(key []string) (n, bytes int) {
	if len(key) == 0 {
		n, bytes = l.count()
		*l = level{}
		return n, bytes
	}
	kid := l.kids[key[0]]
	if kid == nil {
		return 0, 0
	}
	n, bytes = kid.remove(key[1:])
	if kid.state == policy.Unobserved && len(kid.kids) == 0 {
		delete(l.kids, key[0])
	}
	return n, bytes
}

func (l *level) count() (n, bytes int) {
	if l.state != policy.Unobserved {
		n, bytes = 1, l.size
	}
	for _, k := range l.kids {
		m, b := k.count()
		n, bytes = n+m, bytes+b
	}
	return n, bytes
}

// settled ends the marks of a call whose result is event end, and forgets marks that no call in flight is older than.
func (f *facts) settled(owner, end uint64, cs *calls) {
	if len(f.marks) == 0 {
		return
	}
	oldest := cs.oldest(^uint64(0))
	kept := f.marks[:0]
	for _, m := range f.marks {
		if m.owner == owner {
			m.end = end
		}
		if m.end == 0 || m.end > oldest {
			kept = append(kept, m)
		}
	}
	f.marks = kept
}

func (m *mark) covers(fact int, key []string) bool {
	if m.fact != fact || len(m.key) > len(key) {
		return false
	}
	for i, part := range m.key {
		if key[i] != part {
			return false
		}
	}
	return true
}

func (f *facts) faults() []proviso.Fault {
	var out []proviso.Fault
	if f.overrun {
		out = append(out, *f.fault())
	}
	for _, t := range f.tables {
		if t.full {
			out = append(out, proviso.Fault{Code: CodeFactsFull, Expr: t.name, Msg: fmt.Sprintf("fact %s has more than %d entries, or the facts together take more than %d MiB; what is beyond is in error", t.name, MaxEntries, MaxFacts>>20), Hint: "start a new session"})
		}
	}
	return out
}

// fault is why no more calls can be kept account of, nil where they can.
func (f *facts) fault() *proviso.Fault {
	if !f.overrun {
		return nil
	}
	return &proviso.Fault{Code: CodeFull, Msg: fmt.Sprintf("calls in flight make more than %d entries of facts stale", maxMarks), Hint: "report the results of earlier calls first"}
}
