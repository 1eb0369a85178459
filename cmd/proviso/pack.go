package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// opened is what became of the packs that a command was given.
type opened struct {
	packs  []*pack.Pack
	roots  []string       // of the packs, as place gives them
	policy *policy.Policy // nil where loading or compiling found errors
	found  proviso.Diagnostics
	source sources
}

// packFlag is the -p of commands that need a policy.
type packFlag struct {
	Pack []string `short:"p" aliases:"policy" help:"Folder of a pack; give several to join packs of different ranks." default:"." placeholder:"DIR"`
}

// open loads and compiles the packs in the folders. A folder without a pack is a problem; what is wrong inside of packs is in found.
func (a *app) open(dirs []string) (*opened, error) {
	o := &opened{}
	for _, dir := range dirs {
		root, rel, err := place(dir)
		if err != nil {
			return nil, err
		}
		if _, err := fs.Stat(os.DirFS(root), path.Join(rel, pack.ManifestFile)); errors.Is(err, fs.ErrNotExist) {
			return nil, &problem{exit: exitInput, code: codeNoPack, msg: fmt.Sprintf("no pack in %s: it has no %s", dir, pack.ManifestFile), hint: "name the folder of a pack, or make one with proviso init"}
		}
		p, ds := pack.Load(os.DirFS(root), rel)
		if p != nil {
			o.packs, o.roots = append(o.packs, p), append(o.roots, root)
		}
		for i := range ds {
			ds[i].Pos.File = shown(root, ds[i].Pos.File)
		}
		o.found = append(o.found, ds...)
		if p == nil {
			continue
		}
		for _, at := range p.Attach {
			o.found = append(o.found, proviso.Diagnostic{Pos: at.Pack.Pos, Code: codeAttach, Severity: proviso.Warning,
				Msg: fmt.Sprintf("the attachment %s is not applied here", at.Pack.S), Hint: "give the folder of the overlay with a further -p to decide with it"})
		}
	}
	if o.found.Worst(proviso.Error) {
		return o, nil
	}
	p, ds := policy.Compile(o.packs...)
	o.locate(ds)
	o.found = append(o.found, ds...)
	o.policy = p
	return o, nil
}

// locate makes positions below a pack's folder read as the person would write them. With several roots a position belongs to the first pack that read the file.
func (o *opened) locate(ds proviso.Diagnostics) {
	for i := range ds {
		for j, p := range o.packs {
			if slices.Contains(p.Files, ds[i].Pos.File) {
				ds[i].Pos.File = shown(o.roots[j], ds[i].Pos.File)
				break
			}
		}
	}
}

// compiled is open for commands that cannot do anything with a broken pack: its findings are printed, on standard error since they are not what was asked for, and end the command.
func (a *app) compiled(dirs []string) (*opened, error) {
	o, err := a.open(dirs)
	if err != nil {
		return nil, err
	}
	if o.policy != nil {
		for _, d := range o.found {
			if d.Code == codeAttach {
				a.say("%s", d.Error())
			}
		}
		return o, nil
	}
	a.stdout, a.style = a.stderr, a.talks
	return nil, a.broken("load", o)
}

// broken reports packs that nothing can be decided with.
func (a *app) broken(command string, o *opened) error {
	r := a.reportOf(command, o)
	r.add("load", o.found)
	return a.finish(r)
}

// place splits the name of a folder into a root and the path below it, so that positions read as the person would write them.
func place(dir string) (root, rel string, err error) {
	if st, err := os.Stat(dir); err != nil {
		return "", "", &problem{exit: exitInput, code: codeNoPack, msg: fmt.Sprintf("%s: %s", dir, because(err)), hint: "name the folder of a pack"}
	} else if !st.IsDir() {
		return "", "", &problem{exit: exitInput, code: codeNoPack, msg: dir + " is a file", hint: "name the folder that holds " + pack.ManifestFile}
	}
	if dir = filepath.Clean(dir); filepath.IsLocal(dir) {
		return ".", filepath.ToSlash(dir), nil
	}
	return dir, ".", nil
}

// shown is the name of a file as it is printed.
func shown(root, file string) string {
	if root == "." || file == "" {
		return file
	}
	return filepath.Join(root, filepath.FromSlash(file))
}

// sources gives lines of the files that positions name.
type sources struct {
	files map[string][]string
}

// line returns one line of a file, counted from 1; empty where it cannot be had.
func (s *sources) line(file string, n int) string {
	if s == nil || file == "" || n < 1 {
		return ""
	}
	lines, ok := s.files[file]
	if !ok {
		if st, err := os.Stat(file); err == nil && st.Size() <= 4<<20 {
			if b, err := os.ReadFile(file); err == nil && utf8.Valid(b) { // positions in a PDF are about the text in it
				lines = strings.Split(string(b), "\n")
			}
		}
		if s.files == nil {
			s.files = map[string][]string{}
		}
		s.files[file] = lines
	}
	if n > len(lines) {
		return ""
	}
	return lines[n-1]
}
