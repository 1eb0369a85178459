package chat

import "strings"

// Qwen2 is the form of Qwen 2 without tools.
var Qwen2 = &Family{
	Name:    "qwen2",
	Doc:     "Qwen 2: ChatML with a default system message, no tools",
	End:     imEnds,
	Control: imControl,
	digests: []string{
		"f0206845c9ebc3abb4735d44f286eb81ce99238ad2accc710c6fc60e6cb8ccc8", // line breaks escaped
		"793202280c0910ab26bc6eb57c8212c2417324c6d8c4efd0d10d59092ab3e3eb", // line breaks as they are
	},
	render: func(p *Prompt, messages []Message, o Options) error {
		if messages[0].Role != System {
			p.form(imStart, "system\nYou are a helpful assistant.", imEnd, "\n")
		}
		for _, m := range messages {
			turn(p, m)
		}
		generate(p, o)
		return nil
	},
}

// Qwen25 is the form of Qwen 2.5.
var Qwen25 = &Family{
	Name:    "qwen2.5",
	Doc:     "Qwen 2.5: ChatML with a default system message and tools",
	End:     imEnds,
	Control: imControl,
	Frame:   callFrame,
	digests: []string{"55b2f4a26ac9ee719330a61a0c39d9e538b0e9322212f048326318cff4f8674a"},
	render:  renderQwen25,
	parse:   parseCalls,
	settled: settledCalls,
}

// Qwen3 is the form of Qwen 3, which thinks before it answers.
var Qwen3 = &Family{
	Name:    "qwen3",
	Doc:     "Qwen 3: ChatML with tools and thinking",
	End:     imEnds,
	Control: imControl,
	Frame:   callFrame,
	digests: []string{
		"87a2728cb8dc9fe424d624542f6060ec05a1d285ebbec578bb078900e33396b5", // as first released
		"a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8", // with contents that may be no text
	},
	render:  renderQwen3,
	parse:   parseThinking,
	settled: settledThinking,
}

// Qwen3Instruct is the form of the Qwen 3 models that do not think (2507).
var Qwen3Instruct = &Family{
	Name:    "qwen3-instruct",
	Doc:     "Qwen 3 Instruct 2507: ChatML with tools, no thinking",
	End:     imEnds,
	Control: imControl,
	Frame:   callFrame,
	digests: []string{"64f85b198065d0fba2a81f37e10ed68161ce2c19a754c7100e67e0ca2ee9c326"},
	render:  renderQwen3Instruct,
	parse:   parseCalls,
	settled: settledCalls,
}

// What the templates of Qwen say around the tools.
const (
	qwenTools = "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>"
	qwenCalls = "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n" +
		"<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>"
	qwenSystem = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
)

func turn(p *Prompt, m Message) {
	p.form(imStart, m.Role, "\n")
	p.say(m.Text)
	p.form(imEnd, "\n")
}

func generate(p *Prompt, o Options) {
	if o.Generate {
		p.form(imStart, Assistant, "\n")
	}
}

// qwenHead writes the system message with the tools. A missing system message is the fallback.
func qwenHead(p *Prompt, messages []Message, o Options, fallback string) error {
	system := messages[0].Role == System
	if !system && fallback == "" && len(o.Tools) == 0 {
		return nil
	}
	p.form(imStart, "system\n")
	if system {
		p.say(messages[0].Text)
	} else {
		p.form(fallback)
	}
	if len(o.Tools) > 0 {
		if system || fallback != "" {
			p.form("\n\n")
		}
		p.form(qwenTools)
		if err := toolLines(p, o.Tools); err != nil {
			return err
		}
		p.form(qwenCalls)
	}
	p.form(imEnd, "\n")
	return nil
}

// qwenResult writes a result: neighbouring ones share a turn of the user.
func qwenResult(p *Prompt, messages []Message, i int) {
	if i == 0 || messages[i-1].Role != ToolRole {
		p.form(imStart, "user")
	}
	p.form("\n<tool_response>\n")
	p.say(messages[i].Text)
	p.form("\n</tool_response>")
	if i+1 == len(messages) || messages[i+1].Role != ToolRole {
		p.form(imEnd, "\n")
	}
}

