package learning

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/world/paths"
)

// GenCases is `proviso gen --from`.
type GenCases struct {
	From     []string `required:"" help:"Folder of a pack; several are joined. Cases are made for its rules." placeholder:"DIR" env:"-"`
	Rule     []string `help:"Only for rules with these ids; globs." placeholder:"GLOB" env:"-"`
	MaxPaths int      `name:"max-paths" help:"Paths of one rule for one tool." default:"64" placeholder:"N" env:"-"`
	Out      string   `help:"File to write, which must not exist; default: standard output." placeholder:"FILE" env:"-"`
}

// Help is the long help of the command.
func (GenCases) Help() string {
	return `Makes cases of any pack by the paths of its rules' trees: each way in which a rule keeps silent, each way in which it fires by one condition at a time, the boundaries of its numbers, and what is not known yet. What is wanted is what the pack decides now: read the cases before you keep them. Paths without a case are listed with the reason.`
}

// Run makes cases.
func (c *GenCases) Run(e *Env) error {
	if err := e.formats("pretty", "json"); err != nil {
		return err
	}
	if c.Out != "" {
		if _, err := os.Lstat(c.Out); err == nil {
			return diagnose(codeExists, "name another file", "%s exists already; nothing was written", e.Short(c.Out))
		}
	}
	pol, err := e.Compile(c.From)
	if err != nil {
		return err
	}
	r, err := paths.Generate(pol.Packs(), paths.Config{Play: tested, Rules: c.Rule, MaxPaths: c.MaxPaths, Progress: func(done, all int, rule, tool string) {
		e.Status(fmt.Sprintf("%d of %d: %s, %s", done, all, rule, tool))
	}})
	e.Status("")
	if err != nil {
		return diagnose(codeEmpty, "see proviso lint", "%s: %v", strings.Join(c.From, ", "), err)
	}
	text, err := pack.PrintCases(r.Cases())
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := os.MkdirAll(filepath.Dir(c.Out), 0o755); err != nil {
			return unwritable(c.Out, err)
		}
		if err := durable.Replace(c.Out, text, 0o644); err != nil {
			return unwritable(c.Out, err)
		}
	}
	switch {
	case e.Format == "json":
		if err := e.Print(genReport(r)); err != nil {
			return err
		}
	case c.Out == "":
		if _, err := e.Stdout.Write(text); err != nil {
			return unwritable("standard output", err)
		}
	}
	c.tell(e, r)
	return nil
}

// codeEmpty is the code of a command that found nothing to work on.
const codeEmpty = "PV904"

// caseReport is the JSON of what was made.
type caseReport struct {
	Cases         []caseMade `json:"cases"`
	Left          []caseLeft `json:"left"`
	Paths         int        `json:"paths"`
	Covered       int        `json:"covered"`
	Never         int        `json:"never"`
	Disagreements int        `json:"disagreements"`
}

type caseMade struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	Rule    string   `json:"rule,omitempty"`
	Tool    string   `json:"tool"`
	Clauses []string `json:"clauses,omitempty"`
	Path    string   `json:"path,omitempty"`
	Twin    string   `json:"twin,omitempty"`
}

type caseLeft struct {
	Rule string `json:"rule,omitempty"`
	Tool string `json:"tool,omitempty"`
	Kind string `json:"kind,omitempty"`
	Path string `json:"path,omitempty"`
	Why  string `json:"why"`
}

func genReport(r *paths.Report) caseReport {
	out := caseReport{Cases: []caseMade{}, Left: []caseLeft{}, Paths: r.Paths, Covered: r.Covered, Never: r.Never, Disagreements: r.Disagreements}
	for _, m := range r.Made {
		out.Cases = append(out.Cases, caseMade{m.Case.Name, string(m.Kind), m.Rule, m.Tool, m.Clauses, m.Path, m.Twin})
	}
	for _, l := range r.Left {
		out.Left = append(out.Left, caseLeft{l.Rule, l.Tool, string(l.Kind), l.Path, l.Why})
	}
	return out
}

// tell says what was made, and of what was left the most common reasons.
func (c *GenCases) tell(e *Env, r *paths.Report) {
	kinds, why := map[string]int{}, map[string]int{}
	for _, m := range r.Made {
		kinds[string(m.Kind)]++
	}
	for _, l := range r.Left {
		why[l.Why]++
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		parts = append(parts, fmt.Sprintf("%d %s", kinds[k], k))
	}
	e.Say("%d cases (%s); %d of %d paths, %d that no call can take", len(r.Made), strings.Join(parts, ", "), r.Covered, r.Paths, r.Never)
	reasons := slices.SortedFunc(maps.Keys(why), func(a, b string) int {
		if why[a] != why[b] {
			return why[b] - why[a]
		}
		return strings.Compare(a, b)
	})
	for i, reason := range reasons {
		if i == 5 {
			e.Say("  and %d other reasons; see --json", len(reasons)-i)
			break
		}
		e.Say("  left %d: %s", why[reason], reason)
	}
	if c.Out != "" {
		e.Say("wrote %s", e.Short(c.Out))
	}
}
