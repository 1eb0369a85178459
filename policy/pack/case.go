package pack

import (
	"time"

	"github.com/proviso-dev/proviso"
)

// Case is one test of a pack: events in, decisions wanted. The test runner plays it through a real session.
type Case struct {
	Name    string
	Now     time.Time // the time of the first event; each later event is one second later unless it sets its own
	Session map[string]any
	Agent   string
	Answers map[string]proviso.Tri // question id → scripted answer
	Steps   []Step
	Pos     proviso.Pos
}

// Step is one event of a case. Exactly one of Call, User, Assistant, System, Handoff, Return and End is set.
type Step struct {
	User, Assistant, System *string
	Handoff                 string
	Return                  bool
	End                     bool
	Call                    string         // tool name
	Args                    map[string]any // arguments of the call as decoded
	RawArgs                 string         // or the very bytes
	Result                  any            // what the tool answers where the call is allowed; nil: no result is played
	HasResult               bool
	Error                   bool          // the result is an error
	After                   time.Duration // time since the step before
	Agent                   string
	Want                    *Want
	ResultWant              *Want // the decision wanted about the result; nil: it must be allowed
	Pos                     proviso.Pos
}

// Want is the decision wanted at a step.
// It is written as "deny rule-id …", "allow", "needs_info fact-or-question …" or "escalate rule-id …"; every name given must occur among the reasons, the missing things, the edits or the notices.
// "allow only rule-id …" wants no edit and no notice of any other rule.
type Want struct {
	Outcome proviso.Outcome
	Only    bool
	Names   []string
	Pos     proviso.Pos
}
