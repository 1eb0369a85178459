package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// maxInput bounds what decide and why read.
const maxInput = 16 << 20

// scene is an event and what the session knows when it comes, given by flags instead of by a conversation.
type scene struct {
	Input     string          `short:"i" help:"File with the call or event; - is standard input." default:"-" placeholder:"FILE"`
	Facts     string          `help:"JSON file with what the session has observed." placeholder:"FILE"`
	Session   string          `help:"Session attributes as a JSON object, such as {\"user\": \"mia\"}." placeholder:"JSON"`
	Now       string          `help:"Time of the event, RFC 3339. Default: the event's, else the clock." placeholder:"TIME"`
	Agent     string          `help:"Name of the acting agent." placeholder:"NAME"`
	Answer    map[string]bool `help:"Answer to a judged question, such as covered_reason=true; repeatable." placeholder:"QUESTION=BOOL"`
	Confirmed bool            `help:"The user has confirmed exactly this call."`
}

// set reads the event and builds the view that it is decided in.
func (c *scene) set(a *app, p *policy.Policy) (*policy.Input, *policy.View, error) {
	b, err := a.read(c.Input, maxInput)
	if err != nil {
		return nil, nil, err
	}
	ev, err := readEvent(c.Input, b)
	if err != nil {
		return nil, nil, err
	}
	if ev.Time, err = c.time(a, ev.Time); err != nil {
		return nil, nil, err
	}
	if c.Agent != "" {
		ev.Agents = []string{c.Agent}
	}
	view := &policy.View{Now: p.Now(ev.Time)}
	if view.Session, err = c.session(p, ev); err != nil {
		return nil, nil, err
	}
	if view.Facts, err = c.facts(a, p); err != nil {
		return nil, nil, err
	}
	view.Answers = answered(c.Answer)
	view.Consent = consented(c.Confirmed)
	return p.Bind(ev, nil), view, nil
}

// readEvent reads an event, or the short form of a call. Arguments that are a text are taken for the very bytes that the model wrote.
func readEvent(name string, b []byte) (*proviso.Event, error) {
	v, err := proviso.DecodeJSON(b)
	if err != nil {
		return nil, badJSON(name, b, err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, badInput(name, "this is not a JSON object", `give {"tool": …, "args": {…}} or an event`)
	}
	if _, ok := m["body"]; ok {
		ev := &proviso.Event{}
		if err := json.Unmarshal(b, ev); err != nil {
			return nil, badJSON(name, b, err)
		}
		return ev, nil
	}
	var short struct {
		Tool string       `json:"tool"`
		ID   string       `json:"id,omitempty"`
		Args proviso.JSON `json:"args,omitempty"`
	}
	if err := proviso.DecodeStrict(b, &short); err != nil {
		return nil, badJSON(name, b, err)
	}
	if short.Tool == "" {
		return nil, badInput(name, "no tool is named", `give {"tool": …, "args": {…}} or an event`)
	}
	switch raw := m["args"].(type) {
	case nil:
		short.Args = proviso.JSON("{}")
	case string:
		short.Args = proviso.JSON(raw)
	}
	return &proviso.Event{Session: "decide", Seq: 1, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: short.ID, Tool: short.Tool, Args: short.Args}}, nil
}

func badInput(name, msg, hint string) error {
	if rest, ok := strings.CutPrefix(name, "-"); ok && (rest == "" || rest[0] == ':') {
		name = "standard input" + rest
	}
	return &problem{exit: exitInput, code: codeInput, msg: name + ": " + msg, hint: hint}
}

func badJSON(name string, b []byte, err error) error {
	if je, ok := err.(*proviso.JSONError); ok {
		line, col := proviso.LineCol(b, je.Offset)
		return badInput(fmt.Sprintf("%s:%d:%d", name, line, col), je.Msg, "proviso explain "+je.Code+" says more")
	}
	return badInput(name, err.Error(), "correct the input")
}

func (c *scene) time(a *app, t time.Time) (time.Time, error) {
	if c.Now == "" {
		if t.IsZero() {
			t = a.now().UTC()
		}
		return t, nil
	}
	t, err := time.Parse(time.RFC3339Nano, c.Now)
	if err != nil {
		return t, &problem{exit: exitInput, code: codeUsage, msg: fmt.Sprintf("--now: %q is not an RFC 3339 time", c.Now), hint: "write it as 2026-05-04T10:00:00Z"}
	}
	return t, nil
}

