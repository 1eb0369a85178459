package importer

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// decodeYAML reads one document into what v points to: duplicate keys, anchors, aliases, tags, control characters and a second document are errors, and so, where strict, are keys that the type does not have.
func decodeYAML(src []byte, v any, strict bool) error {
	documents := 0
	for _, t := range lexer.Tokenize(string(src)) {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType:
			return fmt.Errorf("line %d: anchors, aliases and tags are not read", t.Position.Line)
		case token.DocumentHeaderType:
			documents++
		}
	}
	if documents > 1 {
		return fmt.Errorf("want one document, this file has %d", documents)
	}
	if i := strings.IndexFunc(string(src), func(c rune) bool { return c == 0xfffd || c < ' ' && c != '\n' && c != '\r' && c != '\t' }); i >= 0 {
		return fmt.Errorf("byte %d is no character of a text", i)
	}
	options := []yaml.DecodeOption{}
	if strict {
		options = append(options, yaml.Strict())
	}
	if err := yaml.UnmarshalWithOptions(src, v, options...); err != nil {
		return fmt.Errorf("%s", strings.SplitN(yaml.FormatError(err, false, false), "\n", 2)[0])
	}
	return nil
}
