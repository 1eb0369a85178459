// Package house checks the rules of the house: which package may import which, what a pure package may not touch, sizes, names, package comments, plug-in tables and error codes.
// It reads the source files itself, because a test that asks the go command may be served a cached answer that no longer holds.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Module is the source of one Go module, parsed.
type Module struct {
	Dir      string // the folder of go.mod
	Path     string // the module path
	Packages []*Package
}

// Package is the Go files of one folder. Name is the folder relative to the module, slash-separated; the root package has the last element of the module path.
type Package struct {
	Name   string
	Dir    string // slash-separated, relative to the module; "." for the root
	Nested bool   // it belongs to a module of its own inside this one
	Files  []*File
}

// File is one Go file.
type File struct {
	Path      string // slash-separated, relative to the module
	Test      bool
	Generated bool
	Lines     int
	AST       *ast.File
	Set       *token.FileSet
}

// Read parses every Go file below dir, apart from testdata, vendor and hidden folders. Errors are those of the file system and of the Go parser.
func Read(dir string) (*Module, error) {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	m := &Module{Dir: dir, Path: modulePath(string(mod))}
	byDir := map[string]*Package{}
	nested := map[string]bool{}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			base := d.Name()
			if rel != "." && (base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return fs.SkipDir
			}
			_, err := os.Stat(filepath.Join(p, "go.mod"))
			nested[rel] = rel != "." && (err == nil || nested[path.Dir(rel)])
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		folder := path.Dir(rel)
		pkg := byDir[folder]
		if pkg == nil {
			pkg = &Package{Name: folder, Dir: folder, Nested: nested[folder]}
			if folder == "." {
				pkg.Name = path.Base(m.Path)
			}
			byDir[folder] = pkg
			m.Packages = append(m.Packages, pkg)
		}
		f, err := readFile(p, rel)
		if err != nil {
			return err
		}
		pkg.Files = append(pkg.Files, f)
		return nil
	})
	return m, err
}

func readFile(p, rel string) (*File, error) {
	src, err := os.ReadFile(p)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, rel, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &File{
		Path:      rel,
		Test:      strings.HasSuffix(rel, "_test.go"),
		Generated: ast.IsGenerated(tree),
		Lines:     strings.Count(string(src), "\n"),
		AST:       tree,
		Set:       set,
	}, nil
}

func modulePath(mod string) string {
	for line := range strings.Lines(mod) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "module "); ok {
			return strings.Trim(strings.TrimSpace(p), `"`)
		}
	}
	return ""
}

// source returns the files of the package that are not tests.
func (p *Package) source() []*File {
	var out []*File
	for _, f := range p.Files {
		if !f.Test {
			out = append(out, f)
		}
	}
	return out
}

// at returns the place of a node as file:line.
func (f *File) at(pos token.Pos) string {
	return f.Path + ":" + strconv.Itoa(f.Set.Position(pos).Line)
}

// imports returns the imports of the file with their paths unquoted.
func (f *File) imports() map[string]*ast.ImportSpec {
	out := map[string]*ast.ImportSpec{}
	for _, i := range f.AST.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			out[p] = i
		}
	}
	return out
}
