package otlp

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What a collector gets: ids of the trace that the request belongs to, attributes, failures; the GenAI conventions only where they are opted into.
func TestSpans(t *testing.T) {
	for _, genAI := range []bool{false, true} {
		var got struct {
			ResourceSpans []struct {
				ScopeSpans []struct {
					Spans []struct {
						TraceID, SpanID, ParentSpanID, Name, StartTimeUnixNano string
						Status                                                 struct{ Code int }
						Attributes                                             []struct {
							Key   string
							Value map[string]any
						}
					}
				}
			}
		}
		collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			if r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Key") != "k" {
				t.Errorf("%s %v", r.URL, r.Header)
			}
			if err := json.Unmarshal(b, &got); err != nil {
				t.Error(err)
			}
		}))
		x := &Exporter{Endpoint: collector.URL, Headers: map[string]string{"X-Key": "k"}, GenAI: genAI}
		if err := x.Open(); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		_, s := x.Start(r, "chat")
		s.Set("proviso.outcome", "deny")
		s.Set("proviso.denied_by", []string{"a", "b"})
		s.Set("gen_ai.request.model", "m")
		out := http.Header{}
		s.Inject(out)
		s.End("deny")
		x.Close()
		collector.Close()
		spans := got.ResourceSpans[0].ScopeSpans[0].Spans
		if len(spans) != 1 || spans[0].TraceID != "0af7651916cd43dd8448eb211c80319c" || spans[0].ParentSpanID != "b7ad6b7169203331" || spans[0].Status.Code != 2 || spans[0].StartTimeUnixNano == "" {
			t.Errorf("%+v", spans)
		}
		if want := "00-0af7651916cd43dd8448eb211c80319c-" + spans[0].SpanID + "-01"; out.Get("Traceparent") != want {
			t.Errorf("%s, want %s", out.Get("Traceparent"), want)
		}
		if want := map[bool]string{false: "chat", true: "chat m"}[genAI]; spans[0].Name != want {
			t.Errorf("opted in %v: the span is called %q, want %q", genAI, spans[0].Name, want)
		}
		has := false
		for _, a := range spans[0].Attributes {
			has = has || strings.HasPrefix(a.Key, "gen_ai.")
		}
		if has != genAI {
			t.Errorf("opted in %v: %+v", genAI, spans[0].Attributes)
		}
		if sent, dropped := x.Counts(); sent != 1 || dropped != 0 {
			t.Errorf("%d sent, %d dropped", sent, dropped)
		}
	}
}

// A collector that is not there keeps nobody waiting; what it does not get is counted.
func TestCollectorIsGone(t *testing.T) {
	collector := httptest.NewServer(http.NotFoundHandler())
	x := &Exporter{Endpoint: collector.URL}
	if err := x.Open(); err != nil {
		t.Fatal(err)
	}
	for range 2 * maxQueue {
		_, s := x.Start(httptest.NewRequest("POST", "/", nil), "chat")
		s.End("")
	}
	x.Close()
	collector.Close()
	if sent, dropped := x.Counts(); sent != 0 || dropped != 2*maxQueue {
		t.Errorf("%d sent, %d dropped", sent, dropped)
	}
	if err := (&Exporter{Endpoint: "nonsense"}).Open(); err == nil {
		t.Error("an address that is none is taken")
	}
}
