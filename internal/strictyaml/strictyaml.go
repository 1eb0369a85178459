package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// Error is what is wrong with a text, and where. Line and Col count from 1 and are 0 where no place is known; Hint says what to do, where that is known.
type Error struct {
	Line, Col int
	Msg, Hint string
}

// Error is the message behind its line.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Msg
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Msg)
}

// Check refuses what Decode does not read: anchors, aliases, merge keys, tags, a second document, and characters that belong in no text. The error is an *Error.
func Check(src []byte) error {
	documents := 0
	for _, t := range lexer.Tokenize(string(src)) {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType:
			return &Error{t.Position.Line, t.Position.Column, "anchors, aliases and tags are not read here", "write the value out"}
		case token.DocumentHeaderType:
			documents++
		}
	}
	if documents > 1 {
		return &Error{Msg: fmt.Sprintf("want one document, this file has %d", documents), Hint: "put the others into files of their own"}
	}
	if i := strings.IndexFunc(string(src), func(c rune) bool { return c == 0xfffd || c < ' ' && c != '\n' && c != '\r' && c != '\t' }); i >= 0 {
		return &Error{Msg: fmt.Sprintf("byte %d is no character of a text", i), Hint: "save the file as UTF-8"}
	}
	return nil
}

// Decode reads one document that passes Check into what v points to; an empty one leaves it as it is. Keys that stand twice are errors, and so, where known, are those that the type of v does not have. The error is an *Error.
func Decode(src []byte, v any, known bool) error {
	if err := Check(src); err != nil {
		return err
	}
	var options []yaml.DecodeOption
	if known {
		options = append(options, yaml.Strict())
	}
	if err := yaml.UnmarshalWithOptions(src, v, options...); err != nil {
		return Explain(err)
	}
	return nil
}

// Explain says what an error of the YAML reader says in words for the person who wrote the file, without its excerpt of it. An *Error is returned as it is.
func Explain(err error) *Error {
	var told *Error
	if errors.As(err, &told) {
		return told
	}
	out := &Error{Msg: err.Error()}
	var e yaml.Error
	if errors.As(err, &e) {
		out.Msg = e.GetMessage()
		if t := e.GetToken(); t != nil && t.Position != nil {
			out.Line, out.Col = t.Position.Line, t.Position.Column
		}
	}
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) {
		out.Msg, out.Hint = "the value is of another type", "write "+wanted[wrong.DstType.Kind()]
	}
	out.Msg, _, _ = strings.Cut(strings.TrimSpace(out.Msg), "\n")
	return out
}

// wanted says what a value of a kind is written as.
var wanted = map[reflect.Kind]string{
	reflect.Int: "a whole number", reflect.Int64: "a whole number", reflect.Uint64: "a whole number that is not negative", reflect.Float64: "a number", reflect.Bool: "true or false", reflect.String: "a text",
	reflect.Slice: "a list", reflect.Map: "a map", reflect.Struct: "a map", reflect.Pointer: "a map",
}
