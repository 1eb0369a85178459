package training

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/engine"
	"github.com/proviso-dev/proviso/engine/local"
	"github.com/proviso-dev/proviso/engine/tinker"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/model"
	"github.com/proviso-dev/proviso/nn"
)

// Serve is `proviso engine serve`.
type Serve struct {
	Model   string        `arg:"" help:"Folder of the base model." placeholder:"DIR"`
	Listen  string        `help:"Address to listen on." default:"127.0.0.1:8000" placeholder:"HOST:PORT"`
	Dir     string        `help:"Folder of checkpoints and of the index of their paths." default:"engine" placeholder:"DIR"`
	Models  int           `help:"How many models clients may have at a time; each has memory of its own." default:"2"`
	KeyFile string        `help:"File with the key that clients have to send; needed on an address that others reach." placeholder:"FILE"`
	Drain   time.Duration `help:"How long calls may go on after a signal." default:"10s"`
}

// Help is the long help of the command.
func (Serve) Help() string {
	return `Offers the local engine to clients that speak the Tinker protocol: proviso train run with engine: {url: ...}, and programs of others. Each client trains a copy of the base model of its own: all of it, or adapters where it asks for a rank.`
}

// Run serves until a signal ends it.
func (c *Serve) Run(e *Env) error {
	if err := e.formats("pretty", "json"); err != nil {
		return err
	}
	key, err := readKey(c.KeyFile)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.Listen)
	ip := net.ParseIP(host)
	if err != nil || key == "" && host != "localhost" && !(ip != nil && ip.IsLoopback()) {
		return diagnose(codeFormat, fmt.Sprintf("--listen %s can be reached by others, or is no address, and nothing asks who they are", c.Listen), "give --key-file, or listen on 127.0.0.1")
	}
	base, err := load(c.Model, "")
	if err != nil {
		return err
	}
	files, err := besideWeights(c.Model)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(c.Dir) // the index outlives this process, and its folder of work
	if err != nil {
		return diagnose(codeWrite, err.Error(), "check --dir")
	}
	index, err := openIndex(dir)
	if err != nil {
		return err
	}
	s := tinker.NewServer(tinker.ServerOptions{
		Models: []string{base.Name}, Key: key, MaxModels: c.Models, Index: index, Archive: archive,
		Open: func(_ context.Context, id, name string, rank int) (engine.Engine, error) {
			if name != base.Name {
				return nil, fmt.Errorf("%w: there is no base model %q here; there is %s", engine.ErrInput, name, base.Name)
			}
			return copyOf(base, filepath.Join(dir, id), files, rank)
		},
	})
	l, err := e.Listen(c.Listen)
	if err != nil {
		return err
	}
	e.Patience(c.Drain + time.Second)
	if e.Format == "json" {
		if err := e.Print(map[string]any{"listening": "http://" + l.Addr().String(), "base_model": base.Name, "parameters": base.Params()}); err != nil {
			return err
		}
	}
	e.Say("proviso engine serve: http://%s trains %s (%s parameters)", l.Addr(), base.Name, count(base.Params()))
	return c.serve(e, s, l)
}

func (c *Serve) serve(e *Env, s *tinker.Server, l net.Listener) error {
	server := e.Server(s)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return diagnose(codeEngine, "serve: "+err.Error(), "start it again")
	case <-e.Context.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Drain)
	defer cancel()
	if err := server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		e.Say("proviso engine serve: calls were still on their way after %s and were ended", c.Drain)
	}
	server.Close()
	return nil
}

// copyOf is an engine over weights of its own.
func copyOf(base *model.Model, dir string, files map[string][]byte, rank int) (engine.Engine, error) {
	net, err := nn.New(base.Config.Net)
	if err != nil {
		return nil, err
	}
	for _, p := range net.Params() {
		copy(p.Data, base.Net.Param(p.Name).Data)
	}
	if rank > 0 {
		if err := local.Adapt(net, nn.LoRA{Rank: rank, Alpha: 32}, 0); err != nil {
			return nil, fmt.Errorf("%w: %w", engine.ErrInput, err)
		}
	}
	return local.New(local.Options{Net: net, Name: base.Name, Dir: dir, Files: files})
}

// archive writes the files of a checkpoint as a gzipped tar, without the optimizer's.
func archive(path string, w io.Writer) (err error) {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	defer func() { err = cmp.Or(err, t.Close(), z.Close()) }()
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() == "optimizer.safetensors" || !entry.Type().IsRegular() {
			continue
		}
		if err := archiveFile(t, path, entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

func archiveFile(t *tar.Writer, dir, name string) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: st.Size(), ModTime: st.ModTime()}); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}

// index is a tinker.Index in a file, which is replaced whole at each change.
type index struct {
	mu    sync.Mutex
	file  string
	paths map[string]string
}

const (
	indexFile = "paths.json"
	maxIndex  = 64 << 20
)

func openIndex(dir string) (*index, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, diagnose(codeWrite, err.Error(), "check --dir and its permissions")
	}
	x := &index{file: filepath.Join(dir, indexFile), paths: map[string]string{}}
	f, err := os.Open(x.file)
	if errors.Is(err, fs.ErrNotExist) {
		return x, nil
	}
	if err != nil {
		return nil, diagnose(codeInput, err.Error(), "check --dir and its permissions")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxIndex))
	if err == nil {
		err = proviso.DecodeStrict(b, &x.paths)
	}
	if err != nil {
		return nil, proviso.Diagnostic{Pos: proviso.Pos{File: x.file}, Code: codeInput, Msg: err.Error(), Hint: "remove the file; clients then do not find earlier checkpoints by their path"}
	}
	return x, nil
}

// Put remembers a path before its weights are told to a client.
func (x *index) Put(public, private string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.paths[public] = private
	b, err := json.MarshalIndent(x.paths, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(x.file, b, 0o644)
}

// Get finds a path.
func (x *index) Get(public string) (string, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p, ok := x.paths[public]
	return p, ok
}
