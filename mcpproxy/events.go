package mcpproxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// checkedTripper passes every message that a server sends over HTTP through the check that those of pipes pass, and sets the headers of the configuration.
type checkedTripper struct {
	next    http.RoundTripper
	headers http.Header
	limit   int
}

// RoundTrip sends a request and checks its answer while it is read.
func (t *checkedTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for k, v := range t.headers {
		r.Header[http.CanonicalHeaderKey(k)] = v
	}
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		b, err := io.ReadAll(io.LimitReader(resp.Body, int64(t.limit)+1))
		resp.Body.Close()
		if err == nil && len(b) > t.limit {
			err = fmt.Errorf("%w of %d bytes [%s]", errLong, t.limit, CodeMessage)
		}
		if err == nil && len(bytes.TrimSpace(b)) > 0 {
			b, err = fromServer(b)
		}
		if err != nil {
			return nil, err
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		resp.Header.Del("Content-Length")
	case "text/event-stream":
		body := resp.Body
		resp.Body = &eventReader{lines: lineReader{in: bufio.NewReader(body), close: body.Close, limit: t.limit}}
	}
	return resp, nil
}

// eventReader is a stream of server-sent events whose data were checked.
type eventReader struct {
	lines lineReader
	rest  []byte
	err   error
}

// Read fills p with checked events.
func (r *eventReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.rest, r.err = r.event()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// event reads the lines up to the next empty one. Comments are dropped; the other fields stay as they are, and the data go through the check.
func (r *eventReader) event() ([]byte, error) {
	var fields, data []byte
	primed := false
	for {
		line, err := r.lines.line()
		if err != nil {
			return nil, err // an event that was cut off is none
		}
		line = bytes.TrimRight(line, "\r\n")
		value, isData := bytes.CutPrefix(line, []byte("data:"))
		switch {
		case len(line) == 0:
			if len(data) == 0 && len(fields) == 0 {
				continue
			}
			if len(bytes.TrimSpace(data)) > 0 {
				if data, err = fromServer(data); err != nil {
					return nil, err
				}
				fields = append(append(append(fields, "data: "...), oneLine(data)...), '\n')
			} else if primed {
				fields = append(fields, "data:\n"...)
			}
			return append(fields, '\n'), nil
		case line[0] == ':':
		case isData:
			primed = true
			if len(data)+len(value) > r.lines.limit {
				return nil, fmt.Errorf("%w of %d bytes [%s]", errLong, r.lines.limit, CodeMessage)
			}
			data = append(append(data, bytes.TrimPrefix(value, []byte(" "))...), '\n')
		default:
			if len(fields)+len(line) > 4096 {
				return nil, fmt.Errorf("an event has more than 4,096 bytes beside its data [%s]", CodeMessage)
			}
			fields = append(append(fields, line...), '\n')
		}
	}
}

// oneLine takes out the line feeds between tokens; JSON has none inside of texts.
func oneLine(b []byte) []byte {
	return bytes.TrimSpace(bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, b))
}

// Close closes what is read from.
func (r *eventReader) Close() error { return r.lines.close() }
