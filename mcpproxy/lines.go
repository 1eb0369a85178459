package mcpproxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// errLong is a message that is longer than the limit.
var errLong = errors.New("a message is larger than the limit")

// lineReader passes on the lines of a stream that a check accepts, as the check leaves them. Empty lines are passed over.
type lineReader struct {
	in    *bufio.Reader
	close func() error
	limit int
	// accept returns what stands for a line, or nothing where it is passed over. An error ends the stream.
	accept func(line []byte) ([]byte, error)

	rest []byte
	err  error
}

// Read fills p with accepted lines.
func (r *lineReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		line, err := r.line()
		if r.err = err; err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		out, err := r.accept(line)
		if err != nil {
			r.err = err
			return 0, err
		}
		if len(out) > 0 {
			r.rest = append(out[:len(out):len(out)], '\n')
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// line reads up to the next line feed, and not more than the limit.
func (r *lineReader) line() ([]byte, error) {
	var out []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if len(out)+len(part) > r.limit {
			return nil, fmt.Errorf("%w of %d bytes [%s]", errLong, r.limit, CodeMessage)
		}
		out = append(out, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return out, err
		}
	}
}

// Close closes what is read from.
func (r *lineReader) Close() error { return r.close() }

// lockedWriter lets several write whole messages to one stream.
type lockedWriter struct {
	mu    sync.Mutex
	w     io.Writer
	close func() error
}

// Write writes one message.
func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.w.Write(p)
}

// Close closes what is written to.
func (w *lockedWriter) Close() error { return w.close() }
