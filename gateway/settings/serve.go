package settings

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"time"
)

// Serving is how a gateway is served. Agents and Admin are listened on already; Serve closes them.
type Serving struct {
	Agents, Admin net.Listener
	Drain         time.Duration   // how long requests may go on after the end was asked for
	Watch         time.Duration   // how often the files are looked at; 0: never
	Reread        <-chan struct{} // reads everything again
	// Say is told what a person should know: that something was read again, or could not be.
	Say func(format string, args ...any)
}

// HTTP is a server with the timeouts that one needs before strangers.
func HTTP(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
}

// Serve serves until the context ends, and then lets requests end: the server says that it is not ready, requests go on for as long as Drain, and what is left is closed.
// It returns an error where an address cannot be served any more.
func (d *Door) Serve(ctx context.Context, s Serving) error {
	agents, admin := HTTP(d.Handler()), HTTP(d.Admin())
	defer agents.Close()
	defer admin.Close()
	failed := make(chan error, 2)
	go func() { failed <- agents.Serve(s.Agents) }()
	go func() { failed <- admin.Serve(s.Admin) }()
	// What compiling the packs needed is a multiple of what serving needs; the machine has it back before the first request.
	debug.FreeOSMemory()
	forgetPages()
	var tick <-chan time.Time
	if s.Watch > 0 {
		t := time.NewTicker(s.Watch)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case err := <-failed:
			return err
		case <-s.Reread:
			d.reread(ctx, &s)
		case <-tick:
			if d.Changed() {
				d.reread(ctx, &s)
			}
		case <-ctx.Done():
			d.Drain()
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Drain)
			defer cancel()
			if errors.Is(agents.Shutdown(end), context.DeadlineExceeded) {
				s.Say("requests were still on their way after %s and were ended", s.Drain)
			}
			return nil
		}
	}
}

func (d *Door) reread(ctx context.Context, s *Serving) {
	if err := d.Reread(ctx); err != nil {
		s.Say("not reloaded, what stood before goes on: %s", err)
		return
	}
	st := d.Status(ctx)
	s.Say("reloaded, policy %.12s", st.Policy)
	for _, why := range st.Why {
		s.Say("%s", why)
	}
}
