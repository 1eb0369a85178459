package chat

import (
	_ "embed"
	"strings"

	"github.com/proviso-dev/proviso"
)

//go:embed chatml.jinja
var chatmlTemplate string

// The marks of ChatML, and of calls in it.
const (
	imStart   = "<|im_start|>"
	imEnd     = "<|im_end|>"
	callStart = "<tool_call>"
	callEnd   = "</tool_call>"
)

var (
	imEnds    = []string{imEnd, "<|endoftext|>"}
	imControl = []string{"<|endoftext|>", imStart, imEnd}
)

// callFrame is how models of the Qwen families, and many others, write a call.
var callFrame = Frame{Before: callStart + "\n" + `{"name": "`, Between: `", "arguments": `, After: "}\n" + callEnd}

// ChatML is the form for new models: ChatML without a default system message, tools in the system message, results of tools as turns of their own.
var ChatML = &Family{
	Name:     "chatml",
	Doc:      "ChatML with tools in the system message; the form of models made by proviso model new",
	End:      imEnds,
	Control:  imControl,
	Template: chatmlTemplate,
	Frame:    callFrame,
	render:   renderChatML,
	parse:    parseCalls,
	settled:  settledCalls,
}

func renderChatML(p *Prompt, messages []Message, o Options) error {
	if messages[0].Role == System || len(o.Tools) > 0 {
		p.form(imStart, "system\n")
		if messages[0].Role == System {
			p.say(messages[0].Text)
			messages = messages[1:]
			if len(o.Tools) > 0 {
				p.form("\n\n")
			}
		}
		if len(o.Tools) > 0 {
			p.form("Tools, one per line:")
			if err := toolLines(p, o.Tools); err != nil {
				return err
			}
			p.form("\nA call is written as", "\n", callFrame.Before, "NAME", callFrame.Between, "{}", callFrame.After)
		}
		p.form(imEnd, "\n")
	}
	for _, m := range messages {
		p.form(imStart, m.Role, "\n")
		p.say(m.Text)
		for i, c := range m.Calls {
			if i > 0 || m.Text != "" {
				p.form("\n")
			}
			if err := writeCall(p, c); err != nil {
				return err
			}
		}
		p.form(imEnd, "\n")
	}
	if o.Generate {
		p.form(imStart, Assistant, "\n")
	}
	return nil
}

// toolLines writes each tool as JSON on a line of its own. What a tool says about itself is text that nobody has vouched for.
func toolLines(p *Prompt, tools []proviso.JSON) error {
	for i, t := range tools {
		s, err := pythonJSON(t, 0)
		if err != nil {
			return refuse("tool %d is no JSON: %v", i, err)
		}
		p.form("\n")
		p.say(s)
	}
	return nil
}

func writeCall(p *Prompt, c Call) error {
	args, err := pythonJSON(c.Args, 0)
	if err != nil {
		return refuse("the arguments of a call of %.80q are no JSON: %v", c.Name, err)
	}
	p.form(callFrame.Before)
	p.say(c.Name)
	p.form(callFrame.Between)
	p.say(args)
	p.form(callFrame.After)
	return nil
}

// parseCalls takes the calls out of an answer.
func parseCalls(answer string) Answer {
	var a Answer
	var text strings.Builder
	rest := answer
	for {
		before, after, ok := strings.Cut(rest, callStart)
		if !ok {
			break
		}
		inner, behind, closed := strings.Cut(after, callEnd)
		if !closed {
			inner, behind = after, ""
		}
		call, ok := decodeCall(inner, "arguments")
		if !ok {
			text.WriteString(rest[:len(rest)-len(behind)])
			rest = behind
			continue
		}
		text.WriteString(before)
		a.Calls = append(a.Calls, call)
		rest = behind
	}
	text.WriteString(rest)
	a.Text = text.String()
	if len(a.Calls) > 0 {
		a.Text = strings.TrimSpace(a.Text)
	}
	return a
}

// decodeCall reads {"name": …, KEY: {…}}.
func decodeCall(s, key string) (Call, bool) {
	doc, err := proviso.DecodeJSON(strings.TrimSpace(s))
	if err != nil {
		return Call{}, false
	}
	m, _ := doc.(map[string]any)
	name, _ := m["name"].(string)
	args, ok := m[key].(map[string]any)
	if !ok && m[key] != nil || name == "" {
		return Call{}, false
	}
	if args == nil {
		args = map[string]any{}
	}
	raw, err := proviso.AppendJSON(nil, args)
	if err != nil {
		return Call{}, false
	}
	return Call{Name: name, Args: raw}, true
}

// parseThinking takes off what a model thought before its answer. An answer that was cut off in thought is all thought.
func parseThinking(answer string) Answer {
	if !strings.HasPrefix(strings.TrimSpace(answer), thinkStart) {
		return parseCalls(answer)
	}
	thought, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(answer), thinkStart), thinkEnd)
	a := parseCalls(strings.TrimLeft(rest, "\n"))
	a.Reasoning = strings.Trim(thought, "\n")
	return a
}

const (
	thinkStart = "<think>"
	thinkEnd   = "</think>"
)

// settledCalls is what stands before a call, or before what may become one, without the spaces there.
func settledCalls(answer string) int {
	n := len(answer)
	if i := strings.Index(answer, callStart); i >= 0 {
		n = i
	} else {
		for k := min(len(callStart)-1, len(answer)); k > 0; k-- {
			if strings.HasSuffix(answer, callStart[:k]) {
				n -= k
				break
			}
		}
	}
	return len(strings.TrimRight(answer[:n], " \n\t\r"))
}

// settledThinking is nothing where the answer begins with a thought, or may.
func settledThinking(answer string) int {
	begin := strings.TrimSpace(answer)
	if strings.HasPrefix(begin, thinkStart) || strings.HasPrefix(thinkStart, begin) {
		return 0
	}
	return settledCalls(answer)
}
