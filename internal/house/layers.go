package house

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
)

// Layers says which package may import which.
type Layers struct {
	above map[string]map[string]bool // package → packages it may import, already closed
	last  map[string]bool            // packages that may import everything
}

// ParseLayers reads the layer text: rules separated by semicolons, each a chain of groups separated by "<", each group names separated by commas.
// In `a, b < c` the package c may import a, b, and whatever those may import. NONE stands for no package, and everything for every package that a rule names.
// A rule without "<", an empty name, or a circle of rules is an error.
func ParseLayers(text string) (*Layers, error) {
	direct := map[string]map[string]bool{}
	l := &Layers{above: map[string]map[string]bool{}, last: map[string]bool{}}
	for _, rule := range strings.Split(text, ";") {
		rule = strings.Join(strings.Fields(rule), " ")
		if rule == "" {
			continue
		}
		groups := strings.Split(rule, "<")
		if len(groups) < 2 {
			return nil, fmt.Errorf("layers: rule %q has no <; write what may be imported, then <, then who may import it", rule)
		}
		var below []string
		for i, g := range groups {
			names, err := parseGroup(g, rule)
			if err != nil {
				return nil, err
			}
			for _, n := range names {
				switch n {
				case "NONE", "everything":
					if i > 0 {
						return nil, fmt.Errorf("layers: %s can only begin a rule, in %q", n, rule)
					}
					continue
				}
				if direct[n] == nil {
					direct[n] = map[string]bool{}
				}
				for _, b := range below {
					switch b {
					case "NONE":
					case "everything":
						l.last[n] = true
					default:
						direct[n][b] = true
					}
				}
			}
			below = names
		}
	}
	for n := range direct {
		if err := l.close(n, direct, nil); err != nil {
			return nil, err
		}
	}
	for n := range direct {
		for b := range l.above[n] {
			if l.last[b] {
				l.last[n] = true
			}
		}
	}
	for n := range l.last {
		for b := range direct {
			if b != n && !l.above[b][n] {
				l.above[n][b] = true
			}
		}
	}
	return l, nil
}

func parseGroup(g, rule string) ([]string, error) {
	var names []string
	for _, n := range strings.Split(g, ",") {
		n = strings.TrimSpace(n)
		if n == "" || strings.Contains(n, " ") {
			return nil, fmt.Errorf("layers: %q is not a package name, in %q", n, rule)
		}
		names = append(names, n)
	}
	return names, nil
}

// close fills above[n] with everything below n; path is the way down to n, to find circles.
func (l *Layers) close(n string, direct map[string]map[string]bool, path []string) error {
	if slices.Contains(path, n) {
		return fmt.Errorf("layers: the rules go in a circle: %s", strings.Join(append(path, n), " < "))
	}
	if l.above[n] != nil {
		return nil
	}
	all := map[string]bool{}
	for _, b := range slices.Sorted(maps.Keys(direct[n])) {
		if err := l.close(b, direct, append(path, n)); err != nil {
			return err
		}
		all[b] = true
		maps.Copy(all, l.above[b])
	}
	l.above[n] = all
	return nil
}

// May reports whether the package named from may import the one named to.
func (l *Layers) May(from, to string) bool { return l.above[from][to] }

// Names lists the packages that the rules name, sorted.
func (l *Layers) Names() []string { return slices.Sorted(maps.Keys(l.above)) }

// CheckLayers returns a sentence for every import, in files that are not tests, that the layers do not allow. Nested modules are outsiders and are not checked.
func (m *Module) CheckLayers(l *Layers) []string {
	var out []string
	for _, p := range m.Packages {
		if p.Nested {
			continue
		}
		for _, f := range p.source() {
			for imp, spec := range f.imports() {
				to, ours := m.packageName(imp)
				if !ours || to == p.Name || l.May(p.Name, to) {
					continue
				}
				if _, named := l.above[p.Name]; !named {
					out = append(out, fmt.Sprintf("%s: package %s imports %s, but no layer rule names %s; add it to the layer text with a design note, or move the code to a room that stands", f.at(spec.Pos()), p.Name, to, p.Name))
					continue
				}
				out = append(out, fmt.Sprintf("%s: package %s may not import %s; it may import %s; move the code to a layer above, or hand the value in through an interface that %s owns",
					f.at(spec.Pos()), p.Name, to, list(l.above[p.Name]), p.Name))
			}
		}
	}
	sort.Strings(out)
	return out
}

// packageName is the name that layers use for an import path of this module.
func (m *Module) packageName(imp string) (name string, ours bool) {
	if imp == m.Path {
		return m.Path[strings.LastIndex(m.Path, "/")+1:], true
	}
	return strings.CutPrefix(imp, m.Path+"/")
}

func list(set map[string]bool) string {
	if len(set) == 0 {
		return "no package of this module"
	}
	return strings.Join(slices.Sorted(maps.Keys(set)), ", ")
}
