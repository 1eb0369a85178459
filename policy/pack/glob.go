package pack

import "strings"

// Match reports whether the glob matches all of s; * matches any run of characters, and nothing else is special.
func Match(glob, s string) bool {
	parts := strings.Split(glob, "*")
	if len(parts) == 1 {
		return glob == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}

// MatchAny reports whether one of the globs matches s.
func MatchAny(globs []Text, s string) bool {
	for _, g := range globs {
		if Match(g.S, s) {
			return true
		}
	}
	return false
}
