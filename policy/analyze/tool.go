package analyze

import "github.com/proviso-dev/proviso/policy"

// CompareTool is Compare for the calls of one tool.
func CompareTool(old, new *policy.Policy, tool string) Change { return compareTool(old, new, tool) }
