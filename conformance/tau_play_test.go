package conformance

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/proviso-dev/proviso"
)

// maxSteps is how often a write may be asked for before it must be allowed.
const maxSteps = 6

// line is a guarded conversation as a door leads it: what is said passes it, and every call is decided before it takes place.
type line interface {
	say(role proviso.Role, text string)
	// call asks to run a tool; effect runs only where the call is allowed.
	call(tool string, args map[string]any, effect func() (json.RawMessage, error)) proviso.Decision
	// callJSON asks with arguments as they were recorded.
	callJSON(tool string, args proviso.JSON, effect func() (json.RawMessage, error)) proviso.Decision
}

// customer is a scripted customer: what they can tell about themselves, by the names that tools give it, and whether they agree to what is proposed.
type customer struct {
	knows  map[string]string
	agrees bool
}

// knownAs returns what a customer of that profile can tell about themselves.
func knownAs(u user) map[string]string {
	return map[string]string{"email": u.Email, "first_name": u.Name.First, "last_name": u.Name.Last, "zip": u.Address.Zip}
}

// desk is a service agent without a mind of its own: it asks for one call and then does exactly what the decisions say is missing.
type desk struct {
	t    testing.TB
	line line
	shop *shop
	who  customer
}

// attempt asks for a call until it is decided for good, doing what is missing in between, and returns the last decision and how often it asked.
func (d *desk) attempt(tool string, args map[string]any, effect func() (json.RawMessage, error)) (proviso.Decision, int) {
	for step := 1; ; step++ {
		got := d.line.call(tool, args, effect)
		if got.Outcome != proviso.NeedInfo || step == maxSteps || !d.supply(got.Missing) {
			return got, step
		}
	}
}

// arrange brings a call to the point where the customer has answered the proposal, and does not make it.
func (d *desk) arrange(tool string, args map[string]any) {
	for range maxSteps {
		got := d.line.call(tool, args, nil)
		if got.Outcome != proviso.NeedInfo || !d.supply(got.Missing) {
			d.t.Fatalf("%s was not held back until the customer agreed: %v", tool, got.Outcome)
		}
		for _, m := range got.Missing {
			if m.Kind == proviso.MissingConfirmation {
				return
			}
		}
	}
}

// supply does what is missing, and reports whether anything could be done.
func (d *desk) supply(missing []proviso.Missing) bool {
	done := false
	for _, m := range missing {
		switch m.Kind {
		case proviso.MissingFact:
			done = d.read(m.Suppliers) || done
		case proviso.MissingConfirmation:
			d.propose(m.Ask)
			done = true
		}
	}
	return done
}

// read makes the first call that can be made: computed arguments as they are, open ones as the customer tells them.
func (d *desk) read(suppliers []proviso.Supplier) bool {
	for _, s := range suppliers {
		args, ok := d.fill(s)
		if !ok {
			continue
		}
		read := reads[s.Tool]
		if read == nil {
			d.t.Fatalf("the policy asks for %s, which is no read tool of the suite", s.Tool)
		}
		d.line.call(s.Tool, args, func() (json.RawMessage, error) { return read(d.shop, args) })
		return true
	}
	return false
}

func (d *desk) fill(s proviso.Supplier) (map[string]any, bool) {
	args := map[string]any{}
	for name, v := range s.Args {
		args[name] = v
	}
	for _, name := range s.Open {
		told, ok := d.who.knows[name]
		if !ok {
			return nil, false
		}
		args[name] = told
	}
	return args, true
}

// propose tells the customer what is to be done and hears the answer.
func (d *desk) propose(ask string) {
	d.line.say(proviso.Assistant, ask)
	if d.who.agrees {
		d.line.say(proviso.User, "Yes.")
	} else {
		d.line.say(proviso.User, "No, please don't.")
	}
}

// serve asks for a recorded write and, where it is allowed, changes the shop as recorded.
func (d *desk) serve(w goldCall) (proviso.Decision, int) {
	return d.attempt(w.Name, w.Args, func() (json.RawMessage, error) {
		d.shop.write(d.t, w)
		return w.Result, nil
	})
}

// refuse asks for a call that must not be allowed; where it is allowed nothing changes.
func (d *desk) refuse(tool string, args map[string]any) (proviso.Decision, int) {
	return d.attempt(tool, args, func() (json.RawMessage, error) { return json.RawMessage("{}"), nil })
}

// rules lists the rules that determined a decision, sorted, for the grouping of exceptions.
func rules(d proviso.Decision) []string {
	var out []string
	for _, r := range d.Reasons {
		out = append(out, r.Rule)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
