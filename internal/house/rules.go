package house

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// The limits on size, in lines. Generated files do not count.
const (
	MaxFile    = 800  // of any Go file
	MaxPackage = 6000 // of a package without its tests
)

// impure lists what a pure package may not import: the machine, the network, dice and deadlines.
var impure = []string{"os", "net", "math/rand", "context", "syscall", "crypto/rand", "unsafe", "plugin"}

// harmless are packages below an impure one that only compute on their arguments.
var harmless = map[string]bool{"net/url": true, "net/netip": true}

// clock names the functions of package time that read the clock or wait for it.
var clock = map[string]bool{"Now": true, "Since": true, "Until": true, "After": true, "AfterFunc": true, "NewTicker": true, "NewTimer": true, "Sleep": true, "Tick": true}

// vague are package names that say nothing about what is inside.
var vague = map[string]bool{"util": true, "utils": true, "common": true, "core": true, "types": true, "helper": true, "helpers": true, "manager": true, "managers": true}

// CheckPure returns a sentence for every way in which a package named in pure reaches for the machine, the network, dice, deadlines or the clock.
func (m *Module) CheckPure(pure []string) []string {
	named := map[string]bool{}
	for _, n := range pure {
		named[n] = true
	}
	var out []string
	for _, p := range m.Packages {
		if !named[p.Name] {
			continue
		}
		for _, f := range p.source() {
			for imp, spec := range f.imports() {
				if isImpure(imp) {
					out = append(out, fmt.Sprintf("%s: package %s is pure and may not import %s; take what it needs as an argument", f.at(spec.Pos()), p.Name, imp))
				}
			}
			timeName := localName(f, "time")
			ast.Inspect(f.AST, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := s.X.(*ast.Ident); ok && timeName != "" && x.Name == timeName && clock[s.Sel.Name] {
					out = append(out, fmt.Sprintf("%s: package %s is pure and may not call time.%s; take the time as an argument", f.at(s.Pos()), p.Name, s.Sel.Name))
				}
				return true
			})
		}
	}
	sort.Strings(out)
	return out
}

func isImpure(imp string) bool {
	if harmless[imp] {
		return false
	}
	for _, i := range impure {
		if imp == i || strings.HasPrefix(imp, i+"/") {
			return true
		}
	}
	return false
}

// localName is the name that the file uses for an import, empty where it does not import it.
func localName(f *File, imp string) string {
	spec := f.imports()[imp]
	switch {
	case spec == nil:
		return ""
	case spec.Name != nil:
		return spec.Name.Name
	}
	return path.Base(imp)
}

// CheckHomes returns a sentence for every use of a function that has a home, such as os.Rename, outside of the packages that may use it, the home first. Nested modules and tests may.
func (m *Module) CheckHomes(homes map[string][]string) []string {
	var out []string
	for _, p := range m.Packages {
		if p.Nested {
			continue
		}
		for _, f := range p.source() {
			for function, may := range homes {
				dot := strings.LastIndexByte(function, '.')
				name := localName(f, function[:dot])
				if name == "" || slices.Contains(may, p.Name) {
					continue
				}
				ast.Inspect(f.AST, func(n ast.Node) bool {
					s, ok := n.(*ast.SelectorExpr)
					if !ok || s.Sel.Name != function[dot+1:] {
						return true
					}
					if x, ok := s.X.(*ast.Ident); ok && x.Name == name {
						out = append(out, fmt.Sprintf("%s: %s has its home in %s; use that", f.at(s.Pos()), function, may[0]))
					}
					return true
				})
			}
		}
	}
	sort.Strings(out)
	return out
}

