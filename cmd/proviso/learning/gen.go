package learning

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/world"
	"github.com/proviso-dev/proviso/world/scene"
	"github.com/proviso-dev/proviso/world/service"
	"github.com/proviso-dev/proviso/world/version"
)

// Gen is `proviso gen`.
type Gen struct {
	Scenes   GenScenes   `cmd:"" help:"Symbolic scenes under a decision tree: which case is it?"`
	Versions GenVersions `cmd:"" help:"Tools with versions: the user's profile says which one is called."`
	Service  GenService  `cmd:"" help:"Services: look up, verify, follow nested conditions, act or refuse."`
	Cases    GenCases    `cmd:"" default:"withargs" help:"Cases of any pack by the paths of its rules: proviso gen --from DIR."`
}

// sets is what the worlds have in common.
type sets struct {
	Out   string `arg:"" help:"Folder to write to; it is made where it does not exist." placeholder:"DIR" json:"-"`
	Seed  uint64 `help:"Decides everything: the same seed and flags make the same bytes." default:"1" placeholder:"N" env:"-" json:"seed"`
	Name  string `help:"Name of the policy; default: made from the seed." placeholder:"NAME" env:"-" json:"name,omitempty"`
	Tasks int    `help:"Training tasks." default:"200" placeholder:"N" env:"-" json:"tasks,omitempty"`
	Test  int    `help:"Test tasks." default:"100" placeholder:"N" env:"-" json:"test,omitempty"`
}

// GenScenes is `proviso gen scenes`.
type GenScenes struct {
	sets
	Level    int   `help:"1, 2 or 3: 4 responses at depth 2, 16 at 4, 55 at 6." default:"1" placeholder:"N" env:"-" json:"level,omitempty"`
	Depth    int   `help:"Conditions on the longest way, 1 to 8, with as many responses as there can be; default: the level's." placeholder:"N" env:"-" json:"depth,omitempty"`
	Unseen   int   `help:"Leaves kept out of training, for the split unseen." placeholder:"N" env:"-" json:"unseen,omitempty"`
	Few      bool  `help:"Scenes of 3 to 5 objects instead of 3 to 10, for tiny models." env:"-" json:"few,omitempty"`
	Terse    bool  `help:"Write the policy in marks and words, for tiny models." env:"-" json:"terse,omitempty"`
	Edits    []int `help:"Also write tasks/overrides.jsonl: the policy with so many edits, such as 1,2,4,8, asked as it was and as it is now; for each as many tasks as --test." placeholder:"N" env:"-" json:"edits,omitempty"`
	Pictures bool  `help:"Show scenes as pictures, and values of the policy as crops." env:"-" json:"pictures,omitempty"`
	Tool     bool  `help:"Answer with the tool respond instead of words." env:"-" json:"tool,omitempty"`
}

// GenVersions is `proviso gen versions`.
type GenVersions struct {
	sets
	Depth int `help:"Conditions on the longest way: 1 to 3." default:"2" placeholder:"N" env:"-" json:"depth,omitempty"`
	Tools int `help:"Number of tools: 1 to 13." default:"13" placeholder:"N" env:"-" json:"tools,omitempty"`
}

// GenService is `proviso gen service`.
type GenService struct {
	sets
	Level      int  `help:"1 to 4: how hard it is in every way." default:"1" placeholder:"N" env:"-" json:"level,omitempty"`
	Procedures int  `help:"What can be asked for; default: the level's." placeholder:"N" env:"-" json:"procedures,omitempty"`
	Depth      int  `help:"Conditions on the longest way, 1 to 6; default: the level's." placeholder:"N" env:"-" json:"depth,omitempty"`
	Rows       int  `help:"Rows of each table; default: the level's." placeholder:"N" env:"-" json:"rows,omitempty"`
	Query      int  `help:"1 (all said at once) to 4 (told when asked by name); default: the level's." placeholder:"N" env:"-" json:"query,omitempty"`
	Unseen     int  `help:"Leaves kept out of training, for the split unseen." placeholder:"N" env:"-" json:"unseen,omitempty"`
	Terse      bool `help:"Prompts of few words, for tiny models." env:"-" json:"terse,omitempty"`
}

const genHelp = `

The folder gets a pack that passes proviso check, tasks/train.jsonl, tasks/test.jsonl and gen.json, which says what was made. It is only written over where gen.json shows that it holds nothing else. See docs/worlds.md.`

// Help is the long help of the command.
func (GenScenes) Help() string {
	return `Makes a decision tree over scenes of objects, as numbered clauses and as a pack, and tasks that ask which case a scene is. As many tasks for one leaf as for another.` + genHelp
}

// Help is the long help of the command.
func (GenVersions) Help() string {
	return `Makes tools with versions and rules on a user's profile, such as: if 250 < credits <= 750, use OCR_v2 if account_type is A or B, otherwise OCR_v3. Both numbers at each edge are test tasks, split boundary, however few are asked for.` + genHelp
}

