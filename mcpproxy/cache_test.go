package mcpproxy

import (
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What a caller is shown rests on its session and its policy: nobody may keep it for others, or for later.
func TestNothingIsKeptForOthers(t *testing.T) {
	everywhere(t, func(t *testing.T, f *fixture, connect func(*mcp.ClientOptions) *mcp.ClientSession) {
		s := connect(nil)
		tools, err := s.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		resources, err := s.ListResources(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		prompts, err := s.ListPrompts(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		content, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "file:///pub/a.txt"})
		if err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]mcp.CacheableResult{"tools/list": tools, "resources/list": resources, "prompts/list": prompts, "resources/read": content} {
			if r.GetCacheScope() != "private" || r.GetTTLMs() != 0 {
				t.Errorf("%s: %q for %d ms", name, r.GetCacheScope(), r.GetTTLMs())
			}
		}
	})
}
