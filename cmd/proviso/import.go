package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/importer"
)

// importCmd is `proviso import`.
type importCmd struct {
	From     string `required:"" help:"The format of FILE: ${formats}." enum:"${formats}" placeholder:"FORMAT" env:"-"`
	File     string `arg:"" help:"The policy to import."`
	Dir      string `arg:"" help:"Folder to write the pack to; it is made where it does not exist."`
	Name     string `help:"Name of the pack; made of FILE's name where it is left out." env:"-" placeholder:"NAME"`
	Observe  bool   `help:"Import rules in mode audit: they say what they would have done, and stop nothing." env:"-"`
	MaxBytes int    `help:"The largest event that the policy's host accepts, in bytes of JSON." env:"-" placeholder:"N"`
}

// formats lists what --from takes.
func formats() string {
	var names []string
	for _, f := range importer.All {
		names = append(names, f.Name)
	}
	return strings.Join(names, ",")
}

// Help is the long help of the command.
func (importCmd) Help() string {
	var b strings.Builder
	b.WriteString("Writes a pack that says what a policy of another system says. Nothing is overwritten. What a pack cannot say exactly is an error, or becomes stricter with a warning; never looser.\n")
	for _, f := range importer.All {
		b.WriteString("\n" + f.Name + ": " + f.Doc)
	}
	return b.String()
}

// Run writes the files.
func (c *importCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	f := importer.Lookup(c.From)
	if f == nil { // unreachable: the flag takes the names of the table alone
		return &problem{exit: exitInput, code: codeUsage, msg: "no format " + c.From, hint: "formats: " + formats()}
	}
	if _, err := os.Stat(c.File); err != nil {
		return unreadable(c.File, err)
	}
	got := f.Import(os.DirFS(filepath.Dir(c.File)), filepath.Base(c.File), importer.Options{Name: c.Name, Observe: c.Observe, MaxBytes: c.MaxBytes})
	for _, d := range got.Found {
		if d.Severity != proviso.Error {
			a.say("%s: %s", d.Severity, d.Error())
		}
	}
	if got.Found.Worst(proviso.Error) {
		return importProblem(got.Found)
	}
	names := slices.Sorted(maps.Keys(got.Files))
	for _, n := range names {
		name := filepath.Join(c.Dir, filepath.FromSlash(n))
		if _, err := os.Lstat(name); err == nil {
			return &problem{exit: exitInput, code: codeExists, msg: name + " exists already; nothing was written", hint: "name another folder"}
		}
	}
	for _, n := range names {
		name := filepath.Join(c.Dir, filepath.FromSlash(n))
		if err := writeNew(name, got.Files[n]); err != nil {
			return unwritable(name, err)
		}
		a.say("wrote %s", name)
	}
	if a.output == "json" {
		found := append(proviso.Diagnostics{}, got.Found...)
		return json.NewEncoder(a.stdout).Encode(map[string]any{"files": names, "findings": found})
	}
	a.say("next: proviso check %s", c.Dir)
	return nil
}

// importProblem is every error of an import in one, the first one's code and hint with it.
func importProblem(found proviso.Diagnostics) error {
	var p problem
	for _, d := range found {
		if d.Severity != proviso.Error {
			continue
		}
		if p.msg == "" {
			p = problem{exit: exitInput, code: d.Code, hint: d.Hint, msg: d.Pos.String() + ": " + d.Msg}
		} else {
			p.msg += ", and " + d.Msg
		}
	}
	return &p
}
