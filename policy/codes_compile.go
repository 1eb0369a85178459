package policy

// The stable codes of compiling and deciding, explained in docs/errors.md.
const (
	codeCEL          = "PV101" // an expression that is not CEL
	codeUndeclared   = "PV102" // a name, field or argument that does not exist
	codeType         = "PV103" // operands or conditions of the wrong type
	codeAbsent       = "PV104" // an optional argument or field read without has()
	codeFactIndex    = "PV105" // a fact that is not read fully indexed
	codeQuestion     = "PV106" // a question inside a larger expression, or one that does not exist
	codeCost         = "PV107" // an expression whose static cost bound is too high
	codeRegex        = "PV108" // a pattern that is not RE2, or too large
	codeHistory      = "PV109" // a history function whose tool, filter or option is not usable
	codeLet          = "PV110" // a let that refers to itself
	codeConstant     = "PV111" // a literal that can never be evaluated, such as duration('1d')
	codeSource       = "PV112" // a fact's source that cannot be used
	codeTime         = "PV113" // an unknown time zone or a clock that is not a time
	codeOverride     = "PV114" // an override that lifts nothing, or a rule that it may not lift
	codeScope        = "PV115" // a scope that cannot be used
	codeConflict     = "PV116" // packs that define one name differently
	codeEffect       = "PV117" // an effect that does not fit the rule's point
	codeToolSchema   = "PV118" // a tool's, fact's or session attribute's schema that cannot be compiled
	codeClauseUnseen = "PV119" // a cited clause that the document does not have

	codeNoTool     = "PV301" // a call to a tool that the pack does not know
	codeArgJSON    = "PV302" // arguments that are not one strict JSON object
	codeEval       = "PV305" // an expression that failed while deciding
	codeRunCost    = "PV306" // an expression that exceeded its cost limit while deciding
	codeFactBroken = "PV307" // a fact whose observed value did not conform to its schema
	codeTooLarge   = "PV308" // an event larger than the policy decides on
	codeEdit       = "PV309" // edits that contradict each other or cannot be applied
	codeBody       = "PV310" // an event whose body does not belong to its point
	codeUnsupplied = "PV311" // a fact that is missing and that no granted read supplies
)
