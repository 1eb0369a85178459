package pack

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/proviso-dev/proviso/internal/testkit"
)

// TestSchemaAgreesWithLoad validates every pack file of testdata/load against the published schema. What loads without findings must be valid;
// what has an unknown key, or a value that is wrong by itself, must not be.
func TestSchemaAgreesWithLoad(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(SchemaJSON()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("pack.json", doc); err != nil {
		t.Fatal(err)
	}
	schemas := map[string]*jsonschema.Schema{}
	for kind, ref := range map[string]string{"manifest": "", "rules": "#/$defs/rules%20file", "tests": "#/$defs/test%20file"} {
		if schemas[kind], err = c.Compile("pack.json" + ref); err != nil {
			t.Fatal(err)
		}
	}
	kindOfFile := func(name string) string {
		switch {
		case name == ManifestFile:
			return "manifest"
		case strings.HasPrefix(name, "tests/"):
			return "tests"
		case strings.HasSuffix(name, ".yaml") && !strings.HasPrefix(name, "data/") && !strings.HasPrefix(name, "schemas"):
			return "rules"
		}
		return ""
	}
	valid, invalid := 0, 0
	testkit.Archives(t, "testdata/load/*.txtar", func(t *testing.T, a *testkit.Archive) {
		_, ds := Load(archiveFS(a), ".")
		codes := map[string]map[string]bool{}
		for _, d := range ds {
			if codes[d.Pos.File] == nil {
				codes[d.Pos.File] = map[string]bool{}
			}
			codes[d.Pos.File][d.Code] = true
		}
		for _, f := range a.Files {
			n, broken := parseYAML(f.Name, f.Data)
			schema := schemas[kindOfFile(f.Name)]
			if schema == nil || n == nil || broken != nil {
				continue
			}
			b, err := json.Marshal(n.value())
			if err != nil {
				t.Fatal(err)
			}
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			err = schema.Validate(v)
			switch found := codes[f.Name]; {
			case found == nil && err != nil:
				t.Errorf("%s loads, but the schema refuses it: %v", f.Name, err)
			case found[CodeUnknownKey] && err == nil && a.Path != "testdata/load/fact-keys.txtar": // which keys a source has depends on its fact
				t.Errorf("%s has unknown keys, but the schema accepts it", f.Name)
			case err == nil:
				valid++
			default:
				invalid++
			}
		}
	})
	if valid < 10 || invalid < 5 {
		t.Errorf("%d valid and %d invalid files are too few to show anything", valid, invalid)
	}
}
