package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso"
)

// pythonJSON writes a JSON value as Python's json.dumps(value, ensure_ascii=False, indent=…) does, which is what templates mean by tojson. Keys keep their order; indent 0 is one line.
func pythonJSON(raw proviso.JSON, indent int) (string, error) {
	if err := proviso.CheckResultJSON(raw); err != nil {
		return "", err
	}
	w := pythonWriter{d: json.NewDecoder(bytes.NewReader(raw)), indent: indent}
	w.d.UseNumber()
	if err := w.value(0); err != nil {
		return "", err
	}
	return w.b.String(), nil
}

type pythonWriter struct {
	d      *json.Decoder
	b      strings.Builder
	indent int
}

func (w *pythonWriter) value(depth int) error {
	t, err := w.d.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		return w.container(t, depth)
	case string:
		w.text(t)
	case json.Number:
		w.b.WriteString(pythonNumber(t.String()))
	case bool:
		w.b.WriteString(strconv.FormatBool(t))
	case nil:
		w.b.WriteString("null")
	}
	return nil
}

func (w *pythonWriter) container(open json.Delim, depth int) error {
	w.b.WriteRune(rune(open))
	first := true
	for w.d.More() {
		if !first {
			w.b.WriteByte(',')
			if w.indent == 0 {
				w.b.WriteByte(' ')
			}
		}
		first = false
		w.line(depth + 1)
		if open == '{' {
			key, err := w.d.Token()
			if err != nil {
				return err
			}
			s, ok := key.(string)
			if !ok {
				return fmt.Errorf("key %v is no text", key)
			}
			w.text(s)
			w.b.WriteString(": ")
		}
		if err := w.value(depth + 1); err != nil {
			return err
		}
	}
	if !first {
		w.line(depth)
	}
	end, err := w.d.Token()
	if err != nil {
		return err
	}
	w.b.WriteString(fmt.Sprint(end))
	return nil
}

func (w *pythonWriter) line(depth int) {
	if w.indent > 0 {
		w.b.WriteByte('\n')
		w.b.WriteString(strings.Repeat(" ", depth*w.indent))
	}
}

// pythonEscapes are the characters that json.dumps writes with a letter.
var pythonEscapes = map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}

func (w *pythonWriter) text(s string) {
	w.b.WriteByte('"')
	for _, r := range s {
		if e, ok := pythonEscapes[r]; ok {
			w.b.WriteString(e)
		} else if r < ' ' {
			fmt.Fprintf(&w.b, `\u%04x`, r)
		} else {
			w.b.WriteRune(r)
		}
	}
	w.b.WriteByte('"')
}

// pythonNumber writes integers as they are, and other numbers as Python's repr of the nearest double: shortest, with an exponent below 1e-4 and from 1e16 on.
func pythonNumber(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	e := strconv.FormatFloat(x, 'e', -1, 64)
	exp, _ := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
	if exp < -4 || exp >= 16 {
		return e
	}
	f := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(f, ".") {
		f += ".0"
	}
	return f
}
