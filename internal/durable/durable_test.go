package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

// jobs are what the package does, each with what may be found after a power cut; after it is done only the new state may.
var jobs = []struct {
	name  string
	begin func(*machine)
	do    func(disk) error
	ok    func(files map[string]string, done bool) bool
	waits []string // the steps without which a power cut does harm
}{
	{
		"replace",
		func(m *machine) { m.lay("f", "former") },
		func(d disk) error { return replace(d, "f", 0o644, text("the new content")) },
		func(files map[string]string, done bool) bool {
			return files["f"] == "the new content" || !done && files["f"] == "former"
		},
		[]string{"sync file", "sync folder ."},
	},
	{
		"begin",
		func(*machine) {},
		func(d disk) error { return replace(d, "f", 0o644, text("the new content")) },
		func(files map[string]string, done bool) bool {
			got, there := files["f"]
			return got == "the new content" || !done && !there
		},
		[]string{"sync file", "sync folder ."},
	},
	{
		"appear",
		func(*machine) {},
		func(d disk) error {
			return appear(d, "x", func(tmp string) error {
				return errors.Join(create(d, filepath.Join(tmp, "a"), 0o644, text("first")), create(d, filepath.Join(tmp, "b"), 0o644, text("second")))
			})
		},
		func(files map[string]string, done bool) bool {
			_, there := files["x/"]
			return files["x/a"] == "first" && files["x/b"] == "second" || !done && !there
		},
		[]string{"sync file", "sync folder .x.partial-1", "sync folder ."},
	},
	{
		"mkdirAll",
		func(*machine) {},
		func(d disk) error { return mkdirAll(d, "a/b", 0o700) },
		func(files map[string]string, done bool) bool { _, there := files["a/b/"]; return there || !done },
		[]string{"sync folder .", "sync folder a"},
	},
}

// Whenever the power fails, whatever was not waited for is lost or not, a name stands for the former state or the new one. Without any one of the waits it does not.
func TestPowerCut(t *testing.T) {
	for _, j := range jobs {
		bad, err := powerCuts("", "", j.begin, j.do, j.ok)
		if err != nil {
			t.Errorf("%s: %v", j.name, err)
		}
		for _, b := range bad {
			t.Errorf("%s: %s", j.name, b)
		}
		for _, wait := range j.waits {
			if bad, err := powerCuts(wait, "", j.begin, j.do, j.ok); len(bad) == 0 || err != nil {
				t.Errorf("%s without %q: nobody notices, %v", j.name, wait, err)
			}
		}
	}
}

// Where a step fails its error comes back, the former state stands, and nothing is left beside it; where the last wait fails it is told that all is in place.
func TestStepFails(t *testing.T) {
	for _, j := range jobs[:3] {
		m := &machine{root: folder()}
		j.begin(m)
		if err := j.do(m); err != nil {
			t.Fatal(err)
		}
		for i, step := range m.steps {
			bad := &machine{root: folder(), fail: step}
			j.begin(bad)
			former := len(bad.root.entries)
			err := j.do(bad)
			last := i == len(m.steps)-1
			if !errors.Is(err, errBroken) || errors.Is(err, ErrUnsettled) != last {
				t.Errorf("%s, %s: %v", j.name, step, err)
			}
			if !last && len(bad.root.entries) != former {
				t.Errorf("%s, %s: %d names are left, %q", j.name, step, len(bad.root.entries), bad.steps)
			}
			if _, err := powerCuts("", step, j.begin, j.do, j.ok); err == nil {
				t.Errorf("%s, %s: no error", j.name, step)
			}
		}
	}
}

// On a real disk: content, permissions, what is refused, and what is left behind.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	for i, mode := range []fs.FileMode{0o600, 0o644, 0o600} {
		b := strings.Repeat(fmt.Sprint(i), 10_000)
		if err := Replace(name, []byte(b), mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(name)
		if got, _ := os.ReadFile(name); err != nil || string(got) != b || info.Mode() != mode {
			t.Errorf("%d bytes with %v: %v", len(got), info.Mode(), err)
		}
	}
	failed := errors.New("no more")
	if err := Write(name, 0o600, func(io.Writer) error { return failed }); err != failed {
		t.Errorf("%v", err)
	}
	func() {
		defer func() { recover() }()
		Write(name, 0o600, func(io.Writer) error { panic("no more") })
	}()
	if err := File(name, 0o600, text("x")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that exists: %v", err)
	}
	if err := File(filepath.Join(dir, "g"), 0o600, func(io.Writer) error { return failed }); err != failed {
		t.Errorf("%v", err)
	}
	if err := Replace(filepath.Join(dir, "none", "f"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	fill := func(tmp string) error { return File(filepath.Join(tmp, "f"), 0o644, text("x")) }
	if err := Folder(filepath.Join(dir, "made"), Files(map[string][]byte{"a": []byte("first"), "b": []byte("second")})); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "made", "b")); err != nil || string(b) != "second" {
		t.Errorf("%q, %v", b, err)
	}
	if err := Folder(filepath.Join(dir, "bad"), Files(map[string][]byte{"a/b": nil})); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder in a name: %v", err)
	}
	if err := Folder(filepath.Join(dir, "made"), fill); err == nil {
		t.Error("a folder took the place of another")
	}
	if err := Folder(filepath.Join(dir, "other"), func(string) error { return failed }); err != failed {
		t.Errorf("%v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "made")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := MkdirAll(deep, 0o700); err != nil {
			t.Error(err)
		}
	}
	if err := MkdirAll(filepath.Join(name, "below"), 0o700); err == nil {
		t.Error("a folder in a file")
	}
	if err := MkdirAll(name, 0o700); err == nil {
		t.Error("a file is a folder")
	}
	left, err := os.ReadDir(dir)
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); err != nil || got != "a f made" {
		t.Errorf("left: %s, %v", got, err)
	}
	if err := Sync(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there was waited for")
	}
	t.Chdir(dir)
	if err := errors.Join(Replace("f", nil, 0o600), MkdirAll("d/e", 0o700), Folder("h", fill)); err != nil {
		t.Error(err)
	}
}

const childFile = "PROVISO_DURABLE_CHILD"

// A process that replaces one file without end is killed: the file is one of those that it wrote, whole.
func TestKill(t *testing.T) {
	content := func(i int) string { return strings.Repeat(fmt.Sprintf("%06d\n", i), 3000) }
	if name := os.Getenv(childFile); name != "" {
		for i := 1; ; i++ {
			if err := Replace(name, []byte(content(i)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	name := filepath.Join(t.TempDir(), "f")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 5 {
		os.Remove(name)
		child := exec.Command(self, "-test.run=^TestKill$")
		child.Env = append(os.Environ(), childFile+"="+name)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			if b, _ := os.ReadFile(name); len(b) > 0 && string(b[:6]) > "000003" {
				break
			}
			time.Sleep(time.Millisecond)
		}
		child.Process.Kill()
		child.Wait()
		b, err := os.ReadFile(name)
		i, e := strconv.Atoi(string(b[:min(6, len(b))]))
		if err != nil || e != nil || string(b) != content(i) {
			t.Fatalf("%d bytes that begin with %.20q: %v", len(b), b, err)
		}
		seen[string(b[:6])] = true
	}
	t.Logf("killed at %d different contents", len(seen))
}
