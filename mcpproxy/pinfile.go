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
	"github.com/proviso-dev/proviso/internal/durable"
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
		err = durable.MkdirAll(filepath.Dir(f.Path), 0o700)
	}
	if err == nil {
		err = durable.Replace(f.Path, append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("pins: write %s: %w [%s]", f.Path, err, CodePin)
	}
	return nil
}
