package gateway

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"path"
	"sync"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/policy/pack"
)

// conversation is what the door remembers of a session beside its records. All of it but the overlays can be made again from the records, or is only for comfort.
type conversation struct {
	id string
	// turn is held while a request brings what is new of its transcript, and while an answer is decided. It guards gone and ready.
	turn  chan struct{}
	gone  bool      // it was forgotten while somebody waited
	used  time.Time // last; belongs to the conversations
	ready bool

	mu sync.Mutex
	// at is the policy that the session was decided with last; another one has to fold it anew.
	at *bound
	// changed tells what became of things that the client keeps and will send again as it knows them: the redactions, or what stands in place of what was withheld.
	changed map[digest]change
	read    bool              // changed and stopped hold what the journal knows
	stopped *proviso.Record   // the session's start where it was denied: nothing of such a session goes on
	called  map[string]string // the tools of the calls that were let through, by the ids of the calls, for results that come without the call
	// answers are the answers of the session that requests may go on from where the provider keeps them, each with what it is still owed: results of calls that the client did not get.
	answers map[string][][]byte
	// said maps texts that went out in place of others to what the session knows; empty where it knows nothing of it.
	said map[digest]string
	// denied counts identical denials.
	denied  map[digest]int
	offered digest // the list of tools that was decided last

	// overlays are the packs attached to the session, and sources what they were made of. Both belong to whoever holds the turn.
	overlays []*pack.Pack
	sources  []overlay
}

type digest [16]byte

func digestOf(parts ...string) (d digest) {
	var short [1024]byte // what most texts fit into
	b := short[:0]
	for _, p := range parts {
		b = append(binary.LittleEndian.AppendUint64(b, uint64(len(p))), p...)
	}
	sum := sha256.Sum256(b)
	copy(d[:], sum[:])
	return d
}

// change is what has to be done to something that the client sends again.
type change struct {
	edits    []proviso.Edit
	withheld string
}

// maxRemembered bounds each of a conversation's tables; what is forgotten is read from the journal again.
const maxRemembered = 4096

// bodyDigest identifies a message or result as the client knows it.
func bodyDigest(b proviso.Body) digest {
	switch b := b.(type) {
	case *proviso.Message:
		return digestOf("m", string(b.Role), b.Text)
	case *proviso.ToolResult:
		return digestOf("r", b.CallID, llm.TextOf(b))
	}
	return digest{}
}

// remember notes what was decided about something that the client will send again.
func (c *conversation) remember(r *proviso.Record) {
	ch, ok := changeOf(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if startDenied(r) {
		c.stopped = r
	}
	if call, ok := released(r); ok {
		c.named(call.ID, call.Tool)
	}
	if !ok {
		return
	}
	if len(c.changed) >= maxRemembered {
		c.changed, c.read = nil, false
	}
	if c.changed == nil {
		c.changed = map[digest]change{}
	}
	c.changed[bodyDigest(r.Event.Body)] = ch
}

func changeOf(r *proviso.Record) (change, bool) {
	if r.Event.Point != proviso.Input && r.Event.Point != proviso.ToolResultPoint {
		return change{}, false
	}
	switch {
	case r.Decision.Outcome != proviso.Allow:
		return change{withheld: withheldText(r)}, true
	case len(r.Decision.Edits) > 0:
		return change{edits: r.Decision.Edits}, true
	}
	return change{}, false
}

// recall reads from the journal what became of earlier inputs and results, once.
func (c *conversation) recall(ctx context.Context, s *Server) error {
	c.mu.Lock()
	read := c.read
	c.mu.Unlock()
	if read {
		return nil
	}
	found := map[digest]change{}
	var stopped *proviso.Record
	for r, err := range s.cfg.Journal.Read(ctx, c.id, 1) {
		if err != nil {
			return err
		}
		if startDenied(&r) {
			stopped = &r
		}
		if ch, ok := changeOf(&r); ok && !r.Redacted {
			found[bodyDigest(r.Event.Body)] = ch
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, v := range c.changed {
		found[k] = v
	}
	c.changed, c.read = found, true
	if stopped != nil {
		c.stopped = stopped
	}
	return nil
}

// released returns the call that a record is about, where it was let through.
func released(r *proviso.Record) (*proviso.ToolCall, bool) {
	call, ok := r.Event.Body.(*proviso.ToolCall)
	return call, ok && r.Decision.Outcome == proviso.Allow && call.ID != ""
}

// named notes the tool of a call. The lock is held.
func (c *conversation) named(id, tool string) {
	if c.called == nil || len(c.called) >= maxRemembered {
		c.called = map[string]string{}
	}
	c.called[id] = tool
}

// toolOf is the tool of a call of the session that was let through; empty where there was none. The provider keeps the transcript of some sessions, so that a result comes without its call.
func (c *conversation) toolOf(ctx context.Context, s *Server, id string) (string, error) {
	c.mu.Lock()
	tool, ok := c.called[id]
	c.mu.Unlock()
	if ok {
		return tool, nil
	}
	for r, err := range s.cfg.Journal.Read(ctx, c.id, 1) {
		if err != nil {
			return "", err
		}
		if call, ok := released(&r); ok && call.ID == id {
			tool = call.Tool
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.named(id, tool)
	return tool, nil
}

// answered notes an answer that requests may go on from, and what it is owed.
func (c *conversation) answered(id string, owed [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil || len(c.answers) >= maxRemembered {
		c.answers = map[string][][]byte{}
	}
	c.answers[id] = owed
}

// before tells whether an answer is one of the session, and what it is owed. Of an answer that was forgotten the journal has the calls, and nothing that it is owed.
func (c *conversation) before(ctx context.Context, s *Server, id string) (owed [][]byte, ok bool) {
	c.mu.Lock()
	owed, ok = c.answers[id]
	c.mu.Unlock()
	if ok {
		return owed, true
	}
	for r, err := range s.cfg.Journal.Read(ctx, c.id, 1) {
		if err != nil {
			return nil, false
		}
		if call, is := r.Event.Body.(*proviso.ToolCall); is && call.Response != "" && path.Dir(call.Response) == id {
			c.answered(id, nil)
			return nil, true
		}
	}
	return nil, false
}

func startDenied(r *proviso.Record) bool {
	return r.Event.Point == proviso.SessionStart && r.Decision.Outcome != proviso.Allow
}

// stop is the record of the session's start where it was denied.
func (c *conversation) stop() *proviso.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// fresh says that the journal knows nothing of the session.
func (c *conversation) fresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = true
}

func (c *conversation) changeTo(b proviso.Body) (change, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.changed) == 0 {
		return change{}, false
	}
	ch, ok := c.changed[bodyDigest(b)]
	return ch, ok
}

// replaced notes that the client got text where the session has known.
func (c *conversation) replaced(text, known string) {
	if text == known || text == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.said) >= maxRemembered || c.said == nil {
		c.said = map[digest]string{}
	}
	c.said[digestOf(text)] = known
}

// knownAs is what the session has of a text that the client sends back; ok is false where it is the text itself.
func (c *conversation) knownAs(text string) (known string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.said) == 0 {
		return "", false
	}
	known, ok = c.said[digestOf(text)]
	return known, ok
}

// repeated counts a denial and returns how often it was given.
func (c *conversation) repeated(d digest) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.denied) >= maxRemembered || c.denied == nil {
		c.denied = map[digest]int{}
	}
	c.denied[d]++
	return c.denied[d]
}

