package proviso

import "time"

// Phase is how far a tool call has come. Calls go attempted → denied | released → ok | error.
type Phase string

// The phases of a call.
const (
	Attempted Phase = "attempted"
	Denied    Phase = "denied"
	Released  Phase = "released"
	OK        Phase = "ok"
	Failed    Phase = "error"
)

// Record is one event together with what was decided about it and what came of it: the unit of the journal, and all that session state is folded from.
// For a tool call the record carries the phase after the decision (denied or released); for a tool result the phase of the call it answers (ok or error) in Phase.
// Facts are the facts that the event supplied, already converted to their schema, so that the fold needs neither the policy's expressions nor the body.
type Record struct {
	Event      Event       `json:"event"`
	Decision   Decision    `json:"decision"`
	Phase      Phase       `json:"phase,omitempty"`
	ArgsHash   string      `json:"args_hash,omitempty"`
	Facts      []FactValue `json:"facts,omitempty"`
	Stale      []FactKey   `json:"stale,omitempty"`
	Answers    []Answer    `json:"answers,omitempty"`
	Unverified bool        `json:"unverified,omitempty"` // a result that answers no call released in this session
	Changed    bool        `json:"changed,omitempty"`    // a client resent a transcript whose prefix differs from what was recorded
	DecidedAt  time.Time   `json:"decided_at,omitzero"`  // the `now` that the decision saw

	// Approval names the approval that was used up to release the call; nil where none was needed.
	Approval *ApprovalUse `json:"approval,omitempty"`

	// Kept is what the fold needs of the body should it be redacted; Redacted tells that the body was taken out: what is left of it names what was called, not what was said.
	Kept     *Kept `json:"kept,omitempty"`
	Redacted bool  `json:"redacted,omitempty"`
}

// Kept is what folding a record needs of its event's body. It lets a journal take the body out and still fold the session.
type Kept struct {
	Args  []FactValue `json:"args,omitempty"`  // of a call: the arguments by which the policy counts and sums, each under its name as Fact
	Sent  []FactValue `json:"sent,omitempty"`  // the same of the call as it was forwarded, where an edit changed it
	Hash  string      `json:"hash,omitempty"`  // of a call before its edits, where they changed it; ArgsHash is the one after them
	Known string      `json:"known,omitempty"` // the digest by which a transcript that is sent again is compared
	Asked bool        `json:"asked,omitempty"` // of a call: the user asked for it, so that its result has the label asked
}

// FactKey names one entry of a fact; Key is empty for a keyless fact. A key that is shorter than the fact's own names every entry below it.
type FactKey struct {
	Fact string   `json:"fact"`
	Key  []string `json:"key,omitempty"`
}

// FactValue is one observed fact. Err is set, and Value nil, where the value did not conform to the fact's schema.
type FactValue struct {
	FactKey
	Value any    `json:"value,omitempty"`
	Err   string `json:"error,omitempty"`
}

// Answer is the answer to a judged question. Quotes are verbatim passages of the transcript, Cites verbatim passages of the clause.
// Hash binds the answer to what was asked about, so that a later question with other values is asked again.
type Answer struct {
	Question string   `json:"question"`
	Hash     string   `json:"hash,omitempty"`
	Value    Tri      `json:"value"`
	Quotes   []string `json:"quotes,omitempty"`
	Cites    []string `json:"cites,omitempty"`
	By       string   `json:"by,omitempty"`
}

// Trace is the records of one session in order of Seq: the currency of everything after enforcement.
type Trace struct {
	Session string   `json:"session"`
	Source  string   `json:"source,omitempty"` // the file or store it was read from
	Records []Record `json:"records"`
}

// Status is the state of a clause in a trace, from the worst to the most harmless: violated > error > unknown > satisfied > dormant.
type Status uint8

// The statuses of a verdict. Dormant is the zero value: nothing that the clause speaks of occurred.
const (
	Dormant Status = iota
	Satisfied
	Undetermined
	Errored
	Violated
)

var statusNames = [...]string{"dormant", "satisfied", "unknown", "error", "violated"}

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "error"
}

// MarshalText writes the status name.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a status name.
func (s *Status) UnmarshalText(b []byte) error {
	for i, n := range statusNames {
		if n == string(b) {
			*s = Status(i)
			return nil
		}
	}
	return unknownName("status", string(b), statusNames[:])
}

// Verdict says what a trace shows about one clause. Method is "rule", "judge" or "human".
type Verdict struct {
	Session  string     `json:"session"`
	Clause   Clause     `json:"clause"`
	Status   Status     `json:"status"`
	Method   string     `json:"method"`
	Rules    []string   `json:"rules,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
}

// Evidence points into a trace: the event and an exact quote of it.
type Evidence struct {
	Seq    uint64  `json:"seq"`
	Point  Point   `json:"point"`
	Status Status  `json:"status"`
	Rule   string  `json:"rule,omitempty"`
	Tool   string  `json:"tool,omitempty"` // of a call or result, whose arguments or content the quote is from
	Quote  string  `json:"quote"`
	Cause  []Cause `json:"cause,omitempty"`
	// From tells who brought the values in that the causes name.
	From []Source `json:"from,omitempty"`
}

// Source is who brought a value into a session: "user", "system", "tool:NAME", "session" for the authenticated user, or "agent" where nobody else said it before.
type Source struct {
	Path  string `json:"path"`
	Value string `json:"value"` // as it was looked for
	By    string `json:"by"`
	Seq   uint64 `json:"seq,omitempty"` // the event that said it first; 0 where none is known
	// Labels are the origins that the session tracked for the value, none where it found nothing.
	Labels []string `json:"labels,omitempty"`
}

// Example is one training record, tied to the trace, the clause and the path of the tree that it teaches.
type Example struct {
	Trace  string `json:"trace"`
	Clause string `json:"clause"`
	Path   string `json:"path,omitempty"`
	Prompt string `json:"prompt"`
	Answer string `json:"answer"`
}

// Question is something that only language understanding can answer.
type Question struct {
	ID    string `json:"id"`
	Ask   string `json:"ask"`
	About []any  `json:"about,omitempty"`
}