func renderQwen25(p *Prompt, messages []Message, o Options) error {
	if err := qwenHead(p, messages, o, qwenSystem); err != nil {
		return err
	}
	for i, m := range messages {
		switch {
		case m.Role == ToolRole:
			qwenResult(p, messages, i)
		case m.Role == System && i == 0:
		case len(m.Calls) == 0:
			turn(p, m)
		default:
			p.form(imStart, m.Role)
			if m.Text != "" {
				p.form("\n")
				p.say(m.Text)
			}
			for _, c := range m.Calls {
				p.form("\n")
				if err := writeCall(p, c); err != nil {
					return err
				}
			}
			p.form(imEnd, "\n")
		}
	}
	generate(p, o)
	return nil
}

func renderQwen3Instruct(p *Prompt, messages []Message, o Options) error {
	if err := qwenHead(p, messages, o, ""); err != nil {
		return err
	}
	for i, m := range messages {
		switch {
		case m.Role == ToolRole:
			qwenResult(p, messages, i)
		case m.Role == Assistant:
			p.form(imStart, m.Role, "\n")
			p.say(m.Text)
			if err := qwenCallsOf(p, m, m.Text != ""); err != nil {
				return err
			}
		case m.Role == System && i == 0:
		default:
			turn(p, m)
		}
	}
	generate(p, o)
	return nil
}

// qwenCallsOf writes the calls of a turn and its end.
func qwenCallsOf(p *Prompt, m Message, content bool) error {
	for i, c := range m.Calls {
		if i > 0 || content {
			p.form("\n")
		}
		if err := writeCall(p, c); err != nil {
			return err
		}
	}
	p.form(imEnd, "\n")
	return nil
}

func renderQwen3(p *Prompt, messages []Message, o Options) error {
	if err := qwenHead(p, messages, o, ""); err != nil {
		return err
	}
	last := lastQuery(messages)
	for i, m := range messages {
		switch {
		case m.Role == ToolRole:
			qwenResult(p, messages, i)
		case m.Role == Assistant:
			text, reasoning := m.Text, m.Reasoning
			if reasoning == "" {
				text, reasoning = splitThinking(text)
			}
			p.form(imStart, m.Role, "\n")
			if i > last && (i == len(messages)-1 || reasoning != "") {
				p.form("<think>\n")
				p.say(strings.Trim(reasoning, "\n"))
				p.form("\n</think>\n\n")
				p.say(strings.TrimLeft(text, "\n"))
			} else {
				p.say(text)
			}
			if err := qwenCallsOf(p, m, text != ""); err != nil {
				return err
			}
		case m.Role == System && i == 0:
		default:
			turn(p, m)
		}
	}
	generate(p, o)
	if o.Generate && o.NoThinking {
		p.form("<think>\n\n</think>\n\n")
	}
	return nil
}

// lastQuery is the index of the last thing that the user asked: what was thought before it is left out. Where the user asked nothing it is the last message.
func lastQuery(messages []Message) int {
	for i := len(messages) - 1; i >= 0; i-- {
		t := messages[i].Text
		if messages[i].Role == User && !(strings.HasPrefix(t, "<tool_response>") && strings.HasSuffix(t, "</tool_response>")) {
			return i
		}
	}
	return len(messages) - 1
}

// splitThinking finds the thoughts inside of a text, as the template does.
func splitThinking(text string) (rest, reasoning string) {
	if !strings.Contains(text, thinkEnd) {
		return text, ""
	}
	parts := strings.Split(text, thinkEnd)
	thought := strings.Split(strings.TrimRight(parts[0], "\n"), thinkStart)
	return strings.TrimLeft(parts[len(parts)-1], "\n"), strings.TrimLeft(thought[len(thought)-1], "\n")
}
