package chat

import (
	"strings"

	"github.com/proviso-dev/proviso"
)

// The marks of Llama 3.
const (
	headStart = "<|start_header_id|>"
	headEnd   = "<|end_header_id|>\n\n"
	eot       = "<|eot_id|>"
)

var (
	eots         = []string{eot, "<|eom_id|>", "<|end_of_text|>"}
	llamaControl = []string{"<|begin_of_text|>", "<|end_of_text|>", headStart, "<|end_header_id|>", "<|eom_id|>", eot, "<|python_tag|>"}
)

// llamaFrame is how Llama 3.1 and later write a call, which is a whole answer.
var llamaFrame = Frame{Before: `{"name": "`, Between: `", "parameters": `, After: "}", Alone: true}

// Llama3 is the form of Llama 3 without tools.
var Llama3 = &Family{
	Name:    "llama3",
	Doc:     "Llama 3: headers, no tools",
	End:     eots,
	Control: llamaControl,
	digests: []string{"ba03a121d097859c7b5b9cd03af99aafe95275210d2876f642ad9929a150f122"},
	render: func(p *Prompt, messages []Message, o Options) error {
		p.form(o.Begin)
		for _, m := range messages {
			llamaTurn(p, m.Role, m.Text)
		}
		llamaGenerate(p, o)
		return nil
	},
}

// Llama31 is the form of Llama 3.1 and 3.3.
var Llama31 = &Family{
	Name:    "llama3.1",
	Doc:     "Llama 3.1 and 3.3: a system message with dates, one call at a time",
	End:     eots,
	Control: llamaControl,
	Frame:   llamaFrame,
	digests: []string{"93c0e9aa3629bbd77e68dbc0f5621f6e6b23aa8d74b932595cdb8d64684526d7"},
	render:  renderLlama31,
	parse:   parseLlama,
	settled: settledLlama,
}

// Llama32 is the form of Llama 3.2. It differs from that of 3.1 in tools that are built into the model, which are not offered here, and in its template naming the day on which it runs.
var Llama32 = &Family{
	Name:    "llama3.2",
	Doc:     "Llama 3.2: as 3.1, without built-in tools",
	End:     eots,
	Control: llamaControl,
	Frame:   llamaFrame,
	digests: []string{"d82792f95932f1c9cef5c4bd992f171225e3bf8c7b609b4557c9e1ec96be819f"},
	render:  renderLlama31,
	parse:   parseLlama,
	settled: settledLlama,
}

// llamaDate is what the templates say where nobody tells them the date.
const llamaDate = "26 Jul 2024"

// llamaTools is what the templates say before the tools.
const llamaTools = "Given the following functions, please respond with a JSON for a function call with its proper arguments that best answers the given prompt.\n\n" +
	`Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.` + "Do not use variables.\n\n"

func llamaTurn(p *Prompt, role, text string) {
	p.form(headStart, role, headEnd)
	p.say(strings.TrimSpace(text))
	p.form(eot)
}

func llamaGenerate(p *Prompt, o Options) {
	if o.Generate {
		p.form(headStart, Assistant, headEnd)
	}
}

func renderLlama31(p *Prompt, messages []Message, o Options) error {
	p.form(o.Begin, headStart, "system", headEnd)
	if len(o.Tools) > 0 {
		p.form("Environment: ipython\n")
	}
	date := o.Date
	if date == "" {
		date = llamaDate
	}
	p.form("Cutting Knowledge Date: December 2023\nToday Date: ", date, "\n\n")
	if messages[0].Role == System {
		p.say(strings.TrimSpace(messages[0].Text))
		messages = messages[1:]
	}
	p.form(eot)
	if len(o.Tools) > 0 {
		if len(messages) == 0 {
			return refuse("tools stand in the first message of the user, and there is none")
		}
		p.form(headStart, "user", headEnd, llamaTools)
		for i, t := range o.Tools {
			s, err := pythonJSON(t, 4)
			if err != nil {
				return refuse("tool %d is no JSON: %v", i, err)
			}
			p.say(s)
			p.form("\n\n")
		}
		p.say(strings.TrimSpace(messages[0].Text))
		p.form(eot)
		messages = messages[1:]
	}
	for i, m := range messages {
		switch {
		case m.Role == ToolRole:
			s, err := textJSON(m.Text)
			if err != nil {
				return refuse("message %d is no text: %v", i, err)
			}
			p.form(headStart, "ipython", headEnd)
			p.say(s)
			p.form(eot)
		case len(m.Calls) > 1:
			return refuse("message %d has %d calls; this family makes one at a time", i, len(m.Calls))
		case len(m.Calls) == 1:
			args, err := pythonJSON(m.Calls[0].Args, 0)
			if err != nil {
				return refuse("the arguments of a call of %.80q are no JSON: %v", m.Calls[0].Name, err)
			}
			p.form(headStart, Assistant, headEnd, llamaFrame.Before)
			p.say(m.Calls[0].Name)
			p.form(llamaFrame.Between)
			p.say(args)
			p.form(llamaFrame.After, eot)
		default:
			llamaTurn(p, m.Role, m.Text)
		}
	}
	llamaGenerate(p, o)
	return nil
}

// textJSON writes a text as JSON. The templates do so with results, because Jinja holds a text to be iterable.
func textJSON(s string) (string, error) {
	raw, err := proviso.AppendJSON(nil, s)
	if err != nil {
		return "", err
	}
	return pythonJSON(raw, 0)
}

func parseLlama(answer string) Answer {
	s := strings.TrimPrefix(strings.TrimSpace(answer), "<|python_tag|>")
	if c, ok := decodeCall(s, "parameters"); ok {
		return Answer{Calls: []Call{c}}
	}
	return Answer{Text: answer}
}

// settledLlama is nothing where an answer begins like a call, because a call is a whole answer.
func settledLlama(answer string) int {
	begin := strings.TrimSpace(answer)
	if begin == "" || begin[0] == '{' || begin[0] == '<' {
		return 0
	}
	return len(answer)
}
