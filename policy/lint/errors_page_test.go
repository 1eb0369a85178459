package lint

import (
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso/docs"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// exampleTools are the tools of the examples of docs/errors.md.
const exampleTools = `[{"name": "get_order", "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}},
 {"name": "cancel_order", "parameters": {"type": "object", "properties": {"id": {"type": "string"}, "note": {"type": "string"}, "reason": {"type": "string", "enum": ["mistake", "too late"]},
  "amount": {"type": "number", "minimum": 0, "maximum": 100}, "count": {"type": "integer"}}, "required": ["id"]}}]`

var errorsFence = regexp.MustCompile("(?ms)^```[a-z]+ (\\S+)\n(.*?)^```$")

// TestErrorsPage loads, compiles and lints every example of docs/errors.md and looks for the code of its section. Codes of packs must have an example.
func TestErrorsPage(t *testing.T) {
	codes := docs.Codes()
	for _, code := range codes {
		text, _ := docs.Section(code)
		files := fstest.MapFS{}
		for _, m := range errorsFence.FindAllStringSubmatch(text, -1) {
			files[m[1]] = &fstest.MapFile{Data: []byte(m[2])}
		}
		switch {
		case len(files) > 0:
			t.Run(code, func(t *testing.T) { checkExample(t, code, files) })
		case code < "PV300" && code != "PV007" && code != "PV008" && code != "PV020" && code != "PV023":
			t.Errorf("%s has no example", code)
		}
	}
	if len(codes) < 100 {
		t.Errorf("only %d sections were found", len(codes))
	}
}

func checkExample(t *testing.T, code string, files fstest.MapFS) {
	for name, text := range map[string]string{pack.ManifestFile: "name: example\nversion: \"1\"\n", "tools.json": exampleTools} {
		if files[name] == nil {
			files[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	p, ds := pack.Load(files, ".")
	packs := []*pack.Pack{p}
	if files["overlay/"+pack.ManifestFile] != nil {
		overlay, more := pack.Load(files, "overlay")
		packs, ds = append(packs, overlay), append(ds, more...)
	}
	if code >= "PV030" { // only what loads is compiled and linted
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		compiled, more := policy.Compile(packs...)
		ds = append(ds, more...)
		if code < "PV100" {
			if len(more) > 0 {
				t.Fatal(more)
			}
			ds = append(ds, Check(packs, compiled)...)
		}
	}
	for _, d := range ds {
		if d.Code == code {
			return
		}
	}
	t.Errorf("the example shows %v", ds)
}
