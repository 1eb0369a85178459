package policy

// digest is a placeholder owned by the loader's author.
func digest(packs []*Pack) string { return "" }
