package builtin

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"cel.dev/cel-go/cel"
)

// PathBase is the last element of a path.
var PathBase = &Func{
	Name: "path.base",
	Doc: `The last element of a path, after path.clean.
path.base('/srv/data/report.csv') // 'report.csv'
path.base('C:\\data\\x.txt') // 'x.txt'`,
	Overloads: []Overload{{ID: "proviso_path_base", In: text, Out: cel.StringType, Eval: eval1(func(s string) (string, error) {
		p, err := parsePath(s)
		return path.Base(p.clean), err
	})}},
}

// PathClean is the shortest spelling of a path.
var PathClean = &Func{
	Name: "path.clean",
	Doc: `The shortest spelling of a path: . and .. and doubled separators resolved, / as separator, drive letter in upper case.
The path is only read, never looked up: links are not followed, and upper and lower case count as different except below a drive letter. Both / and \ separate. An empty path, a NUL, a network path (\\host) and a path relative to a drive (C:x) are errors.
path.clean('/srv/./data//../x') // '/srv/x'
path.clean('a/../../b') // '../b'
path.clean('') // error: empty`,
	Overloads: []Overload{{ID: "proviso_path_clean", In: text, Out: cel.StringType, Eval: eval1(func(s string) (string, error) {
		p, err := parsePath(s)
		return p.drive + p.clean, err
	})}},
}

// PathExt is the extension of a path's last element.
var PathExt = &Func{
	Name: "path.ext",
	Doc: `The extension of a path's last element, in lower case and with its dot; empty where there is none. A leading dot makes no extension.
path.ext('a/b.tar.GZ') // '.gz'
path.ext('/home/ann/.profile') // ''`,
	Overloads: []Overload{{ID: "proviso_path_ext", In: text, Out: cel.StringType, Eval: eval1(func(s string) (string, error) {
		p, err := parsePath(s)
		return strings.ToLower(path.Ext(strings.TrimPrefix(path.Base(p.clean), "."))), err
	})}},
}

// PathWithin tells whether a path lies below another.
var PathWithin = &Func{
	Name: "path.within",
	Doc: `Tells whether a path is a root or lies below it, by their spelling alone: a link can still lead elsewhere.
What the spelling cannot decide is an error: a relative path against an absolute root or the other way round, one that climbs above its start, a leading ~, and a \ that would change the answer if it were part of a name.
path.within('/srv/data/a.txt', '/srv/data') // true
path.within('/srv/data/../etc/passwd', '/srv/data') // false
path.within('/srv/database', '/srv/data') // false
path.within('a.txt', '/srv/data') // error: relative`,
	Overloads: []Overload{{ID: "proviso_path_within", In: twoTexts, Out: cel.BoolType, Eval: eval2(pathWithin)}},
}

// lexical is a path read without a file system.
type lexical struct {
	drive string // "C:" or empty
	clean string
}

var errEmptyPath = errors.New("the path is empty")

func parsePath(s string) (lexical, error) {
	switch {
	case s == "":
		return lexical{}, errEmptyPath
	case strings.Contains(s, "\x00"):
		return lexical{}, fmt.Errorf("path %s has a NUL", quote(s))
	case strings.HasPrefix(s, `\\`):
		return lexical{}, fmt.Errorf("path %s names another host", quote(s))
	}
	s = strings.ReplaceAll(s, `\`, "/")
	var p lexical
	if len(s) >= 2 && s[1] == ':' && isLetter(s[0]) {
		p.drive = strings.ToUpper(s[:2])
		if s = s[2:]; !strings.HasPrefix(s, "/") {
			return lexical{}, fmt.Errorf("path %s is relative to the current folder of a drive", quote(p.drive+s))
		}
	}
	p.clean = path.Clean(s)
	return p, nil
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func pathWithin(s, root string) (bool, error) {
	p, err := parsePath(s)
	if err != nil {
		return false, err
	}
	r, err := parsePath(root)
	if err != nil {
		return false, fmt.Errorf("root: %w", err)
	}
	in, err := within(p, r)
	if err != nil {
		return false, fmt.Errorf("path %s and root %s: %w", quote(s), quote(root), err)
	}
	if p.drive == "" && strings.Contains(s, `\`) {
		if posix, err := within(lexical{clean: path.Clean(s)}, r); err != nil || posix != in {
			return false, fmt.Errorf(`path %s: a \ is a separator on one system and part of a name on another, and here the answer depends on it`, quote(s))
		}
	}
	return in, nil
}

var (
	errOneRelative = errors.New("one is relative and the other is not; give both from the top")
	errOneDrive    = errors.New("only one names a drive")
	errClimbs      = errors.New("a path that climbs above its start depends on where it starts")
	errHome        = errors.New("a leading ~ depends on who runs the command")
)

func within(p, r lexical) (bool, error) {
	for _, x := range []lexical{p, r} {
		if x.clean == ".." || strings.HasPrefix(x.clean, "../") {
			return false, errClimbs
		}
		if strings.HasPrefix(x.clean, "~") {
			return false, errHome
		}
	}
	if (p.drive == "") != (r.drive == "") {
		return false, errOneDrive
	}
	if path.IsAbs(p.clean) != path.IsAbs(r.clean) {
		return false, errOneRelative
	}
	if p.drive != "" {
		return p.drive == r.drive && below(strings.ToLower(p.clean), strings.ToLower(r.clean)), nil
	}
	return r.clean == "." || below(p.clean, r.clean), nil
}
