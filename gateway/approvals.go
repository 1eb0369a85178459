package gateway

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
)

// Webhook is an address that is told about every request for approval, so that a person hears of it, and may answer by a signed callback.
type Webhook struct {
	URL string
	// Secret signs what is sent, and callbacks: the header X-Proviso-Signature is "t=SECONDS,v1=HEX", where HEX is HMAC-SHA-256 under the secret of the seconds, a full stop, and the body;
	// of a callback the request's id and another full stop stand before the body.
	Secret Secret
	// Private allows an address that is not public.
	Private bool
}

// HeaderSignature carries the signature of what a webhook is sent and of what it calls back.
const HeaderSignature = "X-Proviso-Signature"

// signatureLife is how old a signature may be.
const signatureLife = 5 * time.Minute

// notifier tells a webhook that approvals were asked for, and those who wait that they were answered.
type notifier struct {
	s     *Server
	queue chan proviso.Approval
	stop  context.CancelFunc
	done  sync.WaitGroup
}

func (n *notifier) init(s *Server) {
	n.s = s
	if s.cfg.Webhook == nil || s.cfg.Approvals == nil {
		return
	}
	n.queue = make(chan proviso.Approval, 1024)
}

// start begins to tell, where somebody is to be told.
func (n *notifier) start() {
	if n.queue == nil {
		return
	}
	var ctx context.Context
	ctx, n.stop = context.WithCancel(context.Background())
	n.done.Go(func() { n.run(ctx) })
}

func (n *notifier) close() {
	if n.stop != nil {
		n.stop()
		n.done.Wait()
	}
}

// run tells the webhook. What was pending before the process began is told again: who hears it twice knows it by its id.
func (n *notifier) run(ctx context.Context) {
	for a, err := range n.s.cfg.Approvals.All(ctx) {
		if err != nil {
			break
		}
		if a.Status(n.s.now()) == proviso.Pending {
			n.tell(ctx, a)
		}
	}
	for {
		select {
		case a := <-n.queue:
			n.tell(ctx, a)
		case <-ctx.Done():
			return
		}
	}
}

// tell sends one request, three times at most.
func (n *notifier) tell(ctx context.Context, a proviso.Approval) {
	hook := n.s.cfg.Webhook
	body, err := proviso.AppendJSON(nil, map[string]any{"type": "approval.requested", "approval": approvalOf(&a, n.s.now())})
	client := n.s.gen.Load().terms.clientFor(hook.Private)
	for try := range 3 {
		if err == nil {
			err = n.send(ctx, client, hook, body)
		}
		if err == nil {
			n.s.counts.webhooks.Add(1)
			return
		}
		select {
		case <-time.After(time.Duration(try+1) * 500 * time.Millisecond):
			err = nil
		case <-ctx.Done():
			return
		}
	}
	n.s.counts.webhooksFailed.Add(1)
	n.s.log().Warn("the webhook could not be told about an approval", "approval", a.ID)
}

func (n *notifier) send(ctx context.Context, client *http.Client, hook *Webhook, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(HeaderSignature, signature(hook.Secret, n.s.now(), "", body))
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// signature signs a body at a time.
func signature(secret Secret, at time.Time, id string, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(t + "."))
	if id != "" {
		m.Write([]byte(id + "."))
	}
	m.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(m.Sum(nil))
}

// signed reports whether a signature is one of the secret over the body, and not old.
func signed(secret Secret, header string, now time.Time, id string, body []byte) bool {
	t, _, _ := strings.Cut(strings.TrimPrefix(header, "t="), ",")
	sec, err := strconv.ParseInt(t, 10, 64)
	if err != nil || secret == "" {
		return false
	}
	at := time.Unix(sec, 0)
	return now.Sub(at).Abs() <= signatureLife && hmac.Equal([]byte(signature(secret, at, id, body)), []byte(header))
}

// watched tells the webhook about what is filed.
type watched struct {
	guard.Approvals
	n *notifier
}

