package proviso

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Binding is what an approval is tied to: it counts for a call only where all of it is the same.
type Binding struct {
	// Caller is the authenticated user for whom the agent acts. Where the door knows none it is empty, and Session holds the session instead, so that strangers never share an approval.
	Caller  string   `json:"caller,omitempty"`
	Session string   `json:"only_session,omitempty"`
	Agents  []string `json:"agents,omitempty"` // the agent and those that handed the work to it, as in Event
	Tool    string   `json:"tool"`
	Hash    string   `json:"hash"`   // of the tool and the very bytes of the arguments as they would be forwarded, edits made; see HashCall
	Policy  string   `json:"policy"` // the digest of the policy that escalated
}

// HashCall returns the hash that binds an approval to a call: SHA-256 over the tool's name, a zero byte and the bytes of the arguments, in hex.
// Bytes that differ in spacing alone are another call: what a person saw is what is forwarded.
func HashCall(tool string, args JSON) string {
	sum := sha256.Sum256(append(append([]byte(tool), 0), args...))
	return hex.EncodeToString(sum[:])
}

// Key returns one text for the whole binding, for stores to look approvals up by.
func (b Binding) Key() string {
	var agents []any
	for _, a := range b.Agents {
		agents = append(agents, a)
	}
	sum := sha256.Sum256(CanonicalJSON([]any{b.Caller, b.Session, agents, b.Tool, b.Hash, b.Policy}))
	return hex.EncodeToString(sum[:])
}

// ApprovalStatus is how far a request for approval has come.
type ApprovalStatus string

// The statuses of an approval. A request that nobody answered, and a grant that was not used, expire; expired is told from refused everywhere.
const (
	Pending ApprovalStatus = "pending"
	Granted ApprovalStatus = "granted"
	Refused ApprovalStatus = "refused"
	Used    ApprovalStatus = "used"
	Expired ApprovalStatus = "expired"
)

// Approval is a request that a person lets one call pass, and what became of it.
// It satisfies the rules it names and no others, for one call that is bound to it, once, until it expires; everything else is decided again when the call is released.
type Approval struct {
	ID string `json:"id"`
	Binding
	Rules   []string  `json:"rules"`             // the escalating rules that it satisfies, sorted
	Args    JSON      `json:"args"`              // what the approver sees: the arguments as they would be forwarded
	Reasons []Reason  `json:"reasons,omitempty"` // of those rules, with their clauses
	In      string    `json:"session"`           // the session that asked, and the number of its event
	Seq     uint64    `json:"seq"`
	Asked   time.Time `json:"asked"`
	Expires time.Time `json:"expires"` // from this moment on it counts no more

	// Granted, Refused or Used, and Pending before. Expired is never stored; Status tells it.
	State   ApprovalStatus `json:"state"`
	By      string         `json:"by,omitempty"` // who granted or refused
	Note    string         `json:"note,omitempty"`
	Decided time.Time      `json:"decided,omitzero"`
	Spent   time.Time      `json:"spent,omitzero"`
}

// Resolution is what a person says about a request.
type Resolution struct {
	Grant bool
	By    string // who decides; never the caller nor one of the agents
	Note  string
	At    time.Time
}

// ApprovalUse is how a record names the approval that released its call.
type ApprovalUse struct {
	ID    string   `json:"id"`
	By    string   `json:"by"`
	Rules []string `json:"rules"`
}

// NewApproval returns a pending request with an id made of all that it is about and of the time it was asked at. rules is copied and sorted.
func NewApproval(b Binding, rules []string, args JSON, in string, seq uint64, asked, expires time.Time) Approval {
	a := Approval{Binding: b, Rules: slices.Clone(rules), Args: args, In: in, Seq: seq, Asked: asked.UTC(), Expires: expires.UTC(), State: Pending}
	slices.Sort(a.Rules)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%q\x00%s\x00%d\x00%s", b.Key(), a.Rules, in, seq, a.Asked.Format(time.RFC3339Nano)))
	a.ID = strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:12])
	return a
}

