package condition

// The stable codes of checking a condition, explained in docs/errors.md.
const (
	CodeCEL        = "PV101" // an expression that is not CEL
	CodeUndeclared = "PV102" // a name, field or argument that does not exist
	CodeType       = "PV103" // operands or conditions of the wrong type
	CodeAbsent     = "PV104" // an optional argument or field read without has()
	CodeFactIndex  = "PV105" // a fact that is not read fully indexed
	CodeQuestion   = "PV106" // a question inside a larger expression, or one that does not exist
	CodeCost       = "PV107" // an expression whose static cost bound is too high
	CodeRegex      = "PV108" // a pattern that is not RE2, or too large
	CodeHistory    = "PV109" // a history function whose tool, filter or option is not usable
	CodeLet        = "PV110" // a let that refers to itself
	CodeConstant   = "PV111" // a literal that can never be evaluated, such as duration('1d')
	CodeTime       = "PV113" // an unknown time zone or a clock that is not a time
)
