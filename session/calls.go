package session

import (
	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// calls keeps the calls that were released and have no result yet.
type calls struct {
	byID map[string]*call
	anon []*call // calls without an id, in order of release
	n    int
	// bytes is how long the arguments of all of them are.
	bytes int
	// response is the model response of the newest released call that named one.
	response string
	// held are results of calls of that response: its other calls may see reservations only.
	held []answered
}

// call is a call in flight.
type call struct {
	in       *policy.Input // as it was forwarded
	seq      uint64        // of its release
	answered bool          // its result is held
	asked    bool          // the user named all its arguments
}

// answered is the result of a call on its way into the state.
type answered struct {
	call  *call
	in    *policy.Input
	phase proviso.Phase
	facts []proviso.FactValue
	seq   uint64
	at    int64
}

func (c *call) call() *proviso.ToolCall { return c.in.Event.Body.(*proviso.ToolCall) }

// toolOf is the tool of a bound call.
func toolOf(in *policy.Input) string {
	if b, ok := in.Event.Body.(*proviso.ToolCall); ok {
		return b.Tool
	}
	return ""
}

func (cs *calls) add(c *call) {
	b := c.call()
	if b.Response != "" && b.Response != cs.response {
		cs.response = b.Response
	}
	cs.n++
	cs.bytes += len(b.Args)
	if b.ID == "" {
		cs.anon = append(cs.anon, c)
		return
	}
	if cs.byID == nil {
		cs.byID = map[string]*call{}
	}
	cs.byID[b.ID] = c
}

func (cs *calls) remove(c *call) {
	cs.n--
	cs.bytes -= len(c.call().Args)
	if id := c.call().ID; id != "" {
		if cs.byID[id] == c {
			delete(cs.byID, id)
		}
		return
	}
	for i, a := range cs.anon {
		if a == c {
			cs.anon = append(cs.anon[:i], cs.anon[i+1:]...)
			return
		}
	}
}

// answeredBy returns the call in flight that a result answers, nil where there is none or where several could be meant.
func (cs *calls) answeredBy(b *proviso.ToolResult) *call {
	var found *call
	if b.CallID != "" {
		found = cs.byID[b.CallID]
		if found != nil && b.Tool != "" && b.Tool != found.call().Tool {
			return nil
		}
	} else {
		for _, c := range cs.anon {
			if c.call().Tool != b.Tool || c.answered {
				continue
			}
			if found != nil {
				return nil
			}
			found = c
		}
	}
	if found == nil || found.answered {
		return nil
	}
	return found
}

// sibling reports whether the event is a call, or the result of a call, of the newest response.
func (cs *calls) sibling(ev *proviso.Event) bool {
	switch b := ev.Body.(type) {
	case *proviso.ToolCall:
		return b.Response != "" && b.Response == cs.response
	case *proviso.ToolResult:
		if c := cs.answeredBy(b); c != nil {
			r := c.call().Response
			return r != "" && r == cs.response
		}
	}
	return false
}

// hold keeps a result back while siblings of its call may still be decided, and reports whether it did.
func (cs *calls) hold(a answered) bool {
	r := a.call.call().Response
	if r == "" || r != cs.response {
		return false
	}
	a.call.answered = true
	cs.held = append(cs.held, a)
	return true
}

// oldest is the release of the oldest call in flight, or none where nothing is in flight.
func (cs *calls) oldest(none uint64) uint64 {
	for _, c := range cs.byID {
		none = min(none, c.seq)
	}
	if len(cs.anon) > 0 {
		none = min(none, cs.anon[0].seq)
	}
	return none
}
