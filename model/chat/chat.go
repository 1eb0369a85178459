package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
)

// The codes of errors of this package.
const (
	CodeUnknown  = "PV705" // a chat template that is not known
	CodeMessages = "PV711" // messages that the family has no form for
)

// The roles of messages.
const (
	System    = "system"
	User      = "user"
	Assistant = "assistant"
	ToolRole  = "tool"
)

// Message is one turn. A result of a tool is a message of ToolRole.
type Message struct {
	Role      string
	Text      string
	Reasoning string // what the assistant thought before; families without a place for it leave it out
	Calls     []Call // of the assistant
}

// Call is a call of a tool. Args is a JSON object.
type Call struct {
	Name string
	Args proviso.JSON
}

// Options say what surrounds the messages.
type Options struct {
	// Tools are the tools on offer as JSON, {"type": "function", "function": {…}} each. The order of keys is kept: models notice it.
	Tools []proviso.JSON
	// Generate ends the prompt where the assistant begins to speak.
	Generate bool
	// NoThinking asks a model that can think before it answers not to; families without thinking do not notice.
	NoThinking bool
	// Begin is the text of the token that begins a text, for families that write it.
	Begin string
	// Date is today for families that name it, such as "02 Jan 2026"; empty is the date that the family's own template falls back on.
	Date string
}

// Part is a piece of a prompt. Literal text comes from messages: no control token in it has a meaning.
type Part struct {
	Text    string
	Literal bool
}

// Prompt is a rendered conversation.
type Prompt []Part

// String returns the whole text.
func (p Prompt) String() string {
	var b strings.Builder
	for _, x := range p {
		b.WriteString(x.Text)
	}
	return b.String()
}

// form adds text of the template, say adds text of a message.
func (p *Prompt) form(texts ...string) {
	for _, t := range texts {
		p.add(t, false)
	}
}

func (p *Prompt) say(text string) { p.add(text, true) }

func (p *Prompt) add(text string, literal bool) {
	if text == "" {
		return
	}
	if n := len(*p); n > 0 && (*p)[n-1].Literal == literal {
		(*p)[n-1].Text += text
		return
	}
	*p = append(*p, Part{text, literal})
}

// Answer is what a model said, taken apart.
type Answer struct {
	Text      string
	Reasoning string
	Calls     []Call
}

// Family is the form of conversation that a family of models knows.
type Family struct {
	Name string
	Doc  string
	// End are the tokens that end a turn of the assistant, the one that the family writes first.
	End []string
	// Control are all tokens of the form that no message can contain, those of End included: what a tokenizer for a new model of the family has to know.
	Control []string
	// Template is the Jinja text to store with a new model; empty where only others' models have it.
	Template string
	// Frame is how a call is written.
	Frame Frame

	digests []string // SHA-256 of template texts without line breaks at the end
	render  func(p *Prompt, messages []Message, o Options) error
	parse   func(answer string) Answer
	settled func(answer string) int
}

// Frame is how a family writes a call: Before, the tool's name, Between, its arguments as a JSON object, After. Alone says that a call is the whole answer.
type Frame struct {
	Before, Between, After string
	Alone                  bool
}

// Render returns the text of a conversation. The error is a proviso.Diagnostic with CodeMessages where the family has no form for the messages.
func (f *Family) Render(messages []Message, o Options) (Prompt, error) {
	if len(messages) == 0 {
		return nil, refuse("there are no messages")
	}
	for i, m := range messages {
		switch m.Role {
		case System, User, Assistant, ToolRole:
		default:
			return nil, refuse("message %d has the role %.20q; roles are system, user, assistant and tool", i, m.Role)
		}
		if len(m.Calls) > 0 && m.Role != Assistant {
			return nil, refuse("message %d of the %s has calls; only the assistant calls tools", i, m.Role)
		}
	}
	if (len(o.Tools) > 0 || slices.ContainsFunc(messages, func(m Message) bool { return len(m.Calls) > 0 })) && f.Frame == (Frame{}) {
		return nil, refuse("models of the family %s know no tools", f.Name)
	}
	var p Prompt
	if err := f.render(&p, messages, o); err != nil {
		return nil, err
	}
	return p, nil
}

// Parse takes an answer apart. What looks like a call and is none, such as one whose arguments are no JSON object, stays in the text.
func (f *Family) Parse(answer string) Answer {
	if f.parse == nil {
		return Answer{Text: answer}
	}
	return f.parse(answer)
}

// Settled returns how many bytes at the beginning of an answer that is not finished are text of it, whatever follows; what is behind may become a call or belong to a thought. It is for showing an answer while it is written.
func (f *Family) Settled(answer string) int {
	if f.settled == nil {
		return len(answer)
	}
	return f.settled(answer)
}

// Recognize returns the family of a checkpoint's Jinja template. The error is a proviso.Diagnostic with CodeUnknown.
func Recognize(template string) (*Family, error) {
	sum := sha256.Sum256([]byte(strings.TrimRight(template, "\r\n")))
	digest := hex.EncodeToString(sum[:])
	for _, f := range Families {
		if slices.Contains(f.digests, digest) || f.Template != "" && strings.TrimRight(f.Template, "\r\n") == strings.TrimRight(template, "\r\n") {
			return f, nil
		}
	}
	return nil, proviso.Diagnostic{Code: CodeUnknown, Msg: "the chat template with the digest " + digest[:12] + " is not known",
		Hint: "name the family whose form the model was trained on: " + names()}
}

// Lookup returns the family of a name. The error is a proviso.Diagnostic with CodeUnknown.
func Lookup(name string) (*Family, error) {
	for _, f := range Families {
		if f.Name == name {
			return f, nil
		}
	}
	return nil, proviso.Diagnostic{Code: CodeUnknown, Msg: fmt.Sprintf("no chat family is called %q", name), Hint: "families are " + names()}
}

func names() string {
	all := make([]string, len(Families))
	for i, f := range Families {
		all[i] = f.Name
	}
	return strings.Join(all, ", ")
}

func refuse(format string, args ...any) error {
	return proviso.Diagnostic{Code: CodeMessages, Msg: "chat: " + fmt.Sprintf(format, args...), Hint: "change the request, or use a model of another family"}
}
