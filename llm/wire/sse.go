package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxFrame is the largest server-sent event, in bytes, that is read.
const MaxFrame = 8 << 20

// Event is one server-sent event. Raw is every byte of it as it came, the empty line included, so that it can be forwarded as it is; Data is empty for comments and keep-alives.
type Event struct {
	Name string
	Data []byte
	Raw  []byte
}

// Reader reads server-sent events as the HTML standard has them (WHATWG, section 9.2): lines end with LF, CR or both, a byte order mark may begin the stream, lines that begin
// with a colon are comments, and several data lines are joined. It never waits for a byte that is not part of the event: an event that ends with CR is returned at once.
type Reader struct {
	r      *bufio.Reader
	begun  bool
	skipLF bool
}

// NewReader returns a reader of the events of r.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 16<<10)} }

// Next returns the next event. At the end of the stream it returns io.EOF; an event that is not ended by an empty line there is returned before. Every other error is the one of the reader below,
// or a *FormatError for an event larger than MaxFrame, and comes with what was read of the event.
func (r *Reader) Next() (Event, error) {
	var ev Event
	var data []byte
	lines, has := 0, false
	for {
		line, raw, err := r.line(len(ev.Raw))
		ev.Raw = append(ev.Raw, raw...)
		if err != nil && (len(line) == 0 || !errors.Is(err, io.EOF)) {
			if errors.Is(err, io.EOF) && lines > 0 {
				ev.Data = data
				return ev, nil
			}
			return ev, err
		}
		if len(line) == 0 {
			if lines == 0 {
				continue // an empty line before the first field
			}
			ev.Data = data
			return ev, nil
		}
		lines++
		field, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(field) {
		case "event":
			ev.Name = string(value)
		case "data":
			if has {
				data = append(data, '\n')
			}
			data, has = append(data, value...), true
		}
		if err != nil {
			ev.Data = data
			return ev, nil
		}
	}
}

// line reads one line. raw is all that was consumed for it. The error is io.EOF with a line that nothing ends, or without any.
func (r *Reader) line(size int) (line, raw []byte, err error) {
	for {
		b, err := r.r.ReadByte()
		if err != nil {
			return line, raw, err
		}
		raw = append(raw, b)
		if r.skipLF {
			r.skipLF = false
			if b == '\n' {
				continue
			}
		}
		if size+len(raw) > MaxFrame {
			return line, raw, &FormatError{Code: CodeEvent, Msg: fmt.Sprintf("a server-sent event is larger than %d bytes", MaxFrame)}
		}
		switch b {
		case '\n', '\r':
			r.begun, r.skipLF = true, b == '\r'
			return line, raw, nil
		}
		if line = append(line, b); !r.begun && len(line) == 3 {
			r.begun = true
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
	}
}

// AppendEvent writes an event with these data, which must be one line; name is left out where it is empty.
func AppendEvent(b []byte, name string, data []byte) []byte {
	if name != "" {
		b = append(append(append(b, "event: "...), name...), '\n')
	}
	return append(append(append(b, "data: "...), data...), "\n\n"...)
}
