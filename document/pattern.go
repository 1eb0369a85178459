package document

import (
	"regexp"
	"sync"
)

// lazily compiles a pattern when it is first used: a program that reads no document does not wait for it. A pattern that does not compile panics then; the tests use all of them.
func lazily(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}
