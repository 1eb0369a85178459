package main

import (
	"fmt"

	"github.com/proviso-dev/proviso/gateway/live"
)

// outcomeColours are how outcomes are painted.
var outcomeColours = map[string]string{"allow": green, "deny": red, "escalate": magenta}

// playLive plays the story on the real wire.
func (a *app) playLive() error {
	var steps []live.Step
	t := &tale{app: a}
	t.heading("A scripted model, the gateway and an agent, on the real wire")
	err := live.Play(a.ctx, func(s live.Step) {
		steps = append(steps, s)
		text := s.Text
		if s.Outcome != "" {
			text = a.style.paint(s.Outcome, bold, outcomeColours[s.Outcome]) + ": " + text
		}
		t.speaker(s.Who, text)
	})
	if err != nil {
		return err
	}
	if a.output == "json" {
		return a.printJSON(steps)
	}
	t.heading("Next")
	t.speaker("serve", "proviso serve -p YOUR_PACK, and point an agent at it with OPENAI_BASE_URL or ANTHROPIC_BASE_URL")
	if _, err := fmt.Fprint(a.stdout, t.b.String()); err != nil {
		return unwritable("standard output", err)
	}
	return nil
}
