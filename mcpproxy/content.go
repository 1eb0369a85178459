package mcpproxy

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso"
)

// The kinds of content that no rule sees; a configuration may list them to let them pass.
const (
	KindImage = "image"
	KindAudio = "audio"
	KindBlob  = "blob" // a resource that is no text
)

// seen takes content apart into what rules see, a text, and what may go on. A part of a kind that no rule sees is replaced by a text that says so, unless it passes.
func seen(parts []mcp.Content, pass []string) (texts []string, out []mcp.Content) {
	for _, c := range parts {
		text, kind := textOf(c)
		if kind != "" && !slices.Contains(pass, kind) {
			text = fmt.Sprintf("[withheld: %s content, which no rule sees; %s]", kind, CodeUnseen)
			c = &mcp.TextContent{Text: text}
		}
		if text != "" {
			texts = append(texts, text)
		}
		out = append(out, bare(c))
	}
	return texts, out
}

// textOf returns what of a part a model may read, or the kind of a part that is no text.
func textOf(c mcp.Content) (text, kind string) {
	switch c := c.(type) {
	case *mcp.TextContent:
		return c.Text, ""
	case *mcp.ResourceLink:
		return joined(c.URI, c.Name, c.Title, c.Description), ""
	case *mcp.EmbeddedResource:
		switch {
		case c.Resource == nil:
			return "", ""
		case len(c.Resource.Blob) > 0:
			return "", KindBlob
		}
		return joined(c.Resource.URI, c.Resource.Text), ""
	case *mcp.ImageContent:
		return "", KindImage
	case *mcp.AudioContent:
		return "", KindAudio
	}
	return "", fmt.Sprintf("%T", c)
}

func joined(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), "\n")
}

// bare drops the metadata of a part, which no rule sees.
func bare(c mcp.Content) mcp.Content {
	switch c := c.(type) {
	case *mcp.TextContent:
		return &mcp.TextContent{Text: c.Text, Annotations: c.Annotations}
	case *mcp.ImageContent:
		return &mcp.ImageContent{Data: c.Data, MIMEType: c.MIMEType, Annotations: c.Annotations}
	case *mcp.AudioContent:
		return &mcp.AudioContent{Data: c.Data, MIMEType: c.MIMEType, Annotations: c.Annotations}
	case *mcp.ResourceLink:
		return &mcp.ResourceLink{URI: c.URI, Name: c.Name, Title: c.Title, Description: c.Description, MIMEType: c.MIMEType, Size: c.Size, Annotations: c.Annotations}
	case *mcp.EmbeddedResource:
		if c.Resource == nil {
			return &mcp.TextContent{}
		}
		return &mcp.EmbeddedResource{Resource: bareResource(c.Resource), Annotations: c.Annotations}
	}
	return &mcp.TextContent{}
}

func bareResource(r *mcp.ResourceContents) *mcp.ResourceContents {
	return &mcp.ResourceContents{URI: r.URI, MIMEType: r.MIMEType, Text: r.Text, Blob: r.Blob}
}

// callResult is the result of a call on its way through the proxy.
type callResult struct {
	*mcp.CallToolResult
	// structured is the text of the structured content, empty where there is none.
	structured proviso.JSON
}

// received takes the proxy's own note of the structured content out of a result.
func received(r *mcp.CallToolResult) callResult {
	text, _ := r.Meta[stash].(string)
	return callResult{r, proviso.JSON(text)}
}

// event is what is decided about a result. Rules see all of its texts: structured content alone where the texts say the same, else the texts and, below them, the structured content.
func (r *callResult) event(pass []string) proviso.ToolResult {
	texts, parts := seen(r.Content, pass)
	r.Content = parts
	ev := proviso.ToolResult{IsError: r.IsError}
	text := strings.Join(texts, "\n")
	switch {
	case len(r.structured) == 0 && isJSON(text):
		ev.Content = proviso.JSON(text)
	case len(r.structured) == 0:
		ev.Text = text
	case text == "" || sameJSON(text, r.structured):
		ev.Content = r.structured
	default:
		ev.Content, ev.Text = r.structured, text+"\n"+string(r.structured)
	}
	return ev
}

// forward is the result as the client gets it, after what was decided about it: unchanged, or as one text and, where the structured content is still JSON, that.
func (r *callResult) forward(decided *proviso.ToolResult, edited bool, notices []string) *mcp.CallToolResult {
	out := &mcp.CallToolResult{IsError: r.IsError, Content: r.Content}
	if len(r.structured) > 0 {
		out.StructuredContent = json.RawMessage(r.structured)
	}
	if edited {
		text := decided.Text
		out.StructuredContent = nil
		if len(decided.Content) > 0 {
			text = string(decided.Content)
			if len(r.structured) > 0 {
				out.StructuredContent = json.RawMessage(decided.Content)
			}
		}
		out.Content = []mcp.Content{&mcp.TextContent{Text: text}}
		for _, c := range r.Content {
			if _, kind := textOf(c); kind != "" {
				out.Content = append(out.Content, c)
			}
		}
	}
	for _, n := range notices {
		out.Content = append(out.Content, &mcp.TextContent{Text: "[policy] " + n})
	}
	return out
}

// isJSON reports whether a text is a JSON object or list. A bare number or name is a text.
func isJSON(text string) bool {
	t := strings.TrimSpace(text)
	if t == "" || t[0] != '{' && t[0] != '[' {
		return false
	}
	return proviso.CheckResultJSON(text) == nil
}

func sameJSON(a string, b proviso.JSON) bool {
	x, err := proviso.DecodeResultJSON(a)
	if err != nil {
		return false
	}
	y, err := proviso.DecodeResultJSON(b)
	return err == nil && reflect.DeepEqual(x, y)
}
