package session

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// snapshotVersion changes with the layout; a snapshot of another version is refused, and the state has to be folded again.
const snapshotVersion = 3

// snapshot is a State as JSON. Everything that a map holds is sorted, so that equal states have equal snapshots.
type snapshot struct {
	Version  int                  `json:"version"`
	Policy   string               `json:"policy"`
	Session  string               `json:"session"`
	Seq      uint64               `json:"seq"`
	Clock    int64                `json:"clock"`
	Started  time.Time            `json:"started,omitzero"`
	Begun    bool                 `json:"begun,omitempty"`
	Changed  bool                 `json:"changed,omitempty"`
	Turns    int64                `json:"turns,omitempty"`
	Agents   []string             `json:"agents,omitempty"`
	Scopes   []string             `json:"scopes,omitempty"`
	Parent   *proviso.Lifecycle   `json:"parent,omitempty"`
	Vars     []proviso.FactValue  `json:"vars,omitempty"`
	Fault    *proviso.Fault       `json:"fault,omitempty"`
	PastFull *proviso.Fault       `json:"past_fault,omitempty"`
	Facts    []proviso.FactValue  `json:"facts,omitempty"`
	Full     []string             `json:"full_facts,omitempty"`
	Lost     []string             `json:"lost_facts,omitempty"`
	Marks    []snapMark           `json:"stale,omitempty"`
	Floor    uint64               `json:"stale_floor,omitempty"`
	Overrun  bool                 `json:"stale_overrun,omitempty"`
	Response string               `json:"response,omitempty"`
	Calls    []snapCall           `json:"calls,omitempty"`
	Held     []snapHeld           `json:"held,omitempty"`
	Queries  map[string][]snapSer `json:"queries,omitempty"`
	Said     []snapSaid           `json:"said,omitempty"`
	Count    uint64               `json:"said_count,omitempty"`
	Used     map[string]uint64    `json:"used,omitempty"`
	Waits    []proviso.Event      `json:"waits,omitempty"`
	Answers  []snapAnswer         `json:"answers,omitempty"`
	Known    []byte               `json:"known,omitempty"`
	Cut      bool                 `json:"known_cut,omitempty"`
	Origins  *snapOrigins         `json:"origins,omitempty"`
}

type snapMark struct {
	proviso.FactKey
	Owner uint64 `json:"owner"`
	End   uint64 `json:"end,omitempty"`
}

type snapCall struct {
	Event proviso.Event `json:"event"`
	Seq   uint64        `json:"seq"`
	Asked bool          `json:"asked,omitempty"`
}

type snapHeld struct {
	Call  uint64              `json:"call"`
	Event proviso.Event       `json:"event"`
	Phase proviso.Phase       `json:"phase"`
	Facts []proviso.FactValue `json:"facts,omitempty"`
	Seq   uint64              `json:"seq"`
	At    int64               `json:"at"`
}

type snapSer struct {
	Key    string `json:"key,omitempty"`
	N      int64  `json:"n"`
	Sum    int64  `json:"sum,omitempty"`
	Last   int64  `json:"last"`
	Points []byte `json:"points,omitempty"` // three zig-zag varints each, the first as the distance from the one before: there may be one for every call
	Open   []byte `json:"open,omitempty"`
}

type snapSaid struct {
	Seq uint64 `json:"seq"`
	proviso.Message
	// Stance is written where the text was cut; of other messages it is read again.
	Cut    bool  `json:"cut,omitempty"`
	Stance uint8 `json:"stance,omitempty"`
	Asks   []ask `json:"asks,omitempty"`
}

type snapAnswer struct {
	Hash  string      `json:"hash"`
	Value proviso.Tri `json:"value"`
}

