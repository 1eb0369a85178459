package session

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// history counts calls by phase, with one index for each query of the policy, so that an answer does not depend on the length of the session. It implements policy.History.
//
// A query of phase ok, error, attempted or denied counts calls that entered the phase, at the time they did. One of phase released counts calls in flight, at the time of their release.
// One of phase reserved counts both those in flight and those that ended ok; a call that failed gives its reservation back.
//
// Times only order windows. Within a session they never run backwards: an event that carries an earlier time than the one before counts as simultaneous with it.
type history struct {
	byTool map[string][]int // tool → numbers of the queries that name it
	q      []index
	asks   map[string][]string // tool → the arguments that the queries ask for
	series int
	points int
	clock  int64 // unix nanoseconds of the latest event
	buf    []byte
	fault  *proviso.Fault
}

// index answers one query.
type index struct {
	policy.Query
	one  *series            // of a query without filter
	many map[string]*series // by the encoded values of the filter
}

// series is the calls of one index with equal filter values.
type series struct {
	n    int64
	sum  int64 // millionths
	last int64
	ring []point // of a query with a window, in order of time; older points are cut off
	open []flight
}

// point is the state of a series just before a call entered it.
type point struct{ at, n, sum int64 }

// flight is a call in flight.
type flight struct {
	seq     uint64
	at, sum int64
}

func (h *history) init(queries []policy.Query) {
	h.byTool = map[string][]int{}
	h.q = make([]index, len(queries))
	h.clock = math.MinInt64
	h.asks = argumentsAsked(queries)
	for i, q := range queries {
		h.q[i] = index{Query: q}
		if len(q.Filter) > 0 {
			h.q[i].many = map[string]*series{}
		} else {
			h.q[i].one = &series{}
		}
		for _, t := range q.Tools {
			h.byTool[t] = append(h.byTool[t], i)
		}
	}
}

func (h *history) advance(now time.Time) { h.clock = max(h.clock, nanos(now)) }

// nanos keeps times beyond the years 1678 to 2261 in order.
func nanos(t time.Time) int64 {
	const limit = math.MaxInt64/int64(time.Second) - 1
	switch s := t.Unix(); {
	case s < -limit:
		return math.MinInt64
	case s > limit:
		return math.MaxInt64
	}
	return t.UnixNano()
}

// Past answers query number q for the given filter values.
func (h *history) Past(q int, values []any, now time.Time) policy.Past {
	if q < 0 || q >= len(h.q) {
		return policy.Past{}
	}
	x := &h.q[q]
	s := x.one
	if x.many != nil {
		h.buf = h.buf[:0]
		for _, v := range values {
			h.buf = appendKey(h.buf, v)
		}
		if s = x.many[string(h.buf)]; s == nil {
			return policy.Past{}
		}
	}
	from := int64(math.MinInt64)
	if x.Within > 0 {
		if n := max(nanos(now), h.clock); n > math.MinInt64+int64(x.Within) {
			from = n - int64(x.Within)
		}
	}
	return s.past(from, x.Within > 0)
}

func (s *series) past(from int64, windowed bool) policy.Past {
	n, sum, last := s.n, s.sum, s.last
	if windowed {
		if i := s.first(from); i < len(s.ring) {
			n, sum = n-s.ring[i].n, sum-s.ring[i].sum
		} else {
			n, sum = 0, 0
		}
	}
	if n == 0 {
		last = math.MinInt64
	}
	for _, f := range s.open {
		if f.at >= from {
			n, sum = n+1, sum+f.sum
			last = max(last, f.at)
		}
	}
	p := policy.Past{Count: n, Sum: float64(sum) / million}
	if n > 0 {
		p.Last = time.Unix(0, last).UTC()
	}
	return p
}

// first is the number of the first point of the ring at or after a time.
func (s *series) first(from int64) int {
	return sort.Search(len(s.ring), func(i int) bool { return s.ring[i].at >= from })
}

func (h *history) attempted(in *policy.Input) { h.enter(in, proviso.Attempted, h.clock) }
func (h *history) denied(in *policy.Input)    { h.enter(in, proviso.Denied, h.clock) }

// released counts a call as in flight.
func (h *history) released(c *call) {
	for _, i := range h.byTool[toolOf(c.in)] {
		x := &h.q[i]
		if x.Phase != proviso.Released && x.Phase != policy.Reserved {
			continue
		}
		if s, sum := h.of(x, c.in); s != nil {
			s.open = append(s.open, flight{c.seq, h.clock, sum})
		}
	}
}

// finished moves a call out of flight and into the phase that it ended in.
func (h *history) finished(c *call, phase proviso.Phase, at int64) {
	for _, i := range h.byTool[toolOf(c.in)] {
		x := &h.q[i]
		if x.Phase != proviso.Released && x.Phase != policy.Reserved {
			continue
		}
		s, sum := h.of(x, c.in)
		if s == nil {
			continue
		}
		s.open = slices.DeleteFunc(s.open, func(f flight) bool { return f.seq == c.seq })
		if x.Phase == policy.Reserved && phase == proviso.OK {
			h.add(x, s, sum, at)
		}
	}
	h.enter(c.in, phase, at)
}

