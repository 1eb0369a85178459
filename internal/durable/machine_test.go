package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
)

// node is a file or a folder: what programs see, and what is known to be on the disk.
type node struct {
	data, stable   string
	entries, names map[string]*node // of a folder; names are those on the disk
	mode           fs.FileMode
}

func folder() *node { return &node{entries: map[string]*node{}, names: map[string]*node{}} }

// change is one step on the names of a folder that the disk may have done already or not.
type change struct {
	dir *node
	do  func(names map[string]*node)
}

// machine is a disk on which everything that was not waited for may be lost, each piece on its own, and which loses power before one of its steps.
type machine struct {
	root    *node
	pending []change
	steps   []string
	cut     int    // the step before which the power fails; 0: never
	skip    string // a step that says it was done and was not, such as "sync file"
	fail    string // a step that fails
	dead    bool
}

var (
	errPower  = errors.New("power cut")
	errBroken = errors.New("broken")
)

// step counts a step. It reports whether it is to be carried out; a cut is a panic, after which nothing happens any more.
func (m *machine) step(what string) (bool, error) {
	if m.dead {
		return false, errPower
	}
	m.steps = append(m.steps, what)
	if len(m.steps) == m.cut {
		m.dead = true
		panic(errPower)
	}
	if what == m.fail {
		return false, errBroken
	}
	return what != m.skip, nil
}

func (m *machine) at(name string) *node {
	n := m.root
	for _, part := range strings.Split(filepath.ToSlash(filepath.Clean(name)), "/") {
		if part == "." {
			continue
		}
		if n == nil {
			return nil
		}
		n = n.entries[part]
	}
	return n
}

// alter does something to the names of the folder of name, for programs at once and for the disk some time.
func (m *machine) alter(name string, do func(names map[string]*node, base string)) {
	dir, base := m.at(filepath.Dir(name)), filepath.Base(name)
	one := func(names map[string]*node) { do(names, base) }
	one(dir.entries)
	m.pending = append(m.pending, change{dir, one})
}

func (m *machine) make(what, name string, n *node) error {
	if _, err := m.step(what); err != nil {
		return err
	}
	switch {
	case m.at(filepath.Dir(name)) == nil:
		return fs.ErrNotExist
	case m.at(name) != nil:
		return fs.ErrExist
	}
	m.alter(name, func(names map[string]*node, base string) { names[base] = n })
	return nil
}

func (m *machine) temp(dir, pattern string) (file, error) {
	return m.create(filepath.Join(dir, strings.Replace(pattern, "*", "1", 1)), 0o600)
}

func (m *machine) create(name string, mode fs.FileMode) (file, error) {
	f := &open{m, name, &node{mode: mode}}
	if err := m.make("create", name, f.node); err != nil {
		return nil, err
	}
	return f, nil
}

func (m *machine) mkdirTemp(dir, pattern string) (string, error) {
	name := filepath.Join(dir, pattern+"1")
	return name, m.make("mkdir", name, folder())
}

func (m *machine) mkdir(name string, mode fs.FileMode) error { return m.make("mkdir", name, folder()) }

func (m *machine) isDir(name string) (bool, error) {
	n := m.at(name)
	if n == nil {
		return false, fs.ErrNotExist
	}
	return n.entries != nil, nil
}

func (m *machine) chmod(name string, mode fs.FileMode) error {
	_, err := m.step("chmod")
	if err == nil {
		m.at(name).mode = mode
	}
	return err
}

func (m *machine) rename(from, to string) error {
	if _, err := m.step("rename"); err != nil {
		return err
	}
	old, n := filepath.Base(from), m.at(from)
	m.alter(to, func(names map[string]*node, base string) { names[base] = n; delete(names, old) })
	return nil
}

func (m *machine) remove(name string) error {
	if _, err := m.step("remove"); err != nil {
		return err
	}
	m.alter(name, func(names map[string]*node, base string) { delete(names, base) })
	return nil
}

func (m *machine) sync(dir string) error {
	done, err := m.step("sync folder " + dir)
	if !done || err != nil {
		return err
	}
	n := m.at(dir)
	var left []change
	for _, c := range m.pending {
		if c.dir == n {
			c.do(n.names)
		} else {
			left = append(left, c)
		}
	}
	m.pending = left
	return nil
}

// open is an open file.
type open struct {
	m    *machine
	name string
	node *node
}

func (f *open) Name() string { return f.name }

func (f *open) Write(b []byte) (int, error) {
	if _, err := f.m.step("write"); err != nil {
		return 0, err
	}
	f.node.data += string(b)
	return len(b), nil
}

func (f *open) Chmod(mode fs.FileMode) error {
	_, err := f.m.step("chmod")
	f.node.mode = mode
	return err
}

func (f *open) Sync() error {
	done, err := f.m.step("sync file")
	if done && err == nil {
		f.node.stable = f.node.data
	}
	return err
}

func (f *open) Close() error { _, err := f.m.step("close"); return err }

// disks calls see with the files of every disk that may be found after the power failed now: of the changes that were not waited for any were done, and of a content that was not waited for nothing, half or all is there.
func (m *machine) disks(see func(files map[string]string)) {
	for some := range 1 << len(m.pending) {
		names := map[*node]map[string]*node{}
		of := func(n *node) map[string]*node {
			if names[n] == nil {
				names[n] = maps.Clone(n.names)
			}
			return names[n]
		}
		for i, c := range m.pending {
			if some>>i&1 == 1 {
				c.do(of(c.dir))
			}
		}
		for part := range 3 {
			files := map[string]string{}
			var walk func(path string, n *node)
			walk = func(path string, n *node) {
				for name, below := range of(n) {
					at := path + name
					if below.entries != nil {
						files[at+"/"] = ""
						walk(at+"/", below)
						continue
					}
					text := below.stable
					if below.data != text {
						text = below.data[:len(below.data)*part/2]
					}
					files[at] = text
				}
			}
			walk("", m.root)
			see(files)
		}
	}
}

// lay puts a file on the disk before anything happens.
func (m *machine) lay(name, text string) {
	n := &node{data: text, stable: text}
	dir := m.at(filepath.Dir(name))
	dir.entries[filepath.Base(name)], dir.names[filepath.Base(name)] = n, n
}

// powerCuts carries do out on new machines that lose power before each of their steps in turn, and once on one that loses it afterwards, and returns a sentence for each disk that ok does not accept. The error is that of do.
func powerCuts(skip, fail string, begin func(*machine), do func(disk) error, ok func(files map[string]string, done bool) bool) (bad []string, err error) {
	for cut := 1; ; cut++ {
		m := &machine{root: folder(), cut: cut, skip: skip, fail: fail}
		begin(m)
		finished := func() (finished bool) {
			defer func() {
				if v := recover(); v != nil && v != errPower {
					panic(v)
				}
			}()
			err = do(m)
			return true
		}()
		m.disks(func(files map[string]string) {
			if !ok(files, finished && err == nil) {
				bad = append(bad, fmt.Sprintf("power cut after %q: %q", m.steps, files))
			}
		})
		if finished {
			return bad, err
		}
	}
}
