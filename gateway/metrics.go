package gateway

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
)

// counts is what the door counts. What should stay at zero is said in metrics.
type counts struct {
	inFlight                                                                              atomic.Int64
	shed, refused, unrouted, foreign, hosted, hidden, ran, stateful, repeated             atomic.Int64
	revisions, upstreamErrors, reloads, reloadsFailed, attached, webhooks, webhooksFailed atomic.Int64

	candidates, chosen, bettered, broken, wentBack atomic.Int64

	mu        sync.Mutex
	requests  map[[2]string]int64 // wire, outcome
	seconds   map[string]*histogram
	added     map[string]*histogram
	decisions map[[3]string]int64 // wire, point, outcome
	retired   guard.Counts
	live      []*generation // of which guards may still be in use

	journalFaults faultClock
}

// histogram counts durations in buckets that grow by the factor of 2.5 or so.
type histogram struct {
	n   [len(bounds) + 1]int64
	sum float64
	all int64
}

var bounds = [...]float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}

func (h *histogram) add(d time.Duration) {
	s := d.Seconds()
	i := 0
	for i < len(bounds) && s > bounds[i] {
		i++
	}
	h.n[i]++
	h.sum += s
	h.all++
}

func (c *counts) request(wire, outcome string, took, upstream time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requests == nil {
		c.requests, c.seconds, c.added = map[[2]string]int64{}, map[string]*histogram{}, map[string]*histogram{}
	}
	c.requests[[2]string{wire, outcome}]++
	for _, h := range []struct {
		m map[string]*histogram
		d time.Duration
	}{{c.seconds, took}, {c.added, took - upstream}} {
		if h.m[wire] == nil {
			h.m[wire] = &histogram{}
		}
		h.m[wire].add(h.d)
	}
}

func (c *counts) decided(wire string, r *proviso.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.decisions == nil {
		c.decisions = map[[3]string]int64{}
	}
	c.decisions[[3]string{wire, r.Event.Point.String(), r.Decision.Outcome.String()}]++
}

// retire keeps the counts of the guards of a generation that no new request uses. Beyond a few generations the oldest is summed up; requests of it that are still on their way count no more.
func (c *counts) retire(g *generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live = append(c.live, g); len(c.live) <= maxLive {
		return
	}
	c.live[0].guards(func(x *guard.Guard) { addCounts(&c.retired, x.Counts()) })
	c.live = append([]*generation(nil), c.live[1:]...)
}

const maxLive = 4

// faultClock remembers when something failed last.
type faultClock struct {
	mu   sync.Mutex
	seen int64
	at   time.Time
}

// notice takes the number of failures so far.
func (f *faultClock) notice(n int64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n > f.seen {
		f.seen, f.at = n, now
	}
}

// failing reports whether something failed within the last ten seconds.
func (f *faultClock) failing(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.at.IsZero() && now.Sub(f.at) < 10*time.Second
}

// guardCounts sums what all guards have counted, those of earlier generations included.
func (s *Server) guardCounts() guard.Counts {
	var sum guard.Counts
	add := func(g *guard.Guard) { addCounts(&sum, g.Counts()) }
	s.gen.Load().guards(add)
	s.counts.mu.Lock()
	live := s.counts.live
	addCounts(&sum, s.counts.retired)
	s.counts.mu.Unlock()
	for _, g := range live {
		g.guards(add)
	}
	s.counts.journalFaults.notice(sum.Journal, s.now())
	return sum
}

func addCounts(to *guard.Counts, c guard.Counts) {
	for _, f := range guardFields {
		*f.of(to) += *f.of(&c)
	}
}

