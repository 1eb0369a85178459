// Package otlp tells an OpenTelemetry collector what a gateway does: spans and metrics, as OTLP over HTTP in its JSON form (OpenTelemetry Protocol 1.x). It needs no SDK, and carries no content:
// no text, no arguments, no results.
//
// Attributes and metrics of ours begin with proviso. and do not change. Those of the GenAI conventions of OpenTelemetry are still in development and are sent only where they are opted into (see genai.go for the versions).
package otlp

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proviso-dev/proviso/gateway"
)

// OptIn is the value of OTEL_SEMCONV_STABILITY_OPT_IN that asks for the GenAI conventions.
const OptIn = "gen_ai_latest_experimental"

// Exporter is a gateway.Tracer that sends spans in batches, and metrics from time to time. What a collector does not take is dropped and counted; nobody waits for it.
type Exporter struct {
	// Endpoint is the collector's address, such as http://127.0.0.1:4318; /v1/traces is added.
	Endpoint string
	// Headers are sent with every batch, such as credentials.
	Headers map[string]string
	// Service is service.name; empty: "proviso".
	Service string
	// GenAI sends the attributes and metrics of the GenAI conventions as well.
	GenAI bool
	// MetricEvery is how often metrics are sent; 0: every minute.
	MetricEvery time.Duration
	// Client sends; nil: one with a timeout of ten seconds.
	Client *http.Client

	source     atomic.Pointer[func() []gateway.Metric]
	operations operations
	began      time.Time

	queue   chan *span
	stop    chan struct{}
	done    sync.WaitGroup
	dropped atomic.Int64
	sent    atomic.Int64

	metricsFailed atomic.Int64
}

const (
	maxQueue = 4096
	maxBatch = 512
	maxText  = 1024 // bytes of an attribute's value
	interval = 2 * time.Second
)

// Open begins to send. Close ends it.
func (x *Exporter) Open() error {
	u, err := url.Parse(x.Endpoint)
	if err != nil || u.Host == "" {
		return fmt.Errorf("otlp: %q is no address of a collector; write http://host:4318", x.Endpoint)
	}
	x.queue, x.stop, x.began = make(chan *span, maxQueue), make(chan struct{}), time.Now()
	if x.MetricEvery <= 0 {
		x.MetricEvery = time.Minute
	}
	if x.Client == nil {
		x.Client = &http.Client{Timeout: 10 * time.Second}
	}
	x.done.Go(x.run)
	return nil
}

// Close sends what waits and ends.
func (x *Exporter) Close() {
	close(x.stop)
	x.done.Wait()
	x.Client.CloseIdleConnections()
}

// Counts tells how many spans were sent and how many were dropped.
func (x *Exporter) Counts() (sent, dropped int64) { return x.sent.Load(), x.dropped.Load() }

// MetricsFailed tells how often the collector did not take the metrics.
func (x *Exporter) MetricsFailed() int64 { return x.metricsFailed.Load() }

func (x *Exporter) run() {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	measure := time.NewTicker(x.MetricEvery)
	defer measure.Stop()
	var batch []*span
	flush := func() {
		if len(batch) > 0 {
			x.send(batch)
			batch = nil
		}
	}
	for {
		select {
		case s := <-x.queue:
			if batch = append(batch, s); len(batch) >= maxBatch {
				flush()
			}
		case <-tick.C:
			flush()
		case <-measure.C:
			x.sendMetrics()
		case <-x.stop:
			for {
				select {
				case s := <-x.queue:
					batch = append(batch, s)
				default:
					flush()
					x.sendMetrics()
					return
				}
			}
		}
	}
}

// send posts one batch, once.
func (x *Exporter) send(batch []*span) {
	var list []any
	for _, s := range batch {
		list = append(list, s.form())
	}
	body, err := json.Marshal(map[string]any{"resourceSpans": []any{map[string]any{
		"resource":   x.resource(),
		"scopeSpans": []any{map[string]any{"scope": scope, "spans": list}},
	}}})
	if err == nil {
		err = x.post("/v1/traces", body)
	}
	if err != nil {
		x.dropped.Add(int64(len(batch)))
		return
	}
	x.sent.Add(int64(len(batch)))
}

// scope names who measures.
var scope = map[string]any{"name": "github.com/proviso-dev/proviso/gateway"}

// resource names what is measured.
func (x *Exporter) resource() map[string]any {
	service := x.Service
	if service == "" {
		service = "proviso"
	}
	return map[string]any{"attributes": []any{attribute("service.name", service)}}
}