// File puts a request on record, and in line for the webhook where it is new.
func (w watched) File(ctx context.Context, request proviso.Approval) (proviso.Approval, error) {
	a, err := w.Approvals.File(ctx, request)
	if err == nil && a.ID == request.ID {
		select {
		case w.n.queue <- a:
		default:
			w.n.s.counts.webhooksFailed.Add(1)
		}
	}
	return a, err
}

// watch returns the approvals that guards use.
func (n *notifier) watch(a guard.Approvals) guard.Approvals {
	if n.queue == nil {
		return a
	}
	return watched{a, n}
}

// pollApproval is how often a store is asked by whoever waits: another process may have answered.
const pollApproval = 50 * time.Millisecond

// errDraining ends the wait for a person when the server is about to end.
var errDraining = errors.New("the server is about to end")

// answered waits until a request is not pending any more, the context ends, or the server is about to: who waits asks again where it goes on.
func (n *notifier) answered(ctx context.Context, store guard.Approvals, id string) (proviso.Approval, error) {
	tick := time.NewTicker(pollApproval)
	defer tick.Stop()
	for {
		a, err := store.Get(ctx, id)
		if err != nil || a.Status(n.s.now()) != proviso.Pending {
			return a, err
		}
		if n.s.draining.Load() {
			return a, errDraining
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return a, ctx.Err()
		}
	}
}

// approvalID is the request that an escalated decision waits for: the one that was asked for last.
func approvalID(r *proviso.Record) (id string) {
	if r.Decision.Outcome != proviso.Escalate {
		return ""
	}
	for _, n := range r.Decision.Notices {
		before, _, asked := strings.Cut(n.Text, " was asked for")
		words := strings.Fields(before)
		switch {
		case n.Rule != "approval" || len(words) < 2:
		case asked:
			id = words[len(words)-1]
		default:
			id = words[1]
		}
	}
	return id
}

// approvalOf is an approval as the API shows it. Expired is told from refused.
func approvalOf(a *proviso.Approval, now time.Time) map[string]any {
	out := map[string]any{"id": a.ID, "status": string(a.Status(now)), "tool": a.Tool, "args": string(a.Args), "hash": a.Hash, "policy": a.Policy, "rules": anyOfTexts(a.Rules),
		"caller": a.Caller, "agents": anyOfTexts(a.Agents), "session": a.In, "asked": a.Asked.Format(time.RFC3339), "expires": a.Expires.Format(time.RFC3339), "by": a.By, "note": a.Note}
	var why []any
	for _, r := range a.Reasons {
		for _, c := range r.Clauses {
			why = append(why, map[string]any{"rule": r.Rule, "clause": c.ID, "text": c.Text})
		}
	}
	out["clauses"] = why
	return out
}

func anyOfTexts(list []string) []any {
	out := []any{}
	for _, s := range list {
		out = append(out, s)
	}
	return out
}

// serveApproval is GET /v1/approvals/ID?wait=30s: how a request of the caller's own stands. With wait it answers when the request was answered, or after that time.
func (s *Server) serveApproval(w http.ResponseWriter, r *http.Request) {
	who, err := s.identify(r, s.gen.Load())
	if err != nil {
		s.counts.refused.Add(1)
		answerJSON(w, http.StatusUnauthorized, map[string]any{"error": err.Error() + " [" + CodeCaller + "]"})
		return
	}
	s.approval(w, r, func(a *proviso.Approval) bool { return a.In == who.session || a.Caller != "" && a.Caller == who.user })
}

// serveAnyApproval is the same for whoever looks after the server.
func (s *Server) serveAnyApproval(w http.ResponseWriter, r *http.Request) {
	s.approval(w, r, func(*proviso.Approval) bool { return true })
}

func (s *Server) approval(w http.ResponseWriter, r *http.Request, may func(*proviso.Approval) bool) {
	unknown := func() {
		answerJSON(w, http.StatusNotFound, map[string]any{"error": "no request for approval of yours has this id [" + proviso.CodeNoApproval + "]"})
	}
	if s.cfg.Approvals == nil {
		unknown()
		return
	}
	a, err := s.cfg.Approvals.Get(r.Context(), r.PathValue("id"))
	if err != nil || !may(&a) {
		unknown()
		return
	}
	if v := r.URL.Query().Get("wait"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 || d > maxHold {
			answerJSON(w, http.StatusBadRequest, map[string]any{"error": "wait is a duration of at most 10m, such as 30s"})
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), d)
		defer cancel()
		if b, err := s.told.answered(ctx, s.cfg.Approvals, a.ID); err == nil {
			a = b
		}
	}
	answerJSON(w, http.StatusOK, approvalOf(&a, s.now()))
}

