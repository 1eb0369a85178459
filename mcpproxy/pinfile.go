package mcpproxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/proviso-dev/proviso"
)

// PinFile keeps pins in one JSON file. It is read at every Get, so that what a person approves counts at once, and written whole: to a new file that takes the old one's place when it is on disk.
// Two processes that write at the same time leave one of the two states.
type PinFile struct {
	Path string

	mu sync.Mutex
}

// pinned is the content of a pin file.
type pinned struct {
	Version int                       `json:"version"`
	Servers map[string]map[string]Pin `json:"servers"`
}

const maxPinFile = 64 << 20

func (f *PinFile) read() (pinned, error) {
	p := pinned{Version: 1}
	b, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("pins: %w [%s]", err, CodePin)
	}
	if len(b) > maxPinFile {
		return p, fmt.Errorf("pins: %s has more than %d bytes [%s]", f.Path, maxPinFile, CodePin)
	}
	if err := proviso.DecodeStrict(b, &p); err != nil {
		return p, fmt.Errorf("pins: %s is not a file of pins: %w; pin the servers again [%s]", f.Path, err, CodePin)
	}
	if p.Version != 1 {
		return p, fmt.Errorf("pins: %s is of version %d, and this program reads version 1 [%s]", f.Path, p.Version, CodePin)
	}
	return p, nil
}

// Get returns the pins of a server.
func (f *PinFile) Get(_ context.Context, server string) (map[string]Pin, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.read()
	if err != nil {
		return nil, false, err
	}
	pins, known := p.Servers[server]
	return clonePins(pins), known, nil
}

// Put replaces the pins of a server.
func (f *PinFile) Put(_ context.Context, server string, pins map[string]Pin) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.read()
	if err != nil {
		return err
	}
	if p.Servers == nil {
		p.Servers = map[string]map[string]Pin{}
	}
	p.Servers[server] = pins
	b, err := proviso.AppendJSON(nil, p)
	if err == nil {
		err = replaceFile(f.Path, append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("pins: write %s: %w [%s]", f.Path, err, CodePin)
	}
	return nil
}

// replaceFile puts a file in the place of another: the name stands for the old content or the new one, also after a crash.
func replaceFile(path string, b []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	t, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(t.Name())
	_, err = t.Write(b)
	if err == nil {
		err = t.Sync()
	}
	if e := t.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(t.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