// Snapshot writes the state, so that a long session need not be folded from its first record. Restore reads it back.
func (s *State) Snapshot() ([]byte, error) {
	x := snapshot{
		Version: snapshotVersion, Policy: s.digest, Session: s.id, Seq: s.seq, Clock: s.past.clock, Started: s.started.UTC(), Begun: s.begun, Changed: s.changed, Turns: s.turns,
		Agents: s.agents, Scopes: s.scopes, Parent: s.parent, Fault: s.fault, PastFull: s.past.fault,
		Floor: s.facts.floor, Overrun: s.facts.overrun, Response: s.calls.response,
		Count: s.talk.count, Used: s.talk.used, Cut: s.known.cut,
	}
	for _, k := range slices.Sorted(maps.Keys(s.vars)) {
		if k != "id" && k != "turns" && k != "started" {
			x.Vars = append(x.Vars, proviso.FactValue{FactKey: proviso.FactKey{Fact: k}, Value: s.vars[k]})
		}
	}
	s.facts.snapshot(&x)
	s.calls.snapshot(&x)
	s.past.snapshot(&x)
	for _, m := range s.talk.said {
		one := snapSaid{Seq: m.seq, Message: proviso.Message{Role: m.role, Text: m.text, Confirms: m.confirms}, Cut: m.cut, Asks: m.asks}
		if m.cut {
			one.Stance = uint8(m.stance)
		}
		x.Said = append(x.Said, one)
	}
	for _, in := range s.talk.waits {
		x.Waits = append(x.Waits, *in.Event)
	}
	for _, h := range s.answers.order {
		x.Answers = append(x.Answers, snapAnswer{h, s.answers.by[h]})
	}
	x.Known = make([]byte, 0, len(s.known.entries)*(len(digest{})+1))
	for _, e := range s.known.entries {
		x.Known = append(append(x.Known, e.digest[:]...), entryFlags(e))
	}
	x.Origins = s.origins.snapshot()
	b, err := proviso.AppendJSON(make([]byte, 0, 2*len(x.Known)+4096), &x)
	if err != nil {
		return nil, fmt.Errorf("session: snapshot of %q: %w", s.id, err)
	}
	return b, nil
}

func (f *facts) snapshot(x *snapshot) {
	for i := range f.tables {
		t := &f.tables[i]
		if t.full {
			x.Full = append(x.Full, t.name)
		}
		if t.lost {
			x.Lost = append(x.Lost, t.name)
		}
		x.Facts = t.root.list(x.Facts, proviso.FactKey{Fact: t.name})
	}
	slices.Sort(x.Full)
	slices.Sort(x.Lost)
	slices.SortStableFunc(x.Facts, func(a, b proviso.FactValue) int { return strings.Compare(a.Fact, b.Fact) })
	for _, m := range f.marks {
		x.Marks = append(x.Marks, snapMark{proviso.FactKey{Fact: f.tables[m.fact].name, Key: m.key}, m.owner, m.end})
	}
}

func (l *level) list(out []proviso.FactValue, at proviso.FactKey) []proviso.FactValue {
	if l.state != policy.Unobserved {
		out = append(out, proviso.FactValue{FactKey: at, Value: l.val, Err: l.err})
	}
	for _, k := range slices.Sorted(maps.Keys(l.kids)) {
		out = l.kids[k].list(out, proviso.FactKey{Fact: at.Fact, Key: append(slices.Clip(at.Key), k)})
	}
	return out
}

