// Package wire is what the wire formats of model APIs have in common: one decoded view of a request or an answer beside its raw bytes, so that a door can decide on what is
// said and forward the very bytes; server-sent events; and changes made at JSON pointers, which leave everything around them as it came.
//
// A Wire is one format. Its values live with their vendor: openai.Chat, openai.Responses, anthropic.Messages. Nothing here knows a network, a clock or a policy.
package wire

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/proviso-dev/proviso"
)

// Wire is one format of a model API. Implementations are stateless and safe for concurrent use; they keep the bytes that they are given, which must not be changed afterwards.
type Wire interface {
	// Name tells the wire in configuration, records and metrics.
	Name() string
	// Path is the path of the endpoint, such as "/v1/chat/completions".
	Path() string
	// Request reads a request. The error is a *FormatError where the bytes are no request of this wire.
	Request(raw []byte) (*Request, error)
	// Response reads a whole answer of the model, with the same errors.
	Response(raw []byte) (*Response, error)
	// Rewrite returns the bytes of an answer after the verdicts, one for each choice. Where nothing changes they are the bytes that came.
	Rewrite(r *Response, verdicts []Verdict) ([]byte, error)
	// Stream reads one streamed answer.
	Stream() Stream
	// Refusal is a whole answer that says the text of d instead of a model; as a stream where the request asks for one.
	Refusal(req *Request, d Denial) []byte
	// Error is the body of an HTTP error.
	Error(d Denial) []byte
	// Revise returns the request that asks the model once more, with its answer and what was wrong with it behind the turns.
	Revise(req *Request, answer *Response, verdicts []Verdict, note string) ([]byte, error)
}

// Request is a decoded view of a request. Pointers are JSON pointers into Raw.
type Request struct {
	Raw     []byte
	Doc     map[string]any // Raw, decoded strictly
	Model   string
	Stream  bool
	Choices int    // how many answers are asked for; 1 unless said otherwise
	Turns   []Turn // the transcript in order
	Beside  []Turn // texts for the model that stand beside the transcript, such as a predicted answer
	Tools   []Tool // the tools offered to the model
	Forced  string // the tool that the model is told to call; empty for none
	// Foreign are parts that nobody reads, such as images, and settings by which calls would escape: a door lets through only what its configuration lists.
	Foreign []Part
}

// Turn is one thing said, called or answered in the transcript of a request.
type Turn struct {
	Body proviso.Body // *Message, *ToolCall or *ToolResult
	// Texts are the pieces that the text of a message, or the answer of a tool, is joined of by newlines.
	Texts []Segment
	// Content points to the whole answer of a tool, and Flag to where an error of it is said; Flag is empty where the wire has no place for it.
	Content, Flag string
}

// Segment is a text and where its JSON string stands.
type Segment struct{ At, Text string }

// Tool is a tool offered in a request. Hosted tools are run by the provider before anybody can decide on their calls. Several stands for tools that are named only in their calls;
// Named names one that is offered at another place, such as in a choice among tools.
type Tool struct {
	Name, Kind, At         string
	Hosted, Several, Named bool
}

// Part is something that no rule can see, by what the wire calls it. Of pictures, sounds and files Point tells at which point a rule would want to look at them; it is none for
// everything else, which may be anything.
type Part struct {
	Kind, At string
	Point    proviso.Point
}

// Response is a decoded view of an answer.
type Response struct {
	Raw     []byte // nil where an answer was put together of a stream and nobody has written it; Rewrite and Replay do
	Doc     map[string]any
	ID      string
	Model   string
	Choices []Choice
}

// Choice is one of the answers that the model offers.
type Choice struct {
	At    string
	Texts []Segment
	Calls []Call
	// Foreign are kinds that nobody reads; a door denies them unless its configuration lists them.
	Foreign []Part
	// Ended tells that the model finished the choice; one that did not end is never released.
	Ended bool
}

// Text is what the choice says, its pieces joined by newlines.
func (c *Choice) Text() string { return JoinSegments(c.Texts) }

// Call is a tool call of a model. Ran tells that the provider has run it already; Result is its answer where the wire shows it.
type Call struct {
	proviso.ToolCall
	Kind   string // what the wire calls it
	At     string // the whole call
	ArgsAt string // where its arguments stand
	Form   Form
	Ran    bool
	Fixed  bool // what runs the call does not read it from the answer, so that it cannot be edited
	Result *proviso.ToolResult
	// ResultAt is where the answer of a call that ran stands, where that is a part of its own.
	ResultAt string
}

// Form is how a wire writes the arguments of a call.
type Form uint8

// The forms of arguments.
const (
	ArgsText   Form = iota // JSON inside of a JSON string
	ArgsObject             // a JSON object
	ArgsInput              // free text, which the arguments hold as their only member "input"
	ArgsWhole              // the call as a whole; it cannot be edited
)

// Verdict is what becomes of one choice.
type Verdict struct {
	// Texts replaces the choice's texts, piece by piece; nil leaves them.
	Texts []string
	// Refusal replaces everything of the choice; empty for none.
	Refusal string
	// Calls has one entry for each call, or is nil where all are released as they are.
	Calls []CallVerdict
}

// CallVerdict is what becomes of one call: released as it is, released with Args, or replaced by what Say says.
type CallVerdict struct {
	Args proviso.JSON
	Say  string
}

// Changes reports whether the verdict changes anything.
func (v *Verdict) Changes() bool {
	if v.Texts != nil || v.Refusal != "" {
		return true
	}
	for _, c := range v.Calls {
		if c.Say != "" || c.Args != nil {
			return true
		}
	}
	return false
}