// serveApprovals is GET /approvals?status=pending.
func (s *Server) serveApprovals(w http.ResponseWriter, r *http.Request) {
	list := []any{}
	want := r.URL.Query().Get("status")
	if s.cfg.Approvals != nil {
		for a, err := range s.cfg.Approvals.All(r.Context()) {
			if err != nil {
				answerJSON(w, http.StatusServiceUnavailable, map[string]any{"error": err.Error()})
				return
			}
			if now := s.now(); (want == "" || want == string(a.Status(now))) && len(list) < 1000 {
				list = append(list, approvalOf(&a, now))
			}
		}
	}
	answerJSON(w, http.StatusOK, map[string]any{"approvals": list})
}

// resolution is what a person says about a request.
type resolution struct {
	Grant *bool  `json:"grant"`
	By    string `json:"by"`
	Note  string `json:"note"`
}

// serveResolve is POST /approvals/ID on the address for people.
func (s *Server) serveResolve(w http.ResponseWriter, r *http.Request) {
	b, free, err := s.body(w, r, s.gen.Load())
	defer free()
	if err != nil {
		answerJSON(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
		return
	}
	s.resolve(w, r, b)
}

// serveCallback is POST /approvals/ID/callback: the answer of a webhook. Its signature covers the id, so that an answer to one request is none to another; an answer that is played again finds the request decided.
func (s *Server) serveCallback(w http.ResponseWriter, r *http.Request) {
	b, free, err := s.body(w, r, s.gen.Load())
	defer free()
	hook := s.cfg.Webhook
	if err != nil || hook == nil || !signed(hook.Secret, r.Header.Get(HeaderSignature), s.now(), r.PathValue("id"), b) {
		s.counts.refused.Add(1)
		answerJSON(w, http.StatusUnauthorized, map[string]any{"error": "the signature does not hold, or is too old [" + CodeCaller + "]"})
		return
	}
	s.resolve(w, r, b)
}

func (s *Server) resolve(w http.ResponseWriter, r *http.Request, body []byte) {
	var q resolution
	if err := proviso.DecodeStrict(body, &q); err != nil || q.Grant == nil {
		answerJSON(w, http.StatusBadRequest, map[string]any{"error": `give {"grant": true or false, "by": "who", "note": "why"}`})
		return
	}
	if s.cfg.Approvals == nil {
		answerJSON(w, http.StatusNotFound, map[string]any{"error": "this server keeps no approvals"})
		return
	}
	a, err := s.cfg.Approvals.Resolve(r.Context(), r.PathValue("id"), proviso.Resolution{Grant: *q.Grant, By: q.By, Note: q.Note, At: s.now()})
	var refused *proviso.ApprovalError
	switch {
	case errors.As(err, &refused):
		answerJSON(w, approvalStatus[refused.Code], map[string]any{"error": err.Error(), "code": refused.Code})
	case err != nil:
		answerJSON(w, http.StatusServiceUnavailable, map[string]any{"error": err.Error()})
	default:
		answerJSON(w, http.StatusOK, approvalOf(&a, s.now()))
	}
}

// approvalStatus are the HTTP statuses of what approvals refuse.
var approvalStatus = map[string]int{proviso.CodeNoApproval: http.StatusNotFound, proviso.CodeApprovalDecided: http.StatusConflict, proviso.CodeApprovalExpired: http.StatusGone, proviso.CodeApprover: http.StatusForbidden, proviso.CodeApprovalCall: http.StatusConflict}

func (h *Webhook) check() error {
	u, err := url.Parse(h.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || h.Secret == "" {
		return fmt.Errorf("%w: the webhook needs an http(s) address and a secret", errConfig)
	}
	return nil
}