// guardFields names what guards count, for metrics.
var guardFields = []struct {
	name, help string
	of         func(*guard.Counts) *int64
}{
	{"decisions", "Events decided.", func(c *guard.Counts) *int64 { return &c.Decisions }},
	{"denied", "Events not allowed, for whatever reason.", func(c *guard.Counts) *int64 { return &c.Denied }},
	{"failed_open", "Events allowed because the pack opens a point on errors. Should stay 0.", func(c *guard.Counts) *int64 { return &c.FailedOpen }},
	{"faults", "Faults named in decisions.", func(c *guard.Counts) *int64 { return &c.Errors }},
	{"journal_failures", "Appends that failed. Should stay 0.", func(c *guard.Counts) *int64 { return &c.Journal }},
	{"records_lost", "Records that will never be in the journal. Should stay 0.", func(c *guard.Counts) *int64 { return &c.Lost }},
	{"conflicts", "Another guard appended to the session first.", func(c *guard.Counts) *int64 { return &c.Conflicts }},
	{"folds", "Sessions folded from the journal.", func(c *guard.Counts) *int64 { return &c.Folds }},
	{"judge_failures", "Rounds of questions that the judge failed or did not answer in time.", func(c *guard.Counts) *int64 { return &c.Judge }},
	{"quotes_refused", "Answers of judges whose quotes do not exist.", func(c *guard.Counts) *int64 { return &c.Quotes }},
	{"panics", "Panics of tools and judges. Should stay 0.", func(c *guard.Counts) *int64 { return &c.Panics }},
	{"approvals_failed", "Escalated calls that could not be put on record for approval.", func(c *guard.Counts) *int64 { return &c.Approvals }},
}

// counters are what the door itself counts.
func (c *counts) counters() []struct {
	name, help string
	v          int64
} {
	return []struct {
		name, help string
		v          int64
	}{
		{"requests_shed_total", "Requests told to come again.", c.shed.Load()},
		{"callers_refused_total", "Callers that were not let in.", c.refused.Load()},
		{"unrouted_total", "Requests for paths that are not served.", c.unrouted.Load()},
		{"foreign_parts_total", "Requests and answers denied for a part that no rule sees.", c.foreign.Load()},
		{"hosted_tools_refused_total", "Tools of providers that were taken out of requests.", c.hosted.Load()},
		{"tools_hidden_total", "Tools taken out of requests because no call of them is ever allowed.", c.hidden.Load()},
		{"calls_ran_undecided_total", "Calls that a provider had run before they were denied. Should stay 0.", c.ran.Load()},
		{"sessions_unnamed_denials_total", "Calls denied because the past decides and the request names no session.", c.stateful.Load()},
		{"repeated_denials_total", "Denials beyond the budget of identical ones.", c.repeated.Load()},
		{"revisions_total", "Answers that went back to the model.", c.revisions.Load()},
		{"candidates_total", "Answers among which one was chosen.", c.candidates.Load()},
		{"chosen_total", "Choices among candidates.", c.chosen.Load()},
		{"bettered_total", "Choices of a candidate that the policy thinks better of than of the first.", c.bettered.Load()},
		{"upstream_errors_total", "Upstreams that failed.", c.upstreamErrors.Load()},
		{"reloads_total", "Policies loaded.", c.reloads.Load()},
		{"reloads_failed_total", "Policies that could not be loaded; what stood before went on.", c.reloadsFailed.Load()},
		{"reloads_backward_total", "Policies loaded of which a pack has a lower version than it had.", c.wentBack.Load()},
		{"overlays_attached_total", "Overlays attached to sessions.", c.attached.Load()},
		{"requests_broken_total", "Requests that made the server fail. Should stay 0.", c.broken.Load()},
		{"webhooks_total", "Requests for approval told to the webhook.", c.webhooks.Load()},
		{"webhooks_failed_total", "Requests for approval that the webhook was not told.", c.webhooksFailed.Load()},
	}
}

// MetricKind tells how the values of a metric are to be read.
type MetricKind string

// The kinds of metrics, as Prometheus and OpenTelemetry have them.
const (
	Counter   MetricKind = "counter"   // only grows while the server runs
	Gauge     MetricKind = "gauge"     // goes up and down
	Histogram MetricKind = "histogram" // durations, counted in buckets
)

// Metric is one thing that a server counts, with its values.
type Metric struct {
	Name   string // as Prometheus has it, without proviso_ in front
	Help   string // one sentence
	Unit   string // in the Unified Code for Units of Measure (UCUM): "s", or empty for plain numbers
	Kind   MetricKind
	Points []MetricPoint
}

// MetricPoint is the value of a metric for one set of labels. Bounds, Buckets, Sum and Count are those of a histogram: Buckets has one entry more than Bounds, and a value counts in the first bucket whose bound it does not exceed.
type MetricPoint struct {
	Labels  []Label
	Value   int64
	Bounds  []float64
	Buckets []int64
	Sum     float64
	Count   int64
}

