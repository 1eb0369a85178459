package main

// checkCmd is `proviso check`.
type checkCmd struct {
	Packs   []string `arg:"" optional:"" name:"pack" help:"Folders of packs; default: this folder. Several are joined." default:"."`
	Verbose bool     `short:"v" help:"List cases that pass, and every rule's coverage."`
}

// Help is the long help of the command.
func (checkCmd) Help() string {
	return `Everything that can be known about a pack without an agent: that its files are laid out as fmt does, that it loads and compiles, what lint finds, and that its cases pass. Changes nothing.`
}

// Run checks.
func (c *checkCmd) Run(a *app) error {
	o, err := a.open(c.Packs)
	if err != nil {
		return err
	}
	r := a.reportOf("check", o)
	r.verbose = c.Verbose
	r.add("compile", o.found)
	r.layout(o)
	r.lint(o)
	if o.policy != nil {
		if err := r.test(o, ""); err != nil {
			return err
		}
	}
	return a.finish(r)
}
