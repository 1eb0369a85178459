package pack

import (
	"bytes"
	"encoding/json"
)

// SchemaJSON returns the JSON Schema (draft 2020-12) of pack files, for editors: of proviso.yaml itself, with the rules file under $defs/rules file and the test file under $defs/test file.
// It is made of the tables that loading uses. The caller owns the bytes.
func SchemaJSON() []byte {
	d := defs{}
	rulesObject.schema(d)
	caseFileObject.schema(d)
	root := manifestObject.inline(d)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Proviso policy pack"
	root["$defs"] = map[string]any(d)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		panic(err) // the tables hold plain data only
	}
	return b.Bytes()
}
