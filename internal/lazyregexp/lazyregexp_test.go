package lazyregexp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// A pattern that is wrong would panic at its first use, which may be in front of a user. So all that stand in the module as they are, are compiled here.
func TestPatternsOfTheModuleCompile(t *testing.T) {
	n := 0
	err := filepath.WalkDir(testkit.Root(t), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "testdata" || e.Name() == "node_modules" || len(e.Name()) > 1 && strings.HasPrefix(e.Name(), ".")) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "New" {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); !ok || pkg.Name != "lazyregexp" {
				return true
			}
			n++
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				return true // put together; the tests of its package use it
			}
			source, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Errorf("%s: %v", files.Position(lit.Pos()), err)
			}
			if _, err := regexp.Compile(source); err != nil {
				t.Errorf("%s: %v", files.Position(lit.Pos()), err)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 50 {
		t.Errorf("%d patterns were found; the module is being read from the wrong folder", n)
	}
}

var digits = lazyregexp.New(`([0-9])([0-9]+)`)

func TestMethodsAreThoseOfRegexp(t *testing.T) {
	re, s := regexp.MustCompile(digits.String()), "a 12 b 345"
	upper := func(m string) string { return "<" + m + ">" }
	for name, pair := range map[string][2]any{
		"MatchString":                {digits.MatchString(s), re.MatchString(s)},
		"Match":                      {digits.Match([]byte(s)), re.Match([]byte(s))},
		"Find":                       {digits.Find([]byte(s)), re.Find([]byte(s))},
		"FindSubmatchIndex":          {digits.FindSubmatchIndex([]byte(s)), re.FindSubmatchIndex([]byte(s))},
		"FindStringSubmatchIndex":    {digits.FindStringSubmatchIndex(s), re.FindStringSubmatchIndex(s)},
		"FindString":                 {digits.FindString(s), re.FindString(s)},
		"FindStringIndex":            {digits.FindStringIndex(s), re.FindStringIndex(s)},
		"FindStringSubmatch":         {digits.FindStringSubmatch(s), re.FindStringSubmatch(s)},
		"FindAllString":              {digits.FindAllString(s, 1), re.FindAllString(s, 1)},
		"FindAllStringIndex":         {digits.FindAllStringIndex(s, -1), re.FindAllStringIndex(s, -1)},
		"FindAllStringSubmatch":      {digits.FindAllStringSubmatch(s, -1), re.FindAllStringSubmatch(s, -1)},
		"FindAllStringSubmatchIndex": {digits.FindAllStringSubmatchIndex(s, -1), re.FindAllStringSubmatchIndex(s, -1)},
		"FindAllSubmatchIndex":       {digits.FindAllSubmatchIndex([]byte(s), -1), re.FindAllSubmatchIndex([]byte(s), -1)},
		"ReplaceAllString":           {digits.ReplaceAllString(s, "$2"), re.ReplaceAllString(s, "$2")},
		"ReplaceAllLiteralString":    {digits.ReplaceAllLiteralString(s, "$2"), re.ReplaceAllLiteralString(s, "$2")},
		"ReplaceAllStringFunc":       {digits.ReplaceAllStringFunc(s, upper), re.ReplaceAllStringFunc(s, upper)},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s is %v, of regexp %v", name, pair[0], pair[1])
		}
	}
}

// Under -race: many may be the first.
func TestFirstUseByMany(t *testing.T) {
	word := lazyregexp.New(`^[a-z]+$`)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if !word.MatchString("abc") {
				t.Error("abc is no word")
			}
		})
	}
	all.Wait()
}
