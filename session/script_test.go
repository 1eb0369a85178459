package session

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// script is Rules written down by hand. A result supplies the facts that it lists: {"facts": [{"fact": …, "key": […], "value": …}]}.
// A call of cancel makes reservation[args.id] stale, one of wipe every reservation. Every argument is a key argument. A handoff pushes a scope, a return or a call of close pops it.
type script struct{ digest string }

var (
	day         = 24 * time.Hour
	scriptFacts = []policy.FactInfo{{Name: "reservation", Keys: []string{"id"}}, {Name: "flight", Keys: []string{"no", "date"}}, {Name: "auth", KeepFirst: true}, {Name: "trail", Keys: []string{"id"}, Initial: "|"}}
)

// The queries of script, by what they count.
const (
	payOK = iota
	payTo
	paySum
	payDay
	payReserved
	payInFlight
	payDenied
	payAttempted
	payFailed
)

var scriptQueries = []policy.Query{
	payOK:        {Tools: []string{"pay"}, Phase: proviso.OK},
	payTo:        {Tools: []string{"pay"}, Filter: []string{"to"}, Phase: proviso.OK},
	paySum:       {Tools: []string{"pay"}, Field: "amount", Phase: proviso.OK},
	payDay:       {Tools: []string{"pay"}, Filter: []string{"to"}, Field: "amount", Within: day},
	payReserved:  {Tools: []string{"pay"}, Field: "amount", Phase: policy.Reserved, Within: day},
	payInFlight:  {Tools: []string{"cancel", "pay"}, Phase: proviso.Released},
	payDenied:    {Tools: []string{"pay"}, Phase: proviso.Denied},
	payAttempted: {Tools: []string{"pay"}, Phase: proviso.Attempted},
	payFailed:    {Tools: []string{"pay"}, Phase: proviso.Failed},
}

func (p script) Digest() string                { return p.digest }
func (script) Facts() []policy.FactInfo        { return scriptFacts }
func (script) Queries() []policy.Query         { return scriptQueries }
func (script) Now(t time.Time) time.Time       { return t }
func (script) SessionDefaults() map[string]any { return map[string]any{"tier": "basic"} }
func (script) SessionValue(name string, v any) (any, error) {
	if s, ok := v.(string); ok && name == "tier" {
		return s, nil
	}
	return nil, fmt.Errorf("%s: not a declared text", name)
}

func (script) Bind(ev *proviso.Event, call *policy.Input) *policy.Input {
	in := &policy.Input{Event: ev}
	switch b := ev.Body.(type) {
	case *proviso.ToolCall:
		v, err := proviso.DecodeJSON(b.Args)
		args, ok := v.(map[string]any)
		if err != nil || !ok {
			in.Fault = &proviso.Fault{Code: "PV001", Msg: "arguments are no JSON object"}
			return in
		}
		sum := sha256.Sum256(append([]byte(b.Tool+"\x00"), proviso.CanonicalJSON(args)...))
		in.Args, in.Raw, in.Hash = args, args, hex.EncodeToString(sum[:])
	case *proviso.ToolResult:
		if call != nil {
			in.Args, in.Hash = call.Args, call.Hash
		}
		in.Value, _ = proviso.DecodeResultJSON(b.Content)
	case *proviso.Message:
		in.Text = b.Text
	}
	return in
}

func (script) Observe(in *policy.Input, so policy.Facts) []proviso.FactValue {
	m, _ := in.Value.(map[string]any)
	list, _ := m["facts"].([]any)
	var out []proviso.FactValue
	for _, e := range list {
		f := e.(map[string]any)
		v := proviso.FactValue{FactKey: proviso.FactKey{Fact: f["fact"].(string)}, Value: f["value"]}
		for _, k := range f["key"].([]any) {
			v.Key = append(v.Key, k.(string))
		}
		if s, ok := f["error"].(string); ok {
			v.Err, v.Value = s, nil
		}
		if v.Fact == "trail" {
			former, st := so.Fact(3, policy.Key{N: 1, Part: [4]string{v.Key[0]}})
			if v.Value = fmt.Sprint(former, v.Value); st != policy.Observed {
				v.Value, v.Err = nil, "no former value"
			}
		}
		if s, ok := v.Value.(string); ok && strings.HasPrefix(s, "20") {
			t, err := time.Parse(time.RFC3339, s)
			if err == nil {
				v.Value = t.In(time.FixedZone("elsewhere", 3600))
			}
		}
		out = append(out, v)
	}
	return out
}

func (script) Spoils(in *policy.Input) []proviso.FactKey {
	switch toolOf(in) {
	case "cancel":
		return []proviso.FactKey{{Fact: "reservation", Key: []string{fmt.Sprint(in.Args["id"])}}}
	case "wipe":
		return []proviso.FactKey{{Fact: "reservation"}, {Fact: "flight", Key: []string{fmt.Sprint(in.Args["id"])}}}
	}
	return nil
}

func (script) KeyArguments(in *policy.Input) map[string][]any {
	out := map[string][]any{}
	for k, v := range in.Args {
		out[k] = []any{v}
	}
	return out
}

// Fields named secret are private, and so is everything that get_user answers.
func (script) SourceLabels(source string) []string {
	if strings.HasSuffix(source, ".secret") || strings.HasPrefix(source, "tool:get_user") {
		return []string{"private"}
	}
	return nil
}

func (script) LabelNames() []string { return []string{"private"} }
func (script) Traced() (labels []string, _ bool) {
	return []string{"asked", "private", "tool:wide.k7", "user"}, true
}
func (script) AsksConsent() bool { return true }

func (script) ScopeMoves(in *policy.Input, top string) (push []string, pop bool) {
	if l, ok := in.Event.Body.(*proviso.Lifecycle); ok {
		if l.Kind == "handoff" {
			return []string{l.Name}, false
		}
		return nil, l.Kind == "return"
	}
	return nil, top != "" && toolOf(in) == "close"
}
