package mcpproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso"
)

// Look reads what servers show of themselves, for people who write packs and approve tools. No policy is asked, and nothing is called.
func Look(ctx context.Context, servers []Server, limits Limits) ([]Surface, error) {
	p := &Proxy{limits: limits.withDefaults(), cfg: Config{Log: discard}}
	ctx, p.stop = context.WithCancel(ctx)
	defer p.stop()
	p.ctx = ctx
	l := &link{p: p, client: &mcp.ClientCapabilities{}}
	l.ctx, l.cancel = ctx, p.stop
	var out []Surface
	for i := range servers {
		if err := servers[i].check(); err != nil {
			return nil, err
		}
		u := &upstream{link: l, server: &servers[i]}
		if servers[i].Name != "" {
			u.prefix = servers[i].Name + Separator
		}
		s, err := u.surface(ctx)
		u.close()
		if err != nil {
			return nil, err
		}
		s.prefix = u.prefix
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, errors.New("mcpproxy: no server is given")
	}
	return out, nil
}

// methods describes the tools by which policies decide what is no call of a tool.
var methods = []struct {
	name, doc, schema string
	read              bool
}{
	{ToolListResources, "The client lists resources.", `{"type":"object","properties":{}}`, true},
	{ToolListTemplates, "The client lists templates of resources.", `{"type":"object","properties":{}}`, true},
	{ToolReadResource, "The client reads a resource.", `{"type":"object","properties":{"uri":{"type":"string"}},"required":["uri"]}`, true},
	{ToolSubscribe, "The client asks to be told about changes of a resource.", `{"type":"object","properties":{"uri":{"type":"string"}},"required":["uri"]}`, false},
	{ToolListPrompts, "The client lists prompts.", `{"type":"object","properties":{}}`, true},
	{ToolGetPrompt, "The client gets a prompt.", `{"type":"object","properties":{"name":{"type":"string"},"arguments":{"type":"object"}},"required":["name"]}`, true},
	{ToolComplete, "The client has an argument of a prompt or a resource completed.", `{"type":"object","properties":{"ref":{"type":"object"},"argument":{"type":"object"}},"required":["ref","argument"]}`, true},
	{ToolSample, "A server asks the client's model.", `{"type":"object","properties":{"messages":{"type":"array"},"systemPrompt":{"type":"string"},"maxTokens":{"type":"integer"}},"required":["messages"],"additionalProperties":true}`, false},
	{ToolElicit, "A server asks the client's user.", `{"type":"object","properties":{"message":{"type":"string"},"mode":{"type":"string"},"url":{"type":"string"},"requestedSchema":{"type":"object"}},"required":["message"],"additionalProperties":true}`, false},
	{ToolRoots, "A server asks which folders the client works in.", `{"type":"object","properties":{}}`, false},
}

// ToolsFile is the tools.json of a pack for these servers, as one JSON list; with methods also the tools that stand for everything that is no call of a tool.
func ToolsFile(servers []Surface, withMethods bool) (proviso.JSON, error) {
	list := []any{}
	for i := range servers {
		s := &servers[i]
		names := make([]string, 0, len(s.tools))
		for name := range s.tools {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			t := *s.tools[name]
			t.Name = s.prefix + name
			list = append(list, &t)
		}
		for _, m := range methods {
			if withMethods {
				list = append(list, &mcp.Tool{Name: s.prefix + m.name, Description: m.doc, InputSchema: json.RawMessage(m.schema), Annotations: &mcp.ToolAnnotations{ReadOnlyHint: m.read}})
			}
		}
	}
	b, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("mcpproxy: tools: %w", err)
	}
	return b, nil
}
