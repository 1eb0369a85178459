package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
)

// Digest identifies what the packs say: hex SHA-256 over clauses, tools, rules, grants, facts, questions, lets, tables, scopes, overrides, defaults, time zone and clock.
// Tests, versions, positions, file names, comments and every order that means nothing do not count.
func Digest(packs []*Pack) string {
	all := make(unordered, len(packs))
	for i, p := range packs {
		all[i] = canonPack(p)
	}
	sum := sha256.Sum256(appendCanon(nil, all))
	return hex.EncodeToString(sum[:])
}

// unordered is a list whose order means nothing.
type unordered []any

// appendCanon writes a value so that different values have different bytes: a tag, a length where one is needed, the content.
// It knows nil, bool, int64, float64, string, []any, unordered and map[string]any.
func appendCanon(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 'n')
	case bool:
		if v {
			return append(b, 't')
		}
		return append(b, 'f')
	case int64:
		return binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v))
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 'd'), math.Float64bits(v))
	case string:
		b = binary.BigEndian.AppendUint64(append(b, 's'), uint64(len(v)))
		return append(b, v...)
	case []any:
		b = binary.BigEndian.AppendUint64(append(b, 'l'), uint64(len(v)))
		for _, x := range v {
			b = appendCanon(b, x)
		}
		return b
	case unordered:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = string(appendCanon(nil, x))
		}
		sort.Strings(parts)
		b = binary.BigEndian.AppendUint64(append(b, 'u'), uint64(len(v)))
		return append(b, strings.Join(parts, "")...)
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		b = binary.BigEndian.AppendUint64(append(b, 'm'), uint64(len(v)))
		for _, k := range keys {
			b = appendCanon(appendCanon(b, k), v[k])
		}
		return b
	}
	panic("policy: digest of a value that no pack holds")
}

// series makes a canonical list of the members of a list.
func series[T any](list []T, f func(T) any) []any {
	out := make([]any, len(list))
	for i, x := range list {
		out[i] = f(x)
	}
	return out
}

func bag[T any](list []T, f func(T) any) unordered { return series(list, f) }

func canonText(t Text) any { return t.S }

func canonTextPtr(t *Text) any {
	if t == nil {
		return nil
	}
	return t.S
}

// nameSet makes texts of which each counts once, in no order.
func nameSet(ts []Text) any {
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = t.S
	}
	sort.Strings(out)
	return series(slices.Compact(out), func(s string) any { return s })
}

func canonTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func canonSchema(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}

func canonPack(p *Pack) any {
	var clauses unordered
	if p.Document != nil {
		for _, c := range p.Document.Clauses {
			clauses = append(clauses, map[string]any{"id": c.ID, "text": c.Text, "parent": c.Parent})
		}
	}
	clock := p.Clock.S
	if clock == "event" {
		clock = ""
	}
	zone := p.Timezone.S
	if zone == "" {
		zone = "UTC"
	}
	return map[string]any{
		"name": p.Name, "rank": p.Rank.String(), "timezone": zone, "clock": clock,
		"clauses": clauses, "defaults": canonDefaults(p.Defaults),
		"tools": bag(p.Tools, canonTool), "reads": nameSet(p.Reads), "trusted": nameSet(p.Trusted),
		"labels": bag(p.Labels, func(x Label) any { return map[string]any{"name": x.Name.S, "from": nameSet(x.From)} }),
		"keys":   bag(p.Keys, func(k KeyArgs) any { return map[string]any{"tool": k.Tool.S, "args": nameSet(k.Args)} }),
		"session": bag(p.Session, func(x Param) any {
			return map[string]any{"name": x.Name.S, "schema": canonSchema(x.Schema), "default": x.Default}
		}),
		"granted": p.HasGrants, "grants": bag(p.Grants, canonGrant), "facts": bag(p.Facts, canonFact), "questions": bag(p.Questions, canonQuestion),
		"lets": bag(p.Lets, canonLet), "rules": bag(p.Rules, canonRule), "scopes": bag(p.Scopes, canonScope), "overrides": bag(p.Overrides, canonOverride),
		"attach": bag(p.Attach, func(a Attachment) any { return map[string]any{"pack": a.Pack.S, "agents": nameSet(a.Agents)} }),
		"tables": bag(p.Tables, func(t Table) any { return map[string]any{"name": t.Name, "value": t.Value} }),
	}
}

