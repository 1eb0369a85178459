package builtin

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// literalArgument is an argument that has to be one of some words; where it is written out, a wrong one is an error of the condition and not of a decision.
type literalArgument struct {
	at    int // place of the argument
	check func(words []string) error
}

func ofKinds(d *detectors) literalArgument {
	return literalArgument{1, func(kinds []string) error { _, err := d.only(kinds); return err }}
}

// literalArguments are such arguments by function.
var literalArguments = map[string]literalArgument{
	PIIHas.Name:    ofKinds(piiDetectors),
	PIIValues.Name: ofKinds(piiDetectors),
	SecretHas.Name: ofKinds(secretDetectors),
	TextLength.Name: {1, func(units []string) error {
		_, err := length("", units[0])
		return err
	}},
}

// literals checks them after the types.
type literals struct{}

// Name returns the name by which the environment knows the check.
func (literals) Name() string { return "proviso.literals" }

// Validate reports every literal argument that is none of the words that its function knows.
func (literals) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, found *cel.Issues) {
	for name, arg := range literalArguments {
		for _, call := range ast.MatchDescendants(ast.NavigateAST(a), ast.FunctionMatcher(name)) {
			args := call.AsCall().Args()
			if len(args) <= arg.at {
				continue
			}
			words := writtenOut(args[arg.at])
			if len(words) == 0 {
				continue
			}
			if err := arg.check(words); err != nil {
				found.ReportErrorAtID(args[arg.at].ID(), "%s: %s", name, err.Error())
			}
		}
	}
}

// writtenOut returns the texts of a literal, or of a list of nothing but literals.
func writtenOut(e ast.Expr) []string {
	switch e.Kind() {
	case ast.LiteralKind:
		if s, ok := e.AsLiteral().(types.String); ok {
			return []string{string(s)}
		}
	case ast.ListKind:
		var out []string
		for _, m := range e.AsList().Elements() {
			words := writtenOut(m)
			if m.Kind() != ast.LiteralKind || len(words) == 0 {
				return nil
			}
			out = append(out, words...)
		}
		return out
	}
	return nil
}
