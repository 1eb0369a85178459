package wire

import (
	"slices"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso"
)

// span is a range of bytes [start, end).
type span struct{ start, end int }

// cursor walks over JSON that the strict decoder has accepted. It looks at structure only.
type cursor struct {
	b  []byte
	at int
}

func (c *cursor) space() {
	for c.at < len(c.b) && (c.b[c.at] == ' ' || c.b[c.at] == '\n' || c.b[c.at] == '\t' || c.b[c.at] == '\r') {
		c.at++
	}
}

// skip moves behind the value that begins at the cursor and returns where it stands.
func (c *cursor) skip() span {
	c.space()
	start, depth := c.at, 0
	for c.at < len(c.b) {
		switch ch := c.b[c.at]; ch {
		case '"':
			c.text()
		case '{', '[':
			depth++
			c.at++
		case '}', ']':
			if depth == 0 {
				return span{start, c.at}
			}
			depth--
			c.at++
		case ',', ':', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return span{start, c.at}
			}
			c.at++
			continue
		default:
			for c.at < len(c.b) && !strings.ContainsRune(",:]} \n\t\r", rune(c.b[c.at])) {
				c.at++
			}
		}
		if depth == 0 {
			return span{start, c.at}
		}
	}
	return span{start, c.at}
}

func (c *cursor) text() {
	for c.at++; c.at < len(c.b); c.at++ {
		switch c.b[c.at] {
		case '\\':
			c.at++
		case '"':
			c.at++
			return
		}
	}
	c.at = len(c.b)
}

// members calls visit for each member of the object or list at the cursor until it returns false; of a list the key is the index.
// member is the whole member, key and comma behind it included where there is one; value is its value.
func (c *cursor) members(visit func(key string, member, value span) bool) {
	c.space()
	if c.at >= len(c.b) || c.b[c.at] != '{' && c.b[c.at] != '[' {
		return
	}
	object := c.b[c.at] == '{'
	c.at++
	for n := 0; ; n++ {
		c.space()
		if c.at >= len(c.b) || c.b[c.at] == '}' || c.b[c.at] == ']' {
			return
		}
		start, key := c.at, ""
		if object {
			k := c.skip()
			key = plain(c.b[k.start:k.end])
			c.space()
			c.at++ // the colon
		} else {
			key = strconv.Itoa(n)
		}
		value := c.skip()
		end := value.end
		c.space()
		if c.at < len(c.b) && c.b[c.at] == ',' {
			c.at++
			end = c.at
		}
		if !visit(key, span{start, end}, value) {
			return
		}
	}
}

// plain decodes the text of a key.
func plain(quoted []byte) string {
	if !slices.Contains(quoted, '\\') && len(quoted) >= 2 {
		return string(quoted[1 : len(quoted)-1])
	}
	v, err := proviso.DecodeResultJSON(quoted)
	s, _ := v.(string)
	if err != nil {
		return ""
	}
	return s
}

// steps splits a pointer; "~1" and "~0" stand for "/" and "~" (RFC 6901).
func steps(at string) []string {
	if at == "" {
		return nil
	}
	list := strings.Split(strings.TrimPrefix(at, "/"), "/")
	for i, s := range list {
		if strings.Contains(s, "~") {
			list[i] = strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
		}
	}
	return list
}

// find returns where the value at a pointer stands, and where the member that holds it does.
func find(raw []byte, path []string) (value, member span, ok bool) {
	c := cursor{b: raw}
	value = c.skip()
	for _, step := range path {
		in := cursor{b: raw, at: value.start}
		ok = false
		in.members(func(key string, m, v span) bool {
			if key == step {
				value, member, ok = v, m, true
			}
			return !ok
		})
		if !ok {
			return span{}, span{}, false
		}
	}
	return value, member, true
}

// Get returns the bytes of the value at a pointer of a text that the strict decoder has accepted; ok is false where there is none.
func Get(raw []byte, at string) (value []byte, ok bool) {
	v, _, ok := find(raw, steps(at))
	if !ok {
		return nil, false
	}
	return raw[v.start:v.end], true
}

// Set returns a copy of raw with the value at a pointer replaced. A member that an object does not have is added at its end, one that a list does not have is appended to it;
// where there is no such object or list, raw comes back as it is.
func Set(raw []byte, at string, value []byte) []byte {
	path := steps(at)
	if v, _, ok := find(raw, path); ok {
		return splice(raw, v, value)
	}
	if len(path) == 0 {
		return raw
	}
	v, _, ok := find(raw, path[:len(path)-1])
	if !ok || v.end-v.start < 2 || raw[v.start] != '{' && raw[v.start] != '[' {
		return raw
	}
	var add []byte
	if !isEmpty(raw, v) {
		add = append(add, ',')
	}
	if raw[v.start] == '{' {
		add = append(append(add, Quote(path[len(path)-1])...), ':')
	}
	add = append(add, value...)
	return splice(raw, span{v.end - 1, v.end - 1}, add)
}

// Delete returns a copy of raw without the member or element at a pointer; where there is none, raw comes back as it is.
func Delete(raw []byte, at string) []byte {
	path := steps(at)
	_, m, ok := find(raw, path)
	if !ok || len(path) == 0 {
		return raw
	}
	if m.end > 0 && raw[m.end-1] != ',' {
		// The last one takes the comma before it along.
		for i := m.start - 1; i >= 0; i-- {
			if ch := raw[i]; ch == ',' {
				m.start = i
				break
			} else if ch == '{' || ch == '[' {
				break
			}
		}
	}
	return splice(raw, m, nil)
}

func splice(raw []byte, s span, with []byte) []byte {
	out := make([]byte, 0, len(raw)-(s.end-s.start)+len(with))
	out = append(out, raw[:s.start]...)
	out = append(out, with...)
	return append(out, raw[s.end:]...)
}

// At makes a pointer of a pointer and further steps: texts that need no escaping, and indexes.
func At(base string, further ...any) string {
	b := []byte(base)
	for _, f := range further {
		b = append(b, '/')
		switch f := f.(type) {
		case string:
			b = append(b, f...)
		case int:
			b = strconv.AppendInt(b, int64(f), 10)
		}
	}
	return string(b)
}

// Empty reports whether there is a list without elements, or an object without members, at a pointer.
func Empty(raw []byte, at string) bool {
	v, _, ok := find(raw, steps(at))
	return ok && (raw[v.start] == '[' || raw[v.start] == '{') && isEmpty(raw, v)
}

func isEmpty(raw []byte, v span) bool {
	empty := true
	c := cursor{b: raw, at: v.start}
	c.members(func(string, span, span) bool { empty = false; return false })
	return empty
}
