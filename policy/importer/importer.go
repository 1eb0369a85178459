package importer

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// Format is one foreign format: its name as --from takes it, a sentence of what it is, and how a file of it is read.
// Read gets the file's name in fsys, in the form that fs.ValidPath wants, and may read files beside it; the result's findings are filled in by its calls of the reader.
type Format struct {
	Name string
	Doc  string
	Read func(r *Reader, name string) map[string][]byte
}

// Options say how to import. The zero value imports for enforcement.
type Options struct {
	// Name is the name of the pack; the file's name without its extension where it is empty.
	Name string
	// Observe imports rules in mode audit: they say what they would have done, and stop nothing.
	Observe bool
	// MaxBytes is the largest event that the policy's host accepts, in bytes of its JSON; 0 leaves the engine's own bound.
	MaxBytes int
	// Holes keeps what a format is known to let through though its authors are unlikely to have meant it. Without, it is closed.
	Holes bool
	// Rego parses a module of Rego: it returns what `opa parse --format json` prints. Nil stands for no opa; what a module decides is asked then.
	Rego func(module []byte) ([]byte, error)
}

// Result is an imported pack: its files by slash-separated name, nil where there was an error, and what was found on the way, warnings included.
type Result struct {
	Files map[string][]byte
	Found proviso.Diagnostics
}

// The stable codes of importing, explained in docs/errors.md.
const (
	codeUnreadable = "PV851" // the file is not one of the format
	codeForeign    = "PV852" // a construct that cannot be imported
	codeNarrower   = "PV853" // a construct that was imported as something stricter
)

// maxFile bounds a file that is imported, in bytes.
const maxFile = 1 << 20

// Import reads a file of a format. Equal files give equal packs. Files of the result are laid out as proviso fmt lays them out.
func (f *Format) Import(fsys fs.FS, name string, o Options) Result {
	r := &Reader{fsys: fsys, Options: o}
	if r.Name == "" {
		r.Name = packName(name)
	}
	files := f.Read(r, name)
	if r.found.Worst(proviso.Error) {
		files = nil
	}
	r.found.Sort()
	return Result{Files: files, Found: r.found}
}

// Lookup returns the format of that name, nil where there is none.
func Lookup(name string) *Format {
	for _, f := range All {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// Reader is what a format reads with, and where it says what it found.
type Reader struct {
	Options
	fsys  fs.FS
	found proviso.Diagnostics
}

// file reads a file; ok is false after an error was reported.
func (r *Reader) file(name string) (b []byte, ok bool) {
	b, err := fs.ReadFile(r.fsys, name)
	switch {
	case err != nil:
		r.report(name, proviso.Error, codeUnreadable, err.Error(), "name a file that can be read")
	case len(b) > maxFile:
		r.report(name, proviso.Error, codeUnreadable, fmt.Sprintf("the file has %d bytes, more than %d", len(b), maxFile), "a policy that large is not imported")
	default:
		return b, true
	}
	return nil, false
}

func (r *Reader) unreadable(name, format string, args ...any) {
	r.report(name, proviso.Error, codeUnreadable, fmt.Sprintf(format, args...), "see the format's own specification")
}

func (r *Reader) foreign(name, hint, format string, args ...any) {
	r.report(name, proviso.Error, codeForeign, fmt.Sprintf(format, args...), hint)
}

func (r *Reader) narrower(name, hint, format string, args ...any) {
	r.report(name, proviso.Warning, codeNarrower, fmt.Sprintf(format, args...), hint)
}

func (r *Reader) report(name string, s proviso.Severity, code, msg, hint string) {
	d := proviso.Diagnostic{Pos: proviso.Pos{File: name}, Code: code, Severity: s, Msg: msg, Hint: hint}
	if !slices.Contains(r.found, d) {
		r.found = append(r.found, d)
	}
}

var notInName = lazyregexp.New(`[^a-z0-9]+`)

// packName makes the name of a pack from that of a file.
func packName(file string) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(strings.TrimSuffix(path.Base(file), path.Ext(file))), "-"), "-")
	if name == "" {
		return "imported"
	}
	return name
}
