package train

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/strictyaml"
)

// maxSettings is how many bytes a file of settings may have.
const maxSettings = 1 << 20

// Parse reads settings. file is for messages. Keys that do not exist fail with the nearest one that does, anchors, aliases and tags are refused, and values outside of their range are named; the error is proviso.Diagnostics with CodeSettings.
func Parse(file string, text []byte) (*Settings, error) {
	if len(text) > maxSettings {
		return nil, settingsError(file, nil, fmt.Sprintf("%d bytes are too many", len(text)), "settings of a run have a page")
	}
	tree, err := parser.ParseBytes(text, 0)
	if err == nil {
		err = strictyaml.Check(text)
	}
	if err != nil {
		return nil, yamlError(file, err)
	}
	if len(tree.Docs) != 1 || tree.Docs[0].Body == nil {
		return nil, settingsError(file, nil, "there is not exactly one YAML document", "begin with name, model and stages")
	}
	body := tree.Docs[0].Body
	w := walker{file: file}
	w.keys(body, reflect.TypeFor[Settings](), "")
	if len(w.found) > 0 {
		w.found.Sort()
		return nil, w.found
	}
	var s Settings
	if err := yaml.NodeToValue(body, &s, yaml.Strict()); err != nil {
		return nil, yamlError(file, err)
	}
	s.fill()
	if err := s.check(); err != nil {
		var found proviso.Diagnostics
		for _, line := range strings.Split(err.Error(), "\n") {
			found = append(found, proviso.Diagnostic{Pos: proviso.Pos{File: file}, Code: CodeSettings, Msg: line})
		}
		return nil, found
	}
	return &s, nil
}

func settingsError(file string, n ast.Node, msg, hint string) proviso.Diagnostics {
	d := proviso.Diagnostic{Pos: proviso.Pos{File: file}, Code: CodeSettings, Msg: msg, Hint: hint}
	if n != nil {
		if t := n.GetToken(); t != nil && t.Position != nil {
			d.Pos.Line, d.Pos.Col = t.Position.Line, t.Position.Column
		}
	}
	return proviso.Diagnostics{d}
}

// yamlError keeps the place and the message of the YAML reader, without its excerpt of the file.
func yamlError(file string, err error) error {
	e := strictyaml.Explain(err)
	return proviso.Diagnostics{{Pos: proviso.Pos{File: file, Line: e.Line, Col: e.Col}, Code: CodeSettings, Msg: e.Msg, Hint: e.Hint}}
}

// walker looks at what the decoder would let pass.
type walker struct {
	file  string
	found proviso.Diagnostics
}

// keys compares the keys of a map with the fields of a type.
func (w *walker) keys(n ast.Node, t reflect.Type, at string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice:
		if list, ok := n.(*ast.SequenceNode); ok {
			for i, item := range list.Values {
				w.keys(item, t.Elem(), fmt.Sprintf("%s[%d]", at, i))
			}
		}
	case reflect.Struct:
		var pairs []*ast.MappingValueNode
		switch m := n.(type) {
		case *ast.MappingNode:
			pairs = m.Values
		case *ast.MappingValueNode:
			pairs = []*ast.MappingValueNode{m}
		default:
			return
		}
		fields := map[string]reflect.Type{}
		for i := range t.NumField() {
			fields[t.Field(i).Tag.Get("yaml")] = t.Field(i).Type
		}
		for _, p := range pairs {
			key := p.Key.GetToken().Value
			inner, known := fields[key]
			if !known {
				where := "there is no setting %q"
				if at != "" {
					where = at + " has no setting %q"
				}
				w.found = append(w.found, settingsError(w.file, p.Key, fmt.Sprintf(where, key), proviso.DidYouMean(key, slices.Sorted(maps.Keys(fields))))...)
				continue
			}
			w.keys(p.Value, inner, strings.TrimPrefix(at+"."+key, "."))
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