func (cs *calls) snapshot(x *snapshot) {
	for _, c := range cs.byID {
		x.Calls = append(x.Calls, snapCall{*c.in.Event, c.seq, c.asked})
	}
	for _, c := range cs.anon {
		x.Calls = append(x.Calls, snapCall{*c.in.Event, c.seq, c.asked})
	}
	slices.SortFunc(x.Calls, func(a, b snapCall) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, h := range cs.held {
		x.Held = append(x.Held, snapHeld{h.call.seq, *h.in.Event, h.phase, h.facts, h.seq, h.at})
	}
}

func (h *history) snapshot(x *snapshot) {
	x.Queries = map[string][]snapSer{}
	for i := range h.q {
		q := &h.q[i]
		var out []snapSer
		if q.one != nil && (q.one.n > 0 || len(q.one.open) > 0) {
			out = append(out, q.one.snapshot(""))
		}
		for _, k := range slices.Sorted(maps.Keys(q.many)) {
			out = append(out, q.many[k].snapshot(k))
		}
		if out != nil {
			x.Queries[queryName(q.Query)] = out
		}
	}
}

func (s *series) snapshot(key string) snapSer {
	out := snapSer{Key: key, N: s.n, Sum: s.sum, Last: s.last}
	var at, seq int64
	for _, p := range s.ring {
		out.Points = appendTriple(out.Points, p.at-at, p.n, p.sum)
		at = p.at
	}
	for _, f := range s.open {
		out.Open = appendTriple(out.Open, int64(f.seq)-seq, f.at, f.sum)
		seq = int64(f.seq)
	}
	return out
}

func appendTriple(b []byte, x, y, z int64) []byte {
	return binary.AppendVarint(binary.AppendVarint(binary.AppendVarint(b, x), y), z)
}

// triples gives back what appendTriple wrote, the first numbers summed up, and reports whether that is all there is.
func triples(b []byte, each func(x, y, z int64) bool) bool {
	var sum int64
	for len(b) > 0 {
		var v [3]int64
		for i := range v {
			n := 0
			if v[i], n = binary.Varint(b); n <= 0 {
				return false
			}
			b = b[n:]
		}
		sum += v[0]
		if !each(sum, v[1], v[2]) {
			return false
		}
	}
	return true
}

// queryName identifies a query whatever its number: policies with one digest may number them differently.
func queryName(q policy.Query) string {
	return strings.Join([]string{strings.Join(q.Tools, ","), strings.Join(q.Filter, ","), q.Field, string(q.Phase), strconv.FormatInt(int64(q.Within), 10)}, "|")
}

func entryFlags(e entry) byte {
	var f byte
	if e.optional {
		f |= 1
	}
	if e.keyed {
		f |= 2
	}
	return f
}

// Restore reads a snapshot that Snapshot wrote under a policy of the same digest. Under another policy the session has to be folded from its records.
func Restore(rules Rules, b []byte) (*State, error) {
	var x snapshot
	if err := proviso.DecodeStrict(b, &x); err != nil {
		return nil, &FoldError{CodeSnapshot, "snapshot: " + err.Error()}
	}
	s := New(rules, x.Session)
	switch {
	case x.Version != snapshotVersion:
		return nil, &FoldError{CodeSnapshot, fmt.Sprintf("snapshot of version %d, want %d; fold the records", x.Version, snapshotVersion)}
	case x.Policy != s.digest:
		return nil, &FoldError{CodeSnapshot, fmt.Sprintf("snapshot under policy %q, the policy is %q; fold the records", x.Policy, s.digest)}
	}
	s.seq, s.started, s.begun, s.changed, s.turns = x.Seq, x.Started, x.Begun, x.Changed, x.Turns
	s.agents, s.scopes, s.parent, s.fault = x.Agents, x.Scopes, x.Parent, x.Fault
	clear(s.vars)
	s.vars["id"], s.vars["turns"], s.vars["started"] = s.id, s.turns, s.started
	for _, v := range x.Vars {
		s.vars[v.Fact] = v.Value
	}
	if err := s.facts.restore(&x); err != nil {
		return nil, err
	}
	open, err := s.restoreCalls(&x)
	if err != nil {
		return nil, err
	}
	if err := s.past.restore(&x, open); err != nil {
		return nil, err
	}
	for _, m := range x.Said {
		if m.Stance > uint8(agrees) {
			return nil, &FoldError{CodeSnapshot, "snapshot: a message has no known stance"}
		}
		s.talk.keep(said{seq: m.Seq, role: m.Role, text: m.Text, stance: stance(m.Stance), confirms: m.Confirms, asks: m.Asks, read: m.Cut, cut: m.Cut})
	}
	s.talk.count, s.talk.used = x.Count, x.Used
	if len(x.Waits) > maxWaits {
		return nil, &FoldError{CodeSnapshot, fmt.Sprintf("snapshot: more than %d calls wait for a confirmation", maxWaits)}
	}
	for i := range x.Waits {
		s.talk.waits = append(s.talk.waits, s.rules.Bind(&x.Waits[i], nil))
	}
	for _, a := range x.Answers {
		s.answers.keep([]proviso.Answer{{Hash: a.Hash, Value: a.Value}})
	}
	if err := s.origins.restore(x.Origins); err != nil {
		return nil, err
	}
	return s, s.known.restore(&x)
}

func (f *facts) restore(x *snapshot) error {
	for _, v := range x.Facts {
		f.observe(v, math.MaxUint64)
	}
	for _, name := range x.Full {
		if i, ok := f.index[name]; ok {
			f.tables[i].full = true
		}
	}
	for _, name := range x.Lost {
		if i, ok := f.index[name]; ok {
			f.tables[i].lost, f.tables[i].initial = true, nil
		}
	}
	for _, m := range x.Marks {
		i, ok := f.index[m.Fact]
		if !ok {
			return &FoldError{CodeSnapshot, fmt.Sprintf("snapshot: unknown fact %q", m.Fact)}
		}
		f.marks = append(f.marks, mark{i, m.Key, m.Owner, m.End})
	}
	f.floor, f.overrun = x.Floor, x.Overrun
	return nil
}

// restoreCalls binds the calls in flight again and returns them by the event of their release.
func (s *State) restoreCalls(x *snapshot) (map[uint64]*call, error) {
	open := map[uint64]*call{}
	for i := range x.Calls {
		c := &x.Calls[i]
		if _, ok := c.Event.Body.(*proviso.ToolCall); !ok {
			return nil, &FoldError{CodeSnapshot, "snapshot: an event in flight is no call"}
		}
		o := &call{in: s.rules.Bind(&c.Event, nil), seq: c.Seq, asked: c.Asked}
		open[c.Seq] = o
		s.calls.add(o)
	}
	s.calls.response = x.Response
	for i := range x.Held {
		h := &x.Held[i]
		c := open[h.Call]
		if c == nil {
			return nil, &FoldError{CodeSnapshot, fmt.Sprintf("snapshot: a result of call %d, which is not in flight", h.Call)}
		}
		c.answered = true
		s.calls.held = append(s.calls.held, answered{c, s.rules.Bind(&h.Event, c.in), h.Phase, h.Facts, h.Seq, h.At})
	}
	return open, nil
}

func (h *history) restore(x *snapshot, open map[uint64]*call) error {
	h.clock, h.fault = x.Clock, x.PastFull
	found := 0
	for i := range h.q {
		q := &h.q[i]
		list, ok := x.Queries[queryName(q.Query)]
		if !ok {
			continue
		}
		found++
		for _, in := range list {
			s := &series{n: in.N, sum: in.Sum, last: in.Last}
			whole := triples(in.Points, func(at, n, sum int64) bool {
				s.ring = append(s.ring, point{at, n, sum})
				return true
			})
			if !whole {
				return &FoldError{CodeSnapshot, "snapshot: a point of a window is cut off"}
			}
			whole = triples(in.Open, func(seq, at, sum int64) bool {
				s.open = append(s.open, flight{uint64(seq), at, sum})
				return open[uint64(seq)] != nil
			})
			if !whole {
				return &FoldError{CodeSnapshot, "snapshot: a reservation without its call"}
			}
			h.points += len(s.ring)
			if q.many == nil {
				q.one = s
				continue
			}
			q.many[in.Key] = s
			h.series++
		}
	}
	if found != len(x.Queries) {
		return &FoldError{CodeSnapshot, "snapshot: it counts what the policy does not ask; fold the records"}
	}
	return nil
}

func (t *transcript) restore(x *snapshot) error {
	const size = len(digest{}) + 1
	if len(x.Known)%size != 0 {
		return &FoldError{CodeSnapshot, "snapshot: the transcript is cut off"}
	}
	for b := x.Known; len(b) > 0; b = b[size:] {
		e := entry{optional: b[size-1]&1 != 0, keyed: b[size-1]&2 != 0}
		copy(e.digest[:], b)
		t.entries = append(t.entries, e)
	}
	t.cut = x.Cut
	return nil
}
