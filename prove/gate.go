package prove

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/internal/strictyaml"
)

// Gate is what a model has to show before it is released.
type Gate struct{ Requirements []Requirement }

// Requirement compares the side of a metric's interval that is worse with a bound: the lower one has to be at least so high, or the upper one at most.
type Requirement struct {
	Text   string      `json:"text"` // as it was written
	Pos    proviso.Pos `json:"pos"`
	Metric string      `json:"metric"`
	AtMost bool        `json:"at_most,omitempty"` // the upper side; otherwise the lower one
	Bound  float64     `json:"bound"`
}

// Checked is a requirement with what was measured. The zero value does not hold.
type Checked struct {
	Requirement
	Measured bool    `json:"measured"` // what was not measured does not hold
	Side     float64 `json:"side"`     // the side of the interval that was compared
	Holds    bool    `json:"holds"`
}

// Check holds a proof against the gate, requirement by requirement, in their order.
func (g *Gate) Check(p *Proof) []Checked {
	out := make([]Checked, len(g.Requirements))
	for i, r := range g.Requirements {
		c := Checked{Requirement: r}
		if m, ok := p.Metric(r.Metric); ok && m.N > 0 {
			c.Measured, c.Side = true, m.Low
			c.Holds = m.Low >= r.Bound
			if r.AtMost {
				c.Side, c.Holds = m.High, m.High <= r.Bound
			}
		}
		out[i] = c
	}
	return out
}

// Open reports whether every requirement holds.
func Open(checked []Checked) bool {
	for _, c := range checked {
		if !c.Holds {
			return false
		}
	}
	return len(checked) > 0
}

// maxGate is how many bytes a gate may have.
const maxGate = 1 << 20

// ParseGate reads a gate: YAML with the key require, a list of lines such as "accuracy.no_policy.lower >= 0.9" or "spoof.obeyed.upper <= 0.05". A metric that no section has, a side that flatters, anything but plain text, other keys and an empty list are refused, with their
// places; the error is a proviso.Diagnostic with CodeGate.
func ParseGate(file string, text []byte) (*Gate, error) {
	bad := func(n ast.Node, hint, format string, args ...any) error {
		d := proviso.Diagnostic{Pos: proviso.Pos{File: file}, Code: CodeGate, Msg: fmt.Sprintf(format, args...), Hint: hint}
		if n != nil && n.GetToken() != nil && n.GetToken().Position != nil {
			d.Pos.Line, d.Pos.Col = n.GetToken().Position.Line, n.GetToken().Position.Column
		}
		return d
	}
	const hint = "write require: with a list of lines such as accuracy.no_policy.lower >= 0.9"
	if len(text) > maxGate {
		return nil, bad(nil, hint, "%d bytes are too many", len(text))
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, bad(nil, hint, "%s", strictyaml.Explain(err).Msg)
	}
	if len(tree.Docs) != 1 || tree.Docs[0].Body == nil {
		return nil, bad(nil, hint, "there is not exactly one YAML document")
	}
	body := tree.Docs[0].Body
	key, list := entry(body)
	switch {
	case key == "":
		return nil, bad(body, hint, "a gate is one key with a list")
	case key != "require":
		return nil, bad(body, hint, "there is no key %q in a gate", key)
	case list == nil:
		return nil, bad(body, hint, "require is no list")
	case len(list.Values) == 0:
		return nil, bad(body, hint, "nothing is required; a gate that asks for nothing would always open")
	}
	g := &Gate{}
	for _, n := range list.Values {
		text, ok := n.(*ast.StringNode)
		if !ok {
			return nil, bad(n, "write one requirement as plain text on each line, without anchors or tags", "this is no requirement")
		}
		r, why, next := requirement(text.Value)
		if why != "" {
			return nil, bad(n, next, "%q: %s", text.Value, why)
		}
		r.Pos = proviso.Pos{File: file}
		if t := n.GetToken(); t != nil && t.Position != nil {
			r.Pos.Line, r.Pos.Col = t.Position.Line, t.Position.Column
		}
		g.Requirements = append(g.Requirements, r)
	}
	return g, nil
}

// entry is the only key of a map, and its list; an empty key where there is not exactly one, and no list where its value is something else.
func entry(body ast.Node) (key string, list *ast.SequenceNode) {
	var pair *ast.MappingValueNode
	switch m := body.(type) {
	case *ast.MappingValueNode:
		pair = m
	case *ast.MappingNode:
		if len(m.Values) == 1 {
			pair = m.Values[0]
		}
	}
	if pair == nil {
		return "", nil
	}
	name, ok := pair.Key.(*ast.StringNode)
	if !ok {
		return "", nil
	}
	list, _ = pair.Value.(*ast.SequenceNode)
	return name.Value, list
}

var requirementForm = lazyregexp.New(`^\s*(\S+)\.(lower|upper)\s*(>=|<=)\s*(\S+)\s*$`)

// sides are the comparisons that do not flatter.
var sides = map[string]string{"lower": ">=", "upper": "<="}

// requirement reads a line; why says what is wrong with it, and hint what to do.
func requirement(line string) (r Requirement, why, hint string) {
	m := requirementForm.FindStringSubmatch(line)
	if m == nil {
		return r, "is no requirement", "write METRIC.lower >= NUMBER or METRIC.upper <= NUMBER"
	}
	if sides[m[2]] != m[3] {
		return r, "compares the side of the interval that flatters", "use .lower with >= and .upper with <="
	}
	bound, err := strconv.ParseFloat(m[4], 64)
	if err != nil || math.IsInf(bound, 0) || math.IsNaN(bound) {
		return r, m[4] + " is no number", "write a number such as 0.9"
	}
	if !Known(m[1]) {
		return r, "no section measures " + m[1], cmp.Or(proviso.DidYouMean(m[1], names()), "docs/prove.md lists the metrics")
	}
	return Requirement{Text: strings.TrimSpace(line), Metric: m[1], AtMost: m[2] == "upper", Bound: bound}, "", ""
}

// names are the metrics that sections can have, with * for what depends on the tasks.
func names() []string {
	var out []string
	for _, s := range All {
		for _, n := range s.Metrics {
			if !strings.Contains(n, "{condition}") {
				out = append(out, n)
				continue
			}
			for _, c := range asked {
				out = append(out, strings.ReplaceAll(n, "{condition}", c.name))
			}
		}
	}
	return out
}

// Known tells whether a section can have a metric of that name.
func Known(metric string) bool {
	for _, n := range names() {
		if begin, depends := strings.CutSuffix(n, "*"); n == metric || depends && strings.HasPrefix(metric, begin) && len(metric) > len(begin) {
			return true
		}
	}
	return false
}
