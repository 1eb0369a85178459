package otlp

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/proviso-dev/proviso/gateway"
)

// The GenAI conventions of OpenTelemetry are in development and have no stable version. The metric is that of opentelemetry.io/docs/specs/semconv/gen-ai as of the semantic conventions 1.42, in which gen_ai.provider.name has taken the place of gen_ai.system.
// No version has guardrails: the attributes gen_ai.security.* and gen_ai.guardian.* are those of the proposal open-telemetry/semantic-conventions#3233. A later proposal has other names (semantic-conventions-genai#427), so that these may change.

// operationBounds are the buckets that the conventions advise for gen_ai.client.operation.duration, in seconds.
var operationBounds = []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}

// maxOperations bounds the histograms. Clients choose the names of models; beyond it they count together as otherModel.
const (
	maxOperations = 200
	otherModel    = "_OTHER"
)

// operation is a set of labels.
type operation struct{ provider, model, failure string }

// operations counts how long requests that reached for an upstream took, as gen_ai.client.operation.duration. The zero value is empty; all methods may be called at the same time.
type operations struct {
	mu  sync.Mutex
	all map[operation]*gateway.MetricPoint
}

// add counts one request. One that no upstream is configured for is no operation.
func (o *operations) add(said map[string]string, failure string, took time.Duration) {
	k := operation{said["gen_ai.provider.name"], said["gen_ai.request.model"], failure}
	if k.provider == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all[k] == nil && len(o.all) >= maxOperations {
		k.model = otherModel
	}
	p := o.all[k]
	if p == nil {
		if o.all == nil {
			o.all = map[operation]*gateway.MetricPoint{}
		}
		p = &gateway.MetricPoint{Bounds: operationBounds, Buckets: make([]int64, len(operationBounds)+1)}
		o.all[k] = p
	}
	s := took.Seconds()
	i, _ := slices.BinarySearch(operationBounds, s)
	p.Buckets[i]++
	p.Sum += s
	p.Count++
}

// metric is what was counted.
func (o *operations) metric() gateway.Metric {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := gateway.Metric{Name: "gen_ai.client.operation.duration", Help: "GenAI operation duration.", Unit: "s", Kind: gateway.Histogram}
	for _, k := range slices.SortedFunc(maps.Keys(o.all), func(a, b operation) int {
		return cmp.Or(strings.Compare(a.provider, b.provider), strings.Compare(a.model, b.model), strings.Compare(a.failure, b.failure))
	}) {
		p := *o.all[k]
		p.Buckets = slices.Clone(p.Buckets)
		p.Labels = []gateway.Label{{Name: "gen_ai.operation.name", Value: "chat"}, {Name: "gen_ai.provider.name", Value: k.provider}, {Name: "gen_ai.request.model", Value: k.model}}
		if k.failure != "" {
			p.Labels = append(p.Labels, gateway.Label{Name: "error.type", Value: k.failure})
		}
		m.Points = append(m.Points, p)
	}
	return m
}

// noted are the attributes that the conventions have other words for, or that label metrics.
var noted = map[string]bool{"gen_ai.provider.name": true, "gen_ai.request.model": true, "proviso.outcome": true, "proviso.point": true, "proviso.policy": true, "proviso.denied_by": true}

// note keeps an attribute for guardrail and operations.
func (s *span) note(key string, value any) {
	if !noted[key] {
		return
	}
	if s.said == nil {
		s.said = map[string]string{}
	}
	switch v := value.(type) {
	case string:
		s.said[key] = v
	case []string:
		s.said[key] = strings.Join(v, ",")
	}
}

// targets are what the proposal calls the points.
var targets = map[string]string{"input": "llm_input", "model_request": "llm_input", "output": "llm_output", "model_response": "llm_output", "tool_list": "tool_definition", "tool_call": "tool_call"}

// guardrail says in the words of the proposal what was decided about a request. A request that failed otherwise than by a decision has none of them.
func guardrail(said map[string]string) []any {
	decision := map[string]string{"allow": "allow", "deny": "deny"}[said["proviso.outcome"]]
	if decision == "" {
		return nil
	}
	out := []any{attribute("gen_ai.guardian.name", "proviso"), attribute("gen_ai.security.decision.type", decision)}
	target := "message" // the request and its answer as a whole
	if decision == "deny" {
		if target = targets[said["proviso.point"]]; target == "" {
			target = cmp.Or(said["proviso.point"], "message")
		}
	}
	out = append(out, attribute("gen_ai.security.target.type", target))
	if rules := said["proviso.denied_by"]; decision == "deny" && rules != "" {
		out = append(out, attribute("gen_ai.security.policy.id", rules))
	}
	if digest := said["proviso.policy"]; digest != "" {
		out = append(out, attribute("gen_ai.security.policy.version", digest))
	}
	return out
}
