package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/examples"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/starter"
)

//go:embed starter
var starterPack embed.FS

//go:embed packs
var readyPacks embed.FS

// initCmd is `proviso init`.
type initCmd struct {
	Dir        string `arg:"" optional:"" help:"Folder to write to; it is made where it does not exist." default:"."`
	From       string `name:"pack" help:"What to begin with: ${enum}." enum:"starter,airline,support,coding-agent,workspace" default:"starter" placeholder:"NAME" env:"-"`
	Tools      string `help:"Write a least-privilege pack for the tools of this file instead: an OpenAI function list, or the answer to MCP tools/list." placeholder:"FILE" env:"-"`
	Unattended bool   `help:"With --tools: nobody answers the agent, so that nothing waits for a confirmation." env:"-"`
}

// Help is the long help of the command.
func (initCmd) Help() string {
	return `Writes a pack that works: a policy, its tools, rules and cases, and JSON Schemas for your editor. It passes proviso check at once. Nothing is overwritten.

With --tools the pack is made for your agent's own tools: reads are granted; what changes something is guarded by where its key arguments come from; what cannot be undone waits for a yes of the user; what nobody can tell is denied. Every line says why.`
}

// Run writes the files.
func (c *initCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	files, notes, err := c.files(a)
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
	if err := a.fates(notes); err != nil {
		return err
	}
	next := "proviso check"
	if c.Dir != "." {
		next += " " + c.Dir
	}
	a.say("next: %s", next)
	return nil
}

// files are the files of the pack that was asked for, and what became of each tool where it was made for tools.
func (c *initCmd) files(a *app) (map[string][]byte, []starter.Note, error) {
	if c.Tools == "" {
		if c.Unattended {
			return nil, nil, &problem{exit: exitInput, code: codeUsage, msg: "--unattended says how to rule the tools of --tools, and none are given", hint: "give the tools: proviso init --tools tools.json --unattended"}
		}
		from, dir := fs.FS(readyPacks), "packs/"+c.From
		switch c.From {
		case "starter":
			from, dir = starterPack, c.From
		case "airline":
			from, dir = examples.Files, c.From
		}
		files, err := scaffold(from, dir)
		return files, nil, err
	}
	if c.From != "starter" {
		return nil, nil, &problem{exit: exitInput, code: codeUsage, msg: "--tools and --pack are two ways to begin", hint: "give one of them"}
	}
	b, err := a.read(c.Tools, maxTools)
	if err != nil {
		return nil, nil, err
	}
	tools, found := pack.ReadTools(c.Tools, b)
	if found.Worst(proviso.Error) {
		return nil, nil, &problem{exit: exitInput, code: found[0].Code, msg: found[0].Pos.String() + ": " + found[0].Msg, hint: found[0].Hint}
	}
	written, notes, err := starter.Write(tools, starter.Options{Unattended: c.Unattended})
	if err != nil {
		return nil, nil, &problem{exit: exitInput, code: codeInput, msg: err.Error()}
	}
	files := map[string][]byte{"tools.json": b}
	for n, content := range written {
		files[filepath.FromSlash(n)] = append([]byte(schemaLine(n)), content...)
	}
	return files, notes, addSchemas(files)
}

// maxTools bounds a list of tools, in bytes; pack files have the same bound.
const maxTools = 1 << 20

// fates prints what a pack does with each tool.
func (a *app) fates(notes []starter.Note) error {
	if len(notes) == 0 {
		return nil
	}
	if a.output == "json" {
		type fate struct {
			Tool   string   `json:"tool"`
			Fate   string   `json:"fate"`
			Effect string   `json:"effect"`
			Reason string   `json:"reason"`
			Rules  []string `json:"rules"`
		}
		out := make([]fate, len(notes))
		for i, n := range notes {
			out[i] = fate{n.Tool, string(n.Fate), string(n.Effect), n.Reason, append([]string{}, n.Rules...)}
		}
		return json.NewEncoder(a.stdout).Encode(map[string]any{"tools": out})
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, n := range notes {
		what := strings.Join(n.Rules, ", ")
		switch {
		case n.Fate == starter.Denied:
			what = n.Reason
		case what == "":
			what = "no rule is about it"
		}
		effect := string(n.Effect)
		if effect == "" {
			effect = "?"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.Fate, n.Tool, effect, what)
	}
	return w.Flush()
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
	return files, addSchemas(files)
}

// addSchemas adds the JSON Schemas that editors look for.
func addSchemas(files map[string][]byte) error {
	for _, k := range schemaKinds {
		b, err := schemaOf(k.name)
		if err != nil {
			return err
		}
		files[filepath.Join(".proviso", k.name+".schema.json")] = b
	}
	return nil
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
