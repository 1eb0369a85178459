package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/policy/pack"
)

// coverage tells what the cases have shown of rules and clauses. A rule is tested where it was seen to stop a step (or to edit it, or to ask for something), and to let one pass.
type coverage struct {
	Rules    []ruleCoverage `json:"rules"`
	Tested   int            `json:"rules_tested"`
	Clauses  int            `json:"clauses"`
	Cited    int            `json:"clauses_implemented"`
	Shown    int            `json:"clauses_tested"`
	Untested []string       `json:"clauses_untested,omitempty"`
}

// ruleCoverage counts the steps in which a rule was seen in each direction.
type ruleCoverage struct {
	Rule   string `json:"rule"`
	Pack   string `json:"pack"`
	Stops  int    `json:"stops"`
	Passes int    `json:"passes"`
}

func (c *ruleCoverage) both() bool { return c.Stops > 0 && c.Passes > 0 }

// lacks says which direction was not seen.
func (c *ruleCoverage) lacks() string {
	switch {
	case c.both():
		return ""
	case c.Stops > 0:
		return "never passes"
	case c.Passes > 0:
		return "never stops"
	}
	return "never applies"
}

func (c *coverage) percent() float64 {
	if len(c.Rules) == 0 {
		return 100
	}
	return 100 * float64(c.Tested) / float64(len(c.Rules))
}

func cover(o *opened, results []audit.CaseResult) *coverage {
	cov := &coverage{}
	index := map[string]int{}
	bare := map[string]bool{} // rules without a requirement, which pass where they are silent
	for _, p := range o.packs {
		for _, r := range p.Rules {
			bare[r.ID.S] = r.Require == nil
		}
	}
	for _, r := range o.policy.Rules() {
		if r.Mode != pack.Off {
			index[r.ID] = len(cov.Rules)
			cov.Rules = append(cov.Rules, ruleCoverage{Rule: r.ID, Pack: r.Pack})
		}
	}
	for _, res := range results {
		for _, step := range res.Steps {
			waited := map[string]bool{}
			for _, m := range step.Decision.Missing {
				for _, id := range m.Rules {
					waited[id] = true
				}
			}
			for _, st := range step.States {
				i, ok := index[st.Rule]
				if !ok {
					continue
				}
				switch {
				case st.Errored:
				case st.Applies == proviso.True && st.Holds == proviso.False, waited[st.Rule]:
					cov.Rules[i].Stops++
				case st.Applies == proviso.True && st.Holds == proviso.True, st.Applies == proviso.False && bare[st.Rule]:
					cov.Rules[i].Passes++
				}
			}
		}
	}
	for i := range cov.Rules {
		if cov.Rules[i].both() {
			cov.Tested++
		}
	}
	cov.clauses(o, index)
	return cov
}

// clauses counts the clauses of the documents by what the rules that implement them have shown.
func (c *coverage) clauses(o *opened, index map[string]int) {
	for i := range o.packs {
		for _, cl := range o.clauses(i) {
			c.Clauses++
			if len(cl.Rules) == 0 {
				continue
			}
			c.Cited++
			if slices.ContainsFunc(cl.Rules, func(id string) bool { n, ok := index[id]; return ok && c.Rules[n].both() }) {
				c.Shown++
			} else {
				c.Untested = append(c.Untested, cl.ID)
			}
		}
	}
}

func (c *coverage) pretty(b *strings.Builder, s style, verbose bool) {
	if verbose {
		fmt.Fprintf(b, "\n%-40s %7s %7s\n", "rule", "stops", "passes")
		for _, r := range c.Rules {
			fmt.Fprintf(b, "%s %7d %7d  %s\n", pad(shorten(r.Rule, 40), 40), r.Stops, r.Passes, s.paint(r.lacks(), magenta))
		}
		b.WriteByte('\n')
	} else {
		for _, r := range c.Rules {
			if l := r.lacks(); l != "" {
				fmt.Fprintf(b, "%s  %s in any case\n", s.paint(printable(r.Rule), bold), s.paint(l, magenta))
			}
		}
	}
	fmt.Fprintf(b, "rules    %d of %d tested in both directions\n", c.Tested, len(c.Rules))
	fmt.Fprintf(b, "clauses  %d in the document, %d implemented by rules, %d of these tested\n", c.Clauses, c.Cited, c.Shown)
}

func (c *coverage) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n%d of %d rules tested in both directions; %d clauses, %d implemented by rules, %d of these tested.\n", c.Tested, len(c.Rules), c.Clauses, c.Cited, c.Shown)
}
