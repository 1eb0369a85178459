package otlp

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/gateway"
)

// points is what a collector reads of metrics.
type points struct {
	DataPoints []struct {
		Attributes []struct {
			Key   string
			Value struct{ StringValue string }
		}
		StartTimeUnixNano, TimeUnixNano string
		AsInt                           string
		Count                           string
		Sum                             float64
		BucketCounts                    []string
		ExplicitBounds                  []float64
	}
	AggregationTemporality int
	IsMonotonic            bool
}

type post struct {
	ResourceMetrics []struct {
		Resource     json.RawMessage
		ScopeMetrics []struct {
			Metrics []struct {
				Name, Description, Unit string
				Sum, Gauge, Histogram   *points
			}
		}
	}
}

// lines writes a post as one line for each point.
func (p *post) lines() (out []string) {
	for _, m := range p.ResourceMetrics[0].ScopeMetrics[0].Metrics {
		for kind, ps := range map[string]*points{"sum": m.Sum, "gauge": m.Gauge, "histogram": m.Histogram} {
			if ps == nil {
				continue
			}
			for _, d := range ps.DataPoints {
				line := fmt.Sprintf("%s %s unit=%s temporality=%d monotonic=%v", kind, m.Name, m.Unit, ps.AggregationTemporality, ps.IsMonotonic)
				for _, a := range d.Attributes {
					line += " " + a.Key + "=" + a.Value.StringValue
				}
				if d.StartTimeUnixNano == "" || d.TimeUnixNano < d.StartTimeUnixNano {
					line += " without times"
				}
				switch kind {
				case "histogram":
					line += fmt.Sprintf(": %s of %s, %d buckets, %d bounds", d.Count, strings.Join(d.BucketCounts, ","), len(d.BucketCounts), len(d.ExplicitBounds))
				default:
					line += ": " + d.AsInt
				}
				out = append(out, line)
			}
		}
	}
	slices.Sort(out)
	return out
}

