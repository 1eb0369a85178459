package importer

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// acsVerdict is what a policy answers. Decision is empty where the answer is none: Reason then says why.
type acsVerdict struct {
	Decision  string
	Reason    string
	Transform *acsTransform
}

type acsTransform struct {
	Path  string
	Value any
}

// normalise reads the answer of a policy as strictly as the specification wants: what is not one of the five decisions, and effects beside them, are no verdict.
func normalise(raw []byte) acsVerdict {
	none := func(format string, args ...any) acsVerdict { return acsVerdict{Reason: fmt.Sprintf(format, args...)} }
	decoded, err := proviso.DecodeJSON(raw)
	v, isObject := decoded.(map[string]any)
	if err != nil || !isObject {
		return none("its answer is not an object")
	}
	out := acsVerdict{}
	for k, x := range v {
		text, isText := x.(string)
		switch k {
		case "decision":
			out.Decision = text
		case "reason", "message":
			if !isText {
				return none("%s is not a text", k)
			}
			if k == "reason" {
				out.Reason = text
			}
		case "transform":
			m, _ := x.(map[string]any)
			at, isText := m["path"].(string)
			value, has := m["value"]
			if !isText || !has || len(m) != 2 {
				return none("transform has to have a path and a value")
			}
			out.Transform = &acsTransform{Path: at, Value: value}
		default:
			return none("%q is not a part of a verdict", k)
		}
	}
	switch out.Decision {
	case "allow", "deny", "warn", "escalate":
		if out.Transform != nil {
			return none("only the decision transform transforms")
		}
	case "transform":
		if out.Transform == nil {
			return none("the decision transform needs a transform")
		}
	default:
		return none("its decision is not one of allow, deny, warn, escalate and transform")
	}
	return out
}

// regoModule is a module that gives a constant: default NAME := VALUE, and nothing else.
type regoModule struct {
	query string // data.PACKAGE.NAME
	value []byte
}

var (
	regoComment = lazyregexp.New(`(?m)^\s*#.*$`)
	regoDefault = lazyregexp.New(`(?s)\A\s*package\s+([A-Za-z_][A-Za-z0-9_.]*)\s+(?:import\s+rego\.v1\s+)?default\s+([A-Za-z_][A-Za-z0-9_]*)\s*:?=\s*(.*?)\s*\z`)
	regoPackage = lazyregexp.New(`(?m)^\s*package\s+([A-Za-z_][A-Za-z0-9_.]*)`)
)

// modules reads the Rego modules beside the manifest. One that is not a constant is left to questions; two of one package are no constants together.
func (w *acsWriter) modules(dir string) bool {
	names, err := fs.Glob(w.r.fsys, path.Join(dir, "*.rego"))
	if err != nil {
		w.r.unreadable(w.file, "%v", err)
		return false
	}
	count, constants := map[string]int{}, map[string]regoModule{}
	for _, n := range names {
		b, ok := w.r.file(n)
		if !ok {
			return false
		}
		src := regoComment.ReplaceAllString(string(b), "")
		if p := regoPackage.FindStringSubmatch(src); p != nil {
			count[p[1]]++
		}
		if m := regoDefault.FindStringSubmatch(src); m != nil && json.Valid([]byte(m[3])) {
			constants[m[1]] = regoModule{query: "data." + m[1] + "." + m[2], value: []byte(m[3])}
		}
	}
	for p, m := range constants {
		if count[p] == 1 {
			w.rego = append(w.rego, m)
		}
	}
	return true
}

// verdict is the constant verdict of a policy; ok is false where it cannot be known before it runs. A policy that says more than its query, such as a bundle to load,
// may mean other modules than those that lie beside the manifest.
func (w *acsWriter) verdict(id string) (v acsVerdict, ok bool) {
	p := w.m.Policies[id]
	query, _ := p["query"].(string)
	if p["type"] != "rego" || len(p) != 2 {
		return v, false
	}
	for _, m := range w.rego {
		if m.query == strings.TrimSpace(query) {
			return normalise(m.value), true
		}
	}
	return v, false
}