// Unchanged reports whether no verdict changes anything.
func Unchanged(vs []Verdict) bool {
	for i := range vs {
		if vs[i].Changes() {
			return false
		}
	}
	return true
}

// CodeDenied is the code, in a vendor's error object, of what a policy does not allow.
const CodeDenied = "policy_denied"

// Denial is what a door says in place of a model. Code is for programs, such as CodeDenied; Status is the HTTP status, Detail an object about the decision.
type Denial struct {
	Status int
	Code   string
	Text   string
	Detail proviso.JSON
}

// Stream reads one streamed answer, event by event. It is not safe for concurrent use.
type Stream interface {
	// Next takes the next event and says what it carries. The error is a *FormatError for an event that is none of this wire.
	Next(ev Event) (Chunk, error)
	// Mark says that every event taken so far went out as it came.
	Mark()
	// Response is the answer as far as it was read. A choice has Ended only where the model said so; calls may be incomplete before.
	Response() (*Response, error)
	// Regular reports whether every reader puts the calls together in the same way from the events that came. Where it is false only Replay may send them.
	Regular() bool
	// Piece is an event of ours that goes on with a text as Next read it, with another piece; ok is false where nothing of that text was marked, so that the wire has more to say before it.
	Piece(choice, part int, text string) (ev Event, ok bool)
	// Replay returns the events that still have to go out, so that the client ends up with the answer rewritten: what Mark marked went out already, and must be the beginning of it.
	Replay(rewritten *Response) ([]byte, error)
	// Abort returns the events that end the stream early, in the way that the wire has for it.
	Abort(d Denial) []byte
}

// Chunk is what one event of a stream carries.
type Chunk struct {
	Kind   ChunkKind
	Choice int
	Part   int    // which text of the choice Text goes on with
	Text   string // of a text chunk
	Mixed  bool   // it has text of several parts or choices, or text that it says in another way than Text
}

// ChunkKind tells the chunks apart.
type ChunkKind uint8

// The kinds of chunks, from what may flow to what ends a stream. A chunk that carries several things has the last of its kinds.
const (
	Around ChunkKind = iota // no text and no call: roles, usage, pings
	Text                    // a piece of text
	Calls                   // a part of a call, or anything else that is held until the answer is whole
	End                     // the end of the answer
	Failed                  // an error of the provider
)

// FormatError says what is wrong with the bytes of a request or an answer.
type FormatError struct {
	Code, At, Msg string
}

// Error names the place and what is wrong.
func (e *FormatError) Error() string {
	if e.At == "" {
		return fmt.Sprintf("%s [%s]", e.Msg, e.Code)
	}
	return fmt.Sprintf("%s: %s [%s]", e.At, e.Msg, e.Code)
}

// The codes of format errors.
const (
	CodeFormat = "PV421" // bytes that are no request or answer of the wire
	CodeEvent  = "PV422" // a server-sent event that cannot be read
)

// Decode reads the JSON object of an answer or an event strictly. The bytes are not kept.
func Decode(raw []byte) (map[string]any, error) {
	v, err := proviso.DecodeResultJSON(raw)
	return object(v, err)
}

// DecodeRequest is Decode for a request: the texts share the memory of raw, which must not be changed afterwards; who keeps one for longer than the request copies it.
// What the tools are called and are is read; their schemas and descriptions, the most of many requests, are checked and stand as null.
func DecodeRequest(raw []byte) (map[string]any, error) {
	v, err := proviso.DecodeOutline(unsafe.String(unsafe.SliceData(raw), len(raw)), unread)
	return object(v, err)
}

// unread tells the members of a tool that nobody asks for.
func unread(top, key string) bool {
	return (top == "tools" || top == "functions") && (key == "parameters" || key == "input_schema" || key == "description")
}

func object(v any, err error) (map[string]any, error) {
	if err != nil {
		var je *proviso.JSONError
		if errors.As(err, &je) {
			return nil, &FormatError{Code: je.Code, Msg: fmt.Sprintf("offset %d: %s", je.Offset, je.Msg)}
		}
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, &FormatError{Code: CodeFormat, Msg: "want a JSON object"}
	}
	return m, nil
}

// Malformed is the error for a part at a pointer that is not as the wire has it.
func Malformed(at, want string) error {
	return &FormatError{Code: CodeFormat, At: at, Msg: "want " + want}
}

// JoinSegments returns the text that segments make together.
func JoinSegments(list []Segment) string {
	if len(list) == 1 {
		return list[0].Text
	}
	var b strings.Builder
	for i, s := range list {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(s.Text)
	}
	return b.String()
}

// RedactSegments carries redactions, whose offsets are those of the joined text, out on each segment. What a redaction takes of the newline between two segments is left standing.
func RedactSegments(list []Segment, edits []proviso.Edit) []string {
	out := make([]string, len(list))
	at := 0
	for i, s := range list {
		var mine []proviso.Edit
		for _, e := range edits {
			if !e.Redacts() || e.End <= at || e.Start >= at+len(s.Text) {
				continue
			}
			if e.Start < at {
				e.Text = "" // its replacement stands in the segment where it begins
			}
			e.Start, e.End = max(e.Start-at, 0), min(e.End-at, len(s.Text))
			mine = append(mine, e)
		}
		out[i] = proviso.RedactText(s.Text, mine)
		at += len(s.Text) + 1
	}
	return out
}

// Quote writes a text as a JSON string.
func Quote(s string) []byte {
	b, err := proviso.AppendJSON(nil, s)
	if err != nil {
		// unreachable: every text has a JSON form.
		return []byte(`""`)
	}
	return b
}