// Label is the name and the value of a label.
type Label struct{ Name, Value string }

// Metrics lists everything that the server counts, as it stands. No name and no label holds anything that a client or a model wrote.
func (s *Server) Metrics() []Metric {
	guards := s.guardCounts()
	var out []Metric
	one := func(name, help string, kind MetricKind, v int64, labels ...Label) {
		out = append(out, Metric{Name: name, Help: help, Kind: kind, Points: []MetricPoint{{Labels: labels, Value: v}}})
	}
	for _, f := range guardFields {
		one("guard_"+f.name+"_total", f.help, Counter, *f.of(&guards))
	}
	for _, c := range s.counts.counters() {
		one(c.name, c.help, Counter, c.v)
	}
	one("requests_in_flight", "Requests being served.", Gauge, s.counts.inFlight.Load())
	g := s.gen.Load()
	one("policy_info", "The active policy.", Gauge, 1, Label{"digest", g.base.policy.Digest()}, Label{"generation", strconv.Itoa(g.number)})
	c := &s.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	m := Metric{Name: "requests_total", Help: "Requests by wire and what came of them.", Kind: Counter}
	for _, k := range slices.SortedFunc(maps.Keys(c.requests), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		m.Points = append(m.Points, MetricPoint{Labels: []Label{{"wire", k[0]}, {"outcome", k[1]}}, Value: c.requests[k]})
	}
	out = append(out, m)
	m = Metric{Name: "decisions_total", Help: "Decisions by wire, point and outcome.", Kind: Counter}
	for _, k := range slices.SortedFunc(maps.Keys(c.decisions), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		m.Points = append(m.Points, MetricPoint{Labels: []Label{{"wire", k[0]}, {"point", k[1]}, {"outcome", k[2]}}, Value: c.decisions[k]})
	}
	out = append(out, m)
	for _, x := range []struct {
		name, help string
		m          map[string]*histogram
	}{{"request_seconds", "How long requests took, the upstream included.", c.seconds}, {"added_seconds", "What this server added to requests.", c.added}} {
		m := Metric{Name: x.name, Help: x.help, Unit: "s", Kind: Histogram}
		for _, k := range slices.Sorted(maps.Keys(x.m)) {
			h := x.m[k]
			m.Points = append(m.Points, MetricPoint{Labels: []Label{{"wire", k}}, Bounds: bounds[:], Buckets: slices.Clone(h.n[:]), Sum: h.sum, Count: h.all})
		}
		out = append(out, m)
	}
	return out
}

// metrics writes the text format of Prometheus (version 0.0.4).
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	for _, m := range s.Metrics() {
		fmt.Fprintf(&b, "# HELP proviso_%s %s\n# TYPE proviso_%s %s\n", m.Name, m.Help, m.Name, m.Kind)
		for _, p := range m.Points {
			p.write(&b, m.Name, m.Kind)
		}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Write(b.Bytes())
}

func (p *MetricPoint) write(b *bytes.Buffer, name string, kind MetricKind) {
	if kind != Histogram {
		fmt.Fprintf(b, "proviso_%s%s %d\n", name, labelled(p.Labels), p.Value)
		return
	}
	sum := int64(0)
	for i, n := range p.Buckets {
		sum += n
		le := "+Inf"
		if i < len(p.Bounds) {
			le = strconv.FormatFloat(p.Bounds[i], 'g', -1, 64)
		}
		fmt.Fprintf(b, "proviso_%s_bucket%s %d\n", name, labelled(append(slices.Clip(p.Labels), Label{"le", le})), sum)
	}
	fmt.Fprintf(b, "proviso_%s_sum%s %g\nproviso_%s_count%s %d\n", name, labelled(p.Labels), p.Sum, name, labelled(p.Labels), p.Count)
}

// labelled writes labels as Prometheus has them.
func labelled(labels []Label) string {
	if len(labels) == 0 {
		return ""
	}
	var b strings.Builder
	for i, l := range labels {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s=%q", l.Name, l.Value)
	}
	return "{" + b.String() + "}"
}
