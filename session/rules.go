package session

import (
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// Rules is what a session asks of a policy; *policy.Policy satisfies it. All of it is pure, so that folding the same records twice gives the same state.
type Rules interface {
	// Digest identifies the policy; a record of another digest is read anew with this one.
	Digest() string
	Facts() []policy.FactInfo
	Queries() []policy.Query
	// Now is the time that decisions about an event of time t use.
	Now(t time.Time) time.Time
	// SessionDefaults returns the declared session attributes that have a default, and SessionValue converts one to its declared type.
	SessionDefaults() map[string]any
	SessionValue(name string, v any) (any, error)
	Bind(ev *proviso.Event, call *policy.Input) *policy.Input
	// Observe gives the facts that a result supplies; so are those before it.
	Observe(in *policy.Input, so policy.Facts) []proviso.FactValue
	Spoils(in *policy.Input) []proviso.FactKey
	KeyArguments(in *policy.Input) map[string][]any
	// Traced lists the labels that conditions name, and tells whether any condition asks for an origin; SourceLabels is what the packs call a source, LabelNames all that they call any.
	Traced() (labels []string, tracks bool)
	SourceLabels(source string) []string
	LabelNames() []string
	// AsksConsent reports whether a condition asks confirmed(call).
	AsksConsent() bool
	ScopeMoves(in *policy.Input, top string) (push []string, pop bool)
}

// The codes of what a session finds wrong.
const (
	CodeNoPolicy  = "PV501" // a session without a policy
	CodeCallID    = "PV502" // a call whose id is in flight already
	CodeFull      = "PV503" // a session that reached one of its limits
	CodeFactsFull = "PV504" // a fact with more entries than are kept
	CodeFold      = "PV505" // a record that does not follow the one before
	CodeSnapshot  = "PV506" // a snapshot that cannot be restored
	CodeEdit      = "PV507" // an edit that does not fit the body
)

// The bounds on what one session keeps; together they hold it below some 80 MB at the very worst, 16 MB of them for origins (origins.go), and an ordinary session takes a few kB.
// What happens at a bound never widens a decision: entries of a fact beyond MaxEntries are in error, further calls are denied with PV503 where counting would no longer be exact, and forgotten messages only forget consent.
const (
	MaxEntries  = 65536   // entries of one fact
	MaxFacts    = 1 << 26 // bytes of all entries of all facts together, about
	MaxOpen     = 1024    // calls in flight
	MaxFlight   = 1 << 24 // bytes of their arguments together
	MaxSeries   = 65536   // different filter values over all queries
	MaxPoints   = 262144  // events in all windows together
	MaxMessages = 64      // messages that a consent may rest on
	MaxText     = 16384   // bytes of one message that are kept
	MaxTalk     = 1 << 18 // bytes of all messages together
	MaxAnswers  = 1024    // answers to judged questions
	MaxScopes   = 64      // scopes on the stack
	MaxKnown    = 65536   // transcript entries that a resent transcript is compared with
)
