package authoring

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/mutate"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Mutate is the flags of `proviso mutate`.
type Mutate struct {
	Packs    []string `arg:"" optional:"" name:"pack" help:"Folders of packs; default: this folder. The first is spoilt; all cases are played." default:"."`
	Operator []string `help:"Only these kinds of mistakes; repeatable." placeholder:"NAME"`
	Rule     []string `help:"Only rules whose ids match; repeatable." placeholder:"GLOB"`
	Min      float64  `help:"Fail where fewer percent of the mutants are noticed." placeholder:"PERCENT"`
	Write    string   `help:"Write a case for every survivor that a call tells from the original, into this new file." placeholder:"FILE"`
	List     bool     `help:"List the kinds of mistakes."`
}

// Help is the long help of the command.
func (Mutate) Help() string {
	return `Spoils the rules one mistake at a time and plays the pack's cases against each mutant. A mutant that no case notices is a hole in the tests, unless it is proved to decide every call as the original does. Survivors are listed with a call that tells them apart, where one was found.`
}

// mutant is a line of the result.
type mutant struct {
	Rule     string `json:"rule"`
	Operator string `json:"operator"`
	Pos      string `json:"pos"`
	Was      string `json:"was"`
	Now      string `json:"now"`
	Fate     string `json:"fate"`
	By       string `json:"by,omitempty"`
	Call     string `json:"call,omitempty"`
}

// Run tries the cases of a pack.
func (c *Mutate) Run(e *Env) error {
	if err := e.formats(); err != nil {
		return err
	}
	if c.List {
		var b strings.Builder
		for _, op := range mutate.Operators {
			b.WriteString(e.Hang(fmt.Sprintf("  %-11s ", op.Name), op.Doc, 14))
		}
		return e.write(b.String())
	}
	ops, err := c.operators()
	if err != nil {
		return err
	}
	if c.Write != "" {
		if err := absent(c.Write); err != nil {
			return err
		}
	}
	packs, err := e.Packs(c.Packs)
	if err != nil {
		return err
	}
	s := mutate.Suite{Packs: packs, Play: play}
	ms := slices.DeleteFunc(mutate.Mutants(packs[0], ops), func(m mutate.Mutant) bool {
		return len(c.Rule) > 0 && !slices.ContainsFunc(c.Rule, func(g string) bool { return pack.Match(g, m.Rule) })
	})
	if err := c.ready(packs, ms); err != nil {
		return err
	}
	debug.SetGCPercent(400) // policies are compiled by the hundred and thrown away
	n := 0
	rs, ds := s.Judge(0, ms, runtime.GOMAXPROCS(0), func(r mutate.Result) {
		n++
		e.Status(fmt.Sprintf("%d of %d mutants: %s", n, len(ms), r.Rule))
		if e.Context.Err() != nil {
			s.Play = func(*policy.Policy, []pack.Case) (string, bool) { return "", false }
		}
	})
	if err := e.Context.Err(); err != nil {
		return err
	}
	if rs == nil {
		return ds
	}
	wrote, err := c.cases(e, &s, rs)
	if err != nil {
		return err
	}
	if err := c.report(e, rs, wrote); err != nil {
		return err
	}
	if killed, n := mutate.Score(rs); n > 0 && 100*float64(killed)/float64(n) < c.Min {
		e.Say("%d of %d mutants are noticed, fewer than %g percent; add cases for the survivors [%s]", killed, n, c.Min, codeScore)
		return e.Found()
	}
	return nil
}

func (c *Mutate) operators() (ops []mutate.Operator, err error) {
	for _, name := range c.Operator {
		i := slices.IndexFunc(mutate.Operators, func(o mutate.Operator) bool { return o.Name == name })
		if i < 0 {
			return nil, diagnose(codeName, "no operator "+name, "proviso mutate --list names them")
		}
		ops = append(ops, mutate.Operators[i])
	}
	return ops, nil
}

