package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Config is what a Server is made of. Load, Journal and at least one upstream or none (then only decisions are served) have to be given; the zero value of everything else is the safe choice.
type Config struct {
	// Load reads what is enforced. New calls it once and Reload again; where it fails, what stood before goes on.
	Load func(ctx context.Context) (*Rules, error)
	// Journal, Approvals, Judge and Audit are those of the guards. Without Approvals an escalated call stops and nobody is asked.
	Journal   guard.Journal
	Approvals guard.Approvals
	Judge     guard.Judge
	Audit     guard.Audit

	Upstreams []Upstream
	Identity  Identity
	Denials   Denials
	// Rerank is among how many candidates an answer is chosen by what the policy would decide about it, at most MaxRerank; 0 and 1: the first is taken. Each candidate is paid for.
	Rerank int
	Limits Limits
	// OverlayDir keeps which overlays are attached to which session; empty: they are forgotten with the process.
	OverlayDir string
	Webhook    *Webhook // told about requests for approval; nil: nobody is
	Telemetry  Telemetry
	// AdminToken has to be shown, as Authorization: Bearer, by whoever reloads or answers approvals on the address of Admin; empty: whoever reaches it may.
	AdminToken Secret
	Clock      func() time.Time // nil: time.Now
}

// Rules is what one generation of a server enforces.
type Rules struct {
	// Base holds for every request; it has at least one pack of rank org or user.
	Base []*pack.Pack
	// Attached packs hold beside it for the requests that they name.
	Attached []Attachment
	// Overlays are packs that sessions may have attached by name, by the header X-Proviso-Overlay or the API.
	Overlays map[string]*pack.Pack
	// Keys are the virtual keys that are accepted; where there are none, every caller is.
	Keys []Key
	// Until is when somebody's word ends that these are the rules, such as a signature; the server goes on under them, and says that it is not ready. Zero: it does not end.
	Until time.Time
	// Terms stand in for upstreams, identity and limits of the Config from now on; nil: those of the Config hold.
	Terms *Terms
}

// Attachment is packs that hold for some requests. Each list that is not empty has to name the request by one of its globs.
type Attachment struct {
	Packs                      []*pack.Pack
	Agents, Keys, Tags, Routes []string
}

// Upstream is a model API that requests are forwarded to.
type Upstream struct {
	Name    string
	URL     string   // such as https://api.openai.com/v1; a path that ends in /v1 is the same as one without
	Wires   []string // the wires that it speaks; empty: all
	Models  []string // globs of the models that it is asked for; empty: all
	Key     Secret   // stands in for the caller's credentials; empty: those are forwarded
	Headers map[string]string
	// Private allows addresses that are not public: this machine and networks of one's own.
	Private bool
}

// Secret is a text that no log, error or page ever shows.
type Secret string

// String and the other ways to print a secret give asterisks.
func (Secret) String() string { return "***" }

// GoString gives asterisks.
func (Secret) GoString() string { return "***" }

// MarshalText gives asterisks.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// LogValue gives asterisks.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// Denials is how denials are told.
type Denials struct {
	// AsError answers with HTTP 403 and an error object instead of an answer of the assistant that refuses.
	AsError bool
	// Revisions is how often a denied answer goes back to the model, with the clause and a hint, before the caller sees a denial; 0: never.
	Revisions int
	// Budget is how many identical denials a session may have before the next is an error that tells the agent to stop; 0: 3, negative: no limit.
	Budget int
	// Pass lists the kinds of parts that no rule sees and that pass nevertheless, such as image_url; everything else of the kind is denied.
	Pass []string
	// Hold is how long an answer waits for a person to approve its calls; 0: it does not wait.
	Hold time.Duration
}

// Limits bound what a server takes upon itself; 0 is the default named.
type Limits struct {
	Body       int64         // bytes of a request: 16 MiB
	Answer     int64         // bytes of an answer, and of what a stream holds back: 16 MiB
	InFlight   int           // requests at a time, beyond which they are told to come again: 1,024
	Memory     int64         // bytes of all request bodies at a time: 256 MiB, or a sixteenth of GOMEMLIMIT where that is less
	ReadBody   time.Duration // for a caller to send its whole body: 1 minute
	Connect    time.Duration // to an upstream, once more for its certificate, and over HTTP/2 for a sign of life where nothing came for three times as long: 10 seconds
	FirstByte  time.Duration // for the headers of an upstream's answer: 10 minutes
	Idle       time.Duration // between two reads of a stream: 5 minutes
	WriteStall time.Duration // for one write to a caller that does not read: 1 minute
	Sessions   int           // that are remembered at a time: 10,000
	// SessionIdle is how long a session is remembered after it was used last: 15 minutes. One that goes on later is folded from the journal.
	SessionIdle time.Duration
	Hosts       []string // names that this server is reached by, beside localhost and addresses
}

func (l Limits) withDefaults() Limits {
	or := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	or(&l.Body, 16<<20)
	or(&l.Answer, 16<<20)
	// A request that was read takes several times the bytes that came.
	or(&l.Memory, min(256<<20, debug.SetMemoryLimit(-1)/16))
	if l.InFlight == 0 {
		l.InFlight = 1024
	}
	if l.Sessions == 0 {
		l.Sessions = 10000
	}
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&l.ReadBody, time.Minute}, {&l.Connect, 10 * time.Second}, {&l.FirstByte, 10 * time.Minute}, {&l.Idle, 5 * time.Minute}, {&l.WriteStall, time.Minute}, {&l.SessionIdle, 15 * time.Minute}} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	return l
}

// Telemetry is where a server tells what it does. Each nil part is left out.
type Telemetry struct {
	Log *slog.Logger
	// Trace wraps the handling of a request, for spans; gateway/otlp has one.
	Trace Tracer
}

// Tracer makes spans. It is an interface of this package, so that the gateway does not depend on an SDK.
type Tracer interface {
	// Start begins a span for a request; the context carries it, and end ends it with what came of it.
	Start(r *http.Request, name string) (ctx context.Context, span Span)
}

// Span is one span.
type Span interface {
	// Set adds an attribute: a string, an int64, a bool or a list of strings.
	Set(key string, value any)
	// Inject writes the span's context into the headers of a request that goes out.
	Inject(h http.Header)
	// End ends the span; a text says what failed.
	End(failure string)
}

var errConfig = errors.New("gateway: configuration")

func (c *Config) check() error {
	switch {
	case c.Load == nil:
		return fmt.Errorf("%w: Load is missing; give what reads the packs", errConfig)
	case c.Journal == nil:
		return fmt.Errorf("%w: Journal is missing; give a journal.Memory where nothing is to be kept", errConfig)
	}
	if c.Rerank < 0 || c.Rerank > MaxRerank {
		return fmt.Errorf("%w: an answer is chosen among 1 to %d candidates, not %d", errConfig, MaxRerank, c.Rerank)
	}
	if c.Webhook != nil {
		if err := c.Webhook.check(); err != nil {
			return err
		}
	}
	return nil
}

func (u *Upstream) check() error {
	at, err := url.Parse(u.URL)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return fmt.Errorf("%w: upstream %s: %q is no http(s) address; write https://host/v1", errConfig, u.Name, u.URL)
	}
	if at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		return fmt.Errorf("%w: upstream %s: credentials and queries do not belong in the address; use its key", errConfig, u.Name)
	}
	return nil
}

// base is the address of an upstream without the version of the API, which the wires' paths have.
func (u *Upstream) base() string {
	return strings.TrimSuffix(strings.TrimSuffix(u.URL, "/"), "/v1")
}