// Help is the long help of the command.
func (GenService) Help() string {
	return `Makes a service: tables, tools, procedures with nested conditions, and requests in pairs of twins that differ in one condition, one to be carried out and one to be refused. Levels 1 to 4 set procedures, depth, rows and query difficulty; each can be set alone.` + genHelp
}

// made is what a generator made.
type made struct {
	policy, what string
	pack         map[string][]byte
	train, test  []world.Task
	overrides    []world.Task // of edited policies, each with the same task as the policy was
}

// Run makes scenes.
func (c *GenScenes) Run(e *Env) error {
	if c.Level < 1 || c.Level > len(scene.Levels) {
		return diagnose(codeUsage, fmt.Sprintf("give a level from 1 to %d, or --depth", len(scene.Levels)), "there is no level %d of scenes", c.Level)
	}
	o := scene.Options{Name: c.Name, Leaves: scene.Levels[c.Level-1].Leaves}
	depth := scene.Levels[c.Level-1].Depth
	if c.Depth != 0 {
		depth, o.Leaves = c.Depth, 0
	}
	if depth < 1 || depth > scene.MaxDepth {
		return diagnose(codeUsage, fmt.Sprintf("give a depth from 1 to %d", scene.MaxDepth), "there are no scenes of depth %d", depth)
	}
	if c.Few {
		o.Objects = scene.Range{Min: 3, Max: 5}
	}
	p := scene.Generate(c.Seed, depth, o)
	if c.Unseen < 0 || c.Unseen > len(p.Leaves())/2 {
		return diagnose(codeUsage, "keep out half of the leaves at most", "%d of %d leaves cannot be kept out of training", c.Unseen, len(p.Leaves()))
	}
	tasks := scene.TaskOptions{Seed: c.Seed, Unseen: c.Unseen, Compact: c.Terse, Pictures: c.Pictures, Tool: c.Tool}
	draw := func(split string, n int) []world.Task {
		tasks.Split = split
		return scene.Tasks(p, n, tasks)
	}
	m := made{policy: p.Name, what: fmt.Sprintf("%d leaves, %d conditions deep", len(p.Leaves()), p.Depth), pack: p.Pack(), train: draw(scene.Train, c.Tasks)}
	unseen := 0
	if c.Unseen > 0 {
		unseen = c.Test / 2
	}
	m.test = append(draw(scene.Test, c.Test-unseen), draw(scene.Unseen, unseen)...)
	var edited []scene.Mutation
	for _, k := range c.Edits {
		if k < 1 {
			return diagnose(codeUsage, "give numbers from 1", "a policy cannot be changed by %d edits", k)
		}
		edited = append(edited, p.Mutate(c.Seed+uint64(k), k))
	}
	if edited != nil {
		tasks.Split, tasks.Seed = scene.Test, c.Seed+1<<32 // another seed than the test tasks have, for other ids
		m.overrides = scene.Overrides(p, edited, c.Test, tasks)
	}
	return c.write(e, "scenes", c, m)
}

// Run makes tools with versions.
func (c *GenVersions) Run(e *Env) error {
	p, err := version.Generate(version.Options{Name: c.Name, Seed: c.Seed, Tools: c.Tools, Depth: c.Depth})
	if err != nil {
		return err
	}
	m := made{policy: p.Name(), what: fmt.Sprintf("%d tools, %d conditions deep", c.Tools, c.Depth)}
	if m.pack, err = p.Files(); err != nil {
		return err
	}
	if m.train, m.test, err = p.Tasks(c.Tasks, c.Test); err != nil {
		return err
	}
	return c.write(e, "versions", c, m)
}

// Run makes a service.
func (c *GenService) Run(e *Env) error {
	k, err := service.Level(c.Level)
	if err != nil {
		return err
	}
	for _, set := range []struct {
		knob *int
		to   int
	}{{&k.Procedures, c.Procedures}, {&k.Depth, c.Depth}, {&k.Rows, c.Rows}, {&k.Query, c.Query}} {
		if set.to != 0 {
			*set.knob = set.to
		}
	}
	s, err := service.Generate(service.Options{Name: c.Name, Seed: c.Seed, Knobs: k})
	if err != nil {
		return err
	}
	m := made{policy: s.Name(), what: fmt.Sprintf("%d procedures, %d conditions deep, %d rows, query %d", k.Procedures, k.Depth, k.Rows, k.Query)}
	if m.pack, err = s.Files(); err != nil {
		return err
	}
	if m.train, m.test, err = s.Tasks(service.TaskOptions{Train: c.Tasks, Test: c.Test, Unseen: c.Unseen, Terse: c.Terse}); err != nil {
		return err
	}
	return c.write(e, "service", c, m)
}

// genFile says what a folder holds.
const genFile = "gen.json"

// record is gen.json.
type record struct {
	World  string            `json:"world"`
	Policy string            `json:"policy"`
	What   string            `json:"what"`
	Flags  any               `json:"flags"`
	Sets   []tally           `json:"sets"`
	Files  map[string]string `json:"files"` // SHA-256 of what was written, by name
}

