package mcpproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso"
)

// member is one member of an object, its value as it was written.
type member struct {
	key   string
	value json.RawMessage
}

// object is the members of a JSON object in their order.
type object []member

// parseObject reads the members of an object without reading their values. Keys that occur twice, or differ only by case, are refused, because readers disagree which one counts.
func parseObject(text []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("want one JSON object [%s]", CodeMessage)
	}
	var out object
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return nil, fmt.Errorf("not JSON [%s]", CodeMessage)
		}
		for _, m := range out {
			if strings.EqualFold(m.key, key) {
				return nil, fmt.Errorf("the keys %q and %q are the same or differ only by case; send one [%s]", m.key, key, CodeMessage)
			}
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("not JSON [%s]", CodeMessage)
		}
		out = append(out, member{key, v})
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("not JSON [%s]", CodeMessage)
	}
	if rest := bytes.TrimSpace(text[d.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("something follows the message [%s]", CodeMessage)
	}
	return out, nil
}

// get returns the value of a key, nil where there is none.
func (o object) get(key string) json.RawMessage {
	for _, m := range o {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// set replaces or adds a member; a nil value removes it.
func (o object) set(key string, value json.RawMessage) object {
	out := make(object, 0, len(o)+1)
	for _, m := range o {
		if m.key != key {
			out = append(out, m)
		}
	}
	if value != nil {
		out = append(out, member{key, value})
	}
	return out
}

// bytes writes the object; the values are as they were.
func (o object) bytes() []byte {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = proviso.AppendJSON(b, m.key) // a text always has a JSON form
		b = append(b, ':')
		b = append(b, m.value...)
	}
	return append(b, '}')
}

// stash is the key of _meta under which the proxy keeps the text of structured content for itself: the SDK decodes it to floating-point numbers, which would change large integers.
const stash = "proviso.dev/structured"

// fromServer checks a message of a server as a whole with the strict decoder, and keeps the text of a structured result for the proxy.
func fromServer(text []byte) ([]byte, error) {
	if err := proviso.CheckResultJSON(text); err != nil {
		return nil, fmt.Errorf("not acceptable JSON: %w [%s]", err, CodeMessage)
	}
	msg, err := parseObject(text)
	if err != nil {
		return nil, err
	}
	if result := noted(msg.get("result")); result != nil {
		return msg.set("result", result).bytes(), nil
	}
	return text, nil
}

// noted is a result with the note of its structured content; nil where there is nothing to note, and no note of somebody else to remove.
func noted(result json.RawMessage) json.RawMessage {
	members, err := parseObject(result)
	if err != nil {
		return nil // no result, or one that is no object
	}
	meta, err := parseObject(members.get("_meta"))
	if err != nil {
		meta = nil
	}
	kept := members.get("structuredContent")
	if kept == nil && meta.get(stash) == nil {
		return nil
	}
	var quoted []byte
	if kept != nil {
		quoted, _ = proviso.AppendJSON(nil, string(kept)) // a text always has a JSON form
	}
	if meta = meta.set(stash, quoted); len(meta) == 0 {
		return members.set("_meta", nil).bytes()
	}
	return members.set("_meta", meta.bytes()).bytes()
}

// checked passes what comes over a transport through the check.
type checked struct{ mcp.Transport }

// Connect connects.
func (t checked) Connect(ctx context.Context) (mcp.Connection, error) {
	c, err := t.Transport.Connect(ctx)
	return checkedConnection{c}, err
}

type checkedConnection struct{ mcp.Connection }

// Read reads the next message that is acceptable.
func (c checkedConnection) Read(ctx context.Context) (jsonrpc.Message, error) {
	m, err := c.Connection.Read(ctx)
	r, ok := m.(*jsonrpc.Response)
	if err != nil || !ok || len(r.Result) == 0 {
		return m, err
	}
	if err := proviso.CheckResultJSON(r.Result); err != nil {
		return nil, fmt.Errorf("not acceptable JSON: %w [%s]", err, CodeMessage)
	}
	if result := noted(r.Result); result != nil {
		r.Result = result
	}
	return r, nil
}

// fromClient checks the two levels of a client's message that the proxy acts upon. What is below, such as arguments, is decided as it came.
func fromClient(text []byte) error {
	msg, err := parseObject(text)
	if err != nil {
		return err
	}
	if params := msg.get("params"); len(params) > 0 && params[0] == '{' {
		_, err = parseObject(params)
	}
	return err
}

// compact writes arguments as they go over the wire, so that what is decided on is what is sent. Arguments that are left out are an empty object.
func compact(args json.RawMessage) proviso.JSON {
	if len(bytes.TrimSpace(args)) == 0 {
		return proviso.JSON("{}")
	}
	var b bytes.Buffer
	if err := json.Compact(&b, args); err != nil {
		return proviso.JSON(args) // the guard denies what is not JSON
	}
	return b.Bytes()
}
