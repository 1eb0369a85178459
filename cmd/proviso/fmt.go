package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

// fmtCmd is `proviso fmt`.
type fmtCmd struct {
	Paths []string `arg:"" optional:"" name:"path" help:"YAML files, or folders of packs; - is standard input. Default: this folder." default:"."`
	Write bool     `short:"w" xor:"mode" help:"Write the result back to the files."`
	Diff  bool     `short:"d" xor:"mode" help:"Print what would change."`
	Check bool     `xor:"mode" help:"Change nothing and end with exit code 1 where a file would change."`
}

// Help is the long help of the command.
func (fmtCmd) Help() string {
	return `Lays out YAML files of packs in one way and keeps every comment. Without a flag the result is printed. A file that is broken is reported and left as it is.`
}

// Run formats.
func (c *fmtCmd) Run(a *app) error {
	r := &report{Command: "fmt", source: &sources{}}
	files, err := yamlFiles(c.Paths)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return &problem{exit: exitInput, code: codeEmpty, msg: "no YAML file in " + strings.Join(c.Paths, ", "), hint: "name a file, or the folder of a pack"}
	}
	for _, f := range files {
		src, err := a.read(f, maxInput)
		if err != nil {
			return err
		}
		out, err := pack.Format(f, src)
		if err != nil {
			r.add("load", proviso.AsDiagnostics(err, pack.CodeSyntax, proviso.Pos{File: f}))
			continue
		}
		if err := c.deliver(a, r, f, src, out); err != nil {
			return err
		}
	}
	if !c.Check && len(r.Findings) == 0 {
		return nil
	}
	if !c.Check { // the result is on standard output, so what was wrong goes to standard error
		a.stdout, a.style = a.stderr, a.talks
	}
	return a.finish(r)
}

// deliver does with one formatted file what the flags ask for.
func (c *fmtCmd) deliver(a *app, r *report, name string, src, out []byte) error {
	same := bytes.Equal(src, out)
	switch {
	case c.Check:
		r.add("fmt", misplaced(name, src, out))
		return nil
	case c.Write && name != "-":
		if same {
			return nil
		}
		if err := replaceFile(name, out); err != nil {
			return unwritable(name, err)
		}
		a.say("wrote %s", name)
		return nil
	case c.Diff:
		if same {
			return nil
		}
		out = []byte(a.style.diff(name, src, out))
	}
	if _, err := a.stdout.Write(out); err != nil {
		return unwritable("standard output", err)
	}
	return nil
}

// misplaced is the finding about a file whose layout is not the canonical one, at the first line that differs.
func misplaced(name string, src, out []byte) proviso.Diagnostics {
	if bytes.Equal(src, out) {
		return nil
	}
	a, b := bytes.Split(src, []byte("\n")), bytes.Split(out, []byte("\n"))
	line := 0
	for line < len(a) && line < len(b) && bytes.Equal(a[line], b[line]) {
		line++
	}
	return proviso.Diagnostics{{Pos: proviso.Pos{File: name, Line: min(line+1, max(1, len(a)))}, Code: codeLayout, Severity: proviso.Warning,
		Msg: "this file is not laid out as proviso fmt does it", Hint: "run proviso fmt -w " + name}}
}

// layout adds a finding for each file of the packs that is not laid out as fmt does. Files that are broken have their findings from loading.
func (r *report) layout(o *opened) {
	for i, p := range o.packs {
		for _, f := range p.Files {
			if !isYAML(f) {
				continue
			}
			src, err := fs.ReadFile(p.FS, f)
			if err != nil {
				continue
			}
			if out, err := pack.Format(f, src); err == nil {
				r.add("fmt", misplaced(shown(o.roots[i], f), src, out))
			}
		}
	}
}

func isYAML(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// yamlFiles lists the files that the paths name, and the YAML files below folders; hidden folders are left out.
func yamlFiles(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		if p == "-" {
			out = append(out, p)
			continue
		}
		err := filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && name != p && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir
			case !d.IsDir() && (name == p || isYAML(name)):
				out = append(out, name)
			}
			return nil
		})
		if err != nil {
			return nil, unreadable(p, err)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// replaceFile writes a file by way of a new one beside it, so that a crash leaves the old or the new, never half of either.
func replaceFile(name string, b []byte) error {
	st, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(b); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(st.Mode().Perm()); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// diffContext is how many unchanged lines stand around a change.
const diffContext = 2

// diff shows two versions of a file in the unified form.
func (s style) diff(name string, a, b []byte) string {
	edits := lineEdits(lines(a), lines(b))
	keep := make([]bool, len(edits))
	for i, e := range edits {
		if e.mark == ' ' {
			continue
		}
		for j := max(0, i-diffContext); j <= min(len(edits)-1, i+diffContext); j++ {
			keep[j] = true
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", name, name)
	look := map[byte][]string{'-': {red}, '+': {green}}
	for i, e := range edits {
		if !keep[i] {
			continue
		}
		if i == 0 || !keep[i-1] {
			fmt.Fprintf(&out, "%s\n", s.paint(fmt.Sprintf("@@ line %d @@", e.line), cyan))
		}
		fmt.Fprintf(&out, "%s\n", s.paint(string(e.mark)+e.text, look[e.mark]...))
	}
	return out.String()
}

// lineEdit is a line that stays (blank), goes (-) or comes (+). line is its number in the old file.
type lineEdit struct {
	mark byte
	line int
	text string
}

// maxCompared bounds the table of lineEdits.
const maxCompared = 4 << 20

// lineEdits finds a shortest way from a to b by the longest common subsequence of what lies between their common ends. Where that would need too large a table, all of it goes and comes.
func lineEdits(a, b []string) []lineEdit {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	x, y := a[head:len(a)-tail], b[head:len(b)-tail]
	if len(x)*len(y) > maxCompared {
		return replaced(a[:head], x, y)
	}
	common := make([][]int32, len(x)+1) // common[i][j] is the length for x[i:], y[j:]
	for i := range common {
		common[i] = make([]int32, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []lineEdit
	for i, l := range a[:head] {
		out = append(out, lineEdit{' ', i + 1, l})
	}
	i, j := 0, 0
	for i < len(x) || j < len(y) {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			out = append(out, lineEdit{' ', head + i + 1, x[i]})
			i, j = i+1, j+1
		case j == len(y) || i < len(x) && common[i+1][j] >= common[i][j+1]:
			out = append(out, lineEdit{'-', head + i + 1, x[i]})
			i++
		default:
			out = append(out, lineEdit{'+', head + i + 1, y[j]})
			j++
		}
	}
	for k := len(a) - tail; k < len(a); k++ {
		out = append(out, lineEdit{' ', k + 1, a[k]})
	}
	return out
}

// replaced is lineEdits without looking for what stays between the common ends; the lines behind are left out.
func replaced(head, x, y []string) []lineEdit {
	var out []lineEdit
	for i, l := range head {
		out = append(out, lineEdit{' ', i + 1, l})
	}
	for i, l := range x {
		out = append(out, lineEdit{'-', len(head) + i + 1, l})
	}
	for _, l := range y {
		out = append(out, lineEdit{'+', len(head) + len(x) + 1, l})
	}
	return out
}

func lines(b []byte) []string { return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") }
