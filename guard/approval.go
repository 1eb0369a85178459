package guard

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// Approvals keeps requests for approval until a person has answered them and the call was released. It is apart from the journal: requests live across sessions, guards and restarts.
// Every method is safe to be called at the same time, also by other processes on the same store. Times are given by the caller; a store has no clock.
// What an approval refuses is a *proviso.ApprovalError; any other error is the store's own. Values returned are the caller's.
type Approvals interface {
	// File puts a request on record. Where one with the same binding and rules stands at the time it is asked, that one is returned and nothing is filed.
	File(ctx context.Context, request proviso.Approval) (proviso.Approval, error)
	// Find returns the newest approvals of a binding, whatever their status, the newest first and at most FindLimit of them.
	Find(ctx context.Context, b proviso.Binding) ([]proviso.Approval, error)
	// Resolve grants or refuses a request; of several that try at once exactly one does.
	Resolve(ctx context.Context, id string, r proviso.Resolution) (proviso.Approval, error)
	// Spend uses a grant up for the call that is bound to it; of several that try at once exactly one does. It is durable when Spend returns.
	Spend(ctx context.Context, id string, b proviso.Binding, at time.Time) (proviso.Approval, error)
	// Get returns one approval.
	Get(ctx context.Context, id string) (proviso.Approval, error)
	// All yields all approvals, the newest first.
	All(ctx context.Context) iter.Seq2[proviso.Approval, error]
	// Close releases what the store holds.
	Close() error
}

// FindLimit is how many approvals Find returns.
const FindLimit = 16

// CodeApprovals is the code of a store of approvals that failed.
const CodeApprovals = "PV536"

// approvalRule stands for a rule where an approval, or the lack of one, had its say.
const approvalRule = "approval"

const defaultApprovalLife = 24 * time.Hour

// release says how an approval may be used while deciding.
type release struct {
	// dry looks only: nothing is filed and nothing spent.
	dry bool
	// held keeps the call from being released, because a sibling stops it.
	held bool
	// spent was used for this very event already, when another guard on the same journal was faster.
	spent *proviso.Approval
}

// approve turns an escalated call into one that a person approved, where one did, or into a request for approval.
// The second result is the approval that the call is released with. Its rules are satisfied and everything else was decided again; the grant is used up before the record is written, so that it is never used twice.
func (g *Guard) approve(ctx context.Context, s *entry, in *policy.Input, d proviso.Decision, how release) (proviso.Decision, *proviso.Approval) {
	b, args, err := s.binding(in, &d)
	if err != nil {
		return g.unapproved(d, err), nil
	}
	rules := escalating(&d)
	if how.spent != nil && how.spent.Key() == b.Key() && how.spent.Covers(rules) {
		if again := g.again(ctx, s, in, how.spent); again.Outcome == proviso.Allow && s.sameCall(in, &again, b) {
			return again, how.spent
		}
	}
	found, err := g.Approvals.Find(ctx, b)
	if err != nil {
		return g.unapproved(d, err), nil
	}
	now := g.now()
	var lapsed *proviso.Approval
	for i := range found {
		a := &found[i]
		if !a.Covers(rules) {
			continue
		}
		switch a.Status(now) {
		case proviso.Granted:
			if how.held {
				return waiting(d, "%s is granted and waits for the calls beside this one", a.ID), nil
			}
			again := g.again(ctx, s, in, a)
			if again.Outcome == proviso.Allow && !s.sameCall(in, &again, b) {
				continue // other edits made another call of it
			}
			if again.Outcome != proviso.Allow || how.dry {
				return again, a
			}
			used, err := g.Approvals.Spend(ctx, a.ID, b, now)
			if refused(err) {
				continue // another guard was faster
			}
			if err != nil {
				return g.unapproved(d, err), nil
			}
			return again, &used
		case proviso.Pending:
			if how.dry {
				return d, nil
			}
			return waiting(d, "%s waits for an answer until %s", a.ID, clock(a.Expires)), nil
		case proviso.Refused:
			if now.Before(a.Expires) {
				return refusedBy(d, a), nil
			}
		case proviso.Expired:
			if lapsed == nil {
				lapsed = a
			}
		}
	}
	if how.dry {
		return d, nil
	}
	return g.file(ctx, in, d, proviso.NewApproval(b, rules, args, in.Event.Session, in.Event.Seq, now, now.Add(g.approvalLife())), lapsed), nil
}

