package session

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// keep returns what the fold will need of a record's body should a journal take the body out; nil for nothing.
func (s *State) keep(in *policy.Input, r *proviso.Record) *proviso.Kept {
	var sent *policy.Input
	if passed(r) {
		var err error
		if sent, err = s.edited(in, r); err != nil {
			return nil
		}
	}
	var k proviso.Kept
	e, known := s.known.entryOf(in.Event, sent)
	if known {
		k.Known = hex.EncodeToString(e.digest[:])
	}
	if call, ok := in.Event.Body.(*proviso.ToolCall); ok {
		names := s.past.asks[call.Tool]
		k.Args = some(in.Args, names)
		if sent != nil && sent != in {
			k.Hash, k.Sent = in.Hash, some(sent.Args, names)
		}
		k.Asked = sent != nil && s.origins.asksFor(in, sent)
	}
	if !known && k.Args == nil && !k.Asked {
		return nil
	}
	return &k
}

// some returns the named arguments that are there and have a form in records.
func some(args map[string]any, names []string) (out []proviso.FactValue) {
	for _, n := range names {
		switch v := args[n].(type) {
		case string, bool, int64, float64:
			out = append(out, proviso.FactValue{FactKey: proviso.FactKey{Fact: n}, Value: v})
		case time.Time:
			out = append(out, proviso.FactValue{FactKey: proviso.FactKey{Fact: n}, Value: v.UTC()})
		}
	}
	return out
}

// unredacted is what is left of a record whose body was taken out: the input as it came and, where it passed, as it was forwarded.
func (s *State) unredacted(r *proviso.Record) (in, sent *policy.Input) {
	in = s.Bind(&r.Event)
	k := r.Kept
	if k == nil {
		k = &proviso.Kept{}
	}
	if _, ok := r.Event.Body.(*proviso.ToolCall); !ok {
		if passed(r) {
			return in, in
		}
		return in, nil
	}
	in.Args, in.Hash = arguments(k.Args), r.ArgsHash
	if !passed(r) {
		return in, nil
	}
	if k.Hash == "" {
		return in, in
	}
	edited := *in
	edited.Args = arguments(k.Sent)
	in.Hash = k.Hash
	return in, &edited
}

// unreadable is a record without its body that was decided under another policy: what this one would read out of it is gone.
// Its facts do not count, a release makes every fact stale, facts with an initial value are unknown from then on, and where this policy counts by an argument that was not kept, the session ends.
func (s *State) unreadable(r *proviso.Record) *proviso.Record {
	c := *r
	c.Facts = nil
	call, ok := c.Event.Body.(*proviso.ToolCall)
	if _, result := c.Event.Body.(*proviso.ToolResult); ok || result {
		s.facts.lose()
	}
	if !ok {
		return &c
	}
	c.Stale = nil
	for _, f := range s.rules.Facts() {
		c.Stale = append(c.Stale, proviso.FactKey{Fact: f.Name})
	}
	var kept []proviso.FactValue
	if c.Kept != nil {
		kept = c.Kept.Args
	}
	for _, n := range s.past.asks[call.Tool] {
		if !slices.ContainsFunc(kept, func(v proviso.FactValue) bool { return v.Fact == n }) {
			s.past.full(fmt.Sprintf("the policy counts by argument %s of %s, which was redacted under another policy", n, call.Tool))
		}
	}
	return &c
}

func arguments(list []proviso.FactValue) map[string]any {
	out := make(map[string]any, len(list))
	for _, v := range list {
		out[v.Fact] = v.Value
	}
	return out
}

// redacted folds in what a redaction loses for good, so that no decision gets more permissive by it: agreements that rest on what nobody can read any more are forgotten,
// a value is found nowhere where its source was taken out, and counts as having every label that the source can have had.
func (s *State) redacted(ev *proviso.Event) {
	switch b := ev.Body.(type) {
	case *proviso.ToolResult:
		if s.origins.tracks {
			s.origins.goOn(s.origins.coarse(toolSource+b.Tool, s.rules.LabelNames()).Labels)
		}
	case *proviso.Message, *proviso.ToolCall:
		s.talk.said, s.talk.waits, s.talk.bytes = nil, nil, 0
	}
}

// restoreEntry is entryOf for an event whose body was taken out.
func (t *transcript) restoreEntry(ev *proviso.Event, sent *policy.Input, k *proviso.Kept) {
	if k == nil || k.Known == "" {
		return
	}
	e, _ := t.entryOf(ev, sent)
	if n, err := hex.Decode(e.digest[:], []byte(k.Known)); err != nil || n != len(e.digest) {
		return
	}
	t.push(e)
}

// argumentsAsked lists, by tool, the arguments by which the queries count and sum.
func argumentsAsked(queries []policy.Query) map[string][]string {
	out := map[string][]string{}
	for _, q := range queries {
		for _, t := range q.Tools {
			for _, n := range append(slices.Clip(q.Filter), q.Field) {
				if n != "" && !slices.Contains(out[t], n) {
					out[t] = append(out[t], n)
				}
			}
		}
	}
	return out
}
