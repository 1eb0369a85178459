package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/llm/wire"
)

// verdicts is what was decided about an answer.
type verdicts struct {
	verdicts []wire.Verdict
	said     []string // by choice: the text that the session knows; empty where it was withheld
	denial   *wire.Denial
	note     string // what to tell the model so that it mends its answer
	mendable bool   // the model may mend it: something was denied and nothing is released
	final    bool   // the denial is told as an error, so that the agent stops
	released bool
}

// decide brings an answer to the guard: the whole of it, its texts, its calls in order. text is false where the text went out already and was decided.
func (x *exchange) decide(ctx context.Context, r *wire.Response, text bool) *verdicts {
	// What the model said is recorded even where the caller has gone.
	ctx = context.WithoutCancel(ctx)
	out := &verdicts{verdicts: make([]wire.Verdict, len(r.Choices)), said: make([]string, len(r.Choices))}
	conv, at, err := x.join(ctx, x.gen, &x.who, x.wire.Name())
	if err != nil {
		d := notJoined(err)
		for i := range out.verdicts {
			out.verdicts[i].Refusal = d.Text
		}
		out.denial = d
		return out
	}
	defer conv.leave()
	x.conv, x.at = conv, at
	for i := range r.Choices {
		x.choice(ctx, r, i, out, text)
	}
	if st, ok := x.wire.(wire.Stored); ok && r.ID != "" && len(r.Choices) > 0 {
		conv.answered(r.ID, st.Owed(r, &out.verdicts[0]))
	}
	// What is released has to reach the caller, so that it is not told as an error then.
	out.final = out.final && !out.released
	if out.final && out.denial != nil {
		out.denial.Text += " It was denied before, as often as this session may try it. Stop, and ask a person. [" + CodeRepeated + "]"
	}
	out.mendable = out.denial != nil && !out.released && !out.final && out.note != ""
	return out
}

// refuse makes a choice a refusal.
func (v *verdicts) refuse(i int, d wire.Denial) {
	v.verdicts[i] = wire.Verdict{Refusal: d.Text}
	v.said[i] = ""
	if v.denial == nil {
		v.denial = &d
	}
}

func (x *exchange) choice(ctx context.Context, r *wire.Response, i int, out *verdicts, text bool) {
	c := &r.Choices[i]
	for _, p := range c.Foreign {
		if !x.passes(p) {
			x.counts.foreign.Add(1)
			out.refuse(i, refusalBy(http.StatusForbidden, CodeForeign, "the answer has a part of the kind "+p.Kind+", which no rule sees; list it under pass to let it through"))
			return
		}
	}
	out.said[i] = c.Text()
	if text && !x.text(ctx, r, i, out) {
		return
	}
	x.calls(ctx, r, i, out)
}

// text decides what a choice says. It is false where the choice is refused.
func (x *exchange) text(ctx context.Context, r *wire.Response, i int, out *verdicts) bool {
	c, v := &r.Choices[i], &out.verdicts[i]
	texts := c.Texts
	denied := func(rec *proviso.Record) bool {
		d := denialOf(rec)
		out.refuse(i, d)
		out.note = d.Text + " Write the answer anew so that it keeps to the policy."
		out.final = x.again(rec) || out.final
		return false
	}
	if x.at.traits.rules[proviso.ModelResponsePoint] {
		body := &proviso.ModelResponse{ID: r.ID, Text: c.Text()}
		for _, call := range c.Calls {
			body.Calls = append(body.Calls, call.ToolCall)
		}
		e, err := x.do(ctx, proviso.ModelResponsePoint, body)
		if err != nil {
			return denied(e.Record)
		}
		texts = edit(v, texts, e.Record)
	}
	said := wire.JoinSegments(texts)
	if said == "" {
		return true
	}
	e, err := x.do(ctx, proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: said})
	if err != nil {
		return denied(e.Record)
	}
	out.said[i] = wire.JoinSegments(edit(v, texts, e.Record))
	return true
}

// edit makes the redactions of a decision part of a verdict and returns the texts after them.
func edit(v *wire.Verdict, texts []wire.Segment, r *proviso.Record) []wire.Segment {
	if len(r.Decision.Edits) == 0 {
		return texts
	}
	v.Texts = wire.RedactSegments(texts, r.Decision.Edits)
	out := make([]wire.Segment, len(texts))
	for i, s := range texts {
		out[i] = wire.Segment{At: s.At, Text: v.Texts[i]}
	}
	return out
}

// responseName names one choice of an answer among all of its session: the provider's id, the choice, and when it was read. The id alone would not do: where a provider gives two answers the same,
// the calls of the later would count as made beside those of the earlier, and what came of these would not count for them.
func responseName(id string, choice int) string {
	return id + "/" + strconv.Itoa(choice) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
}

// calls decides the calls of a choice together, in their order.
func (x *exchange) calls(ctx context.Context, r *wire.Response, i int, out *verdicts) {
	c, v := &r.Choices[i], &out.verdicts[i]
	if len(c.Calls) == 0 {
		return
	}
	v.Calls = make([]wire.CallVerdict, len(c.Calls))
	response := responseName(r.ID, i)
	var events []proviso.Event
	var at []int
	for j := range c.Calls {
		call := c.Calls[j].ToolCall
		call.Response, call.Index = response, j
		if d := x.undecidable(c, &c.Calls[j]); d != nil {
			v.Calls[j].Say = d.Text
			out.stop(*d)
			continue
		}
		events, at = append(events, x.event(proviso.ToolCallPoint, &call)), append(at, j)
	}
	effects, errs := x.batch(ctx, events)
	for k, j := range at {
		x.note(effects[k].Record)
		x.one(ctx, &c.Calls[j], &v.Calls[j], effects[k], errs[k], out)
	}
}

