package proviso

import "fmt"

// Tri is a truth value of Kleene's strong three-valued logic. The zero value is False.
type Tri uint8

// The truth values, ordered so that "and" is the minimum and "or" the maximum.
const (
	False Tri = iota
	Unknown
	True
)

// Not returns the negation; Unknown stays Unknown.
func (t Tri) Not() Tri { return True - t }

// TriOf converts a boolean.
func TriOf(b bool) Tri {
	if b {
		return True
	}
	return False
}

func (t Tri) String() string { return [...]string{"false", "unknown", "true"}[t] }

// Outcome is what a decision permits. The zero value is the safe one; where rules differ the lowest wins, whatever their order.
type Outcome uint8

// The outcomes from the strictest to the most permissive.
const (
	Deny Outcome = iota
	NeedInfo
	Escalate
	Allow
)

var outcomeNames = [...]string{"deny", "needs_info", "escalate", "allow"}

func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "deny"
}

// ParseOutcome returns the outcome of that name; ok is false, and the outcome Deny, for any other text.
func ParseOutcome(s string) (o Outcome, ok bool) {
	for i, n := range outcomeNames {
		if n == s {
			return Outcome(i), true
		}
	}
	return Deny, false
}

// MarshalText writes the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads an outcome's name; an unknown name is an error, never Allow.
func (o *Outcome) UnmarshalText(b []byte) error {
	p, ok := ParseOutcome(string(b))
	*o = p
	if !ok {
		return unknownName("outcome", string(b), outcomeNames[:])
	}
	return nil
}

// Class says what the agent can do about a denial.
type Class string

// The classes of a reason.
const (
	Never        Class = "never"         // no argument and no fact would make it allowed
	WithChange   Class = "with_change"   // other arguments or another state would be allowed
	WithApproval Class = "with_approval" // a person may approve it
	NeedsInfo    Class = "needs_info"    // something has to be found out first
	Transient    Class = "transient"     // the same call may be allowed later
)

// Clause cites one clause of the policy document.
type Clause struct {
	ID   string `json:"id"`
	Text string `json:"text,omitempty"`
	Span Span   `json:"span,omitzero"`
}

// Span is a range of bytes [Start, End) of a file of the pack, with the line it starts on (1-based).
type Span struct {
	File  string `json:"file,omitempty"`
	Start int    `json:"start"`
	End   int    `json:"end"`
	Line  int    `json:"line,omitempty"`
}

// Cause is one sub-expression that decided, as written, with its value and the values it was computed from.
type Cause struct {
	Expr   string  `json:"expr"`
	Value  string  `json:"value"` // "true", "false", "unknown" or "error"
	Inputs []Value `json:"inputs,omitempty"`
}

// Value is a path of a condition and the value it had. Val is owned by the session or the call and must not be changed.
type Value struct {
	Path string `json:"path"`
	Val  any    `json:"value"`
}

// Reason tells why a rule determined the decision.
// Outcome is what the rule yields; Mode "audit" marks a rule that only would have.
type Reason struct {
	Rule    string   `json:"rule"`
	Outcome Outcome  `json:"outcome"`
	Mode    string   `json:"mode,omitempty"`
	Clauses []Clause `json:"clauses,omitempty"`
	Because []Cause  `json:"because,omitempty"`
	Agent   string   `json:"agent_message,omitempty"`
	User    string   `json:"user_message,omitempty"`
	Auditor string   `json:"auditor_message,omitempty"`
	Class   Class    `json:"class"`
	Hint    string   `json:"hint,omitempty"`
	Pos     Pos      `json:"pos,omitzero"`
}

// Missing is one thing that would help to decide, named by who can supply it.
type Missing struct {
	Kind MissingKind `json:"kind"`
	// Fact and Key name the fact that was not observed (kind "fact").
	Fact string  `json:"fact,omitempty"`
	Key  []Value `json:"key,omitempty"`
	// Suppliers are the granted reads that can supply the fact, the first listed first.
	Suppliers []Supplier `json:"suppliers,omitempty"`
	// Question is the id of the judged question (kind "question"); for kind "confirmation" it is the argument hash of the call.
	Question string `json:"question,omitempty"`
	// Ask is the text to put to the judge or to the user.
	Ask string `json:"ask,omitempty"`
	// Rules and Clauses say who waits for it.
	Rules   []string `json:"rules,omitempty"`
	Clauses []Clause `json:"clauses,omitempty"`
}

// MissingKind says who can supply what is missing.
type MissingKind string

// The kinds of missing things.
const (
	MissingFact         MissingKind = "fact"         // a tool call supplies it
	MissingQuestion     MissingKind = "question"     // the judge answers it
	MissingConfirmation MissingKind = "confirmation" // the user confirms the proposed call
)

// Supplier is a call that would supply a fact: the arguments that could be computed, and the names of those that stay open.
type Supplier struct {
	Tool string         `json:"tool"`
	Args map[string]any `json:"args,omitempty"`
	Open []string       `json:"open,omitempty"`
}

// Edit changes a body before it is forwarded: either the bytes [Start, End) of the text are replaced by Text, or the value at Path is set to Value.
type Edit struct {
	Rule  string `json:"rule"`
	Path  string `json:"path,omitempty"`
	Value any    `json:"value,omitempty"`
	Start int    `json:"start,omitempty"`
	End   int    `json:"end,omitempty"`
	Text  string `json:"text,omitempty"`
}

// Redacts reports whether the edit replaces a span of text rather than a value.
func (e Edit) Redacts() bool { return e.Path == "" }

// Notice warns without stopping anything. To is "agent", "user" or "auditor".
type Notice struct {
	Rule string `json:"rule"`
	To   string `json:"to"`
	Text string `json:"text"`
}

// Fault is something that went wrong while deciding. It never widens a decision.
type Fault struct {
	Code string `json:"code"`
	Rule string `json:"rule,omitempty"`
	Expr string `json:"expr,omitempty"`
	Msg  string `json:"message"`
	Hint string `json:"hint,omitempty"`
}

func (f Fault) String() string {
	if f.Rule == "" {
		return fmt.Sprintf("%s: %s", f.Code, f.Msg)
	}
	return fmt.Sprintf("%s: %s: %s", f.Code, f.Rule, f.Msg)
}

// Decision is what a policy says about one event. The zero value denies.
// Policy is the digest of the policy that decided. Approximate marks a decision whose Missing may name more than can still change the outcome, because more atoms were open than are enumerated; the outcome itself is never approximate in the permissive direction.
// FailedOpen is true where an on_error: allow of the pack turned an error into Allow.
type Decision struct {
	Outcome     Outcome   `json:"outcome"`
	Policy      string    `json:"policy"`
	Edits       []Edit    `json:"edits,omitempty"`
	Notices     []Notice  `json:"notices,omitempty"`
	Reasons     []Reason  `json:"reasons,omitempty"`
	Missing     []Missing `json:"missing,omitempty"`
	Errors      []Fault   `json:"errors,omitempty"`
	Approximate bool      `json:"approximate,omitempty"`
	FailedOpen  bool      `json:"failed_open,omitempty"`
}

// Clauses lists the ids of all clauses that the reasons cite, each once, in order.
func (d *Decision) Clauses() []string {
	var out []string
	seen := map[string]bool{}
	for _, r := range d.Reasons {
		for _, c := range r.Clauses {
			if !seen[c.ID] {
				seen[c.ID] = true
				out = append(out, c.ID)
			}
		}
	}
	return out
}
