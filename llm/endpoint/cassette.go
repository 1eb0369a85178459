package endpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/durable"
)

// turn is one exchange of a cassette: one line of the file.
type turn struct {
	URL      string          `json:"url"`
	Request  json.RawMessage `json:"request"`
	Status   int             `json:"status"`
	Response string          `json:"response"`
}

// Cassette is an http.RoundTripper that replays a recording, or makes one. Headers are not recorded, so that no key is. It is safe for concurrent use.
type Cassette struct {
	name    string
	replays bool
	next    http.RoundTripper // of a recording; nil means the default

	mu    sync.Mutex
	turns []turn
	at    int
	err   error // an exchange that failed, so that nothing is written
}

// OpenCassette reads the recording of that name, or begins one where there is none.
func OpenCassette(name string) (*Cassette, error) {
	c := &Cassette{name: name}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cassette: %w", err)
	}
	c.replays = true
	for i, line := range bytes.Split(bytes.TrimSpace(b), []byte("\n")) {
		var t turn
		if err := proviso.DecodeStrict(line, &t); err != nil {
			return nil, fmt.Errorf("cassette: %s:%d: %w", name, i+1, err)
		}
		c.turns = append(c.turns, t)
	}
	return c, nil
}

func (c *Cassette) url() string {
	if len(c.turns) == 0 {
		return ""
	}
	return c.turns[0].URL
}

// RoundTrip answers from the recording, in order, a request whose body is the recorded one; else it asks and records.
func (c *Cassette) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.replays {
		if c.at >= len(c.turns) {
			return nil, fmt.Errorf("cassette: %s has no answer left after %d; record it anew", c.name, c.at)
		}
		t := c.turns[c.at]
		if !same(t.Request, body) {
			return nil, fmt.Errorf("cassette: %s: request %d is not the recorded one; record it anew", c.name, c.at+1)
		}
		c.at++
		return answer(r, t.Status, []byte(t.Response)), nil
	}
	next := c.next
	if next == nil {
		next = http.DefaultTransport
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res, err := next.RoundTrip(r)
	if err != nil {
		c.err = err
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, MaxAnswer+1))
	if err != nil {
		c.err = err
		return nil, err
	}
	c.turns = append(c.turns, turn{URL: r.URL.String(), Request: body, Status: res.StatusCode, Response: string(b)})
	return answer(r, res.StatusCode, b), nil
}

func answer(r *http.Request, status int, b []byte) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(b)), ContentLength: int64(len(b)), Request: r}
}

// same compares two bodies as JSON. An empty recorded request stands for any, for cassettes that people write.
func same(recorded, body []byte) bool {
	if len(recorded) == 0 || string(recorded) == "null" {
		return true
	}
	a, err := proviso.DecodeJSON(recorded)
	b, err2 := proviso.DecodeJSON(body)
	return err == nil && err2 == nil && bytes.Equal(proviso.CanonicalJSON(a), proviso.CanonicalJSON(b))
}

// Close writes a recording. A replay, and a recording in which an exchange failed, write nothing.
func (c *Cassette) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.replays || c.err != nil || len(c.turns) == 0 {
		return nil
	}
	var b bytes.Buffer
	for _, t := range c.turns {
		line, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("cassette: %w", err)
		}
		b.Write(append(line, '\n'))
	}
	if err := durable.Replace(c.name, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("cassette: %w", err)
	}
	return nil
}