// enter counts a call in every index of the phase.
func (h *history) enter(in *policy.Input, phase proviso.Phase, at int64) {
	for _, i := range h.byTool[toolOf(in)] {
		x := &h.q[i]
		if x.Phase != phase && (x.Phase != "" || phase != proviso.OK) {
			continue
		}
		if s, sum := h.of(x, in); s != nil {
			h.add(x, s, sum, at)
		}
	}
}

// of returns the series that a call belongs to and what it adds to the sum; nil where the call lacks an argument of the filter, which then equals no value.
func (h *history) of(x *index, in *policy.Input) (*series, int64) {
	sum := h.field(x, in)
	if x.many == nil {
		return x.one, sum
	}
	h.buf = h.buf[:0]
	for _, name := range x.Filter {
		v, ok := in.Args[name]
		if !ok {
			return nil, 0
		}
		h.buf = appendKey(h.buf, v)
	}
	s := x.many[string(h.buf)]
	if s == nil {
		if h.series >= MaxSeries {
			h.full(fmt.Sprintf("the past is counted for more than %d different values", MaxSeries))
			return nil, 0
		}
		h.series++
		s = &series{}
		x.many[string(h.buf)] = s
	}
	return s, sum
}

// field is the summed argument in millionths. An argument left out adds nothing; one that cannot be summed exactly stops the session, because a budget must not lose it.
func (h *history) field(x *index, in *policy.Input) int64 {
	v, ok := in.Args[x.Field]
	if x.Field == "" || !ok || v == nil {
		return 0
	}
	n, ok := micros(v)
	if !ok {
		h.full(fmt.Sprintf("argument %s of %s is too large to be summed exactly", x.Field, toolOf(in)))
	}
	return n
}

// micros converts a number to millionths; ok is false where it does not fit.
func micros(v any) (n int64, ok bool) {
	switch v := v.(type) {
	case int64:
		if v > maxMicros/million || v < -maxMicros/million {
			return 0, false
		}
		return v * million, true
	case float64:
		m := math.Round(v * million)
		if !(math.Abs(m) <= maxMicros) {
			return 0, false
		}
		return int64(m), true
	}
	return 0, false
}

const (
	million = 1_000_000
	// maxMicros bounds one summand, so that a sum overflows only after a thousand of the largest.
	maxMicros = math.MaxInt64 / 1024
)

func (h *history) add(x *index, s *series, sum, at int64) {
	if x.Within > 0 {
		h.prune(x, s)
		if h.points >= MaxPoints {
			h.full(fmt.Sprintf("more than %d calls are inside windows", MaxPoints))
		} else {
			h.points++
			// Held results come in with the time they had, which may lie before a point that was added meanwhile.
			if n := len(s.ring); n > 0 {
				at = max(at, s.ring[n-1].at)
			}
			s.ring = append(s.ring, point{at, s.n, s.sum})
		}
	}
	total := s.sum + sum
	if (total > s.sum) != (sum > 0) && sum != 0 {
		h.full("a sum over the session is too large to be exact")
		return
	}
	s.n, s.sum, s.last = s.n+1, total, max(s.last, at)
	if s.n == 1 {
		s.last = at
	}
}

// prune cuts off what no window will ever contain again. Old points are copied away in bulk, so that each costs little.
func (h *history) prune(x *index, s *series) {
	if h.clock <= math.MinInt64+int64(x.Within) {
		return
	}
	cut := s.first(h.clock - int64(x.Within))
	if cut > 16 && cut >= len(s.ring)/2 {
		h.points -= cut
		s.ring = append(s.ring[:0], s.ring[cut:]...)
	}
}

func (h *history) full(msg string) {
	if h.fault == nil {
		h.fault = &proviso.Fault{Code: CodeFull, Msg: "session: " + msg, Hint: "start a new session"}
	}
}

// appendKey encodes a filter value so that two encodings are equal exactly where the values are: 1 equals 1.0, and nothing equals a value of another kind.
func appendKey(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		b = strconv.AppendInt(append(b, 's'), int64(len(v)), 10)
		return append(append(b, ':'), v...)
	case int64:
		return append(strconv.AppendInt(append(b, 'n'), v, 10), ';')
	case int:
		return append(strconv.AppendInt(append(b, 'n'), int64(v), 10), ';')
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<63 {
			return append(strconv.AppendInt(append(b, 'n'), int64(v), 10), ';')
		}
		return append(strconv.AppendFloat(append(b, 'f'), v, 'g', -1, 64), ';')
	case bool:
		return append(strconv.AppendBool(append(b, 'b'), v), ';')
	case time.Time:
		return append(v.UTC().AppendFormat(append(b, 't'), time.RFC3339Nano), ';')
	}
	c := proviso.CanonicalJSON(v)
	b = strconv.AppendInt(append(b, 'j'), int64(len(c)), 10)
	return append(append(b, ':'), c...)
}
