package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/llm/wire"
)

// MaxRerank is how many candidates an answer may be chosen from.
const MaxRerank = 16

// HeaderCandidate says which of how many candidates an answer is, such as "2/4".
const HeaderCandidate = "X-Proviso-Candidate"

// candidate is one of several answers to a request, whole and as it came.
type candidate struct {
	resp   *http.Response // without its body
	body   []byte
	answer *wire.Response // nil where it cannot be read
	stream bool
	value  value
	err    error
}

// value is what a policy thinks of a candidate, the better the more. Its zero value is that of an answer that is denied or cannot be read.
type value struct {
	rank    int // denied < something has to be found out < a person has to approve < allowed with edits < allowed
	clauses int // that are violated or open; fewer are better
}

// The ranks of candidates, from the worst decision about any part of one. The zero value is the worst.
const (
	rankDenied = iota
	rankNeedsInfo
	rankEscalated
	rankEdited
	rankAllowed
)

func (v value) better(w value) bool {
	return v.rank > w.rank || v.rank == w.rank && v.clauses < w.clauses
}

// rerank is how many candidates are asked for; 1 where none is chosen among: a caller who asks for several answers gets them.
func (x *exchange) rerank() int {
	if x.req.Choices != 1 {
		return 1
	}
	return min(max(x.cfg.Rerank, 1), MaxRerank)
}

// choose asks for several candidates, looks at each as it would be decided, with no trace of it in the session, and returns the best one as if it were the only one that came; among equals the first.
// What it says of usage is what all candidates took. An error is that of the first request, and where no request was answered with an answer the first thing that came is returned.
func (x *exchange) choose(ctx context.Context, n int) (*http.Response, error) {
	began := time.Now()
	list := x.candidates(ctx, n)
	x.upstream += time.Since(began)
	best := 0
	for i := range list {
		x.look(ctx, &list[i])
		if list[i].answer != nil && (list[best].answer == nil || list[i].value.better(list[best].value)) {
			best = i
		}
	}
	c := &list[best]
	if c.err != nil {
		return nil, c.err
	}
	if len(list) > 1 {
		x.counts.chose(list, best)
		x.w.Header().Set(HeaderCandidate, strconv.Itoa(best+1)+"/"+strconv.Itoa(len(list)))
		x.span.Set("proviso.candidates", int64(len(list)))
		x.span.Set("proviso.candidate", int64(best+1))
		x.log().Info("candidate chosen", "session", x.who.session, "candidate", best+1, "of", len(list), "ranks", ranksOf(list))
	}
	c.resp.Body = io.NopCloser(bytes.NewReader(c.body))
	c.resp.Header.Del("Content-Length")
	return c.resp, nil
}

var rankNames = [...]string{rankDenied: "denied", rankNeedsInfo: "needs_info", rankEscalated: "escalate", rankEdited: "edited", rankAllowed: "allow"}

func ranksOf(list []candidate) string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = rankNames[list[i].value.rank]
		if list[i].answer == nil {
			names[i] = "none"
		}
	}
	return strings.Join(names, " ")
}

// candidates asks: once, with a number, where the API has one; else, and for streams, as often as there are to be candidates.
func (x *exchange) candidates(ctx context.Context, n int) []candidate {
	if x.wire == openai.Chat && !x.req.Stream {
		one := x.fetch(ctx, wire.Set(x.body, "/n", []byte(strconv.Itoa(n))))
		if one.answer == nil || len(one.answer.Choices) < 2 {
			return []candidate{one}
		}
		return x.parts(one)
	}
	list := make([]candidate, n)
	var wg sync.WaitGroup
	for i := range list {
		wg.Go(func() { list[i] = x.fetch(ctx, x.body) })
	}
	wg.Wait()
	addUsage(list)
	return list
}

// parts makes a candidate of each choice of an answer. The usage of the answer is that of all of them already.
func (x *exchange) parts(one candidate) []candidate {
	var out []candidate
	for _, ch := range one.answer.Choices {
		raw, ok := wire.Get(one.body, ch.At)
		if !ok {
			// unreachable: the pointer is the answer's own.
			continue
		}
		c := candidate{resp: one.resp, body: wire.Set(one.body, "/choices", slices.Concat([]byte("["), wire.Set(raw, "/index", []byte("0")), []byte("]")))}
		var err error
		if c.answer, err = x.wire.Response(c.body); err != nil {
			c.answer = nil
		}
		out = append(out, c)
	}
	return out
}