// canonDefaults writes out the defaults that are left out, so that saying them changes nothing.
func canonDefaults(d Defaults) any {
	outcome, onError := map[string]any{}, map[string]any{}
	for _, p := range proviso.Points() {
		o, set := d.Outcome[p]
		if !set && p != proviso.ToolCallPoint {
			o = proviso.Allow
		}
		outcome[p.String()], onError[p.String()] = o.String(), d.OnError[p].String()
	}
	return map[string]any{"outcome": outcome, "on_error": onError, "extra": d.Extra == "allow", "parallel": d.Parallel}
}

func canonTool(t Tool) any {
	return map[string]any{"name": t.Name, "description": t.Description, "args": canonSchema(t.Args), "result": canonSchema(t.Result), "read_only": t.ReadOnly, "destructive": t.Destructive}
}

func canonLet(x Let) any { return map[string]any{"name": x.Name.S, "expr": x.Expr.S} }

func canonCond(c *Cond) any {
	if c == nil {
		return nil
	}
	return map[string]any{"op": int64(c.Op), "expr": c.Expr.S, "kids": series(c.Kids, canonCond)}
}

func canonGrant(g Grant) any {
	return map[string]any{"tools": nameSet(g.Tools), "agents": nameSet(g.Agents), "when": canonCond(g.When), "lets": bag(g.Lets, canonLet), "scope": g.Scope}
}

func canonFact(f Fact) any {
	return map[string]any{
		"name": f.Name.S, "schema": canonSchema(f.Schema.Doc), "keep": strings.TrimPrefix(f.Keep, "last"), "initial": f.Initial,
		"key":   series(f.Key, func(k KeyPart) any { return map[string]any{"name": k.Name.S, "type": k.Type} }),
		"from":  series(f.From, canonSource), // the first supplier is the first to be proposed
		"stale": bag(f.Stale, canonSource),
	}
}

func canonSource(s Source) any {
	keys := make(map[string]any, len(s.Keys))
	for k, t := range s.Keys {
		keys[k] = t.S
	}
	return map[string]any{"tool": s.Tool.S, "each": canonTextPtr(s.Each), "keys": keys, "value": canonTextPtr(s.Value), "when": canonTextPtr(s.When)}
}

func canonQuestion(q Question) any {
	return map[string]any{"id": q.ID.S, "ask": q.Ask.S, "about": series(q.About, canonText), "clause": nameSet(q.Clause)}
}

// Fingerprint is equal for rules that say the same, whatever the order of their lists; ids, messages and positions of the rule given count.
func Fingerprint(r Rule) string { return string(appendCanon(nil, canonRule(r))) }

func canonRule(r Rule) any {
	on := make([]string, 0, max(1, len(r.On)))
	for _, p := range r.On {
		on = append(on, p.String())
	}
	if len(on) == 0 {
		on = append(on, proviso.ToolCallPoint.String())
	}
	sort.Strings(on)
	return map[string]any{
		"id": r.ID.S, "clauses": nameSet(r.Clauses), "on": series(slices.Compact(on), func(s string) any { return s }), "tools": nameSet(r.Tools), "agents": nameSet(r.Agents), "lets": bag(r.Lets, canonLet),
		"when": canonCond(r.When), "require": canonCond(r.Require), "else": canonEffect(r.Else), "message": canonMessages(r.Message),
		"hint": r.Hint, "class": string(r.Class), "mode": r.Mode.String(),
	}
}

func canonMessages(m Messages) any {
	return map[string]any{"agent": m.Agent, "user": m.User, "auditor": m.Auditor}
}

func canonEffect(e Effect) any {
	return map[string]any{
		"outcome": e.Outcome.String(), "redact": nameSet(e.Redact), "pii": nameSet(e.PII), "secrets": nameSet(e.Secrets), "with": e.With, "set": bag(e.Set, canonLet),
		"notice": bag(e.Notice, func(n NoticeText) any { return map[string]any{"to": n.To, "text": n.Text} }),
	}
}

func canonScope(s Scope) any {
	matcher := func(m Matcher) any { return map[string]any{"kind": m.Kind, "name": m.Name} }
	return map[string]any{"name": s.Name.S, "push": bag(s.Push, matcher), "pop": bag(s.Pop, matcher), "rules": nameSet(s.Rules), "grants": bag(s.Grants, canonGrant)}
}

func canonOverride(o Override) any {
	return map[string]any{"lifts": o.Lifts.S, "by": o.By.S, "until": canonTime(o.Until), "clause": nameSet(o.Clause)}
}
