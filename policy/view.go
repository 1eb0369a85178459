package policy

import (
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/condition"
	"github.com/proviso-dev/proviso/policy/pack"
)

// View is all that a decision may know beside the event: nothing is read from a clock, a disk or a network while deciding, so the same view gives the same decision for ever.
// A nil interface stands for "nothing known": facts unobserved, an empty history, origins in error, no confirmation.
// The policy does not keep a view after Decide returns.
type View struct {
	Now     time.Time
	Session map[string]any // the session variables: user, id, turns, started, and those that the pack declares
	Scope   string         // the scope on top of the stack, empty for none
	Facts   Facts
	History History
	Origins Origins
	Answers Answers
	Consent Consent
	// Approved names escalating rules that a bound approval satisfies for this very call.
	Approved []string
}

// FactState says what the session knows of one entry of a fact.
type FactState uint8

// The states of an entry. Unobserved is the zero value.
const (
	Unobserved FactState = iota
	Observed
	Broken // observed, but the value did not conform to the fact's schema
)

// Key is the key of one entry: the first N parts, integers in decimal.
type Key struct {
	N    int
	Part [pack.MaxKey]string
}

// Facts is what a decision may ask of observed facts. i numbers the policy's facts (Policy.Facts). The value is shared and must not be changed.
type Facts interface {
	Fact(i int, key Key) (any, FactState)
}

// History is what a condition may ask of the past. q numbers the policy's queries (Policy.Queries); values are the values of the query's filter, in its order.
// Cost must not depend on the length of the session.
type History interface {
	Past(q int, values []any, now time.Time) Past
}

// Past is the answer to a query over the matching calls inside the query's window.
// Sum is in units of the field summed, exact to six decimals. Last is the zero time where no call matches.
type Past struct {
	Count int64
	Sum   float64
	Last  time.Time
}

// Origins tells where a value came from by labels: "user", "system", "tool:NAME", "tool:NAME.FIELD" and those of the pack; "assistant" for what was found nowhere.
// The slices are sorted and shared, and must not be changed. The value is one that conditions compute with, lists and maps included.
type Origins interface {
	// Of returns the labels of every source that a part of the value may come from: more of them where it is not certain.
	Of(value any, by builtin.Precision) []string
	// Every returns the labels that each part of the value is known to have: fewer of them where it is not certain.
	Every(value any) []string
}

// Answers holds the answers to judged questions. about are the values that the question is asked about; an answer given for other values does not count.
type Answers interface {
	Answer(question string, about []any) proviso.Tri
}

// Consent tells whether the user confirmed a call: True after a user turn that agrees to a proposal naming the call's key arguments, with the same argument hash and not used up;
// False where the user's turn after the proposal declined it; Unknown where it was not proposed or not answered yet.
type Consent interface {
	Confirmed(in *Input) proviso.Tri
}

// Query is a question about the past, taken out of a condition at compile time, so that a session can keep an index for it.
type Query = condition.Query

// Reserved is the phase of budgets: calls released and not failed, so that a call in flight counts before its result is known.
const Reserved = condition.Reserved