// fetch asks for one answer and reads all of it.
func (x *exchange) fetch(ctx context.Context, body []byte) (c candidate) {
	headers := forwardHeaders(x.r.Header, x.up, x.who.virtual)
	headers.Set("Content-Type", "application/json")
	x.span.Inject(headers)
	if c.resp, c.err = x.gen.terms.ask(ctx, x.up, x.wire.Path()+query(x.r), headers, body); c.err != nil {
		return c
	}
	idle := time.AfterFunc(x.gen.terms.Limits.Idle, func() { c.resp.Body.Close() })
	defer idle.Stop()
	defer c.resp.Body.Close()
	if c.body, c.err = limited(c.resp, x.gen.terms.Limits.Answer); c.err != nil || c.resp.StatusCode != http.StatusOK {
		return c
	}
	kind, _, _ := strings.Cut(c.resp.Header.Get("Content-Type"), ";")
	switch strings.TrimSpace(strings.ToLower(kind)) {
	case "application/json":
		if r, err := x.wire.Response(c.body); err == nil {
			c.answer = r
		}
	case "text/event-stream":
		c.stream = true
		c.answer = x.streamed(c.body)
	}
	return c
}

// streamed reads a stream that is whole; nil where it is none, or did not end.
func (x *exchange) streamed(body []byte) *wire.Response {
	s := x.wire.Stream()
	r := wire.NewReader(bytes.NewReader(body))
	for {
		ev, err := r.Next()
		if err == nil {
			var ch wire.Chunk
			if ch, err = s.Next(ev); err == nil && ch.Kind == wire.Failed {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil
		}
	}
	out, err := s.Response()
	if err != nil || len(out.Choices) == 0 || !allEnded(out) {
		return nil
	}
	return out
}

// look finds what the policy thinks of a candidate, by the decisions that its parts would get now. Nothing is recorded; siblings of one answer do not see what the others would reserve, which the decision that counts does.
func (x *exchange) look(ctx context.Context, c *candidate) {
	if c.answer == nil || len(c.answer.Choices) == 0 {
		return
	}
	conv, at, err := x.join(ctx, x.gen, &x.who, x.wire.Name())
	if err != nil {
		return
	}
	defer conv.leave()
	x.conv, x.at = conv, at
	ch := &c.answer.Choices[0]
	c.value = value{rank: rankAllowed}
	for _, p := range ch.Foreign {
		if !x.passes(p) {
			c.value = value{}
			return
		}
	}
	clauses := map[string]bool{}
	peek := func(at proviso.Point, body proviso.Body, fixed bool) {
		e, err := x.at.guard.Peek(ctx, x.event(at, body))
		c.value.rank = min(c.value.rank, rankOf(e.Record, err != nil, fixed))
		cited(e.Record, clauses)
	}
	text := ch.Text()
	if x.at.traits.rules[proviso.ModelResponsePoint] {
		body := &proviso.ModelResponse{ID: c.answer.ID, Text: text}
		for i := range ch.Calls {
			body.Calls = append(body.Calls, ch.Calls[i].ToolCall)
		}
		peek(proviso.ModelResponsePoint, body, false)
	}
	if text != "" {
		peek(proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: text}, false)
	}
	response := responseName(c.answer.ID, 0)
	for i := range ch.Calls {
		call := &ch.Calls[i]
		if !ch.Ended || !x.who.resolved && x.at.traits.tools[call.Tool].stateful {
			c.value.rank = rankDenied
			clauses["#"+strconv.Itoa(i)] = true
			continue
		}
		asked := call.ToolCall
		asked.Response, asked.Index = response, i
		peek(proviso.ToolCallPoint, &asked, call.Fixed || call.Form == wire.ArgsWhole)
	}
	c.value.clauses = len(clauses)
}

// rankOf is the rank of one decision. An edit of what cannot be edited is a denial.
func rankOf(r *proviso.Record, stopped, fixed bool) int {
	switch {
	case r.Decision.Outcome == proviso.NeedInfo:
		return rankNeedsInfo
	case r.Decision.Outcome == proviso.Escalate:
		return rankEscalated
	case stopped || r.Decision.Outcome != proviso.Allow || fixed && len(r.Decision.Edits) > 0:
		return rankDenied
	case len(r.Decision.Edits) > 0:
		return rankEdited
	}
	return rankAllowed
}

