package commandline

import (
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// ForgetEmpty unsets the variables of the environment that begin with prefix and are set to nothing, which is how a shell script switches one off.
func ForgetEmpty(prefix string) {
	for _, kv := range os.Environ() {
		if name, value, _ := strings.Cut(kv, "="); value == "" && strings.HasPrefix(name, prefix) {
			os.Unsetenv(name)
		}
	}
}

// Only makes the parser of a grammar, a struct whose fields with the tag cmd are commands, leave out every command but the one that args begin with: describing all of them to the parser would be most of the time that a short command takes.
// The name of a command is that of its field in lower case. Where args begin with nothing of the kind, or with a name of wholes, which are commands that look at all the others, nothing is left out.
func Only(grammar reflect.Type, args []string, wholes ...string) kong.Option {
	var others []string
	found := false
	for i := range grammar.NumField() {
		f := grammar.Field(i)
		if _, is := f.Tag.Lookup("cmd"); !is {
			continue
		}
		if len(args) > 0 && args[0] == strings.ToLower(f.Name) {
			found = true
			continue
		}
		others = append(others, regexp.QuoteMeta(f.Name))
	}
	for _, w := range wholes {
		found = found && args[0] != w
	}
	if !found || len(others) == 0 {
		return kong.OptionFunc(func(*kong.Kong) error { return nil })
	}
	return kong.IgnoreFields("^" + regexp.QuoteMeta(grammar.Name()) + `\.(?:` + strings.Join(others, "|") + ")$")
}