func (c *conversation) leave() { <-c.turn }

// conversations keeps the newest conversations at hand: a number of them, and those that were used not long ago.
type conversations struct {
	// away is told of each session that goes, and the policy that it was decided with; nil where it was never decided.
	away func(session string, at *bound)

	mu     sync.Mutex
	limit  int
	idle   time.Duration
	byID   map[string]*list.Element
	order  list.List   // of *conversation, the newest first
	timer  *time.Timer // looks for those that nobody uses; nil where there are none
	closed bool
}

// enter waits for the turn of a session; leave ends it. fresh is called for one that was not at hand.
func (cs *conversations) enter(ctx context.Context, id string, fresh func(*conversation) error) (*conversation, error) {
	for {
		c := cs.at(id)
		select {
		case c.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if c.gone {
			c.leave()
			continue
		}
		if !c.ready {
			if err := fresh(c); err != nil {
				c.leave()
				return nil, err
			}
			c.ready = true
		}
		return c, nil
	}
}

// bound says how many conversations are kept from now on, and for how long after their last use.
func (cs *conversations) bound(limit int, idle time.Duration) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.limit, cs.idle = limit, idle
}

func (cs *conversations) at(id string) *conversation {
	now := time.Now()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if e := cs.byID[id]; e != nil {
		cs.order.MoveToFront(e)
		c := e.Value.(*conversation)
		c.used = now
		return c
	}
	c := &conversation{id: id, turn: make(chan struct{}, 1), used: now}
	if cs.byID == nil {
		cs.byID = map[string]*list.Element{}
	}
	cs.byID[id] = cs.order.PushFront(c)
	if cs.timer == nil && !cs.closed {
		cs.timer = time.AfterFunc(cs.idle, cs.sweep)
	}
	if cs.order.Len() > cs.limit {
		go cs.sweep()
	}
	return c
}

// sweep lets go of conversations that are too many or were not used for too long, the oldest first. Those that somebody holds stay.
func (cs *conversations) sweep() {
	for _, c := range cs.old() {
		cs.away(c.id, c.at)
		c.leave()
	}
}

// old takes out what sweep lets go of. The caller has the turn of each.
func (cs *conversations) old() (out []*conversation) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	now := time.Now()
	for e := cs.order.Back(); e != nil; {
		c, before := e.Value.(*conversation), e.Prev()
		if cs.order.Len() <= cs.limit && now.Sub(c.used) < cs.idle {
			break
		}
		select {
		case c.turn <- struct{}{}:
			c.gone = true
			delete(cs.byID, c.id)
			cs.order.Remove(e)
			out = append(out, c)
		default: // somebody holds it
		}
		e = before
	}
	switch {
	case cs.timer == nil:
	case cs.order.Len() == 0 || cs.closed:
		cs.timer.Stop()
		cs.timer = nil
	default:
		cs.timer.Reset(cs.idle)
	}
	return out
}

// close stops looking for conversations that nobody uses.
func (cs *conversations) close() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.closed = true
	if cs.timer != nil {
		cs.timer.Stop()
	}
}

// bind makes the conversation go on with a policy; where that is another one than before, the guard of the old one forgets the session first.
func (c *conversation) bind(ctx context.Context, b *bound) error {
	c.mu.Lock()
	old := c.at
	c.mu.Unlock()
	if old == b {
		return nil
	}
	if old != nil {
		if err := old.guard.PutAway(ctx, c.id); err != nil {
			return err
		}
	}
	if err := b.guard.PutAway(ctx, c.id); err != nil {
		return err
	}
	c.mu.Lock()
	c.at = b
	c.mu.Unlock()
	return nil
}