// file asks for an approval and tells the agent that it was, and what became of the last time.
func (g *Guard) file(ctx context.Context, in *policy.Input, d proviso.Decision, request proviso.Approval, lapsed *proviso.Approval) proviso.Decision {
	for _, r := range d.Reasons {
		if r.Outcome == proviso.Escalate && r.Mode == "" {
			request.Reasons = append(request.Reasons, r)
		}
	}
	filed, err := g.Approvals.File(ctx, request)
	if err != nil {
		return g.unapproved(d, err)
	}
	switch {
	case lapsed == nil:
		return waiting(d, "%s was asked for and waits for an answer until %s", filed.ID, clock(filed.Expires))
	case lapsed.State == proviso.Granted:
		return waiting(d, "%s expired unused at %s; %s was asked for instead and waits until %s", lapsed.ID, clock(lapsed.Expires), filed.ID, clock(filed.Expires))
	}
	return waiting(d, "%s expired at %s without an answer; %s was asked for instead and waits until %s", lapsed.ID, clock(lapsed.Expires), filed.ID, clock(filed.Expires))
}

// again decides once more with the rules that the approval names out of the way.
func (g *Guard) again(ctx context.Context, s *entry, in *policy.Input, a *proviso.Approval) proviso.Decision {
	again := g.decide(ctx, s, in, a.Rules)
	again.Notices = append(slices.Clip(again.Notices), proviso.Notice{Rule: approvalRule, To: "auditor", Text: fmt.Sprintf("approval %s by %s satisfies %v", a.ID, a.By, a.Rules)})
	return again
}

func (g *Guard) approvalLife() time.Duration {
	if g.ApprovalLife > 0 {
		return g.ApprovalLife
	}
	return defaultApprovalLife
}

// unapproved is a decision that nobody could be asked about.
func (g *Guard) unapproved(d proviso.Decision, err error) proviso.Decision {
	g.counts.approvals.Add(1)
	d.Errors = append(slices.Clip(d.Errors), proviso.Fault{Code: CodeApprovals, Rule: approvalRule, Msg: "approvals: " + err.Error(), Hint: "ask again later"})
	return d
}

// waiting adds to an escalated decision how the request for approval stands.
func waiting(d proviso.Decision, format string, args ...any) proviso.Decision {
	d.Notices = append(slices.Clip(d.Notices), proviso.Notice{Rule: approvalRule, To: "agent", Text: "approval " + fmt.Sprintf(format, args...)})
	return d
}

// refusedBy is the decision after a person said no: the same call need not be tried again.
func refusedBy(d proviso.Decision, a *proviso.Approval) proviso.Decision {
	text := fmt.Sprintf("%s refused it (approval %s)", a.By, a.ID)
	if a.Note != "" {
		text += ": " + a.Note
	}
	d.Outcome, d.Edits, d.Notices = proviso.Deny, nil, nil
	d.Reasons = append(slices.Clip(d.Reasons), proviso.Reason{Rule: approvalRule, Outcome: proviso.Deny, Class: proviso.Never, Agent: text})
	return d
}

func refused(err error) bool {
	var e *proviso.ApprovalError
	return errors.As(err, &e)
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// escalating lists the rules that a person would have to approve, sorted.
func escalating(d *proviso.Decision) []string {
	var out []string
	for _, r := range d.Reasons {
		if r.Outcome == proviso.Escalate && r.Mode == "" && !slices.Contains(out, r.Rule) {
			out = append(out, r.Rule)
		}
	}
	slices.Sort(out)
	return out
}

// binding ties an approval to the call as it would be forwarded.
func (s *entry) binding(in *policy.Input, d *proviso.Decision) (proviso.Binding, proviso.JSON, error) {
	ev, err := policy.Apply(in, d.Edits)
	if err != nil {
		return proviso.Binding{}, nil, err
	}
	call, ok := ev.Body.(*proviso.ToolCall)
	if !ok {
		return proviso.Binding{}, nil, fmt.Errorf("a %s event cannot be approved; only calls can", ev.Point)
	}
	caller, _ := s.state.View(in).Session["user"].(string)
	b := proviso.Binding{Caller: caller, Agents: ev.Agents, Tool: call.Tool, Hash: proviso.HashCall(call.Tool, call.Args), Policy: s.state.Digest()}
	if b.Caller == "" {
		b.Session = s.id
	}
	return b, call.Args, nil
}

// sameCall reports whether a decision forwards the call that b is bound to.
func (s *entry) sameCall(in *policy.Input, d *proviso.Decision, b proviso.Binding) bool {
	now, _, err := s.binding(in, d)
	return err == nil && now.Key() == b.Key()
}