// ready refuses packs on which nothing can be tried: no mutant, no case, cases that fail as it is.
func (c *Mutate) ready(packs []*pack.Pack, ms []mutate.Mutant) error {
	if len(ms) == 0 {
		return diagnose(codeEmpty, "no rule can be spoilt so", "give other names to --operator or --rule")
	}
	var cases []pack.Case
	for _, p := range packs {
		cases = append(cases, p.Tests...)
	}
	if len(cases) == 0 {
		return diagnose(codeEmpty, "the pack has no cases, so that every mutant survives", "write some below tests/; proviso init shows how")
	}
	p, ds := policy.Compile(packs...)
	if p == nil {
		return ds
	}
	if failed, ok := play(p, cases); !ok {
		return diagnose(codeFails, fmt.Sprintf("the case %q fails before anything is spoilt", failed), "make proviso test pass first")
	}
	return nil
}

// play stops at the first case that fails.
func play(p *policy.Policy, cases []pack.Case) (failed string, ok bool) {
	for i := range cases {
		for _, r := range audit.Test(p, cases[i:i+1]) {
			if !r.Passed() {
				return r.Name, false
			}
		}
	}
	return "", true
}

// cases writes those of the survivors.
func (c *Mutate) cases(e *Env, s *mutate.Suite, rs []mutate.Result) (wrote int, err error) {
	if c.Write == "" {
		return 0, nil
	}
	var b strings.Builder
	b.WriteString("# Written by proviso mutate: each case fails where a rule has the mistake that its name tells.\ncases:\n")
	for _, r := range rs {
		if r.Fate != mutate.Survived {
			continue
		}
		if src, ok := s.Case(0, r); ok {
			wrote++
			b.WriteString(strings.TrimPrefix(string(src), "cases:\n"))
		}
	}
	if wrote == 0 {
		return 0, nil
	}
	out, err := pack.Format(c.Write, []byte(b.String()))
	if err != nil {
		return 0, err
	}
	return wrote, create(c.Write, out)
}

// absent refuses a name that something has.
func absent(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return diagnose(codeExists, name+" exists already", "give another name, or move it away")
	}
	return nil
}

// create writes a new file whole, or not at all.
func create(name string, b []byte) error {
	if err := absent(name); err != nil {
		return err
	}
	if err := durable.Replace(name, b, 0o644); err != nil {
		return diagnose(codeWrite, name+": "+because(err), "check the folder and its permissions")
	}
	return nil
}

// because is the reason of a failed operation on a file, without its name.
func because(err error) string {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

func (c *Mutate) report(e *Env, rs []mutate.Result, wrote int) error {
	killed, n := mutate.Score(rs)
	fates := map[mutate.Fate]int{}
	lines := []mutant{}
	for _, r := range rs {
		fates[r.Fate]++
		m := mutant{Rule: r.Rule, Operator: r.Operator, Pos: r.Pos.String(), Was: r.Was, Now: r.Now, Fate: r.Fate.String(), By: r.By}
		if w := r.Witness(); w != nil {
			m.Call = strings.ReplaceAll(w.String(), "\n", " ·")
		}
		lines = append(lines, m)
	}
	if e.Format == "json" {
		return e.Print(map[string]any{"mutants": lines, "killed": killed, "survived": fates[mutate.Survived], "equivalent": fates[mutate.Equivalent], "broken": fates[mutate.Broken], "cases_written": wrote})
	}
	var b strings.Builder
	for _, m := range lines {
		if m.Fate != mutate.Survived.String() {
			continue
		}
		b.WriteString(e.Hang("survived  ", fmt.Sprintf("%s %s %s", m.Pos, m.Rule, m.Operator), 10))
		b.WriteString(e.Hang("          was  ", m.Was, 15))
		b.WriteString(e.Hang("          now  ", m.Now, 15))
		if m.Call != "" {
			b.WriteString(e.Hang("          call ", m.Call, 15))
		}
	}
	fmt.Fprintf(&b, "%s %d of %d mutants noticed (%.0f %%), %d proved equivalent, %d do not compile\n", e.Bold("mutate:"), killed, n, 100*float64(killed)/float64(max(n, 1)), fates[mutate.Equivalent], fates[mutate.Broken])
	if c.Write != "" {
		fmt.Fprintf(&b, "%d cases for survivors written to %s\n", wrote, c.Write)
	}
	return e.write(b.String())
}
