package durable

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
)

// ErrUnsettled is the error of something that is in its place, complete, where only the last wait for the disk failed: a power cut now may bring the former state back.
var ErrUnsettled = errors.New("it is in place, and a power cut now may undo that")

// Replace puts a file with the content b at name, in the place of what is there. Its permissions are mode, whatever the umask says. The folder has to exist.
// Where it returns an error that is not ErrUnsettled, what was at name is there as it was.
func Replace(name string, b []byte, mode fs.FileMode) error {
	return Write(name, mode, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// Write is Replace for content that is written piece by piece, buffered. An error of write is returned as it is, and nothing was replaced.
func Write(name string, mode fs.FileMode, write func(io.Writer) error) error {
	return replace(system{}, name, mode, write)
}

// Folder makes a folder appear at dir, where nothing may be yet, with what fill puts into tmp, a folder beside it. Fill makes the files with File, so that they are on the disk, and its error is returned as it is; nothing appeared then.
// Folders inside tmp are for fill to Sync. The folder above dir has to exist.
func Folder(dir string, fill func(tmp string) error) error {
	return appear(system{}, dir, fill)
}

// File makes a file with the content that is written to it, buffered, and waits until that is on the disk; a file that exists already is fs.ErrExist. Permissions are mode without the umask.
// The name is on the disk only when its folder is, by Sync or Folder. A file that could not be finished is removed.
func File(name string, mode fs.FileMode, write func(io.Writer) error) error {
	return create(system{}, name, mode, write)
}

// Create is File for a content that is there.
func Create(name string, b []byte, mode fs.FileMode) error {
	return File(name, mode, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// Files is a fill for Folder: files of these contents by their names, which have no folders in them, with permissions 0644 without the umask.
func Files(contents map[string][]byte) (fill func(tmp string) error) {
	return func(tmp string) error {
		for _, name := range slices.Sorted(maps.Keys(contents)) {
			if err := Create(filepath.Join(tmp, name), contents[name], 0o644); err != nil {
				return err
			}
		}
		return nil
	}
}

// MkdirAll makes a folder with those above it that are missing, and waits until their names are on the disk. One that exists stays as it is.
func MkdirAll(dir string, mode fs.FileMode) error {
	return mkdirAll(system{}, filepath.Clean(dir), mode)
}

// Sync waits until the names in a folder are on the disk. A file system that cannot wait for a folder is taken at its word.
func Sync(dir string) error { return system{}.sync(dir) }

// disk is the steps that the order is about. Tests put a machine in its place that loses power.
type disk interface {
	temp(dir, pattern string) (file, error)          // a new file
	create(name string, m fs.FileMode) (file, error) // a new file of that name
	mkdirTemp(dir, pattern string) (string, error)
	mkdir(name string, m fs.FileMode) error
	isDir(name string) (bool, error) // fs.ErrNotExist where there is nothing
	chmod(name string, m fs.FileMode) error
	rename(from, to string) error
	remove(name string) error // with everything below it
	sync(dir string) error
}

type file interface {
	io.WriteCloser
	Name() string
	Chmod(fs.FileMode) error
	Sync() error
}

func replace(d disk, name string, mode fs.FileMode, write func(io.Writer) error) error {
	dir, base := filepath.Split(filepath.Clean(name))
	if dir == "" {
		dir = "."
	}
	f, err := d.temp(dir, "."+base+".*")
	if err != nil {
		return err
	}
	placed := false
	defer func() { // also where write panics
		if !placed {
			d.remove(f.Name())
		}
	}()
	if err := finish(f, write, func() error { return f.Chmod(mode) }); err != nil {
		return err
	}
	if err := d.rename(f.Name(), name); err != nil {
		return err
	}
	placed = true
	return settle(d, dir)
}

// settle waits for the folder of something that is in its place.
func settle(d disk, dir string) error {
	if err := d.sync(dir); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsettled, err)
	}
	return nil
}

// finish writes a file, waits for the disk, and closes it whatever happens.
func finish(f file, write func(io.Writer) error, last func() error) (err error) {
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	b := bufio.NewWriterSize(f, 1<<16)
	if err := write(b); err != nil {
		return err
	}
	for _, step := range []func() error{b.Flush, last, f.Sync} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func create(d disk, name string, mode fs.FileMode, write func(io.Writer) error) error {
	f, err := d.create(name, mode)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			d.remove(name)
		}
	}()
	err = finish(f, write, func() error { return nil })
	done = err == nil
	return err
}

func appear(d disk, dir string, fill func(tmp string) error) error {
	parent, base := filepath.Split(filepath.Clean(dir))
	if parent == "" {
		parent = "."
	}
	tmp, err := d.mkdirTemp(parent, "."+base+".partial-")
	if err != nil {
		return err
	}
	placed := false
	defer func() {
		if !placed {
			d.remove(tmp)
		}
	}()
	if err := fill(tmp); err != nil {
		return err
	}
	if err := d.chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := d.sync(tmp); err != nil {
		return err
	}
	if err := d.rename(tmp, dir); err != nil {
		return err
	}
	placed = true
	return settle(d, parent)
}

func mkdirAll(d disk, dir string, mode fs.FileMode) error {
	switch is, err := d.isDir(dir); {
	case err == nil && is:
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if err := mkdirAll(d, parent, mode); err != nil {
		return err
	}
	if err := d.mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) { // another process may be as far
		return err
	}
	return d.sync(parent)
}

// system is the disk of this machine.
type system struct{}

func (system) temp(dir, pattern string) (file, error) { return asFile(os.CreateTemp(dir, pattern)) }

func (system) create(name string, m fs.FileMode) (file, error) {
	return asFile(os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, m))
}

// asFile keeps a nil *os.File from being a file that is not nil.
func asFile(f *os.File, err error) (file, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (system) mkdirTemp(dir, pattern string) (string, error) { return os.MkdirTemp(dir, pattern) }
func (system) mkdir(name string, m fs.FileMode) error        { return os.Mkdir(name, m) }
func (system) chmod(name string, m fs.FileMode) error        { return os.Chmod(name, m) }
func (system) rename(from, to string) error                  { return os.Rename(from, to) }
func (system) remove(name string) error                      { return os.RemoveAll(name) }

func (system) isDir(name string) (bool, error) {
	info, err := os.Stat(name)
	return err == nil && info.IsDir(), err
}

func (system) sync(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // fsync(2): what is open here cannot be waited for
	}
	return errors.Join(err, d.Close())
}
