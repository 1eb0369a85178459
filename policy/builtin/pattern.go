package builtin

import (
	"fmt"
	"regexp/syntax"
)

// PatternProblem says why a pattern (RE2) cannot be used, or compiles to more than that many instructions; it is empty for one that can be used.
func PatternProblem(pattern string, instructions int) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return err.Error()
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return err.Error()
	}
	if len(prog.Inst) > instructions {
		return fmt.Sprintf("the pattern compiles to %d instructions, more than the %d that are allowed", len(prog.Inst), instructions)
	}
	return ""
}
