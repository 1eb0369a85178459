package lsp

import (
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/lint"
	"github.com/proviso-dev/proviso/policy/pack"
)

// analysis is what is known of a pack.
type analysis struct {
	root   string
	pack   *pack.Pack     // the newest that could be read
	policy *policy.Policy // the newest that compiled
	rules  []policy.RuleInfo
	sound  bool // the pack as it stands compiles
}

// finding is a diagnostic of the protocol.
type finding struct {
	Range    span   `json:"range"`
	Severity int    `json:"severity"`
	Code     string `json:"code"`
	Source   string `json:"source"`
	Message  string `json:"message"`
}

// severities are the numbers of the protocol.
var severities = map[proviso.Severity]int{proviso.Error: 1, proviso.Warning: 2}

// analyse loads, compiles and lints every pack that changed, and tells the client. What cannot be read or compiled keeps what is known from before, so that completion works while somebody types.
func (s *server) analyse() {
	for _, root := range slices.Sorted(maps.Keys(s.dirty)) {
		delete(s.dirty, root)
		a := s.packs[root]
		if a == nil {
			a = &analysis{root: root}
			s.packs[root] = a
		}
		p, found := pack.Load(s.over(root), ".")
		a.sound = p != nil && !found.Worst(proviso.Error)
		switch {
		case a.sound:
			a.pack = p
		case a.pack == nil:
			// Somebody typed before the first look: what the disk has is more than what can be read of a line that is not finished.
			if saved, _ := pack.Load(os.DirFS(root), "."); saved != nil {
				a.pack = saved
			} else {
				a.pack = p
			}
		}
		if a.sound {
			pol, ds := policy.Compile(p)
			found = append(found, ds...)
			if a.sound = pol != nil; a.sound {
				a.policy, a.rules = pol, pol.Rules()
			}
			found = append(found, lint.Check([]*pack.Pack{p}, pol)...)
		}
		s.publish(a, found)
	}
}

// publish tells the client the findings of a pack, file by file, and that files which had some have none any more.
func (s *server) publish(a *analysis, found proviso.Diagnostics) {
	byFile := map[string][]finding{}
	for name := range s.told[a.root] {
		byFile[name] = []finding{}
	}
	for _, d := range found {
		name := d.Pos.File
		if name == "" {
			name = pack.ManifestFile
		}
		text := s.textOf(filepath.Join(a.root, filepath.FromSlash(name)))
		f := finding{Range: wordAt(text, d.Pos), Severity: 3, Code: d.Code, Source: "proviso", Message: d.Msg}
		if n, known := severities[d.Severity]; known {
			f.Severity = n
		}
		if d.Hint != "" {
			f.Message += "\n" + d.Hint
		}
		byFile[name] = append(byFile[name], f)
	}
	told := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(byFile)) {
		told[name] = len(byFile[name]) > 0
		if !told[name] {
			delete(told, name)
		}
		s.notify("textDocument/publishDiagnostics", map[string]any{"uri": uriOf(filepath.Join(a.root, filepath.FromSlash(name))), "diagnostics": byFile[name]})
	}
	s.told[a.root] = told
}

// locate is where a position of the pack is for the client.
func (s *server) locate(a *analysis, p proviso.Pos) location {
	file := filepath.Join(a.root, filepath.FromSlash(p.File))
	return location{uriOf(file), wordAt(s.textOf(file), p)}
}