// tally counts the tasks of one split, or of one size of edit.
type tally struct {
	Split  string         `json:"split"`
	Tasks  int            `json:"tasks"`
	Do     int            `json:"do"`     // should succeed
	Refuse int            `json:"refuse"` // should be refused
	Leaves map[string]int `json:"leaves"` // tasks for each leaf
}

func split(t *world.Task) string { return t.Split }

// edits names the tasks of edited policies by how many edits there are, and those of the policy as it was.
func edits(t *world.Task) string {
	if t.Override == 0 {
		return "unedited"
	}
	return fmt.Sprintf("edits %d", t.Override)
}

// count counts tasks under the names that they are given.
func count(tasks []world.Task, name func(*world.Task) string) []tally {
	var out []tally
	for i := range tasks {
		t := &tasks[i]
		split := name(t)
		k := slices.IndexFunc(out, func(x tally) bool { return x.Split == split })
		if k < 0 {
			k = len(out)
			out = append(out, tally{Split: split, Leaves: map[string]int{}})
		}
		out[k].Tasks++
		out[k].Leaves[t.Leaf]++
		if t.Gold.Succeed {
			out[k].Do++
		} else {
			out[k].Refuse++
		}
	}
	return out
}

// String is the line of a set.
func (t tally) String() string {
	counts := slices.Sorted(maps.Values(t.Leaves))
	each := fmt.Sprint(counts[0])
	if last := counts[len(counts)-1]; last > counts[0] {
		each += fmt.Sprintf(" to %d", last)
	}
	return fmt.Sprintf("  %-8s  %d tasks: %d to do, %d to refuse; %d leaves, %s each", t.Split, t.Tasks, t.Do, t.Refuse, len(t.Leaves), each)
}

// write writes pack, tasks and record.
func (s *sets) write(e *Env, kind string, flags any, m made) error {
	if err := e.formats("pretty", "json"); err != nil {
		return err
	}
	if s.Tasks < 0 || s.Test < 0 || len(m.train)+len(m.test) == 0 {
		return diagnose(codeUsage, "give --tasks and --test", "there are no tasks to make")
	}
	files := maps.Clone(m.pack)
	for name, tasks := range map[string][]world.Task{"tasks/train.jsonl": m.train, "tasks/test.jsonl": m.test, "tasks/overrides.jsonl": m.overrides} {
		var b bytes.Buffer
		if err := world.WriteTasks(&b, tasks); err != nil {
			return err
		}
		if len(tasks) > 0 {
			files[name] = b.Bytes()
		}
	}
	r := record{World: kind, Policy: m.policy, What: m.what, Flags: flags, Sets: slices.Concat(count(m.train, split), count(m.test, split), count(m.overrides, edits)), Files: map[string]string{}}
	for name, b := range files {
		r.Files[name] = digest(b)
	}
	if err := settle(s.Out, r, files); err != nil {
		return err
	}
	if e.Format == "json" {
		return e.Print(r)
	}
	lines := []string{fmt.Sprintf("%s: %s %s, %s", e.Short(s.Out), kind, m.policy, m.what)}
	for _, t := range r.Sets {
		lines = append(lines, t.String())
	}
	if _, err := fmt.Fprintln(e.Stdout, strings.Join(lines, "\n")); err != nil {
		return unwritable("standard output", err)
	}
	e.Say("next: proviso check %s", e.Short(s.Out))
	return nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// settle writes the files of a record into a folder that has nothing but what an earlier record of its own says. What was there is removed first, then the record comes, then the files: wherever that ends, what is there is what the record says, and the folder can be written again.
func settle(dir string, r record, files map[string][]byte) error {
	old, err := ours(dir)
	if err != nil {
		return err
	}
	for _, p := range old {
		if err := os.Remove(p); err != nil {
			return unwritable(p, err)
		}
	}
	head, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", genFile, err)
	}
	if err := put(filepath.Join(dir, genFile), append(head, '\n')); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := put(filepath.Join(dir, filepath.FromSlash(name)), files[name]); err != nil {
			return err
		}
	}
	return nil
}

// codeExists is the code of a folder that would be overwritten.
const codeExists = "PV906"

// ours are the files of a folder beside its record. It fails where there is one that the record does not name, or that was changed since. What replace leaves behind when the program is killed does not count.
func ours(dir string) ([]string, error) {
	var old record
	b, err := os.ReadFile(filepath.Join(dir, genFile))
	if err == nil {
		err = proviso.DecodeStrict(b, &old)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unreadable(filepath.Join(dir, genFile), err)
	}
	var files []string
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".new-") {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil || rel == genFile {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if old.Files[filepath.ToSlash(rel)] != digest(b) {
			return diagnose(codeExists, "name another folder", "%s was not made by proviso gen, or was changed since; nothing was written", p)
		}
		files = append(files, p)
		return nil
	})
	var d proviso.Diagnostic
	switch {
	case err == nil, errors.As(err, &d):
		return files, err
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	}
	return nil, unreadable(dir, err)
}

// put writes a file whole or not at all.
func put(name string, b []byte) error {
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = durable.Replace(name, b, 0o644)
	}
	if err != nil {
		return unwritable(name, err)
	}
	return nil
}
