package settings

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Paths as Windows writes them, with a drive and backslashes, in settings and in packs: the drive's colon is no part of how a secret is named, and a pack that names a file so is told how packs name files, on every system.
func TestWindowsPaths(t *testing.T) {
	dir := folder(t, nil)
	key := `C:\keys\up.key` // a whole path there, and an odd name of a file here
	if runtime.GOOS == "windows" {
		key = filepath.Join(dir, "up.key")
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(key)), []byte("sk-SECRET\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(manifest, settings string) error {
		pack := folder(t, small)
		if manifest != "" {
			if err := os.WriteFile(filepath.Join(pack, "proviso.yaml"), []byte(manifest), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		name := filepath.Join(dir, "gateway.yaml")
		if err := os.WriteFile(name, []byte(settings), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := Open(context.Background(), &Flags{Packs: []string{pack}, File: name, Data: filepath.Join(t.TempDir(), "data"), Audit: "required", DenyAs: "refusal"})
		if err != nil {
			return err
		}
		defer d.Close()
		if ups := d.Upstreams(); string(ups[0].Key) != "sk-SECRET" {
			t.Errorf("the key of the upstream has %d letters", len(ups[0].Key))
		}
		return nil
	}
	upstream := `upstreams: [{name: up, url: "http://127.0.0.1:1", key: 'file:` + key + `'}]` + "\n"
	if err := open("", upstream); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct{ manifest, settings, want string }{
		"a file of the pack with a drive":     {"name: p\nversion: \"1\"\ntools: tools.json\nrules: ['C:\\packs\\rules.yaml']\n", upstream, "lies outside of the pack"},
		"a file of the pack with \\":          {"name: p\nversion: \"1\"\ntools: tools.json\nrules: ['sub\\rules.yaml']\n", upstream, "lies outside of the pack"},
		"a file of the pack above it with \\": {"name: p\nversion: \"1\"\ntools: tools.json\nrules: ['..\\rules.yaml']\n", upstream, "lies outside of the pack"},
		"an attachment that is not there":     {"", upstream + "attach: [{pack: 'C:\\packs\\night'}]\n", "there is no pack"},
		"\\ in double quotes":                 {"", upstream + "attach: [{pack: \"C:\\packs\\night\"}]\n", "gateway.yaml"},
	} {
		if err := open(c.manifest, c.settings); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
