package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/proviso-dev/proviso/gateway"
	"github.com/proviso-dev/proviso/policy/pack"
)

// doctorCmd is `proviso doctor`.
type doctorCmd struct {
	Routes bool     `help:"Print which rule is enforced on which path of the gateway, and what streams do." env:"-"`
	Pack   []string `short:"p" aliases:"policy" help:"With --routes: folder of a pack; give several to join packs of different ranks." default:"." placeholder:"DIR"`
}

// Help is the long help of the command.
func (doctorCmd) Help() string {
	return `Prints what a bug report needs. Of variables only the names are printed, and the home folder is written as ~, so that the output can be shared.`
}

// fact is one line of the report. OK is false for what may be the reason that something does not work.
type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	OK    bool   `json:"ok"`
}

// Run prints the report.
func (c doctorCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	if c.Routes {
		return a.printRoutes(c.Pack)
	}
	v := readBuild()
	facts := []fact{
		{"version", strings.TrimSpace(v.Version + " " + v.Revision), true},
		{"go", v.Go, true},
		{"platform", v.Platform, true},
		a.terminalFact(),
		a.settingsFact(),
		a.variablesFact(),
		a.packFact(),
		a.dataFact(),
		a.cacheFact(),
	}
	if a.output == "json" {
		return a.printJSON(facts)
	}
	for _, f := range facts {
		mark := a.style.paint("ok", green)
		if !f.OK {
			mark = a.style.paint("--", bold, magenta)
		}
		if _, err := fmt.Fprint(a.stdout, a.style.indented(mark+"  "+pad(f.Name, 10), f.Value)); err != nil {
			return unwritable("standard output", err)
		}
	}
	return nil
}

// printRoutes prints what is enforced on which path.
func (a *app) printRoutes(dirs []string) error {
	o, err := a.compiled(dirs)
	if err != nil {
		return err
	}
	routes := gateway.Routes(o.policy)
	if a.output == "json" {
		return a.printJSON(routes)
	}
	lists := map[string][]gateway.Line{}
	for i := range routes {
		lists[fmt.Sprintf("%d %s %s", i, routes[i].Method, routes[i].Path)] = routes[i].Lines()
	}
	return a.printLines(lists)
}

func (a *app) terminalFact() fact {
	yes := map[bool]string{true: "a terminal", false: "not a terminal"}
	return fact{"terminal", fmt.Sprintf("standard output is %s, standard error is %s, TERM=%s, colour %v", yes[terminal(a.stdout)], yes[terminal(a.stderr)], a.env("TERM"), a.style.colour), true}
}

func (a *app) settingsFact() fact {
	paths, _ := a.settingsPaths()
	var found []string
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			found = append(found, a.redact(p))
		}
	}
	if found == nil {
		return fact{"settings", "no file; the defaults apply", true}
	}
	return fact{"settings", strings.Join(found, ", "), true}
}

func (a *app) variablesFact() fact {
	var names []string
	for _, kv := range os.Environ() {
		if n, _, _ := strings.Cut(kv, "="); strings.HasPrefix(n, "PROVISO_") || n == "NO_COLOR" {
			names = append(names, n)
		}
	}
	if names == nil {
		return fact{"variables", "none of ours is set", true}
	}
	sort.Strings(names)
	return fact{"variables", strings.Join(names, ", ") + " (values are not shown)", true}
}

func (a *app) packFact() fact {
	if _, err := os.Stat(pack.ManifestFile); err != nil {
		return fact{"pack", "none in this folder; make one with proviso init", false}
	}
	o, err := a.open([]string{"."})
	switch {
	case err != nil:
		return fact{"pack", err.Error(), false}
	case o.policy == nil:
		return fact{"pack", "the pack in this folder does not compile; see proviso check", false}
	}
	return fact{"pack", fmt.Sprintf("%s %s in this folder, %d rules over %d tools, digest %.12s", o.packs[0].Name, o.packs[0].Version, len(o.policy.Rules()), len(o.policy.Tools()), o.policy.Digest()), true}
}

// dataFact tells whether the outside suites of the tests are there. Only tests read them.
func (a *app) dataFact() fact {
	dir := a.env("PROVISO_DATA")
	if dir == "" {
		return fact{"data", "PROVISO_DATA is not set; only the project's own tests use it", true}
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return fact{"data", "PROVISO_DATA names no folder; tests over outside suites are skipped", false}
	}
	return fact{"data", a.redact(dir), true}
}

func (a *app) cacheFact() fact {
	dir, err := os.UserCacheDir()
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, "proviso-doctor-*"); err == nil {
			f.Close()
			err = os.Remove(f.Name())
		}
	}
	if err != nil {
		return fact{"cache", "no folder for caches can be written: " + because(err), false}
	}
	return fact{"cache", a.redact(dir) + " can be written", true}
}

// redact hides the home folder, whose name is often a person's.
func (a *app) redact(p string) string {
	home := a.env("HOME")
	if abs, err := filepath.Abs(p); err == nil && home != "" && home != "/" {
		if rest, ok := strings.CutPrefix(abs, home); ok && (rest == "" || rest[0] == filepath.Separator) {
			return "~" + rest
		}
	}
	return p
}
