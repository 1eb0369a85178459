package guard

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"github.com/proviso-dev/proviso"
)

// Cache is a Judge that asks another one only what it does not remember. Its fields are set before the first use.
// What it remembers counts for the same policy, question, clauses, values and transcript, so that an answer is never carried over to another conversation; only answers whose quotes can be found are kept.
// Beyond Size the answer that was not used for longest is forgotten.
type Cache struct {
	Judge Judge
	Size  int // answers; 0: 4,096

	mu    sync.Mutex
	byKey map[string]*list.Element
	used  list.List // of *cached, the newest first
	hits  int
}

type cached struct {
	key    string
	answer proviso.Answer
}

const defaultCache = 4096

// Answer answers from memory what it can, and asks the rest together.
func (c *Cache) Answer(ctx context.Context, q Inquiry) ([]proviso.Answer, error) {
	about := q.transcriptKey()
	ask := q
	ask.Questions = nil
	var out []proviso.Answer
	c.mu.Lock()
	for _, x := range q.Questions {
		if e := c.byKey[about+askedKey(&x)]; e != nil && q.Policy != "" {
			c.used.MoveToFront(e)
			c.hits++
			out = append(out, e.Value.(*cached).answer)
			continue
		}
		ask.Questions = append(ask.Questions, x)
	}
	c.mu.Unlock()
	if len(ask.Questions) == 0 {
		return out, nil
	}
	fresh, err := c.Judge.Answer(ctx, ask)
	if err != nil {
		return out, err
	}
	for _, a := range fresh {
		if x := ask.find(a); x != nil && q.Policy != "" && a.Value != proviso.Unknown && ask.check(a) == "" {
			c.keep(about+askedKey(x), a)
		}
	}
	return append(out, fresh...), nil
}

func (c *Cache) keep(key string, a proviso.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[key]; e != nil {
		e.Value.(*cached).answer = a
		c.used.MoveToFront(e)
		return
	}
	if c.byKey == nil {
		c.byKey = map[string]*list.Element{}
	}
	c.byKey[key] = c.used.PushFront(&cached{key, a})
	limit := c.Size
	if limit <= 0 {
		limit = defaultCache
	}
	for c.used.Len() > limit {
		last := c.used.Back()
		delete(c.byKey, last.Value.(*cached).key)
		c.used.Remove(last)
	}
}

// Hits is how many questions were answered from memory.
func (c *Cache) Hits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hits
}

// transcriptKey identifies the policy and the words that an answer may rest on.
func (q *Inquiry) transcriptKey() string {
	parts := []any{q.Policy}
	for _, m := range q.Transcript {
		parts = append(parts, string(m.Role), m.Text)
	}
	sum := sha256.Sum256(proviso.CanonicalJSON(parts))
	return hex.EncodeToString(sum[:])
}
