package main

import (
	"encoding/json"
	"fmt"

	"github.com/proviso-dev/proviso/policy/pack"
)

// schemaCmd is `proviso schema`.
type schemaCmd struct {
	Kind string `arg:"" optional:"" help:"Which files: pack is proviso.yaml; rules and tests are theirs." enum:"pack,rules,tests" default:"pack"`
}

// Help is the long help of the command.
func (schemaCmd) Help() string {
	return "Prints a JSON Schema (draft 2020-12), made of the tables that loading uses. Save it and name it in the first line of a file, as proviso init does: # yaml-language-server: $schema=FILE"
}

// schemaKinds are the files that have a schema: the name of the kind, the definition under $defs (empty for the root), and which files of a pack are of it.
var schemaKinds = []struct{ name, def, files string }{
	{"pack", "", "proviso.yaml"},
	{"rules", "rules file", "rules.yaml"},
	{"tests", "test file", "tests/*.yaml"},
}

// Run prints the schema.
func (c *schemaCmd) Run(a *app) error {
	b, err := schemaOf(c.Kind)
	if err != nil {
		return err
	}
	if _, err := a.stdout.Write(b); err != nil {
		return unwritable("standard output", err)
	}
	return nil
}

// schemaOf returns the schema of one kind, complete in itself.
func schemaOf(kind string) ([]byte, error) {
	var root map[string]any
	if err := json.Unmarshal(pack.SchemaJSON(), &root); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	for _, k := range schemaKinds {
		if k.name == kind && k.def != "" {
			root = map[string]any{"$schema": root["$schema"], "$defs": root["$defs"], "$ref": "#/$defs/" + k.def}
		}
	}
	b, err := json.MarshalIndent(root, "", "  ")
	return append(b, '\n'), err
}
