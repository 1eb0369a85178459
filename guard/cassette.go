package guard

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/session"
)

// Recorder is a Judge that asks another one and writes down what it answers, for a Cassette to answer the same questions later. Its fields are set before the first use.
type Recorder struct {
	Judge Judge
	// W gets one JSON line for each answer, in one call of Write.
	W io.Writer

	mu sync.Mutex
}

// taped is a line of a cassette. Question and Ask are for the person who reads it.
type taped struct {
	Key      string         `json:"key"`
	Question string         `json:"question"`
	Ask      string         `json:"ask"`
	Answer   proviso.Answer `json:"answer"`
}

// Answer asks, and writes the answers down. Where they cannot be written they do not count: what is not recorded could not be played again.
func (r *Recorder) Answer(ctx context.Context, q Inquiry) ([]proviso.Answer, error) {
	answers, err := r.Judge.Answer(ctx, q)
	if err != nil {
		return nil, err
	}
	var b []byte
	for _, a := range answers {
		asked := q.find(a)
		if asked == nil || a.Value == proviso.Unknown {
			continue
		}
		if b, err = proviso.AppendJSON(b, taped{askedKey(asked), asked.ID, asked.Ask, a}); err != nil {
			return nil, fmt.Errorf("cassette: %w", err)
		}
		b = append(b, '\n')
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.W.Write(b); err != nil {
		return nil, fmt.Errorf("cassette: write: %w", err)
	}
	return answers, nil
}

// find returns the question that an answer is to, nil where it was not put.
func (q *Inquiry) find(a proviso.Answer) *session.Asked {
	for i := range q.Questions {
		if x := &q.Questions[i]; x.ID == a.Question && x.Hash == a.Hash {
			return x
		}
	}
	return nil
}

// askedKey identifies a question by all that its answer rests on beside the transcript: its words, the clauses, the values that it is about and how much was said before.
func askedKey(q *session.Asked) string {
	parts := []any{q.ID, q.Ask, q.Hash}
	for _, c := range q.Clauses {
		parts = append(parts, c.Text)
	}
	sum := sha256.Sum256(proviso.CanonicalJSON(parts))
	return hex.EncodeToString(sum[:])
}

// Cassette is a Judge that answers what a Recorder has written down, and nothing else: a question that is not on it stays open, and is counted.
// The guard checks its quotes as it checks any other's, so that a cassette played to another conversation answers nothing.
type Cassette struct {
	mu      sync.Mutex
	answers map[string]proviso.Answer
	missed  int
}

// ReadCassette reads the lines of a recorder. Where a question was answered twice the last answer counts. A line that is cut off or wrong is an error that names it.
func ReadCassette(r io.Reader) (*Cassette, error) {
	c := &Cassette{answers: map[string]proviso.Answer{}}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 16<<20)
	for n := 1; in.Scan(); n++ {
		line := bytes.TrimSpace(in.Bytes())
		if len(line) == 0 {
			continue
		}
		var t taped
		if err := proviso.DecodeStrict(line, &t); err != nil {
			return nil, fmt.Errorf("cassette: line %d: %w; record it again", n, err)
		}
		c.answers[t.Key] = t.Answer
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("cassette: %w", err)
	}
	return c, nil
}

// Answer looks the questions up.
func (c *Cassette) Answer(_ context.Context, q Inquiry) ([]proviso.Answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []proviso.Answer
	for i := range q.Questions {
		a, ok := c.answers[askedKey(&q.Questions[i])]
		if !ok {
			c.missed++
			continue
		}
		out = append(out, a)
	}
	return out, nil
}

// Missed is how many questions were put that are not on the cassette. A test that plays one wants 0.
func (c *Cassette) Missed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.missed
}
