package lsp

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/proviso-dev/proviso/policy/pack"
)

// overlay is a folder of the disk with the texts that an editor has open lying over it, by slash-separated name below the folder.
type overlay struct {
	fs.FS
	open map[string]string
}

// Open opens the text of the editor where it has one, and else the file.
func (o overlay) Open(name string) (fs.File, error) {
	if text, ok := o.open[name]; ok {
		return &buffer{*strings.NewReader(text), path.Base(name)}, nil
	}
	return o.FS.Open(name)
}

// ReadFile is what fs.ReadFile uses.
func (o overlay) ReadFile(name string) ([]byte, error) {
	if text, ok := o.open[name]; ok {
		return []byte(text), nil
	}
	return fs.ReadFile(o.FS, name)
}

// ReadDir lists files that were not saved yet as well.
func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(o.FS, name)
	for n, text := range o.open {
		known := func(e fs.DirEntry) bool { return e.Name() == path.Base(n) }
		if path.Dir(n) == name && !slices.ContainsFunc(list, known) {
			list, err = append(list, fs.FileInfoToDirEntry(info{path.Base(n), int64(len(text))})), nil
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, err
}

// buffer is an open text as a file.
type buffer struct {
	strings.Reader
	name string
}

func (b *buffer) Stat() (fs.FileInfo, error) { return info{b.name, b.Size()}, nil }
func (b *buffer) Close() error               { return nil }

// info describes an open text.
type info struct {
	name string
	size int64
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return 0o644 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }

// pathOf is the file that a URI names; ok is false for one that is not of a file.
func pathOf(uri string) (name string, ok bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || u.Path == "" {
		return "", false
	}
	p := u.Path
	if len(p) > 2 && p[2] == ':' { // a drive
		p = p[1:]
	}
	return filepath.Clean(filepath.FromSlash(p)), true
}

// uriOf names a file.
func uriOf(name string) string {
	p := filepath.ToSlash(name)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p
	}
	return (&url.URL{Scheme: "file", Path: p}).String()
}

// rootOf is the nearest folder above a file that holds a manifest, on the disk or open in the editor; empty where there is none.
func (s *server) rootOf(file string) string {
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		manifest := filepath.Join(dir, pack.ManifestFile)
		if _, open := s.texts[manifest]; open {
			return dir
		}
		if _, err := os.Stat(manifest); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// over is the folder of a pack as the editor sees it.
func (s *server) over(root string) overlay {
	o := overlay{os.DirFS(root), map[string]string{}}
	for name, text := range s.texts {
		if rel, err := filepath.Rel(root, name); err == nil && filepath.IsLocal(rel) {
			o.open[filepath.ToSlash(rel)] = text
		}
	}
	return o
}

// textOf is a file as the editor sees it; empty where it cannot be read.
func (s *server) textOf(file string) string {
	if text, open := s.texts[file]; open {
		return text
	}
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(f, maxMessage)); err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	return b.String()
}
