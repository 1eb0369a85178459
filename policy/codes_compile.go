package policy

// The stable codes of compiling and deciding, explained in docs/errors.md.
const (
	codeSource       = "PV112" // a fact's source that cannot be used
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
