package lsp

import (
	"fmt"

	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/policy/pack"
)

// execute plays a case against the pack as the editor sees it, shows how it ended, and answers {passed, failures}.
func (s *server) execute(p params) (any, *fault) {
	if p.text("command") != runTest {
		return nil, &fault{invalidParams, "no command " + p.text("command")}
	}
	arguments, _ := p["arguments"].([]any)
	if len(arguments) != 2 {
		return nil, &fault{invalidParams, runTest + " takes the file and the name of a case"}
	}
	uri, _ := arguments[0].(string)
	name, _ := arguments[1].(string)
	file, ok := pathOf(uri)
	if !ok {
		return nil, &fault{invalidParams, "no file " + uri}
	}
	a, rel := s.of(file)
	if a == nil || !a.sound {
		return nil, &fault{invalidParams, "the pack does not compile; see its findings"}
	}
	for _, c := range a.pack.Tests {
		if c.Pos.File != rel || c.Name != name {
			continue
		}
		failures := []string{}
		for _, r := range audit.Test(a.policy, []pack.Case{c}) {
			for _, d := range r.Failures {
				failures = append(failures, d.Error())
			}
		}
		message, kind := fmt.Sprintf("%s: passed", name), 3
		if len(failures) > 0 {
			message, kind = fmt.Sprintf("%s: %s", name, failures[0]), 1
		}
		s.notify("window/showMessage", map[string]any{"type": kind, "message": message})
		return map[string]any{"passed": len(failures) == 0, "failures": failures}, nil
	}
	return nil, &fault{invalidParams, fmt.Sprintf("no case %q in %s", name, rel)}
}