// What a collector gets of metrics: sums and histograms that count from the start, gauges, labels; the durations of the GenAI conventions only where they are opted into.
func TestMetrics(t *testing.T) {
	for _, genAI := range []bool{false, true} {
		var mu sync.Mutex
		var posts []post
		collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			if r.URL.Path != "/v1/metrics" {
				return
			}
			var p post
			if err := json.Unmarshal(b, &p); err != nil {
				t.Errorf("%v: %s", err, b)
			}
			mu.Lock()
			defer mu.Unlock()
			posts = append(posts, p)
		}))
		x := &Exporter{Endpoint: collector.URL, GenAI: genAI, MetricEvery: 10 * time.Millisecond}
		if err := x.Open(); err != nil {
			t.Fatal(err)
		}
		x.Watch(func() []gateway.Metric {
			return []gateway.Metric{
				{Name: "requests_total", Help: "Requests.", Kind: gateway.Counter, Points: []gateway.MetricPoint{{Labels: []gateway.Label{{Name: "wire", Value: "chat"}}, Value: 7}}},
				{Name: "requests_in_flight", Help: "Requests being served.", Kind: gateway.Gauge, Points: []gateway.MetricPoint{{Value: 2}}},
				{Name: "request_seconds", Help: "How long.", Unit: "s", Kind: gateway.Histogram, Points: []gateway.MetricPoint{{Bounds: []float64{0.1, 1}, Buckets: []int64{1, 2, 0}, Sum: 0.9, Count: 3}}},
				{Name: "nothing_yet_total", Kind: gateway.Counter},
			}
		})
		for _, failure := range []string{"", "", "upstream"} {
			_, s := x.Start(httptest.NewRequest("POST", "/", nil), "chat")
			s.Set("gen_ai.provider.name", "openai")
			s.Set("gen_ai.request.model", "m")
			if failure == "" {
				s.Set("gen_ai.usage.input_tokens", int64(4))
				s.Set("gen_ai.usage.output_tokens", int64(5))
			}
			s.End(failure)
		}
		_, s := x.Start(httptest.NewRequest("POST", "/", nil), "chat")
		s.Set("gen_ai.request.model", "no upstream for it")
		s.End("error")
		time.Sleep(50 * time.Millisecond)
		x.Close()
		collector.Close()
		want := []string{
			"gauge proviso.requests_in_flight unit=1 temporality=0 monotonic=false: 2",
			"histogram proviso.request_seconds unit=s temporality=2 monotonic=false: 3 of 1,2,0, 3 buckets, 2 bounds",
			"sum proviso.requests unit=1 temporality=2 monotonic=true wire=chat: 7",
		}
		if genAI {
			want = append(want, "histogram gen_ai.client.operation.duration unit=s temporality=2 monotonic=false gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=m: 2 of 2,0,0,0,0,0,0,0,0,0,0,0,0,0,0, 15 buckets, 14 bounds",
				"histogram gen_ai.client.operation.duration unit=s temporality=2 monotonic=false gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=m error.type=upstream: 1 of 1,0,0,0,0,0,0,0,0,0,0,0,0,0,0, 15 buckets, 14 bounds",
				"histogram gen_ai.client.token.usage unit={token} temporality=2 monotonic=false gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=m gen_ai.token.type=input: 2 of 0,2,0,0,0,0,0,0,0,0,0,0,0,0,0, 15 buckets, 14 bounds",
				"histogram gen_ai.client.token.usage unit={token} temporality=2 monotonic=false gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=m gen_ai.token.type=output: 2 of 0,0,2,0,0,0,0,0,0,0,0,0,0,0,0, 15 buckets, 14 bounds")
		}
		slices.Sort(want)
		if len(posts) < 2 {
			t.Fatalf("%d posts, want one every ten milliseconds", len(posts))
		}
		if got := posts[len(posts)-1].lines(); !slices.Equal(got, want) {
			t.Errorf("opted in %v:\n%s\nwant\n%s", genAI, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// Names of models are chosen by clients: however many there are, the histograms are bounded, and no request is lost from the counts.
func TestOperationsAreBounded(t *testing.T) {
	var o operations
	for i := range 5 * maxOperations {
		o.add(map[string]string{"gen_ai.provider.name": "u", "gen_ai.request.model": fmt.Sprint(i)}, "", time.Duration(i)*time.Millisecond)
	}
	m := o.metrics()[0]
	sum := int64(0)
	for _, p := range m.Points {
		sum += p.Count
	}
	if len(m.Points) != maxOperations+1 || sum != 5*maxOperations {
		t.Errorf("%d histograms, %d requests", len(m.Points), sum)
	}
}

// The header traceparent, by the recommendation's rules: what is not as it says begins a trace, and what the beginner does not sample is passed on and not sent.
func TestTraceParent(t *testing.T) {
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for _, c := range []struct {
		name    string
		values  []string
		follows bool
		sampled bool
	}{
		{"sampled", []string{"00-" + trace + "-" + parent + "-01"}, true, true},
		{"not sampled", []string{"00-" + trace + "-" + parent + "-00"}, true, false},
		{"other flags", []string{"00-" + trace + "-" + parent + "-03"}, true, true},
		{"a later version", []string{"cc-" + trace + "-" + parent + "-01-what-comes"}, true, true},
		{"none", nil, false, true},
		{"two", []string{"00-" + trace + "-" + parent + "-01", "00-" + trace + "-" + parent + "-01"}, false, true},
		{"version ff", []string{"ff-" + trace + "-" + parent + "-01"}, false, true},
		{"no version", []string{"-" + trace + "-" + parent + "-01"}, false, true},
		{"more behind the flags", []string{"00-" + trace + "-" + parent + "-01-x"}, false, true},
		{"trace of zeros", []string{"00-" + strings.Repeat("0", 32) + "-" + parent + "-01"}, false, true},
		{"parent of zeros", []string{"00-" + trace + "-" + strings.Repeat("0", 16) + "-01"}, false, true},
		{"upper case", []string{"00-" + strings.ToUpper(trace) + "-" + parent + "-01"}, false, true},
		{"short", []string{"00-" + trace[1:] + "-" + parent + "-01"}, false, true},
		{"no hex", []string{"00-" + trace + "-" + parent + "-zz"}, false, true},
		{"long flags", []string{"00-" + trace + "-" + parent + "-0101"}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := &Exporter{queue: make(chan *span, 1)}
			r := httptest.NewRequest("POST", "/", nil)
			r.Header["Traceparent"] = c.values
			_, s := x.Start(r, "chat")
			out := http.Header{"Tracestate": {"vendor=1"}}
			s.Inject(out)
			s.End("")
			p := strings.Split(out.Get("Traceparent"), "-")
			if len(p) != 4 || p[0] != "00" || (p[1] == trace) != c.follows || p[2] == parent || (p[3] == "01") != c.sampled {
				t.Errorf("%v goes on as %v", c.values, p)
			}
			if (out.Get("Tracestate") != "") != c.follows {
				t.Errorf("state of the trace: %q", out.Get("Tracestate"))
			}
			if (len(x.queue) == 1) != c.sampled {
				t.Errorf("%d spans are sent", len(x.queue))
			}
		})
	}
}