// CheckComments returns a sentence for every folder that has not exactly one package comment, or one that does not begin as Go's tools expect.
// A folder of tests only keeps its comment in a test file.
func (m *Module) CheckComments() []string {
	var out []string
	for _, p := range m.Packages {
		files := p.source()
		if len(files) == 0 {
			files = p.Files
		}
		var found []string
		for _, f := range files {
			if f.AST.Doc == nil || strings.TrimSpace(f.AST.Doc.Text()) == "" {
				continue
			}
			found = append(found, f.Path)
			begin := "Package " + strings.TrimSuffix(f.AST.Name.Name, "_test") + " "
			if f.AST.Name.Name == "main" {
				begin = "Command "
			}
			if !strings.HasPrefix(f.AST.Doc.Text(), begin) {
				out = append(out, fmt.Sprintf("%s: the package comment has to begin with %q", f.Path, begin))
			}
		}
		switch len(found) {
		case 0:
			out = append(out, fmt.Sprintf("%s: package %s has no package comment; say in one file what it is for", p.Dir, p.Name))
		case 1:
		default:
			out = append(out, fmt.Sprintf("%s: package %s has %d package comments (%s); keep one", p.Dir, p.Name, len(found), strings.Join(found, ", ")))
		}
	}
	sort.Strings(out)
	return out
}

// CheckSizes returns a sentence for every file and package that is too long.
func (m *Module) CheckSizes() []string {
	var out []string
	for _, p := range m.Packages {
		total := 0
		for _, f := range p.Files {
			if f.Generated {
				continue
			}
			if f.Lines > MaxFile {
				out = append(out, fmt.Sprintf("%s: has %d lines, more than %d; split it by the nouns inside", f.Path, f.Lines, MaxFile))
			}
			if !f.Test {
				total += f.Lines
			}
		}
		if total > MaxPackage {
			out = append(out, fmt.Sprintf("%s: package %s has %d lines, more than %d; split it into two stages", p.Dir, p.Name, total, MaxPackage))
		}
	}
	sort.Strings(out)
	return out
}

// CheckNames returns a sentence for every package whose name says nothing about what is inside.
func (m *Module) CheckNames() []string {
	var out []string
	for _, p := range m.Packages {
		for _, f := range p.Files[:1] {
			name := strings.TrimSuffix(f.AST.Name.Name, "_test")
			if vague[name] || vague[path.Base(p.Dir)] {
				out = append(out, fmt.Sprintf("%s: a package named %s says nothing about what is inside; name it after its noun", p.Dir, name))
			}
		}
	}
	sort.Strings(out)
	return out
}

// CheckTables looks at every package with a file all.go. There, a variable declared as `var All = []*T{…}` is a table of plug-ins, and each top-level `var X = &T{…}` of the package is a plug-in.
// It returns a sentence for each plug-in that no table lists, that has no Doc, or that no test names: neither a test file by its identifier, nor a file below testdata by its Name, Code or ID.
func (m *Module) CheckTables() ([]string, error) {
	var out []string
	for _, p := range m.Packages {
		kinds, listed := tables(p)
		if len(kinds) == 0 {
			continue
		}
		tests, err := m.testText(p)
		if err != nil {
			return nil, err
		}
		for _, f := range p.source() {
			for _, v := range plugins(f, kinds) {
				where := f.at(v.name.Pos())
				if !listed[v.name.Name] {
					out = append(out, fmt.Sprintf("%s: %s is in no table of all.go; add its line, sorted", where, v.name.Name))
				}
				if v.fields["Doc"] == "" {
					out = append(out, fmt.Sprintf("%s: %s has no Doc; write its contract there", where, v.name.Name))
				}
				if !v.tested(tests) {
					out = append(out, fmt.Sprintf("%s: no test names %s; add one in a test file or below testdata", where, v.name.Name))
				}
			}
		}
	}
	sort.Strings(out)
	return out, nil
}

// tables reads the element types and the members of the tables of a package's all.go.
func tables(p *Package) (kinds, listed map[string]bool) {
	kinds, listed = map[string]bool{}, map[string]bool{}
	for _, f := range p.source() {
		if path.Base(f.Path) != "all.go" {
			continue
		}
		for _, v := range values(f) {
			lit, ok := v.value.(*ast.CompositeLit)
			if !ok {
				continue
			}
			at, ok := lit.Type.(*ast.ArrayType)
			if !ok {
				continue
			}
			star, ok := at.Elt.(*ast.StarExpr)
			if !ok {
				continue
			}
			if t, ok := star.X.(*ast.Ident); ok {
				kinds[t.Name] = true
			}
			for _, e := range lit.Elts {
				if id, ok := e.(*ast.Ident); ok {
					listed[id.Name] = true
				}
			}
		}
	}
	return kinds, listed
}

