package policy

import (
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Whatever an event carries is decided on up to MaxEvent bytes, and denied as a fault beyond.
func TestMaxEvent(t *testing.T) {
	pk := basePack()
	pk.Tools = append(pk.Tools, pack.Tool{Name: "say", Args: obj{"type": "object", "properties": obj{"x": sch("string")}, "required": []any{"x"}}})
	pk.Grants = append(pk.Grants, pack.Grant{Tools: txts("say")})
	p := mustCompile(t, pk)
	// padded returns a body of exactly n bytes, with what JSON needs around the text.
	padded := func(before, after string, n int) string {
		return before + strings.Repeat("x", n-len(before)-len(after)) + after
	}
	for _, c := range []struct {
		name  string
		point proviso.Point
		body  func(n int) proviso.Body
	}{
		{"arguments", proviso.ToolCallPoint, func(n int) proviso.Body {
			return &proviso.ToolCall{Tool: "say", Args: proviso.JSON(padded(`{"x":"`, `"}`, n))}
		}},
		{"result as JSON", proviso.ToolResultPoint, func(n int) proviso.Body {
			return &proviso.ToolResult{Tool: "say", Content: proviso.JSON(padded(`"`, `"`, n))}
		}},
		{"result as text", proviso.ToolResultPoint, func(n int) proviso.Body {
			return &proviso.ToolResult{Tool: "say", Text: padded("", "", n)}
		}},
		{"failed result", proviso.ToolResultPoint, func(n int) proviso.Body {
			return &proviso.ToolResult{Tool: "say", Text: padded("", "", n), IsError: true}
		}},
		{"result with text and JSON", proviso.ToolResultPoint, func(n int) proviso.Body {
			return &proviso.ToolResult{Tool: "say", Text: "short", Content: proviso.JSON(padded(`"`, `"`, n))}
		}},
		{"input", proviso.Input, func(n int) proviso.Body { return &proviso.Message{Role: proviso.User, Text: padded("", "", n)} }},
		{"output", proviso.Output, func(n int) proviso.Body {
			return &proviso.Message{Role: proviso.Assistant, Text: padded("", "", n)}
		}},
		{"request", proviso.ModelRequestPoint, func(n int) proviso.Body { return &proviso.ModelRequest{Text: padded("", "", n)} }},
		{"response", proviso.ModelResponsePoint, func(n int) proviso.Body { return &proviso.ModelResponse{Text: padded("", "", n)} }},
	} {
		for n, want := range map[int]string{MaxEvent: "", MaxEvent + 1: codeTooLarge} {
			in := p.Bind(&proviso.Event{Session: "s", Seq: 1, Time: testNow, Point: c.point, Body: c.body(n)}, nil)
			got := ""
			if in.Fault != nil {
				got = in.Fault.Code
			}
			if d := p.Decide(in, &View{Now: testNow}); got != want || d.Outcome == proviso.Allow != (want == "") {
				t.Errorf("%s of %d bytes: fault %q and %s, want fault %q", c.name, n, got, d.Outcome, want)
			}
		}
	}
}
