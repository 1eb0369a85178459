package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/journal/sqlite"
)

// approveCmd is `proviso approve`.
type approveCmd struct {
	List approveListCmd `cmd:"" help:"List the calls that wait for an answer."`
	Show approveShowCmd `cmd:"" help:"Show one request: the exact call, and the clauses that stop it."`
	Yes  approveYesCmd  `cmd:"" help:"Let exactly this call pass, once."`
	No   approveNoCmd   `cmd:"" help:"Refuse this call."`
}

// Help is the long help of the command.
func (approveCmd) Help() string {
	return `A call that the policy escalates waits in a store of approvals until a person answers. An approval is bound to the caller, the agent, the tool, the exact arguments and the policy; it counts once, until it expires, and only for the rules that it names: everything else is decided again when the call is released. Nobody approves a request of their own.`
}

// approvals is the store that the commands look at.
type approvals struct {
	Store string `required:"" help:"The store of approvals: a SQLite file." placeholder:"FILE"`
}

func (c *approvals) open() (*sqlite.Approvals, error) {
	s, err := sqlite.OpenApprovals(c.Store, false)
	if err != nil {
		return nil, approvalProblem(err)
	}
	return s, nil
}

// approvalExits says how a command ends that an approval refuses.
var approvalExits = map[string]exit{
	proviso.CodeNoApproval:      exitInput,
	proviso.CodeApprover:        exitInput,
	proviso.CodeApprovalDecided: exitFindings,
	proviso.CodeApprovalExpired: exitFindings,
	proviso.CodeApprovalCall:    exitFindings,
}

// approvalProblem is the problem in an error of a store of approvals.
func approvalProblem(err error) error {
	var own *proviso.ApprovalError
	var store *sqlite.Error
	switch {
	case errors.As(err, &own):
		return &problem{exit: approvalExits[own.Code], code: own.Code, msg: "approval " + own.ID + ": " + own.Msg}
	case errors.As(err, &store):
		code := exitIncomplete
		if store.Code == journal.CodeStore {
			code = exitInput
		}
		return &problem{exit: code, code: store.Code, msg: store.Op + ": " + store.Msg, hint: store.Hint}
	}
	return err
}

// approvalLine is an approval with what it counts for now.
type approvalLine struct {
	Status proviso.ApprovalStatus `json:"status"`
	proviso.Approval
}

// approveListCmd is `proviso approve list`.
type approveListCmd struct {
	approvals
	All bool `help:"Also those that were answered, used, or have expired."`
}

// Run lists.
func (c *approveListCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.Close()
	lines := []approvalLine{}
	for x, err := range s.All(a.ctx) {
		if err != nil {
			return approvalProblem(err)
		}
		if status := x.Status(a.now()); c.All || status == proviso.Pending {
			lines = append(lines, approvalLine{status, x})
		}
	}
	if a.output == "json" {
		return a.print(map[string]any{"approvals": lines})
	}
	if len(lines) == 0 {
		a.say("nothing waits for an answer")
	}
	var b strings.Builder
	for i := range lines {
		x := &lines[i]
		fmt.Fprintf(&b, "%s  %s  %s\n", a.style.paint(x.ID, bold), x.Status, shorten(printable(fmt.Sprintf("%s %s", x.Tool, x.Args)), a.style.limit()-24))
		b.WriteString(a.style.indented("    ", fmt.Sprintf("%s, for %s, until %s", who(&x.Approval), strings.Join(x.Rules, ", "), x.Expires.Format(time.RFC3339)), faint))
	}
	_, err = fmt.Fprint(a.stdout, b.String())
	return err
}

// print writes a value as JSON on one line.
func (a *app) print(v any) error {
	b, err := proviso.AppendJSON(nil, v)
	if err == nil {
		_, err = a.stdout.Write(append(b, '\n'))
	}
	if err != nil {
		return unwritable("standard output", err)
	}
	return nil
}

// who says for whom a call is made, and by which agent.
func who(x *proviso.Approval) string {
	s := "session " + x.In
	if x.Caller != "" {
		s = x.Caller + " in " + s
	}
	if len(x.Agents) > 0 {
		s += " by agent " + strings.Join(x.Agents, " for ")
	}
	return s
}

// approveShowCmd is `proviso approve show`.
type approveShowCmd struct {
	approvals
	ID string `arg:"" help:"The request."`
}

// Run shows one request whole.
func (c *approveShowCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.Close()
	x, err := s.Get(a.ctx, c.ID)
	if err != nil {
		return approvalProblem(err)
	}
	if a.output == "json" {
		return a.print(approvalLine{x.Status(a.now()), x})
	}
	_, err = fmt.Fprint(a.stdout, a.style.approval(&x, a.now()))
	return err
}

func (s style) approval(x *proviso.Approval, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", s.paint(x.ID, bold), x.Status(now))
	b.WriteString(s.indented("  call     ", x.Tool+" "+string(x.Args), bold))
	b.WriteString(s.indented("  for      ", who(x)))
	b.WriteString(s.indented("  asked    ", x.Asked.Format(time.RFC3339)+", counts until "+x.Expires.Format(time.RFC3339)))
	if x.By != "" {
		b.WriteString(s.indented("  by       ", fmt.Sprintf("%s at %s %s", x.By, x.Decided.Format(time.RFC3339), x.Note)))
	}
	if !x.Spent.IsZero() {
		b.WriteString(s.indented("  used     ", x.Spent.Format(time.RFC3339)))
	}
	for _, r := range x.Reasons {
		b.WriteString(s.indented("  rule     ", r.Rule))
		for _, c := range r.Clauses {
			s.clause(&b, c)
		}
		for _, c := range r.Because {
			s.cause(&b, c)
		}
		if r.Agent != "" {
			b.WriteString(s.indented("  says     ", r.Agent))
		}
	}
	b.WriteString(s.indented("  policy   ", x.Policy, faint))
	return b.String()
}

// answerFlags are how a person answers.
type answerFlags struct {
	approvals
	ID   string `arg:"" help:"The request."`
	By   string `required:"" help:"Who you are. Not the caller of the request." placeholder:"NAME"`
	Note string `help:"Why; the agent reads it where you refuse." placeholder:"TEXT" env:"-"`
}

func (c *answerFlags) answer(a *app, grant bool) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.Close()
	x, err := s.Resolve(a.ctx, c.ID, proviso.Resolution{Grant: grant, By: c.By, Note: c.Note, At: a.now()})
	if err != nil {
		return approvalProblem(err)
	}
	if a.output == "json" {
		return a.print(approvalLine{x.Status(a.now()), x})
	}
	_, err = fmt.Fprintf(a.stdout, "%s  %s by %s: %s\n", a.style.paint(x.ID, bold), x.State, printable(x.By), printable(fmt.Sprintf("%s %s", x.Tool, x.Args)))
	return err
}

// approveYesCmd is `proviso approve yes`.
type approveYesCmd struct{ answerFlags }

// Run grants.
func (c *approveYesCmd) Run(a *app) error { return c.answer(a, true) }

// approveNoCmd is `proviso approve no`.
type approveNoCmd struct{ answerFlags }

// Run refuses.
func (c *approveNoCmd) Run(a *app) error { return c.answer(a, false) }