// batch decides calls together. Where one waits for a person and the configuration lets answers wait, it waits and decides those again.
func (x *exchange) batch(ctx context.Context, events []proviso.Event) ([]guard.Effect, []error) {
	effects, errs := x.at.guard.Batch(ctx, events, nil)
	deadline := time.Now().Add(x.cfg.Denials.Hold)
	for i := range effects {
		for errs[i] != nil && effects[i].Record.Decision.Outcome == proviso.Escalate && x.wait(effects[i].Record, deadline) {
			effects[i], errs[i] = x.at.guard.Do(ctx, events[i], nil)
		}
	}
	return effects, errs
}

// undecidable says why a call is denied before the policy is asked.
func (x *exchange) undecidable(c *wire.Choice, call *wire.Call) *wire.Denial {
	var d wire.Denial
	tt := x.at.traits.tools[call.Tool]
	switch {
	case !c.Ended:
		d = refusalBy(http.StatusBadGateway, CodeCut, "Policy: the answer ended before the call of "+call.Tool+" was whole; ask again.")
	case !x.who.resolved && tt.stateful:
		x.counts.stateful.Add(1)
		d = refusalBy(http.StatusForbidden, CodeStateful, "Policy: what happened before decides about "+call.Tool+", and this request names no session. Send the header "+HeaderSession+" of an earlier answer.")
	default:
		return nil
	}
	return &d
}

// stop notes a denial that the caller is told about.
func (v *verdicts) stop(d wire.Denial) {
	if v.denial == nil {
		v.denial = &d
	}
}

// one makes a decision about a call a verdict.
func (x *exchange) one(ctx context.Context, call *wire.Call, v *wire.CallVerdict, e guard.Effect, err error, out *verdicts) {
	if err == nil {
		sent := e.Forward.Body.(*proviso.ToolCall)
		if len(e.Record.Decision.Edits) > 0 {
			if call.Fixed || call.Form == wire.ArgsWhole {
				d := refusalBy(http.StatusForbidden, CodeRan, "Policy: the call of "+call.Tool+" may only be made with other arguments, and this API has no way to change them.")
				v.Say = d.Text
				out.stop(d)
				return
			}
			v.Args = sent.Args
		}
		if call.Result != nil && !x.result(ctx, call, v, out) {
			return
		}
		out.released = true
		return
	}
	d := denialOf(e.Record)
	if call.Ran {
		x.counts.ran.Add(1)
		d.Text += " The provider had made the call already; its answer is withheld. [" + CodeRan + "]"
	}
	v.Say = d.Text
	out.stop(d)
	out.note += d.Text + " "
	out.final = x.again(e.Record) || out.final
}

// result decides the answer that the provider's own tool gave.
func (x *exchange) result(ctx context.Context, call *wire.Call, v *wire.CallVerdict, out *verdicts) bool {
	e, err := x.do(ctx, proviso.ToolResultPoint, call.Result)
	if err == nil && len(e.Record.Decision.Edits) == 0 {
		return true
	}
	d := denialOf(e.Record)
	if err == nil {
		d = refusalBy(http.StatusForbidden, CodeRan, "Policy: the answer of "+call.Tool+" may only be shown in part, and this API has no way to change it.")
	}
	v.Say = d.Text
	out.stop(d)
	return false
}

// again counts a denial, once in a request however often the model is asked in it, and reports whether the agent was told the same too often.
func (x *exchange) again(r *proviso.Record) bool {
	budget := x.cfg.Denials.Budget
	if budget == 0 {
		budget = 3
	}
	key := r.Event.Point.String()
	switch b := r.Event.Body.(type) {
	case *proviso.ToolCall:
		key = b.Tool + "\x00" + r.ArgsHash
		if r.ArgsHash == "" {
			key += string(b.Args)
		}
	case *proviso.Message:
		key += b.Text
	}
	d := digestOf(key)
	n, known := x.denied[d]
	if !known {
		n = x.conv.repeated(d)
		if x.denied == nil {
			x.denied = map[digest]int{}
		}
		x.denied[d] = n
	}
	if budget < 0 || n <= budget {
		return false
	}
	if !known {
		x.counts.repeated.Add(1)
	}
	return true
}

// wait waits until a person has answered the request for approval that a decision waits for. It is false where nobody did in time.
func (x *exchange) wait(r *proviso.Record, deadline time.Time) bool {
	id := approvalID(r)
	if id == "" || x.cfg.Approvals == nil || x.cfg.Denials.Hold <= 0 {
		return false
	}
	ctx, cancel := context.WithDeadline(x.r.Context(), deadline)
	defer cancel()
	a, err := x.told.answered(ctx, x.cfg.Approvals, id)
	return err == nil && a.State != proviso.Pending && !errors.Is(ctx.Err(), context.DeadlineExceeded)
}
