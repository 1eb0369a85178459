package journal

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/proviso-dev/proviso"
)

// Seal makes a record the link that follows prev. It keeps nothing of the record.
// It fails where a value of the record has no JSON form, such as a fact that is NaN.
func Seal(r *proviso.Record, prev Hash) (Entry, error) {
	s := Sealer{text: make([]byte, 0, 1024), salts: make([]byte, saltSize)}
	rand.Read(s.salts)
	return s.Seal(r, prev)
}

const (
	saltSize = 16
	// maxKept is how much memory a sealer keeps for the next records.
	maxKept = 1 << 20
)

// Sealer seals many records in the memory of those before. The zero value is ready to use, by one goroutine at a time.
type Sealer struct {
	text   []byte
	salts  []byte // those that were drawn and not used
	drawn  [64 * saltSize]byte
	open   proviso.Record
	secret content
}

// Seal is Seal of the package, but the bytes of the entry are good only until Reset.
func (s *Sealer) Seal(r *proviso.Record, prev Hash) (Entry, error) {
	e := Entry{Session: r.Event.Session, Seq: r.Event.Seq}
	part(r, &s.open, &s.secret)
	s.secret.Salt = s.salt()
	begin := len(s.text)
	text, err := proviso.AppendJSON(s.text, &s.secret)
	if err != nil || s.secret.Because != nil && nesting(text[begin:]) > proviso.MaxJSONDepth {
		// The values of a condition may be anything that CEL computes, infinities included, and nested so deeply that they could not be read inside of a record; they are told in words rather than not at all.
		s.secret.Because = inWords(s.secret.Because)
		text, err = proviso.AppendJSON(s.text, &s.secret)
	}
	if err != nil {
		return Entry{}, sealError(r, err)
	}
	middle := len(text)
	e.Body = text[begin:middle:middle]
	if text, err = appendHead(text, HashOf(e.Body), prev, &s.open); err != nil {
		return Entry{}, sealError(r, err)
	}
	e.Head = text[middle:len(text):len(text)]
	e.Hash = HashOf(e.Head)
	s.text = text
	return e, nil
}

// salt returns bytes that nobody can guess. They are drawn for many records at a time.
func (s *Sealer) salt() []byte {
	if len(s.salts) == 0 {
		rand.Read(s.drawn[:])
		s.salts = s.drawn[:]
	}
	salt := s.salts[:saltSize]
	s.salts = s.salts[saltSize:]
	return salt
}

// Reset takes the memory of all entries back.
func (s *Sealer) Reset() {
	s.open, s.secret = proviso.Record{}, content{}
	if s.text = s.text[:0]; cap(s.text) > maxKept {
		s.text = nil
	}
}

// appendHead writes what head is read from. The record goes straight into the line, rather than through a text of its own that would have to be looked at again.
func appendHead(b []byte, body, prev Hash, open *proviso.Record) ([]byte, error) {
	b, err := proviso.AppendJSON(append(b, `{"session":`...), &open.Event.Session)
	if err != nil {
		return nil, err
	}
	b = strconv.AppendUint(append(b, `,"seq":`...), open.Event.Seq, 10)
	if prev != (Hash{}) {
		b = append(hex.AppendEncode(append(b, `,"prev":"`...), prev[:]), '"')
	}
	b = append(hex.AppendEncode(append(b, `,"body":"`...), body[:]), '"')
	if b, err = proviso.AppendJSON(append(b, `,"record":`...), open); err != nil {
		return nil, err
	}
	return append(b, '}'), nil
}

func sealError(r *proviso.Record, err error) error {
	return fmt.Errorf("journal: record %d of session %q cannot be written: %w", r.Event.Seq, r.Event.Session, err)
}

// part takes a record apart into what stays and what a redaction takes out. The record is not changed; the parts share its memory.
func part(r, open *proviso.Record, secret *content) {
	*open = *r
	d := &open.Decision
	*secret = content{Body: r.Event.Body, Edits: d.Edits, Missing: d.Missing, Errors: d.Errors, Answers: r.Answers}
	open.Event.Body = bare(r.Event.Body)
	d.Edits = nil
	d.Reasons = each(d.Reasons, func(x proviso.Reason) proviso.Reason {
		x.Because = nil
		return x
	})
	for i := range r.Decision.Reasons {
		if r.Decision.Reasons[i].Because != nil && secret.Because == nil {
			secret.Because = make([][]proviso.Cause, len(r.Decision.Reasons))
		}
		if secret.Because != nil {
			secret.Because[i] = r.Decision.Reasons[i].Because
		}
	}
	d.Missing = each(d.Missing, func(x proviso.Missing) proviso.Missing {
		x.Key, x.Suppliers = nil, nil
		return x
	})
	d.Errors = each(d.Errors, func(x proviso.Fault) proviso.Fault { return proviso.Fault{Code: x.Code, Rule: x.Rule} })
	open.Answers = each(open.Answers, func(x proviso.Answer) proviso.Answer {
		x.Quotes, x.Cites = nil, nil
		return x
	})
}

// Bare returns a copy of a record without what a redaction takes out.
func Bare(r *proviso.Record) proviso.Record {
	var open proviso.Record
	part(r, &open, new(content))
	open.Redacted = true
	return *cloneRecord(&open)
}

// bare is a body without its content: what is left of it names what was called, not what was said.
func bare(b proviso.Body) proviso.Body {
	switch b := b.(type) {
	case *proviso.Message:
		return &proviso.Message{Role: b.Role, Confirms: b.Confirms}
	case *proviso.ToolCall:
		c := bareCall(*b)
		return &c
	case *proviso.ToolResult:
		return &proviso.ToolResult{CallID: b.CallID, Tool: b.Tool, IsError: b.IsError}
	case *proviso.ModelRequest:
		return &proviso.ModelRequest{Model: b.Model, Tools: b.Tools}
	case *proviso.ModelResponse:
		return &proviso.ModelResponse{ID: b.ID, Calls: each(b.Calls, bareCall)}
	}
	return b
}

func bareCall(c proviso.ToolCall) proviso.ToolCall {
	return proviso.ToolCall{ID: c.ID, Tool: c.Tool, Response: c.Response, Index: c.Index}
}

// nesting is how deep lists and objects are nested in JSON.
func nesting(b []byte) (deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted:
			if c == '\\' {
				i++
			}
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '{', c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}', c == ']':
			depth--
		}
	}
	return deepest
}

func inWords(because [][]proviso.Cause) [][]proviso.Cause {
	return each(because, func(cs []proviso.Cause) []proviso.Cause {
		return each(cs, func(c proviso.Cause) proviso.Cause {
			c.Inputs = each(c.Inputs, func(v proviso.Value) proviso.Value {
				v.Val = string(proviso.CanonicalJSON(v.Val))
				return v
			})
			return c
		})
	})
}