func (x *Exporter) post(path string, body []byte) error {
	r, err := http.NewRequest(http.MethodPost, strings.TrimSuffix(x.Endpoint, "/")+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	for k, v := range x.Headers {
		r.Header.Set(k, v)
	}
	resp, err := x.Client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// span is one span.
type span struct {
	exporter          *Exporter
	trace, id, parent string
	sampled           bool
	decision          bool // it is about one decision, and not about a request
	name              string
	begin, end        time.Time

	mu      sync.Mutex
	set     []any
	said    map[string]string // what the GenAI conventions say in other words
	failure string
}

// Start begins the span of a request, below the one that its traceparent names (W3C Trace Context); a request without one, or with one that is not as the recommendation has it, begins a trace.
// A trace that its beginner does not sample is passed on and not sent.
func (x *Exporter) Start(r *http.Request, name string) (context.Context, gateway.Span) {
	s := &span{exporter: x, name: name, id: random(8), sampled: true, begin: time.Now()}
	if trace, parent, sampled, ok := traceParent(r.Header.Values("Traceparent")); ok {
		s.trace, s.parent, s.sampled = trace, parent, sampled
	} else {
		s.trace = random(16)
	}
	return r.Context(), s
}

// traceParent reads the header of the W3C Trace Context recommendation, §3.2: version, trace id, parent id and flags in lower-case hex, ids that are not zero, nothing behind the flags in version 00, and no version ff.
func traceParent(values []string) (trace, parent string, sampled, ok bool) {
	if len(values) != 1 {
		return "", "", false, false
	}
	p := strings.Split(values[0], "-")
	if len(p) < 4 || len(p) > 4 && p[0] == "00" || p[0] == "ff" {
		return "", "", false, false
	}
	for i, n := range []int{2, 32, 16, 2} {
		if len(p[i]) != n || !isHex(p[i]) {
			return "", "", false, false
		}
	}
	if strings.Trim(p[1], "0") == "" || strings.Trim(p[2], "0") == "" {
		return "", "", false, false
	}
	flags, _ := hex.DecodeString(p[3])
	return p[1], p[2], flags[0]&1 == 1, true
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && strings.ToLower(s) == s
}

// Set adds an attribute. One of the GenAI conventions is left out unless it was opted into.
func (s *span) Set(key string, value any) {
	if strings.HasPrefix(key, "gen_ai.") && !s.exporter.GenAI {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set = append(s.set, attribute(key, value))
	if s.exporter.GenAI {
		s.note(key, value)
		if model, ok := value.(string); ok && key == "gen_ai.request.model" && model != "" {
			s.name = "chat " + model // as the conventions name the span of an operation
		}
	}
}

// Decision begins a span below this one. It is nil where the GenAI conventions, which alone have spans of decisions, are not opted into, and where the trace is not sampled.
func (s *span) Decision(name string, began time.Time) gateway.Span {
	if !s.exporter.GenAI || !s.sampled {
		return nil
	}
	return &span{exporter: s.exporter, trace: s.trace, id: random(8), parent: s.id, sampled: true, decision: true, name: name, begin: began}
}

// Inject makes requests that go out children of the span. The state of another trace than the one that goes on is not passed on.
func (s *span) Inject(h http.Header) {
	flags := "00"
	if s.sampled {
		flags = "01"
	}
	h.Set("Traceparent", "00-"+s.trace+"-"+s.id+"-"+flags)
	if s.parent == "" {
		h.Del("Tracestate")
	}
}

// End puts the span in line. Where the line is full it is dropped.
func (s *span) End(failure string) {
	s.mu.Lock()
	s.end, s.failure = time.Now(), failure
	if s.begin.IsZero() || s.begin.After(s.end) {
		s.begin = s.end // by a clock that was put back since
	}
	switch {
	case s.decision:
		s.set = append(s.set, guardrail(s.said)...)
	case s.exporter.GenAI:
		s.exporter.operations.add(s.said, failure, s.end.Sub(s.begin))
	}
	s.mu.Unlock()
	if !s.sampled {
		return
	}
	select {
	case s.exporter.queue <- s:
	default:
		s.exporter.dropped.Add(1)
	}
}

// The kinds of spans, as OTLP numbers them.
const (
	kindInternal = 1
	kindServer   = 2
)

// form is the span as OTLP has it in JSON: ids in hex, times in nanoseconds as texts.
func (s *span) form() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]any{"traceId": s.trace, "spanId": s.id, "name": s.name, "kind": kindServer, "startTimeUnixNano": nano(s.begin), "endTimeUnixNano": nano(s.end), "attributes": s.set}
	if s.parent != "" {
		out["parentSpanId"] = s.parent
	}
	if s.decision {
		out["kind"] = kindInternal
		if list := findings(s.said, nano(s.end)); list != nil {
			out["events"] = list
		}
	}
	if s.failure != "" {
		out["status"] = map[string]any{"code": 2, "message": s.failure}
	}
	return out
}

func nano(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// attribute is a key and a value as OTLP has them in JSON.
func attribute(key string, value any) map[string]any {
	var v map[string]any
	switch x := value.(type) {
	case string:
		if len(x) > maxText { // such as the name of a model or a tool, which strangers choose
			x = strings.ToValidUTF8(x[:maxText], "")
		}
		v = map[string]any{"stringValue": x}
	case bool:
		v = map[string]any{"boolValue": x}
	case int64:
		v = map[string]any{"intValue": strconv.FormatInt(x, 10)}
	case []string:
		list := []any{}
		for _, e := range x {
			list = append(list, map[string]any{"stringValue": e})
		}
		v = map[string]any{"arrayValue": map[string]any{"values": list}}
	default:
		v = map[string]any{"stringValue": fmt.Sprint(x)}
	}
	return map[string]any{"key": key, "value": v}
}
