package reward

import (
	"cmp"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/strictyaml"
)

// maxSpec is how many bytes a file of terms may have.
const maxSpec = 1 << 20

// Parse reads a Spec in YAML; what is not written is as in Default. Keys that do not exist, anchors, tags and values out of range fail. The error is proviso.Diagnostics with CodeSpec; file is for messages.
func Parse(file string, text []byte) (*Spec, error) {
	fail := func(pos proviso.Pos, msg, hint string) (*Spec, error) {
		pos.File = file
		return nil, proviso.Diagnostics{{Pos: pos, Code: CodeSpec, Msg: msg, Hint: hint}}
	}
	if len(text) > maxSpec {
		return fail(proviso.Pos{}, "the file is too large", "terms of a reward have a page")
	}
	tree, err := parser.ParseBytes(text, 0)
	if err == nil {
		err = strictyaml.Check(text)
	}
	if err == nil && (len(tree.Docs) != 1 || tree.Docs[0].Body == nil) {
		return fail(proviso.Pos{}, "there is not exactly one YAML document", "begin with proviso reward propose")
	}
	s := Default()
	if err == nil {
		err = yaml.NodeToValue(tree.Docs[0].Body, &s, yaml.Strict())
	}
	if err != nil {
		e := strictyaml.Explain(err)
		return fail(placeOf(e.Line, e.Col), e.Msg, cmp.Or(e.Hint, "see docs/rewards.md"))
	}
	if err := s.Check(); err != nil {
		found := proviso.AsDiagnostics(err, CodeSpec, proviso.Pos{})
		for i := range found {
			found[i].Pos.File = file
		}
		return nil, found
	}
	return &s, nil
}

func placeOf(line, col int) proviso.Pos { return proviso.Pos{Line: line, Col: col} }

// Write is the inverse of Parse.
func (s *Spec) Write() ([]byte, error) { return yaml.Marshal(s) }
