package journal

import (
	"slices"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
)

// Query says which records are wanted: those that fit everything that is set.
type Query struct {
	Session string
	Tool    string // of a call or a result; * matches any run of characters
	Outcome string // "deny", "needs_info", "escalate" or "allow"
	Rule    string // that determined the decision
	Clause  string // that the decision cites
	Since   time.Time
	Until   time.Time // not itself
}

// Match reports whether a record is wanted.
func (q *Query) Match(r *proviso.Record) bool {
	e, d := &r.Event, &r.Decision
	switch {
	case q.Session != "" && e.Session != q.Session,
		q.Tool != "" && !glob(q.Tool, toolOf(e.Body)),
		q.Outcome != "" && d.Outcome.String() != q.Outcome,
		q.Rule != "" && !slices.ContainsFunc(d.Reasons, func(r proviso.Reason) bool { return r.Rule == q.Rule }),
		q.Clause != "" && !slices.Contains(d.Clauses(), q.Clause),
		!q.Since.IsZero() && e.Time.Before(q.Since),
		!q.Until.IsZero() && !e.Time.Before(q.Until):
		return false
	}
	return true
}

// Texts returns what stands in the head of every entry that can match, for a search that is faster than reading each.
func (q *Query) Texts() []string {
	var out []string
	for _, x := range []struct{ key, value string }{{"session", q.Session}, {"tool", q.Tool}, {"outcome", q.Outcome}, {"rule", q.Rule}, {"id", q.Clause}} {
		if x.value == "" || x.key == "tool" && strings.Contains(x.value, "*") {
			continue
		}
		if b, err := proviso.AppendJSON(nil, x.value); err == nil {
			out = append(out, `"`+x.key+`":`+string(b))
		}
	}
	return out
}

func toolOf(b proviso.Body) string {
	switch b := b.(type) {
	case *proviso.ToolCall:
		return b.Tool
	case *proviso.ToolResult:
		return b.Tool
	}
	return ""
}

// glob matches a name where * stands for any run of characters.
func glob(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, p)
		if i < 0 {
			return false
		}
		rest = rest[i+len(p):]
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}
