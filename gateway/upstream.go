package gateway

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/proviso-dev/proviso/internal/reach"
	"github.com/proviso-dev/proviso/llm/wire"
	"github.com/proviso-dev/proviso/policy/pack"
)

// newClient returns the client for upstreams. It follows no redirects, takes no proxy from the environment, and connects to addresses that are not public only where private is true:
// the address is looked at when the connection is made, after every name was resolved.
func newClient(limits *Limits, private bool) *http.Client {
	dialer := newDialer(limits, private)
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: limits.Connect, HTTP2: &http.HTTP2Config{SendPingTimeout: 3 * limits.Connect, PingTimeout: limits.Connect},
			MaxIdleConns: 1024, MaxIdleConnsPerHost: 512, IdleConnTimeout: 90 * time.Second,
			ResponseHeaderTimeout: limits.FirstByte, ExpectContinueTimeout: time.Second, MaxResponseHeaderBytes: 256 << 10,
			WriteBufferSize: 16 << 10, ReadBufferSize: 16 << 10,
		},
	}
}

func newDialer(limits *Limits, private bool) *net.Dialer {
	d := &net.Dialer{Timeout: limits.Connect, KeepAlive: 30 * time.Second}
	if !private {
		d.Control = func(_, address string, _ syscall.RawConn) error { return reach.Public(address) }
	}
	return d
}

// upstream finds where a request goes.
func (t *terms) upstream(w wire.Wire, model string) *Upstream {
	for i := range t.Upstreams {
		u := &t.Upstreams[i]
		if anyOf(u.Wires, []string{w.Name()}) && modelOf(u.Models, model) {
			return u
		}
	}
	return nil
}

func modelOf(globs []string, model string) bool {
	for _, g := range globs {
		if pack.Match(g, model) {
			return true
		}
	}
	return len(globs) == 0
}

// ownHeaders are not forwarded: hops, what the transport writes itself, and what is said to this server.
var ownHeaders = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Host": true, "Content-Length": true, "Accept-Encoding": true, "Origin": true, "Referer": true, "Cookie": true, "Expect": true,
	// Some servers take another method or path from these than that which was decided on.
	"X-Http-Method": true, "X-Http-Method-Override": true, "X-Method-Override": true, "X-Original-Url": true, "X-Original-Uri": true, "X-Rewrite-Url": true, "X-Forwarded-Path": true, "X-Forwarded-Uri": true,
}

// forwardHeaders returns the headers of the request that goes out.
func forwardHeaders(in http.Header, u *Upstream, virtual bool) http.Header {
	var drop map[string]bool
	if hops := in.Get("Connection"); hops != "" {
		drop = map[string]bool{}
		for _, name := range strings.Split(hops, ",") {
			drop[http.CanonicalHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	out := make(http.Header, len(in))
	for k, v := range in {
		if ownHeaders[k] || drop[k] || strings.HasPrefix(k, "X-Proviso-") {
			continue
		}
		out[k] = v
	}
	if virtual || u.Key != "" {
		out.Del("Authorization")
		out.Del("X-Api-Key")
	}
	if u.Key != "" {
		out.Set("Authorization", "Bearer "+string(u.Key))
		out.Set("X-Api-Key", string(u.Key))
	}
	for k, v := range u.Headers {
		out.Set(k, v)
	}
	return out
}

// query is what of a request's query goes out: which version of its API a provider is to answer with. Everything else may be a key of ours, or change what was decided on, and is left out.
func query(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	out := url.Values{}
	for k, v := range r.URL.Query() {
		if k == "beta" || k == "api-version" {
			out[k] = v
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "?" + out.Encode()
}

// ask sends a request to an upstream. Nothing is tried again: a request for tokens is not idempotent, and callers have retries of their own.
func (t *terms) ask(ctx context.Context, u *Upstream, path string, headers http.Header, body []byte) (*http.Response, error) {
	method := http.MethodPost
	if body == nil {
		method = http.MethodGet
	}
	q, err := http.NewRequestWithContext(ctx, method, u.base()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header = headers
	// Not through the client: it looks for cookies, redirects and credentials in addresses, and upstreams have none of them.
	return t.clientFor(u.Private).Transport.RoundTrip(q)
}

// clientFor is the client for addresses that may be private, or may not.
func (t *terms) clientFor(private bool) *http.Client {
	if private {
		return t.private
	}
	return t.client
}

// hiddenHeaders of an upstream's answer are not passed on.
var hiddenHeaders = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Transfer-Encoding": true, "Trailer": true, "Upgrade": true, "Content-Length": true, "Content-Encoding": true, "Set-Cookie": true, "Location": true, "Alt-Svc": true,
}

func passHeaders(to, from http.Header) {
	for k, v := range from {
		if !hiddenHeaders[k] && !strings.HasPrefix(k, "X-Proviso-") {
			to[k] = v
		}
	}
}

// upstreamFailed tells why nothing came of an upstream, without its address or anything of its words.
func upstreamFailed(err error) wire.Denial {
	d := wire.Denial{Status: http.StatusBadGateway, Code: "upstream_failed"}
	var dns *net.DNSError
	var netErr net.Error
	switch {
	case errors.Is(err, reach.ErrPrivate):
		d.Text = "the upstream's name leads to an address that is not public; set private for it if that is meant"
	case errors.As(err, &dns):
		d.Text = "the upstream's name cannot be resolved"
	case errors.As(err, &netErr) && netErr.Timeout():
		d.Status, d.Text = http.StatusGatewayTimeout, "the upstream did not answer in time"
	case errors.Is(err, errTooLarge):
		d.Text = "the upstream's answer is larger than the limit"
	case strings.Contains(err.Error(), "certificate"):
		d.Text = "the upstream's certificate is not accepted"
	default:
		d.Text = "the upstream could not be reached, or ended the connection"
	}
	d.Text += " [" + CodeUpstream + "]"
	return d
}
