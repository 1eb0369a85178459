package builtin

import (
	"cel.dev/cel-go/cel"

	"github.com/proviso-dev/proviso"
)

// JSONParse reads JSON text.
var JSONParse = &Func{
	Name: "json.parse",
	Doc: `Reads a JSON text, strictly: duplicate keys, keys that differ only by case, invalid UTF-8, trailing text and numbers out of range are errors.
Integers stay exact, other numbers are doubles.
json.parse('{"to": ["a@x.org"], "n": 2}').to[0] // 'a@x.org'
json.parse('[1, 2.5, null]') // [1, 2.5, null]
json.parse('{"a": 1, "A": 2}') // error: json.parse`,
	Overloads: []Overload{{ID: "proviso_json_parse", In: text, Out: cel.DynType, Eval: eval1(parseJSON), Cost: 100}},
}

// JSONValid tells whether a text is JSON.
var JSONValid = &Func{
	Name: "json.valid",
	Doc: `Tells whether json.parse can read a text.
json.valid('{"a": 1}') // true
json.valid('{a: 1}') // false`,
	Overloads: []Overload{{ID: "proviso_json_valid", In: text, Out: cel.BoolType, Cost: 100, Eval: eval1(func(s string) (bool, error) {
		_, err := parseJSON(s)
		return err == nil, nil
	})}},
}

func parseJSON(s string) (any, error) { return proviso.DecodeJSON([]byte(s)) }