// cited notes the clauses that a decision finds violated or open; a rule or a missing thing without clauses counts as one.
func cited(r *proviso.Record, clauses map[string]bool) {
	note := func(list []proviso.Clause, otherwise string) {
		for _, c := range list {
			clauses[c.ID] = true
		}
		if len(list) == 0 {
			clauses["#"+otherwise] = true
		}
	}
	for _, reason := range r.Decision.Reasons {
		if reason.Mode == "" {
			note(reason.Clauses, reason.Rule)
		}
	}
	for _, m := range r.Decision.Missing {
		note(m.Clauses, string(m.Kind)+m.Fact+m.Question)
	}
}

// usagePlaces are where answers and events tell what they took.
var usagePlaces = []string{"/usage", "/response/usage", "/message/usage"}

// addUsage makes every candidate tell what all of them took: each number under a place of usage becomes the sum of the last ones that the candidates tell there. In a stream the event that tells it last is changed.
func addUsage(list []candidate) {
	total := map[string]int64{}
	for i := range list {
		if list[i].answer != nil {
			for at, n := range usageOf(&list[i]) {
				total[at] += n
			}
		}
	}
	for i := range list {
		if list[i].answer == nil || len(total) == 0 {
			continue
		}
		if !list[i].stream {
			list[i].body = withUsage(list[i].body, total, usageOf(&list[i]))
			continue
		}
		list[i].body = streamUsage(list[i].body, total)
	}
}

// usageOf are the numbers that a candidate tells last at each place.
func usageOf(c *candidate) map[string]int64 {
	out := map[string]int64{}
	if !c.stream {
		numbers(c.body, out)
		return out
	}
	r := wire.NewReader(bytes.NewReader(c.body))
	for {
		ev, err := r.Next()
		if err != nil {
			return out
		}
		numbers(ev.Data, out)
	}
}

// numbers notes the integers at the places of usage of a JSON text, by their pointers.
func numbers(raw []byte, out map[string]int64) {
	if !bytes.Contains(raw, []byte(`"usage"`)) {
		return
	}
	for _, at := range usagePlaces {
		b, ok := wire.Get(raw, at)
		if !ok {
			continue
		}
		v, err := proviso.DecodeResultJSON(b)
		if err != nil {
			continue
		}
		integers(at, v, out)
	}
}

func integers(at string, v any, out map[string]int64) {
	switch v := v.(type) {
	case int64:
		out[at] = v
	case map[string]any:
		for k, below := range v {
			if !strings.ContainsAny(k, "/~") {
				integers(at+"/"+k, below, out)
			}
		}
	}
}

// withUsage sets the numbers that a text tells to the totals.
func withUsage(raw []byte, total, told map[string]int64) []byte {
	for at := range told {
		raw = wire.Set(raw, at, []byte(strconv.FormatInt(total[at], 10)))
	}
	return raw
}

// streamUsage sets each number, in the event that tells it last, to the total.
func streamUsage(body []byte, total map[string]int64) []byte {
	last := map[string]int{}
	read := func(f func(i int, ev wire.Event, told map[string]int64)) {
		r := wire.NewReader(bytes.NewReader(body))
		for i := 0; ; i++ {
			ev, err := r.Next()
			if err != nil {
				return
			}
			told := map[string]int64{}
			numbers(ev.Data, told)
			f(i, ev, told)
		}
	}
	read(func(i int, _ wire.Event, told map[string]int64) {
		for at := range told {
			last[at] = i
		}
	})
	var out bytes.Buffer
	read(func(i int, ev wire.Event, told map[string]int64) {
		data := ev.Data
		for at := range told {
			if last[at] == i {
				data = wire.Set(data, at, []byte(strconv.FormatInt(total[at], 10)))
			}
		}
		if bytes.Equal(data, ev.Data) {
			out.Write(ev.Raw)
			return
		}
		if ev.Name != "" {
			fmt.Fprintf(&out, "event: %s\n", ev.Name)
		}
		fmt.Fprintf(&out, "data: %s\n\n", data)
	})
	return out.Bytes()
}

// chose counts a choice, by the rank of the candidate that came first and of the one that was taken.
func (c *counts) chose(list []candidate, best int) {
	c.candidates.Add(int64(len(list)))
	c.chosen.Add(1)
	if list[best].value.better(list[0].value) {
		c.bettered.Add(1)
	}
}