func (c *scene) session(p *policy.Policy, ev *proviso.Event) (map[string]any, error) {
	vars := p.SessionDefaults()
	vars["id"], vars["user"], vars["turns"], vars["started"] = ev.Session, "", int64(0), ev.Time
	if c.Session == "" {
		return vars, nil
	}
	v, err := proviso.DecodeJSON([]byte(c.Session))
	m, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, badInput("--session", "this is not a JSON object", `give a text such as {"user": "mia"}`)
	}
	for k, x := range m {
		if vars[k], err = sessionValue(p, k, x); err != nil {
			return nil, badInput("--session", err.Error(), "session attributes are user, id, turns, started, and those that proviso.yaml declares")
		}
	}
	return vars, nil
}

func sessionValue(p *policy.Policy, name string, v any) (any, error) {
	text, isText := v.(string)
	n, isInt := v.(int64)
	switch name {
	case "user", "id":
		if isText {
			return text, nil
		}
		return nil, fmt.Errorf("%s is a text", name)
	case "turns":
		if isInt {
			return n, nil
		}
		return nil, fmt.Errorf("turns is a whole number")
	case "started":
		t, err := time.Parse(time.RFC3339Nano, text)
		if !isText || err != nil {
			return nil, fmt.Errorf("started is an RFC 3339 time")
		}
		return t, nil
	}
	return p.SessionValue(name, v)
}

// observed are facts that were given in a file.
type observed map[string]any

func factName(i int, key []string) string {
	return strconv.Itoa(i) + "\x00" + strings.Join(key, "\x00")
}

// Fact returns what was given for the entry.
func (o observed) Fact(i int, key policy.Key) (any, policy.FactState) {
	v, ok := o[factName(i, key.Part[:key.N])]
	if !ok {
		return nil, policy.Unobserved
	}
	return v, policy.Observed
}

func (c *scene) facts(a *app, p *policy.Policy) (observed, error) {
	if c.Facts == "" {
		return nil, nil
	}
	b, err := a.read(c.Facts, maxInput)
	if err != nil {
		return nil, err
	}
	v, err := proviso.DecodeResultJSON(b)
	if err != nil {
		return nil, badJSON(c.Facts, b, err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, badInput(c.Facts, "this is not a JSON object", "give an object with one member for each fact")
	}
	out := observed{}
	infos := p.Facts()
	for name, v := range m {
		i, ok := p.FactNumber(name)
		if !ok {
			names := make([]string, len(infos))
			for j, f := range infos {
				names[j] = f.Name
			}
			return nil, badInput(c.Facts, fmt.Sprintf("the policy has no fact %q", name), proviso.DidYouMean(name, names))
		}
		if err := out.take(p, i, infos[i], nil, v); err != nil {
			return nil, badInput(c.Facts, name+": "+err.Error(), "give values as the tools answer them, entries below their keys")
		}
	}
	return out, nil
}

// take stores the entries of one fact, which stand below as many keys as the fact has.
func (o observed) take(p *policy.Policy, i int, f policy.FactInfo, key []string, v any) error {
	if len(key) == len(f.Keys) {
		conv, err := p.FactValue(i, v)
		if err != nil {
			return err
		}
		o[factName(i, key)] = conv
		return nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("expected an object whose members are the entries by %s", f.Keys[len(key)])
	}
	for k, x := range m {
		if err := o.take(p, i, f, append(key[:len(key):len(key)], k), x); err != nil {
			return fmt.Errorf("[%s]: %w", k, err)
		}
	}
	return nil
}

// answered are the answers given by flags; they count whatever the question is about.
type answered map[string]bool

// Answer returns the answer to a question.
func (m answered) Answer(question string, _ []any) proviso.Tri {
	v, ok := m[question]
	if !ok {
		return proviso.Unknown
	}
	return proviso.TriOf(v)
}

// consented is whether the user confirmed the call.
type consented bool

// Confirmed is unknown unless the flag says that the user confirmed.
func (c consented) Confirmed(*policy.Input) proviso.Tri {
	if c {
		return proviso.True
	}
	return proviso.Unknown
}
