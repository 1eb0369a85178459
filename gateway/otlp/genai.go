package otlp

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/proviso-dev/proviso/gateway"
)

// The GenAI conventions of OpenTelemetry are in development and have no stable version. The metric is that of opentelemetry.io/docs/specs/semconv/gen-ai as of the semantic conventions 1.42, in which gen_ai.provider.name has taken the place of gen_ai.system.
// No version has guardrails: the spans run_guardrail, the events gen_ai.security.finding and the attributes gen_ai.security.* are those of the open proposal semantic-conventions-genai#427, as of August 2026, which is being renamed as it is discussed; so these may change.

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
	// tokens are those of operations by their kind, input and output, as gen_ai.client.token.usage.
	tokens map[tokenKind]*gateway.MetricPoint
}

// tokenKind is a set of labels.
type tokenKind struct{ provider, model, kind string }

// tokenBounds are the buckets that the conventions advise for gen_ai.client.token.usage.
var tokenBounds = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}

// used counts the tokens of one request, where its provider has said how many there were. The lock is held.
func (o *operations) used(said map[string]string) {
	for _, kind := range []string{"input", "output"} {
		n, err := strconv.ParseInt(said["gen_ai.usage."+kind+"_tokens"], 10, 64)
		if err != nil {
			continue
		}
		k := tokenKind{said["gen_ai.provider.name"], said["gen_ai.request.model"], kind}
		if o.tokens == nil {
			o.tokens = map[tokenKind]*gateway.MetricPoint{}
		}
		if o.tokens[k] == nil && len(o.tokens) >= maxOperations {
			k.model = otherModel
		}
		count(o.tokens, k, tokenBounds, float64(n))
	}
}

// count adds a value to the histogram of its labels.
func count[K comparable](all map[K]*gateway.MetricPoint, k K, bounds []float64, v float64) {
	p := all[k]
	if p == nil {
		p = &gateway.MetricPoint{Bounds: bounds, Buckets: make([]int64, len(bounds)+1)}
		all[k] = p
	}
	i, _ := slices.BinarySearch(bounds, v)
	p.Buckets[i]++
	p.Sum += v
	p.Count++
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
	if o.all == nil {
		o.all = map[operation]*gateway.MetricPoint{}
	}
	count(o.all, k, operationBounds, took.Seconds())
	o.used(said)
}

// metrics is what was counted.
func (o *operations) metrics() []gateway.Metric {
	o.mu.Lock()
	defer o.mu.Unlock()
	return []gateway.Metric{o.durations(), o.usage()}
}

func (o *operations) usage() gateway.Metric {
	m := gateway.Metric{Name: "gen_ai.client.token.usage", Help: "Number of input and output tokens used.", Unit: "{token}", Kind: gateway.Histogram}
	for _, k := range slices.SortedFunc(maps.Keys(o.tokens), func(a, b tokenKind) int {
		return cmp.Or(strings.Compare(a.provider, b.provider), strings.Compare(a.model, b.model), strings.Compare(a.kind, b.kind))
	}) {
		p := *o.tokens[k]
		p.Buckets = slices.Clone(p.Buckets)
		p.Labels = []gateway.Label{{Name: "gen_ai.operation.name", Value: "chat"}, {Name: "gen_ai.provider.name", Value: k.provider}, {Name: "gen_ai.request.model", Value: k.model}, {Name: "gen_ai.token.type", Value: k.kind}}
		m.Points = append(m.Points, p)
	}
	return m
}

func (o *operations) durations() gateway.Metric {
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
var noted = map[string]bool{"gen_ai.provider.name": true, "gen_ai.request.model": true, "gen_ai.usage.input_tokens": true, "gen_ai.usage.output_tokens": true,
	"proviso.outcome": true, "proviso.point": true, "proviso.policy": true, "proviso.rules": true, "proviso.audited_rules": true, "proviso.edited": true, "proviso.session": true, "proviso.call_id": true}

// note keeps an attribute for guardrail and operations.
func (s *span) note(key string, value any) {
	if !noted[key] {
		return
	}
	if s.said == nil {
		s.said = map[string]string{}
	}
	switch v := value.(type) {
	case int64:
		s.said[key] = strconv.FormatInt(v, 10)
	case bool:
		s.said[key] = strconv.FormatBool(v)
	case string:
		s.said[key] = v
	case []string:
		s.said[key] = strings.Join(v, ",")
	}
}

// target is what the proposal calls a point: a kind of content, and whether it goes to the model or comes from it.
type target struct{ kind, direction string }

var targets = map[string]target{
	"input": {"llm", "input"}, "model_request": {"llm", "input"}, "output": {"llm", "output"}, "model_response": {"llm", "output"},
	"tool_list": {"tool_definition", ""}, "tool_call": {"tool_call", "input"}, "tool_result": {"tool_call", "output"},
}

// verdict is what the proposal calls an outcome: what the guardrail found, and what was done.
type verdict struct{ found, done string }

var verdicts = map[string]verdict{"deny": {"deny", "block"}, "needs_info": {"deny", "block"}, "escalate": {"escalate", "escalate"}, "allow": {"allow", "allow"}}

// guardrail says in the words of the proposal what a decision was.
func guardrail(said map[string]string) []any {
	v := verdicts[said["proviso.outcome"]]
	if v.found == "allow" {
		switch {
		case said["proviso.edited"] == "true":
			v = verdict{"modify", "modify"}
		case said["proviso.audited_rules"] != "":
			v.found = "warn"
		}
	}
	at, ok := targets[said["proviso.point"]]
	if !ok {
		at.kind = said["proviso.point"]
	}
	out := []any{
		attribute("gen_ai.operation.name", "run_guardrail"), attribute("gen_ai.security.guardrail.name", "proviso"),
		attribute("gen_ai.security.target.type", at.kind), attribute("gen_ai.security.verdict.type", v.found), attribute("gen_ai.security.action.type", v.done),
	}
	for _, x := range []struct{ key, value string }{
		{"gen_ai.security.target.subtype", at.direction},
		{"gen_ai.security.target.id", said["proviso.call_id"]},
		{"gen_ai.security.policy.id", said["proviso.policy"]},
		{"gen_ai.security.policy.rule.id", strings.Trim(said["proviso.rules"]+","+said["proviso.audited_rules"], ",")},
		{"gen_ai.conversation.id", said["proviso.session"]},
	} {
		if x.value != "" {
			out = append(out, attribute(x.key, x.value))
		}
	}
	return out
}

// findings are the events of a decision span: one for each rule that found something, as gen_ai.security.finding.
func findings(said map[string]string, at string) (out []any) {
	rules := strings.Trim(said["proviso.rules"]+","+said["proviso.audited_rules"], ",")
	if rules == "" {
		return nil
	}
	for _, rule := range strings.Split(rules, ",") {
		out = append(out, map[string]any{"name": "gen_ai.security.finding", "timeUnixNano": at, "attributes": []any{
			attribute("gen_ai.security.policy.id", said["proviso.policy"]), attribute("gen_ai.security.policy.rule.id", rule),
			attribute("gen_ai.security.risk.finding", "custom:policy_violation"), attribute("gen_ai.security.target.type", targets[said["proviso.point"]].kind),
		}})
	}
	return out
}
