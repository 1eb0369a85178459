package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/dataset"
	"github.com/proviso-dev/proviso/dataset/leak"
	"github.com/proviso-dev/proviso/internal/durable"
)

// The names of the files of every folder, and of our own.
const (
	ManifestFile = "manifest.json"
	policiesFile = "policies.json"
)

// form is the version of manifests.
const form = "proviso-data/1"

// Manifest says what lies in a folder.
type Manifest struct {
	Form     string         `json:"form"`
	Format   string         `json:"format"`
	Report   dataset.Report `json:"report"`
	Policies []PolicyRef    `json:"policies"`
	Files    []Written      `json:"files"`
	Beside   []Sum          `json:"beside,omitempty"`
	// Left counts the rows that the format cannot carry, by "kind: reason".
	Left   map[string]int `json:"left,omitempty"`
	Checks leak.Report    `json:"checks"`
}

// PolicyRef names a policy of a set.
type PolicyRef struct {
	ID      string `json:"id"`
	Digest  string `json:"digest"`
	Clauses int    `json:"clauses"`
}

// Sum is a file without rows.
type Sum struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// Rows is the number of rows in all files.
func (m *Manifest) Rows() int {
	n := 0
	for _, f := range m.Files {
		n += f.Rows
	}
	return n
}

// Write writes a set to a folder that does not exist yet, and returns its manifest. A set that leaks is refused with proviso.Diagnostics that name the records, a row that is not as the format's schema has it with its place; then nothing is written. The same set
// gives the same bytes.
func Write(dir string, set *dataset.Set, f *Format) (*Manifest, error) {
	checks := leak.Inspect(set)
	if err := checks.Err(); err != nil {
		return nil, err
	}
	m := &Manifest{Form: form, Format: f.Name, Report: set.Report, Checks: *checks, Left: map[string]int{}}
	for _, p := range set.Policies {
		m.Policies = append(m.Policies, PolicyRef{p.ID, p.Digest, len(p.Clauses)})
	}
	files, err := collect(set, f, m)
	if err != nil {
		return nil, err
	}
	if f.Beside != nil {
		for name, b := range f.Beside(m.Files) {
			files[name] = b
		}
	}
	if f == Proviso {
		b, err := json.MarshalIndent(set.Policies, "", " ")
		if err != nil {
			return nil, err
		}
		files[policiesFile] = append(b, '\n')
	}
	for _, name := range sorted(files) {
		if !slices.ContainsFunc(m.Files, func(w Written) bool { return w.Name == name }) {
			m.Beside = append(m.Beside, Sum{name, sum(files[name])})
		}
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	files[ManifestFile] = append(b, '\n')
	return m, appear(dir, files)
}

// collect makes the files with rows.
func collect(set *dataset.Set, f *Format, m *Manifest) (map[string][]byte, error) {
	rows := map[string][]json.RawMessage{}
	for i := range set.Rows {
		r := &set.Rows[i]
		schema, v, err := f.Row(r)
		if err != nil {
			m.Left[fmt.Sprintf("%s: %s", r.Kind, err)]++
			continue
		}
		line, err := encode(v)
		if err != nil {
			return nil, fmt.Errorf("row %s: %w", r.ID, err)
		}
		if err := Valid(schema, line); err != nil {
			return nil, proviso.Diagnostic{Pos: r.At, Code: CodeSchema, Msg: fmt.Sprintf("row %s is not as the schema %s has it: %s", r.ID, schema, err), Hint: "the schema is printed by proviso data schema " + schema}
		}
		at := place(m, f, r, schema)
		m.Files[at].Rows++
		rows[m.Files[at].Name] = append(rows[m.Files[at].Name], line)
	}
	if len(m.Files) == 0 {
		var why []string
		for _, w := range sorted(m.Left) {
			why = append(why, fmt.Sprintf("%d %s", m.Left[w], w))
		}
		return nil, proviso.Diagnostic{Code: CodeFormat, Msg: fmt.Sprintf("format %s carries no row of the set (%s)", f.Name, strings.Join(why, ", ")), Hint: "build what the format has: proviso data formats lists it"}
	}
	out := map[string][]byte{}
	for i := range m.Files {
		w := &m.Files[i]
		write := f.Parquet[w.Schema]
		if write == nil {
			write = jsonLines
		}
		b, err := write(rows[w.Name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.Name, err)
		}
		out[w.Name], w.SHA256 = b, sum(b)
	}
	return out, nil
}

// place finds the file of a row, or begins it. A trainer reads a file with one set of columns, so that rows of another schema have a file of their own, with its name in the file's.
func place(m *Manifest, f *Format, r *dataset.Row, schema string) int {
	name := fmt.Sprintf("%s.%s", r.Kind, r.From.Split)
	for i, w := range m.Files {
		if w.Kind != r.Kind || w.Split != r.From.Split {
			continue
		}
		if w.Schema == schema {
			return i
		}
		name = fmt.Sprintf("%s.%s.%s", r.Kind, r.From.Split, strings.TrimPrefix(schema, f.Name+"-"))
	}
	extension := ".jsonl"
	if f.Parquet[schema] != nil {
		extension = ".parquet"
	}
	m.Files = append(m.Files, Written{Name: name + extension, Kind: r.Kind, Split: r.From.Split, Schema: schema})
	return len(m.Files) - 1
}

func jsonLines(rows []json.RawMessage) ([]byte, error) {
	var b bytes.Buffer
	for _, r := range rows {
		b.Write(r)
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// encode is JSON on one line, with "<think>" as it is.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// appear makes a folder appear with its files, whole or not at all.
func appear(dir string, files map[string][]byte) error {
	dir = filepath.Clean(dir)
	fail := func(hint, format string, args ...any) error {
		return proviso.Diagnostic{Pos: proviso.Pos{File: dir}, Code: CodeWrite, Msg: fmt.Sprintf(format, args...), Hint: hint}
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fail("name a folder that does not exist", "there is something already")
	}
	failed := func(err error) error {
		return fail("nothing was written; check space and permissions", "%s", reason(err))
	}
	if err := durable.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return failed(err)
	}
	switch err := durable.Folder(dir, durable.Files(files)); {
	case errors.Is(err, durable.ErrUnsettled):
		return fail("it is complete, and a power cut now may lose it", "%s", reason(err))
	case err != nil:
		return failed(err)
	}
	return nil
}

// reason is an error of a file without its path.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err.Error()
	}
	return err.Error()
}
