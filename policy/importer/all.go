package importer

// All lists every format, sorted by name. It must not be changed.
var All = []*Format{
	ACS,
	Cedar,
	ClaudeCode,
	Dogwood,
	Edictum,
	LiteLLM,
	Progent,
	Rego,
}
