package main

import (
	"github.com/proviso-dev/proviso/cmd/proviso/clauses"
	"github.com/proviso-dev/proviso/document"
)

// askCmd is `proviso ask`, whose flags and work are in package clauses.
type askCmd struct{ clauses.Ask }

// Run is that of clauses.Ask.
func (c *askCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	return c.Ask.Run(&clauses.Env{
		Stdout: a.stdout, JSON: a.output == "json", Print: a.printJSON, Document: a.document,
		Bold:     func(text string) string { return a.style.paint(printable(text), bold, cyan) },
		Indented: func(prefix, text string) string { return a.style.indented(prefix, text) },
		Found:    func() error { return stop(exitFindings) },
	})
}

// document returns the document of a pack, or one that is named itself, and its file as the person would write it.
func (a *app) document(name string) (*document.Document, string, error) {
	if root, _, err := place(name); err == nil {
		o, err := a.compiled([]string{name})
		if err != nil {
			return nil, "", err
		}
		if o.packs[0].Document == nil {
			return nil, "", &problem{exit: exitInput, code: codeInput, msg: "the pack in " + name + " has no document", hint: "name the document itself"}
		}
		return o.packs[0].Document, shown(root, o.packs[0].DocFile), nil
	}
	b, err := a.read(name, document.MaxFile)
	if err != nil {
		return nil, "", err
	}
	d, ds := document.Read(name, b)
	if len(d.Clauses) == 0 && len(ds) > 0 {
		return nil, "", &problem{exit: exitInput, code: ds[0].Code, msg: ds[0].Pos.String() + ": " + ds[0].Msg, hint: ds[0].Hint}
	}
	return d, name, nil
}
