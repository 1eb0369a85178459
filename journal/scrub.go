package journal

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/proviso-dev/proviso"
)

// Scrub writes a record as one line of JSON in which every match of the patterns is replaced, in whatever people, tools and conditions said: texts, arguments, results, facts, quotes, keys of objects.
// What holds the record together stays: ids, names of tools, rules and facts, times, hashes. A number that matches becomes a text. The line reads back as a record, which is not the one that was decided.
func Scrub(r *proviso.Record, patterns []*regexp.Regexp, with string) ([]byte, error) {
	b, err := proviso.AppendJSON(nil, r)
	if err != nil || len(patterns) == 0 {
		return b, err
	}
	v, err := proviso.DecodeResultJSON(b)
	if err != nil {
		return nil, err
	}
	s := scrubber{patterns, with}
	v, _ = s.value(v, "", false)
	var out proviso.Record
	if err := proviso.DecodeStrict(proviso.CanonicalJSON(v), &out); err != nil {
		return nil, fmt.Errorf("journal: record %d of session %q cannot be redacted by these patterns: %w", r.Event.Seq, r.Event.Session, err)
	}
	return proviso.AppendJSON(nil, &out)
}

type scrubber struct {
	patterns []*regexp.Regexp
	with     string
}

// frame are the keys whose texts hold a record together.
var frame = map[string]bool{
	"session": true, "seq": true, "time": true, "point": true, "agents": true, "decided_at": true, "phase": true, "args_hash": true, "hash": true, "known": true, "fact": true,
	"outcome": true, "policy": true, "rule": true, "rules": true, "mode": true, "class": true, "kind": true, "code": true, "id": true, "call_id": true, "tool": true, "tools": true,
	"response": true, "role": true, "confirms": true, "question": true, "clauses": true, "pos": true, "types": true, "to": true, "expr": true, "path": true, "by": true,
}

// free are the keys below which any value may stand, so that numbers can become texts and every key is somebody's own.
var free = map[string]bool{"args": true, "content": true, "value": true, "key": true, "attributes": true, "inputs": true}

func (s scrubber) value(v any, key string, inFree bool) (_ any, changed bool) {
	switch v := v.(type) {
	case string:
		if t := s.text(v); t != v {
			return t, true
		}
	case int64:
		return s.number(v, strconv.FormatInt(v, 10), inFree)
	case float64:
		return s.number(v, strconv.FormatFloat(v, 'f', -1, 64), inFree)
	case []any:
		for i, e := range v {
			x, c := s.value(e, key, inFree)
			v[i], changed = x, changed || c
		}
		return v, changed
	case map[string]any:
		return s.object(v, inFree)
	}
	return v, false
}

func (s scrubber) number(v any, text string, inFree bool) (any, bool) {
	if inFree {
		if t := s.text(text); t != text {
			return t, true
		}
	}
	return v, false
}

func (s scrubber) object(m map[string]any, inFree bool) (_ any, changed bool) {
	out := make(map[string]any, len(m))
	for k, e := range m {
		if !inFree && frame[k] {
			out[k] = e
			continue
		}
		name := k
		if inFree {
			name = s.text(k)
		}
		x, c := s.value(e, k, inFree || free[k])
		out[name], changed = x, changed || c || name != k
	}
	if changed && !inFree {
		// The types belong to texts that may not be there any more.
		delete(out, "types")
	}
	return out, changed
}

func (s scrubber) text(t string) string {
	for _, p := range s.patterns {
		t = p.ReplaceAllLiteralString(t, s.with)
	}
	return t
}
