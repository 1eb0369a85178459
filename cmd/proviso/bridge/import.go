package bridge

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

// Import is `proviso import`.
type Import struct {
	From     string `required:"" help:"The format of FILE: ${formats}." enum:"${formats}" placeholder:"FORMAT" env:"-"`
	File     string `arg:"" help:"The policy to import."`
	Dir      string `arg:"" help:"Folder to write the pack to; it is made where it does not exist."`
	Name     string `help:"Name of the pack; made of FILE's name where it is left out." env:"-" placeholder:"NAME"`
	Observe  bool   `help:"Import rules in mode audit: they say what they would have done, and stop nothing." env:"-"`
	MaxBytes int    `help:"The largest event that the policy's host accepts, in bytes of JSON." env:"-" placeholder:"N"`
	Holes    bool   `name:"keep-holes" help:"Keep what the format lets through by accident, such as arguments that are missing; it is closed otherwise." env:"-"`
}

// Formats lists what --from takes.
func Formats() string {
	var names []string
	for _, f := range importer.All {
		names = append(names, f.Name)
	}
	return strings.Join(names, ",")
}

// Help is the long help of the command.
func (Import) Help() string {
	var b strings.Builder
	b.WriteString("Writes a pack that says what a policy of another system says. Nothing is overwritten. What a pack cannot say exactly is an error, or becomes stricter with a warning; never looser.\n")
	for _, f := range importer.All {
		b.WriteString("\n" + f.Name + ": " + f.Doc + "\n")
	}
	return b.String()
}

// Run writes the files.
func (c *Import) Run(e *Env) error {
	if err := e.plain(); err != nil {
		return err
	}
	f := importer.Lookup(c.From)
	if f == nil { // unreachable: the flag takes the names of the table alone
		return diagnose(codeUsage, "formats: "+Formats(), "no format %s", c.From)
	}
	if _, err := os.Stat(c.File); err != nil {
		return unreadable(c.File, err)
	}
	got := f.Import(os.DirFS(filepath.Dir(c.File)), filepath.Base(c.File), importer.Options{Name: c.Name, Observe: c.Observe, MaxBytes: c.MaxBytes, Holes: c.Holes})
	for _, d := range got.Found {
		if d.Severity != proviso.Error {
			e.Say("%s: %s", d.Severity, d.Error())
		}
	}
	if got.Found.Worst(proviso.Error) {
		return together(got.Found)
	}
	names := slices.Sorted(maps.Keys(got.Files))
	for _, n := range names {
		name := filepath.Join(c.Dir, filepath.FromSlash(n))
		if _, err := os.Lstat(name); err == nil {
			return diagnose(codeExists, "name another folder", "%s exists already; nothing was written", name)
		}
	}
	for _, n := range names {
		name := filepath.Join(c.Dir, filepath.FromSlash(n))
		if err := create(name, got.Files[n]); err != nil {
			return unwritable(name, err)
		}
		e.Say("wrote %s", name)
	}
	if e.Format == "json" {
		return json.NewEncoder(e.Stdout).Encode(map[string]any{"files": names, "findings": append(proviso.Diagnostics{}, got.Found...)})
	}
	e.Say("next: proviso check %s", c.Dir)
	return nil
}

// together is every error of an import in one, with the first one's code and hint.
func together(found proviso.Diagnostics) error {
	var all proviso.Diagnostic
	for _, d := range found {
		switch {
		case d.Severity != proviso.Error:
		case all.Msg == "":
			all = d
			all.Msg = d.Pos.String() + ": " + d.Msg
			all.Pos = proviso.Pos{}
		default:
			all.Msg += ", and " + d.Msg
		}
	}
	return all
}
