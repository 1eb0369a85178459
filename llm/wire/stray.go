package wire

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/proviso-dev/proviso"
)

// Members are the names of the members that a format has at one place, and that its reader knows.
type Members map[string]bool

// NewMembers returns the set of these names, which are separated by spaces.
func NewMembers(names string) Members {
	m := Members{}
	for _, n := range strings.Fields(names) {
		m[n] = true
	}
	return m
}

// Stray returns a member of an object that the reader does not know and that a client may take for a call, or for something said; empty where there is none. Every other unknown member is
// the vendor's own business and passes. A name that differs from a known one in the case of its letters only is stray as well: some decoders make no difference (Go's encoding/json).
func (known Members) Stray(object map[string]any) string {
	for k, v := range object {
		if known.bears(k, v) {
			return k
		}
	}
	return ""
}

// spoken are the names under which the formats keep answers, their parts and their texts.
var spoken = NewMembers("choices delta message messages output outputs output_text item items part parts content contents content_block blocks response candidates text arguments partial_json")

func (known Members) bears(name string, v any) bool {
	if known[name] {
		return false
	}
	folded := name
	if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf || 'A' <= r && r <= 'Z' }) {
		folded = strings.ToLower(strings.ToUpper(name)) // by way of capitals, as the long s and the sign of Kelvin fold to s and k
		if known[folded] {
			return v != nil
		}
	}
	switch v := v.(type) {
	case string:
		return v != "" && spoken[folded]
	case map[string]any:
		return len(v) > 0 && (spoken[folded] || namesCalls(folded))
	case []any:
		return len(v) > 0 && (spoken[folded] || namesCalls(folded))
	}
	return false
}

// namesCalls reports whether a name speaks of tools or calls, such as "executed_tools" or "functionCall".
func namesCalls(folded string) bool {
	return strings.Contains(folded, "tool") || strings.Contains(folded, "function") || strings.Contains(strings.ReplaceAll(folded, "callback", ""), "call")
}

// Failure returns the bytes of an event that tells an error, without anything of it that a client could take for an answer: nothing of that was decided.
func Failure(ev Event) []byte {
	v, err := proviso.DecodeResultJSON(ev.Data)
	doc, ok := v.(map[string]any)
	if err != nil || !ok {
		// unreachable: an event was decoded before it was found to be an error.
		return nil
	}
	data := ev.Data
	for k, v := range doc {
		if _, text := v.(string); text || k == "response" || !failureMembers.bears(k, v) {
			continue
		}
		data = Delete(data, "/"+Step(k))
	}
	if response, ok := doc["response"].(map[string]any); ok {
		if list, ok := response["output"].([]any); !ok || len(list) > 0 {
			data = Set(data, "/response/output", []byte("[]"))
		}
		for k, v := range response {
			if k != "output" && failureMembers.bears(k, v) {
				data = Delete(data, "/response/"+Step(k))
			}
		}
	}
	if bytes.Equal(data, ev.Data) {
		return ev.Raw
	}
	return AppendEvent(nil, ev.Name, bytes.ReplaceAll(data, []byte{'\n'}, []byte{' '})) // only between members: texts have no newline of their own
}

// failureMembers are what an error event and a failed response have that speaks of tools and texts without being one: settings of the request, said once more.
var failureMembers = NewMembers("error tool_choice tool_usage tools parallel_tool_calls max_tool_calls instructions")

// Step makes a step of a pointer of a name (RFC 6901).
func Step(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }
