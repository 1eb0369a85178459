package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/proviso-dev/proviso/gateway"
	doors "github.com/proviso-dev/proviso/gateway/settings"
	"github.com/proviso-dev/proviso/journal/sqlite"
)

// serveCmd is `proviso serve`.
type serveCmd struct {
	doorFlags
	Listen string        `help:"Address for agents (127.0.0.1:7070)." default:"127.0.0.1:7070" placeholder:"HOST:PORT"`
	Admin  string        `help:"Address for metrics, health, reload and approvals (127.0.0.1:7071); reload and approvals ask for the admin_token of the settings." default:"127.0.0.1:7071" placeholder:"HOST:PORT"`
	Drain  time.Duration `help:"How long requests may go on after SIGTERM." default:"30s"`
	Watch  time.Duration `help:"How often the files are looked at for changes; 0 only reloads on SIGHUP." default:"2s"`
	Unsafe bool          `name:"unsafe-allow-unauthenticated" help:"Serve callers without a key on an address that others reach." env:"-"`
	NewKey string        `help:"Make a virtual key with this name, print it once with the lines for the settings, and end." placeholder:"NAME" env:"-"`
}

const codeListen = "PV912" // an address that cannot be listened on

// doorFlags are the flags of commands that open the gateway.
type doorFlags struct {
	packFlag
	Gateway   string `help:"Settings of the gateway: upstreams, keys, attachments, identity, limits (YAML)." placeholder:"FILE"`
	Data      string `help:"Folder of the journal, approvals, overlays and the secret." default:".proviso" placeholder:"DIR"`
	OpenAI    string `name:"openai-base-url" help:"The OpenAI API to forward to." placeholder:"URL"`
	Anthropic string `name:"anthropic-base-url" help:"The Anthropic API to forward to." placeholder:"URL"`
	Audit     string `help:"${enum}: whether calls wait until their record is on disk." enum:"required,best_effort" default:"required" placeholder:"KIND"`
	DenyAs    string `help:"How denials are told: ${enum}." enum:"refusal,error" default:"refusal" placeholder:"FORM"`
	Revise    int    `help:"How often a denied answer goes back to the model with clause and hint." default:"1"`
	Rerank    int    `help:"Ask for N answers and forward the one that the policy thinks best of; each is paid for. 1: the first is taken." placeholder:"N" default:"1"`
}

// settings are the flags for package settings.
func (f *doorFlags) settings(a *app) *doors.Flags {
	return &doors.Flags{Packs: f.Pack, File: f.Gateway, Data: f.Data, OpenAI: f.OpenAI, Anthropic: f.Anthropic, Audit: f.Audit, DenyAs: f.DenyAs, Revise: f.Revise, Rerank: f.Rerank, Env: a.env}
}

// servingGC is how much of its live memory, in percent, a server may fill anew before garbage is collected, where GOGC does not say: most of what a request needs lives no longer than the request, and
// while garbage is collected others wait. A memory limit (GOMEMLIMIT, or that of a control group) holds all the same.
const servingGC = 400

// openDoor opens the gateway that the flags describe. The caller closes it.
func (a *app) openDoor(f *doorFlags) (*doors.Door, error) {
	// Compiling throws away ten times what it leaves. Collected often, what it leaves lies close together, and the rest goes back to the machine.
	percent := debug.SetGCPercent(25)
	if a.env("GOGC") == "" {
		percent = servingGC
	}
	defer debug.SetGCPercent(percent)
	d, err := doors.Open(a.ctx, f.settings(a))
	if err != nil {
		return nil, doorProblem(err)
	}
	return d, nil
}

// doorProblem tells why the gateway cannot be opened.
func doorProblem(err error) error {
	var own *doors.Error
	var store *sqlite.Error
	switch {
	case errors.As(err, &own):
		return &problem{exit: exitInput, code: own.Code, msg: own.Msg, hint: own.Hint}
	case errors.As(err, &store):
		return logProblem(err)
	}
	return &problem{exit: exitInput, code: doors.CodeSettings, msg: err.Error(), hint: "see docs/gateway.md"}
}

// Help is the long help of the command.
func (serveCmd) Help() string {
	return `Stands between agents and model APIs: /v1/chat/completions, /v1/responses and /v1/messages are forwarded, and every event of them is decided before it goes on. /v1/decide answers programs that run their tools themselves. Point an agent at it with OPENAI_BASE_URL or ANTHROPIC_BASE_URL.

Everything is kept in --data: the journal, approvals, attached overlays, and the secret that signs session handles. Packs, keys and attachments are read again when they change; where they cannot be used, what stood before goes on.`
}

// Run serves until a signal ends it.
func (c serveCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	if c.NewKey != "" {
		return a.newKey(c.NewKey)
	}
	d, err := a.openDoor(&c.doorFlags)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := c.reachable(d); err != nil {
		return err
	}
	agents, err := listen(c.Listen)
	if err != nil {
		return err
	}
	admin, err := listen(c.Admin)
	if err != nil {
		agents.Close()
		return err
	}
	c.greet(a, d, agents, admin)
	a.patience.Store(int64(c.Drain + time.Second))
	return c.serve(a, d, agents, admin)
}

// reachable refuses to serve strangers by mistake.
func (c *serveCmd) reachable(d *doors.Door) error {
	for _, at := range []struct{ flag, addr string }{{"listen", c.Listen}, {"admin", c.Admin}} {
		host, _, err := net.SplitHostPort(at.addr)
		if err != nil {
			return &problem{exit: exitInput, code: codeUsage, msg: fmt.Sprintf("--%s %s is no address", at.flag, at.addr), hint: "write HOST:PORT, such as 127.0.0.1:7070"}
		}
		ip := net.ParseIP(host)
		local := host == "localhost" || ip != nil && ip.IsLoopback()
		if local || c.Unsafe || at.flag == "listen" && d.File().Locked() {
			continue
		}
		hint := "configure keys or tokens, or give --unsafe-allow-unauthenticated"
		if at.flag == "admin" {
			hint = "keep it on this machine, or give --unsafe-allow-unauthenticated where something else guards it"
		}
		return &problem{exit: exitInput, code: codeUsage, msg: fmt.Sprintf("--%s %s can be reached by others, and nothing asks who they are", at.flag, at.addr), hint: hint}
	}
	return nil
}

func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &problem{exit: exitIncomplete, code: codeListen, msg: fmt.Sprintf("listen on %s: %s", addr, because(err)), hint: "name another address, or end who has it"}
	}
	return l, nil
}

// greet says where the server is and how agents are pointed at it.
func (c *serveCmd) greet(a *app, d *doors.Door, agents, admin net.Listener) {
	st := d.Status(a.ctx)
	if a.output == "json" {
		a.printJSON(map[string]any{"listening": "http://" + agents.Addr().String(), "admin": "http://" + admin.Addr().String(), "policy": st.Policy, "audit": st.Audit, "data": d.File().Data})
		return
	}
	a.say("proviso serve: http://%s for agents", agents.Addr())
	a.say("               http://%s for people and machines", admin.Addr())
	a.say("policy %.12s, audit %s, records in %s", st.Policy, st.Audit, a.redact(d.File().JournalFile()))
	for _, u := range d.Upstreams() {
		a.say("  %v to %s", u.Wires, u.URL)
	}
	a.say("export OPENAI_BASE_URL=http://%s/v1", agents.Addr())
	a.say("export ANTHROPIC_BASE_URL=http://%s", agents.Addr())
}

func server(h http.Handler) *http.Server { return doors.HTTP(h) }

// serve runs the door until a signal.
func (c *serveCmd) serve(a *app, d *doors.Door, agents, admin net.Listener) error {
	again := make(chan struct{})
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	go func() {
		for range hup {
			select {
			case again <- struct{}{}:
			case <-a.ctx.Done():
				return
			}
		}
	}()
	err := d.Serve(a.ctx, doors.Serving{Agents: agents, Admin: admin, Drain: c.Drain, Watch: c.Watch, Reread: again, Say: func(format string, args ...any) {
		a.say("proviso serve: %s", printable(fmt.Sprintf(format, args...)))
	}})
	if err != nil {
		return &problem{exit: exitIncomplete, code: codeListen, msg: "serve: " + because(err), hint: "start it again"}
	}
	a.drained.Store(true)
	return nil
}

// newKey prints a virtual key once. Only its hash is kept.
func (a *app) newKey(name string) error {
	key, hash := gateway.NewKey()
	if a.output == "json" {
		return a.printJSON(map[string]any{"id": name, "key": string(key), "hash": hash})
	}
	_, err := fmt.Fprintf(a.stdout, "%s\n\n# keep the key, it is not shown again; under keys: of the settings of proviso serve:\n- {id: %s, hash: %s}\n", string(key), name, hash)
	return err
}
