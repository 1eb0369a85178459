package rollout

import (
	"context"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/world"
)

// Gold is a model that knows what is right in a task: it makes the calls of the gold and gives its answer. Where a guard says that something has to be found out first it calls the tool that the guard names, where the user has to confirm it asks, and then it tries again.
// It shows that a task can be done under its policy, and that what a guard tells is enough to get there.
func Gold(t *world.Task) llm.Model {
	return scripted(func(r llm.Request) llm.Response { return gold(t, r) })
}

// Offender is a model that makes the forbidden calls of a task, whatever it is told, and then says that it is done. Where a task lists none it gives another answer than the gold's.
func Offender(t *world.Task) llm.Model {
	return scripted(func(r llm.Request) llm.Response {
		if n := rounds(r.Messages); n < 2*len(t.Gold.Forbidden) {
			c := t.Gold.Forbidden[n%len(t.Gold.Forbidden)]
			return llm.Response{Calls: []proviso.ToolCall{written(c)}, Stop: "calls"}
		}
		return llm.Response{Text: "It is done, whatever the policy says.", Stop: "end"}
	})
}

// Babbler is a model that talks nonsense: thoughts without an end, tools that do not exist, arguments that are no JSON.
var Babbler llm.Model = scripted(func(r llm.Request) llm.Response {
	switch rounds(r.Messages) {
	case 0:
		return llm.Response{Text: "<think>[C0] colourless green ideas", Calls: []proviso.ToolCall{{Tool: "sleep_furiously", Args: proviso.JSON(`{"how":`)}}, Stop: "calls"}
	case 1:
		args := proviso.JSON(`[]`)
		var calls []proviso.ToolCall
		for _, t := range r.Tools {
			calls = append(calls, proviso.ToolCall{Tool: t.Name, Args: args})
		}
		if calls != nil {
			return llm.Response{Calls: calls, Stop: "calls"}
		}
	}
	return llm.Response{Text: "</think> moonlight <think>", Stop: "end"}
})

// scripted is a model that is a function of what it is asked.
type scripted func(r llm.Request) llm.Response

// Complete answers, and counts words as tokens.
func (s scripted) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	if err := ctx.Err(); err != nil {
		return llm.Response{}, err
	}
	if len(r.Messages) == 0 {
		return llm.Response{}, llm.ErrRequest
	}
	out := s(r)
	for _, m := range r.Messages {
		out.Usage.Input += len(strings.Fields(m.Text))
	}
	out.Usage.Output = len(strings.Fields(out.Text))
	for _, c := range out.Calls {
		out.Usage.Output += 1 + len(strings.Fields(string(c.Args)))
	}
	return out, nil
}

// rounds is how often the model has called tools.
func rounds(talk []llm.Message) (n int) {
	for _, m := range talk {
		if m.Role == proviso.Assistant && len(m.Calls) > 0 {
			n++
		}
	}
	return n
}

func written(c world.Call) proviso.ToolCall {
	return proviso.ToolCall{Tool: c.Tool, Args: argsOf(c)}
}

// gold is the next thing to do: the next call of the plan where there is one, else what the last denial asks for, else the first call that was not carried out yet, else the answer.
func gold(t *world.Task, r llm.Request) llm.Response {
	if plan := t.Gold.Plan; len(plan) > 0 {
		if k := rounds(r.Messages); k < len(plan) {
			return llm.Response{Calls: []proviso.ToolCall{written(plan[k])}, Stop: "calls"}
		}
		return llm.Response{Text: finish(t), Stop: "end"}
	}
	made, denied := progress(r.Messages)
	var left []world.Call
	for _, c := range t.Gold.Calls {
		if made[key(c)] > 0 {
			made[key(c)]--
			continue
		}
		left = append(left, c)
	}
	if len(left) == 0 || rounds(r.Messages) > 4*(len(t.Gold.Calls)+1) {
		return llm.Response{Text: finish(t), Stop: "end"}
	}
	if ask := confirmation.FindStringSubmatch(denied); ask != nil {
		return llm.Response{Text: "Please confirm: " + strings.TrimRight(ask[1], ".?") + "?", Stop: "end"}
	}
	if m := supplier.FindStringSubmatch(denied); m != nil {
		name := strings.TrimRight(m[1], ".")
		for _, tool := range r.Tools {
			if tool.Name == name {
				return llm.Response{Calls: []proviso.ToolCall{written(world.Call{Tool: tool.Name, Args: known(t, tool, left[0], denied)})}, Stop: "calls"}
			}
		}
	}
	return llm.Response{Calls: []proviso.ToolCall{written(left[0])}, Stop: "calls"}
}

// What a guard tells about something that is missing.
var (
	confirmation = lazyregexp.New(`confirmation; ask: (.+)`)
	supplier     = lazyregexp.New(`missing: \S+, call ([A-Za-z0-9_.-]+)`)
	keyed        = lazyregexp.New(`missing: [A-Za-z0-9_]+\[([^\]]*)\]`)
)

// progress is which calls were carried out, and what the last message denies, which is nothing where calls were carried out or the user spoke.
func progress(talk []llm.Message) (made map[string]int, denied string) {
	made = map[string]int{}
	open := map[string]world.Call{}
	for i, m := range talk {
		for j := range m.Calls {
			open[m.Calls[j].ID] = callOf(&m.Calls[j])
		}
		for _, res := range m.Results {
			if c, ok := open[res.CallID]; ok && !res.IsError {
				made[key(c)]++
			}
			if i == len(talk)-1 && res.IsError {
				denied = res.Text
			}
		}
	}
	return made, denied
}

func key(c world.Call) string { return c.Tool + "\x00" + string(argsOf(c)) }

// known are the arguments of a supplying call: those of the gold's calls by their names, what the user knows, what the guard named as the key, in this order.
func known(t *world.Task, tool llm.Tool, next world.Call, denied string) map[string]any {
	args := map[string]any{}
	props, _ := tool.Args["properties"].(map[string]any)
	required, _ := tool.Args["required"].([]any)
	for _, n := range required {
		name, _ := n.(string)
		if props[name] == nil {
			continue
		}
		for _, c := range append([]world.Call{next}, t.Gold.Calls...) {
			if v, ok := c.Args[name]; ok && args[name] == nil {
				args[name] = v
			}
		}
		if t.User != nil && args[name] == nil {
			for _, facts := range []map[string]string{t.User.Facts, t.User.Hidden} {
				if v, ok := facts[name]; ok {
					args[name] = v
				}
			}
		}
		if m := keyed.FindStringSubmatch(denied); m != nil && args[name] == nil {
			args[name] = m[1]
		}
	}
	return args
}

// finish is the gold's last word: its answer with its reasons, or what an assistant says.
func finish(t *world.Task) string {
	var thought strings.Builder
	for i, s := range t.Gold.Steps {
		if i > 0 {
			thought.WriteByte(' ')
		}
		thought.WriteString("[" + s.Clause + "]")
		if s.Text != "" {
			thought.WriteString(" " + s.Text + ": " + map[bool]string{true: "yes", false: "no"}[s.Holds])
		}
	}
	answer := t.Gold.Answer
	switch {
	case answer != "":
	case t.Gold.Succeed:
		answer = "It is done."
	default:
		answer = "I am sorry, I cannot do that."
	}
	return world.Write(thought.String(), answer)
}