// Status is how far the approval has come at a time. What was neither used nor refused before it expired is Expired.
func (a *Approval) Status(at time.Time) ApprovalStatus {
	if (a.State == Pending || a.State == Granted) && !at.Before(a.Expires) {
		return Expired
	}
	return a.State
}

// Standing reports whether asking again would ask for the same thing: it is pending or granted, and has not expired.
func (a *Approval) Standing(at time.Time) bool {
	s := a.Status(at)
	return s == Pending || s == Granted
}

// Covers reports whether the approval names all of these rules.
func (a *Approval) Covers(rules []string) bool {
	for _, r := range rules {
		if !slices.Contains(a.Rules, r) {
			return false
		}
	}
	return true
}

// Same reports whether another request asks for the very same thing: the same binding and the same rules.
func (a *Approval) Same(other *Approval) bool {
	return a.Key() == other.Key() && slices.Equal(a.Rules, other.Rules)
}

// The codes of what approvals refuse.
const (
	CodeNoApproval      = "PV531" // an id that no request has
	CodeApprovalDecided = "PV532" // a request that was answered already
	CodeApprovalExpired = "PV533" // a request or a grant whose time is over
	CodeApprover        = "PV534" // somebody who may not decide the request
	CodeApprovalCall    = "PV535" // a grant that is not for this call, or was used
)

// ApprovalError tells why an approval could not be answered or used. Code is one of PV531 to PV535.
type ApprovalError struct{ Code, ID, Msg string }

// Error names the request, what is wrong, and the code.
func (e *ApprovalError) Error() string {
	return fmt.Sprintf("approval %s: %s [%s]", e.ID, e.Msg, e.Code)
}

// Resolve grants or refuses a pending request and writes down who did. It changes nothing and returns an *ApprovalError where the request was answered already, has expired, or is the approver's own:
// neither the caller nor any of the agents may decide it, whatever the case and the spaces of the name, and somebody must.
func (a *Approval) Resolve(r Resolution) error {
	switch by := strings.TrimSpace(r.By); {
	case by == "":
		return &ApprovalError{CodeApprover, a.ID, "nobody is named who decides it; say who you are"}
	case samePerson(by, a.Caller):
		return &ApprovalError{CodeApprover, a.ID, fmt.Sprintf("%s asked for it and cannot decide it; ask somebody else", by)}
	case slices.ContainsFunc(a.Agents, func(agent string) bool { return samePerson(by, agent) }):
		return &ApprovalError{CodeApprover, a.ID, fmt.Sprintf("%s is an agent of this call and cannot decide it; ask a person", by)}
	}
	switch s := a.Status(r.At); s {
	case Pending:
	case Expired:
		return &ApprovalError{CodeApprovalExpired, a.ID, fmt.Sprintf("it expired at %s; let the agent ask again", a.Expires.Format(time.RFC3339))}
	default:
		return &ApprovalError{CodeApprovalDecided, a.ID, fmt.Sprintf("it is %s already, by %s at %s", s, a.By, a.Decided.Format(time.RFC3339))}
	}
	a.State = Refused
	if r.Grant {
		a.State = Granted
	}
	a.By, a.Note, a.Decided = strings.TrimSpace(r.By), r.Note, r.At.UTC()
	return nil
}

func samePerson(a, b string) bool {
	return b != "" && strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// Spend uses a grant for the call that b describes. It changes nothing and returns an *ApprovalError where it is not granted, was used, has expired, or is bound to another call.
func (a *Approval) Spend(b Binding, at time.Time) error {
	switch s := a.Status(at); {
	case a.Key() != b.Key():
		return &ApprovalError{CodeApprovalCall, a.ID, "it is for another call, caller, agent or policy; ask for this call"}
	case s == Expired:
		return &ApprovalError{CodeApprovalExpired, a.ID, fmt.Sprintf("it expired at %s; ask again", a.Expires.Format(time.RFC3339))}
	case s != Granted:
		return &ApprovalError{CodeApprovalCall, a.ID, fmt.Sprintf("it is %s and releases nothing; ask again", s)}
	}
	a.State, a.Spent = Used, at.UTC()
	return nil
}
