package pack

// The stable codes of loading and lint. docs/errors.md has a section for each, and `proviso explain CODE` prints it.
// A code is never given a new meaning; one that is no longer used is not used again.
const (
	CodeSyntax      = "PV010" // a YAML or JSON file of the pack that cannot be read
	CodeYAMLFeature = "PV011" // a YAML feature that packs may not use: anchors, aliases, merge keys, tags, several documents
	CodeUnknownKey  = "PV012" // a key that the object does not have
	CodeValue       = "PV013" // a value of the wrong kind, a value outside of its list, or a required key left out
	CodeConfusable  = "PV014" // tool names, ids or keys that a person cannot tell apart
	CodeDuplicate   = "PV015" // one name given to two things
	CodeFile        = "PV016" // a file that is missing, cannot be read or lies outside of the pack's folder
	CodeReference   = "PV017" // a $ref that leads nowhere
	CodeLimit       = "PV018" // a file that is too large, too deep or has too many values
	CodeSchema      = "PV019" // a JSON Schema that is not one
	CodeLayout      = "PV020" // a file that cannot be laid out without losing something
)
