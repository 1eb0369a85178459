package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/alecthomas/kong"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/strictyaml"
)

// settings are the values of settings files, by flag name; the first file that has a flag wins.
type settings struct {
	lookup func(string) (string, bool)
	files  []settingsFile
}

type settingsFile struct {
	name   string
	values map[string]any
}

// settingsPaths lists where settings are read from: the file that PROVISO_CONFIG names, else those of the folder and of the person.
func (a *app) settingsPaths() (paths []string, named bool) {
	if p := a.env("PROVISO_CONFIG"); p != "" {
		return []string{p}, true
	}
	paths = []string{filepath.Join(".proviso", "config.yaml")}
	if dir := a.env("XDG_CONFIG_HOME"); dir != "" {
		paths = append(paths, filepath.Join(dir, "proviso", "config.yaml"))
	} else if home := a.env("HOME"); home != "" {
		paths = append(paths, filepath.Join(home, ".config", "proviso", "config.yaml"))
	}
	return paths, false
}

func (a *app) settings() (*settings, error) {
	s := &settings{lookup: a.lookup}
	paths, named := a.settingsPaths()
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) && !named {
			continue
		}
		if err != nil {
			return nil, badSettings(p, because(err), "check PROVISO_CONFIG and the permissions of the file")
		}
		f := settingsFile{name: p}
		if err := strictyaml.Decode(b, &f.values, true); err != nil {
			return nil, badSettings(p, "this is not a map from flag names to values: "+err.Error(), "write one `flag: value` per line")
		}
		s.files = append(s.files, f)
	}
	return s, nil
}

func badSettings(file, msg, hint string) error {
	return &problem{exit: exitInput, code: codeSettings, msg: file + ": " + msg, hint: hint}
}

// Validate refuses a name that is no flag of any command.
func (s *settings) Validate(model *kong.Application) error {
	known := map[string]bool{}
	flagNames(model.Node, known)
	var names []string
	for n := range known {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, f := range s.files {
		for k := range f.values {
			if !known[k] {
				return badSettings(f.name, fmt.Sprintf("unknown setting %q", k), proviso.DidYouMean(k, names))
			}
		}
	}
	return nil
}

func flagNames(n *kong.Node, into map[string]bool) {
	for _, f := range n.Flags {
		into[f.Name] = true
	}
	for _, c := range n.Children {
		flagNames(c, into)
	}
}

// Resolve gives the value of a flag that the command line does not set. The environment goes before files.
func (s *settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Envs == nil { // a flag that only the command line may set
		return nil, nil
	}
	for _, e := range flag.Envs {
		if _, set := s.lookup(e); set {
			return nil, nil
		}
	}
	for _, f := range s.files {
		if v, ok := f.values[flag.Name]; ok {
			return v, nil
		}
	}
	return nil, nil
}
