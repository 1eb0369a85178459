package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
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
	text   []byte // of the line that is read
	raw    []byte // of the event that was read last
	data   []byte
	name   string // of the last event that had one; the next mostly has the same
}

// NewReader returns a reader of the events of r.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 16<<10)} }

// readers are between two streams; each has the memory of its largest event, unless that is unusual.
var readers = sync.Pool{New: func() any { return NewReader(nil) }}

// maxKept is the largest memory for events, in bytes, that a reader keeps for the next stream.
const maxKept = 64 << 10

// BorrowReader is NewReader with the memory of a reader that was returned.
func BorrowReader(from io.Reader) *Reader {
	r := readers.Get().(*Reader)
	r.r.Reset(from)
	return r
}

// Return gives the reader back. Neither it nor the bytes of its events may be used afterwards.
func (r *Reader) Return() {
	r.r.Reset(nil)
	r.begun, r.skipLF = false, false
	if cap(r.text)+cap(r.raw)+cap(r.data) <= maxKept {
		readers.Put(r)
	}
}

// Next returns the next event, whose bytes are good until the next call. At the end of the stream it returns io.EOF; an event that is not ended by an empty line there is returned before. Every other error is the one of the reader below,
// or a *FormatError for an event larger than MaxFrame, and comes with what was read of the event.
func (r *Reader) Next() (ev Event, err error) {
	ev, err = r.next()
	r.raw, r.data = ev.Raw, ev.Data
	return ev, err
}

func (r *Reader) next() (Event, error) {
	ev := Event{Raw: r.raw[:0]}
	data := r.data[:0]
	lines, has := 0, false
	for {
		line, raw, err := r.line(ev.Raw)
		ev.Raw = raw
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
			if r.name != string(value) {
				r.name = string(value)
			}
			ev.Name = r.name
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

// line reads one line into the reader's own memory, and appends all that was consumed for it to raw. The error is io.EOF with a line that nothing ends, or without any.
func (r *Reader) line(raw []byte) (line, all []byte, err error) {
	r.text = r.text[:0]
	for {
		chunk, err := r.r.Peek(max(r.r.Buffered(), 1))
		if len(chunk) == 0 {
			if !r.begun {
				r.text = bytes.TrimPrefix(r.text, []byte("\ufeff"))
			}
			return r.text, raw, err
		}
		if r.skipLF {
			r.skipLF = false
			if chunk[0] == '\n' {
				raw = append(raw, '\n')
				r.r.Discard(1)
				continue
			}
		}
		end := bytes.IndexByte(chunk, '\n')
		if end < 0 {
			end = bytes.IndexByte(chunk, '\r')
		} else if cr := bytes.IndexByte(chunk[:end], '\r'); cr >= 0 {
			end = cr
		}
		taken := end + 1
		if end < 0 {
			end, taken = len(chunk), len(chunk)
		}
		if len(raw)+taken > MaxFrame {
			return r.text, raw, &FormatError{Code: CodeEvent, Msg: fmt.Sprintf("a server-sent event is larger than %d bytes", MaxFrame)}
		}
		raw = append(raw, chunk[:taken]...)
		r.text = append(r.text, chunk[:end]...)
		ended := taken > end
		if ended {
			r.skipLF = chunk[end] == '\r'
		}
		r.r.Discard(taken)
		if ended {
			text := r.text
			if !r.begun {
				r.begun = true
				text = bytes.TrimPrefix(text, []byte("\ufeff"))
			}
			return text, raw, nil
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
