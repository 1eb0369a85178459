package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"github.com/proviso-dev/proviso/examples"
)

//go:embed starter
var starter embed.FS

// initCmd is `proviso init`.
type initCmd struct {
	Dir  string `arg:"" optional:"" help:"Folder to write to; it is made where it does not exist." default:"."`
	From string `name:"pack" help:"What to begin with: ${enum}." enum:"starter,airline" default:"starter" placeholder:"NAME" env:"-"`
}

// Help is the long help of the command.
func (initCmd) Help() string {
	return `Writes a pack that works: a policy of four clauses (or the whole airline example), its tools, rules and cases, and JSON Schemas for your editor. It passes proviso check at once. Nothing is overwritten.`
}

// Run writes the files.
func (c *initCmd) Run(a *app) error {
	var from fs.FS = examples.Files
	if c.From == "starter" {
		from = starter
	}
	files, err := scaffold(from, c.From)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		if _, err := os.Lstat(filepath.Join(c.Dir, n)); err == nil {
			return &problem{exit: exitInput, code: codeExists, msg: filepath.Join(c.Dir, n) + " exists already; nothing was written", hint: "name another folder: proviso init DIR"}
		}
	}
	for _, n := range names {
		name := filepath.Join(c.Dir, n)
		if err := writeNew(name, files[n]); err != nil {
			return unwritable(name, err)
		}
		a.say("wrote %s", name)
	}
	next := "proviso check"
	if c.Dir != "." {
		next += " " + c.Dir
	}
	a.say("next: %s", next)
	return nil
}

// scaffold returns the files of a pack by name. YAML files begin with the line that tells editors their schema.
func scaffold(from fs.FS, dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(from, dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(from, p)
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(p, dir+"/")
		files[filepath.FromSlash(rel)] = append([]byte(schemaLine(rel)), b...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("embedded pack %s: %w", dir, err)
	}
	for _, k := range schemaKinds {
		b, err := schemaOf(k.name)
		if err != nil {
			return nil, err
		}
		files[filepath.Join(".proviso", k.name+".schema.json")] = b
	}
	return files, nil
}

// schemaLine is what yaml-language-server looks for, relative to the file that it stands in.
func schemaLine(file string) string {
	for _, k := range schemaKinds {
		if ok, _ := path.Match(k.files, file); ok {
			up := strings.Repeat("../", strings.Count(file, "/"))
			return "# yaml-language-server: $schema=" + up + ".proviso/" + k.name + ".schema.json\n"
		}
	}
	return ""
}

// writeNew writes a file that does not exist, and the folders above it.
func writeNew(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
