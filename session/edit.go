package session

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso"
)

// Edit returns a copy of the event with the edits made; the event itself is not changed.
// Redactions replace spans of the text of the body; where spans overlap, the replacement of the first stands for all of them. A JSON result that is no JSON any more after a redaction becomes text.
// Values are set at paths of the arguments, or of a JSON result: names separated by points, numbers for members of lists; missing objects on the way are made. The body is then encoded anew.
// An edit that does not fit, or that the body has no place for, is an error.
func Edit(ev *proviso.Event, edits []proviso.Edit) (*proviso.Event, error) {
	var spans, sets []proviso.Edit
	for _, e := range edits {
		if e.Redacts() {
			spans = append(spans, e)
		} else {
			sets = append(sets, e)
		}
	}
	out := *ev
	var err error
	switch b := ev.Body.(type) {
	case *proviso.Message:
		c := *b
		c.Text, err = redact(b.Text, spans)
		out.Body = &c
	case *proviso.ModelRequest:
		c := *b
		c.Text, err = redact(b.Text, spans)
		out.Body = &c
	case *proviso.ModelResponse:
		c := *b
		c.Text, err = redact(b.Text, spans)
		out.Body = &c
	case *proviso.ToolCall:
		if len(spans) > 0 {
			return nil, fmt.Errorf("edit: %s: the arguments of a call have no text to redact; set them by path", spans[0].Rule)
		}
		c := *b
		c.Args, err = setAll(b.Args, sets, proviso.DecodeJSON)
		out.Body = &c
		return &out, err
	case *proviso.ToolResult:
		c := *b
		if err = editResult(&c, spans, sets); err != nil {
			return nil, err
		}
		out.Body = &c
		return &out, nil
	default:
		return nil, fmt.Errorf("edit: %s: a %s event has nothing to edit", edits[0].Rule, ev.Point)
	}
	if err == nil && len(sets) > 0 {
		err = fmt.Errorf("edit: %s: a text has no path %q; redact it", sets[0].Rule, sets[0].Path)
	}
	return &out, err
}

func editResult(r *proviso.ToolResult, spans, sets []proviso.Edit) error {
	var err error
	if len(spans) > 0 {
		if r.Text != "" {
			r.Text, err = redact(r.Text, spans)
		} else {
			var s string
			s, err = redact(string(r.Content), spans)
			if _, bad := proviso.DecodeResultJSON([]byte(s)); bad == nil {
				r.Content = proviso.JSON(s)
			} else {
				r.Content, r.Text = nil, s
			}
		}
	}
	if err == nil && len(sets) > 0 {
		r.Content, err = setAll(r.Content, sets, proviso.DecodeResultJSON)
	}
	return err
}

func redact(text string, spans []proviso.Edit) (string, error) {
	spans = slices.Clone(spans)
	slices.SortStableFunc(spans, func(a, b proviso.Edit) int { return a.Start - b.Start })
	var out strings.Builder
	from := 0
	for _, e := range spans {
		if e.Start < 0 || e.End < e.Start || e.End > len(text) {
			return "", fmt.Errorf("edit: %s: span %d to %d of a text of %d bytes", e.Rule, e.Start, e.End, len(text))
		}
		if e.Start >= from {
			out.WriteString(text[from:e.Start])
			out.WriteString(e.Text)
		}
		from = max(from, e.End)
	}
	out.WriteString(text[from:])
	return out.String(), nil
}

func setAll(raw proviso.JSON, sets []proviso.Edit, decode func([]byte) (any, error)) (proviso.JSON, error) {
	if len(sets) == 0 {
		return raw, nil
	}
	v, err := decode(raw)
	if err != nil {
		return nil, fmt.Errorf("edit: %s: %w", sets[0].Rule, err)
	}
	for _, e := range sets {
		if v, err = set(v, strings.Split(e.Path, "."), e.Value); err != nil {
			return nil, fmt.Errorf("edit: %s: set %s: %w", e.Rule, e.Path, err)
		}
	}
	return proviso.AppendJSON(nil, v)
}

func set(v any, path []string, to any) (any, error) {
	if len(path) == 0 {
		return to, nil
	}
	var err error
	switch c := v.(type) {
	case nil:
		n := map[string]any{}
		n[path[0]], err = set(nil, path[1:], to)
		return n, err
	case map[string]any:
		c[path[0]], err = set(c[path[0]], path[1:], to)
		return c, err
	case []any:
		i, bad := strconv.Atoi(path[0])
		if bad != nil || i < 0 || i >= len(c) {
			return nil, fmt.Errorf("no member %q in a list of %d", path[0], len(c))
		}
		c[i], err = set(c[i], path[1:], to)
		return c, err
	}
	return nil, fmt.Errorf("%q is below a value that is neither object nor list", path[0])
}