// topValue is one name of a top-level var declaration with its value.
type topValue struct {
	name  *ast.Ident
	value ast.Expr
}

func values(f *File) []topValue {
	var out []topValue
	for _, d := range f.AST.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			vs := s.(*ast.ValueSpec)
			for i, n := range vs.Names {
				if i < len(vs.Values) {
					out = append(out, topValue{n, vs.Values[i]})
				}
			}
		}
	}
	return out
}

// plugin is a top-level `var X = &T{…}` with the texts of its fields.
type plugin struct {
	name   *ast.Ident
	fields map[string]string
}

func plugins(f *File, kinds map[string]bool) []plugin {
	var out []plugin
	for _, v := range values(f) {
		u, ok := v.value.(*ast.UnaryExpr)
		if !ok || u.Op != token.AND {
			continue
		}
		lit, ok := u.X.(*ast.CompositeLit)
		if !ok {
			continue
		}
		if t, ok := lit.Type.(*ast.Ident); !ok || !kinds[t.Name] {
			continue
		}
		p := plugin{name: v.name, fields: map[string]string{}}
		for _, e := range lit.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				if k, ok := kv.Key.(*ast.Ident); ok {
					p.fields[k.Name] = strings.TrimSpace(text(kv.Value))
				}
			}
		}
		out = append(out, p)
	}
	return out
}

// text is the value of a string expression as far as it is literal; names and calls count as themselves.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return s
		}
		return e.Value
	case *ast.BinaryExpr:
		return text(e.X) + text(e.Y)
	case *ast.Ident:
		return e.Name
	case *ast.CallExpr:
		return text(e.Fun)
	}
	return ""
}

func (v plugin) tested(tests string) bool {
	for _, k := range []string{"Name", "Code", "ID"} {
		if s := v.fields[k]; s != "" && strings.Contains(tests, s) {
			return true
		}
	}
	return regexp.MustCompile(`\b` + regexp.QuoteMeta(v.name.Name) + `\b`).MatchString(tests)
}

// testText joins the package's test files with the names and contents of its testdata.
func (m *Module) testText(p *Package) (string, error) {
	var b strings.Builder
	for _, f := range p.Files {
		if f.Test {
			src, err := os.ReadFile(filepath.Join(m.Dir, filepath.FromSlash(f.Path)))
			if err != nil {
				return "", err
			}
			b.Write(src)
		}
	}
	err := filepath.WalkDir(filepath.Join(m.Dir, filepath.FromSlash(p.Dir), "testdata"), func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n%s\n%s", filepath.Base(name), src)
		return nil
	})
	return b.String(), err
}

var (
	codeInSource  = regexp.MustCompile(`^"PV\d{3}"$`)
	codeInHeading = regexp.MustCompile(`(?m)^#{1,6} .*?\bPV\d{3}\b.*$`)
	code          = regexp.MustCompile(`\bPV\d{3}\b`)
)

// CheckCodes returns a sentence for every code that a Go file uses as a text and that no heading of docs, the text of docs/errors.md, names.
func (m *Module) CheckCodes(docs string) []string {
	explained := map[string]bool{}
	for _, h := range codeInHeading.FindAllString(docs, -1) {
		for _, c := range code.FindAllString(h, -1) {
			explained[c] = true
		}
	}
	var out []string
	for _, p := range m.Packages {
		for _, f := range p.source() {
			ast.Inspect(f.AST, func(n ast.Node) bool {
				l, ok := n.(*ast.BasicLit)
				if !ok || l.Kind != token.STRING || !codeInSource.MatchString(l.Value) {
					return true
				}
				if c := strings.Trim(l.Value, `"`); !explained[c] {
					explained[c] = true
					out = append(out, fmt.Sprintf("%s: code %s has no heading in docs/errors.md; explain there what it means and what to do", f.at(l.Pos()), c))
				}
				return true
			})
		}
	}
	sort.Strings(out)
	return out
}
