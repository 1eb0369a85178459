package pack

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// TestLoad loads each archive under testdata/load and compares what was found with its file "want": one diagnostic per line.
// An archive without findings shows the pack instead.
func TestLoad(t *testing.T) {
	testkit.Archives(t, "testdata/load/*.txtar", func(t *testing.T, a *testkit.Archive) {
		p, ds := Load(archiveFS(a), ".")
		var b strings.Builder
		for _, d := range ds {
			fmt.Fprintln(&b, d.Error())
			if d.Pos.Line == 0 && d.Code != CodeFile {
				t.Errorf("%v has no position", d)
			}
			if d.Hint == "" {
				t.Errorf("%v has no hint", d)
			}
		}
		if len(ds) == 0 {
			describe(&b, reflect.ValueOf(*p), "")
		}
		a.Expect(t, "want", []byte(b.String()))
	})
}

func archiveFS(a *testkit.Archive) fstest.MapFS {
	m := fstest.MapFS{}
	for _, f := range a.Files {
		if f.Name != "want" {
			m[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	return m
}

// describe prints what is set in v, one value per line.
func describe(b *strings.Builder, v reflect.Value, path string) {
	if v.IsZero() && v.Kind() != reflect.Bool && !strings.HasSuffix(path, "]") {
		return
	}
	switch x := v.Interface().(type) {
	case Text:
		fmt.Fprintf(b, "%s = %q at %d:%d\n", path, x.S, x.Pos.Line, x.Pos.Col)
		return
	case proviso.Pos:
		if strings.HasSuffix(path, ".Pos") {
			fmt.Fprintf(b, "%s = %s\n", path, x)
		}
		return
	case time.Time, time.Duration, fmt.Stringer:
		fmt.Fprintf(b, "%s = %v\n", path, x)
		return
	case map[string]any, []any:
		fmt.Fprintf(b, "%s = %s\n", path, plain(x))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			switch f := v.Type().Field(i); {
			case f.Name == "FS":
			case f.Name == "Document":
				fmt.Fprintf(b, "%s.Document = %v\n", path, v.Field(i).MethodByName("IDs").Call(nil)[0])
			default:
				describe(b, v.Field(i), strings.TrimPrefix(path+"."+f.Name, "."))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			describe(b, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Map:
		keys := v.MapKeys()
		sort.Slice(keys, func(i, j int) bool { return fmt.Sprint(keys[i]) < fmt.Sprint(keys[j]) })
		for _, k := range keys {
			describe(b, v.MapIndex(k), fmt.Sprintf("%s[%v]", path, k))
		}
	case reflect.Pointer:
		describe(b, v.Elem(), path)
	case reflect.Interface:
		fmt.Fprintf(b, "%s = %s\n", path, plain(v.Interface()))
	case reflect.Bool:
		if v.Bool() {
			fmt.Fprintf(b, "%s = true\n", path)
		}
	default:
		fmt.Fprintf(b, "%s = %#v\n", path, v.Interface())
	}
}

// plain prints decoded data with its Go types where they differ from the obvious.
func plain(v any) string {
	switch x := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for i, k := range keys {
			keys[i] = k + ": " + plain(x[k])
		}
		return "{" + strings.Join(keys, ", ") + "}"
	case []any:
		out := make([]string, len(x))
		for i, e := range x {
			out[i] = plain(e)
		}
		return "[" + strings.Join(out, ", ") + "]"
	case float64:
		return fmt.Sprintf("float64(%v)", x)
	}
	return fmt.Sprintf("%#v", v)
}

// TestLoadBytes holds bad input that a text file cannot show.
func TestLoadBytes(t *testing.T) {
	manifest := "name: p\nversion: '1'\n"
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	for _, c := range []struct{ name, file, data, want string }{
		{"invalid UTF-8 in YAML", "rules.yaml", "rules:\n  - id: \xff\n", `rules.yaml:2:9: byte 0xff is not valid UTF-8; save the file as UTF-8 text [PV010]`},
		{"control character in YAML", "rules.yaml", "rules: \x00\n", `rules.yaml:1:8: control character U+0000; save the file as UTF-8 text [PV010]`},
		{"YAML of depth 10,000", "rules.yaml", "rules: " + deep, `rules.yaml:1:71: nested deeper than 64 levels; flatten the structure [PV018]`},
		{"block YAML of depth 10,000", "rules.yaml", strings.Repeat("- ", 10_000) + "x", `rules.yaml:1:129: nested deeper than 64 levels; flatten the structure [PV018]`},
		{"large YAML", "data/t.yaml", "a: " + strings.Repeat("x", 1<<20), `data/t.yaml:1:1: file has 1048579 bytes, at most 1048576 are read; split the file [PV018]`},
		{"many values", "data/t.yaml", "a: [" + strings.Repeat("1,", 200_000) + "1]", `data/t.yaml:1:`},
		{"many blank lines", "data/t.yaml", "a: |\n  x" + strings.Repeat("\n", 100_000), `data/t.yaml:2:3: more than 100 blank lines, or 1000 blanks, in a row; delete them [PV018]`},
		{"many blanks", "data/t.yaml", "a: x" + strings.Repeat(" ", 100_000), `data/t.yaml:1:4: more than 100 blank lines`},
		{"many keys", "data/t.yaml", manyKeys(6000), `data/t.yaml:5001:6: more than 5000 keys in one map; write it as JSON, or as a list [PV018]`},
		{"many empty values", "data/t.yaml", strings.Repeat("- \n", 2000), `data/t.yaml:1001:1: more than 1000 keys or list entries without a value; give them a value, or leave them out [PV018]`},
		{"invalid UTF-8 in JSON", "tools.json", "[{\"name\": \"\xff\"}]", `tools.json:1:12: byte 0xff is not valid UTF-8; send the text as UTF-8 [PV006]`},
		{"JSON of depth 10,000", "tools.json", deep, `tools.json:1:129: nested deeper than 128; flatten the value [PV004]`},
		{"JSON table of depth 10,000", "data/t.json", deep, `data/t.json:1:129: nested deeper than 128; flatten the value [PV004]`},
		{"integer beyond 64 bits in JSON", "data/t.json", "[9007199254740993, 99999999999999999999]", `data/t.json:1:20: integer 99999999999999999999 does not fit 64 bits; send it as a string [PV005]`},
		{"NaN in JSON", "data/t.json", "{\"a\": NaN}", `data/t.json:1:7: `},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, ds := Load(fstest.MapFS{"proviso.yaml": {Data: []byte(manifest)}, c.file: {Data: []byte(c.data)}}, ".")
			if p == nil || len(ds) != 1 || !strings.HasPrefix(ds[0].Error(), c.want) {
				t.Errorf("got %v, want one finding that begins with %s", ds, c.want)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%03d: %d\n", i, i)
	}
	return b.String()
}

// TestLoadDir checks that positions and file names carry the folder of the pack.
func TestLoadDir(t *testing.T) {
	fsys := fstest.MapFS{
		"packs/a/proviso.yaml": {Data: []byte("name: a\nversion: '1'\n")},
		"packs/a/rules.yaml":   {Data: []byte("rule: []\n")},
		"rules.yaml":           {Data: []byte("rules: [{id: stray}]\n")},
	}
	p, ds := Load(fsys, "packs/a/")
	if len(ds) != 1 || ds[0].Pos.String() != "packs/a/rules.yaml:1:1" {
		t.Errorf("got %v", ds)
	}
	if want := []string{"packs/a/proviso.yaml", "packs/a/rules.yaml"}; !reflect.DeepEqual(p.Files, want) {
		t.Errorf("files are %v, want %v", p.Files, want)
	}
	for _, dir := range []string{"nowhere", "../x", "/packs/a"} {
		if p, ds := Load(fsys, dir); p != nil || len(ds) != 1 || ds[0].Code != CodeFile {
			t.Errorf("%s: got %v, %v", dir, p, ds)
		}
	}
}
