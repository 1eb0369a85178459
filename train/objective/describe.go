package objective

import (
	"fmt"
	"strconv"
	"strings"
)

// Describe prints a recipe as a table of its slots: formula, source, shapes, units, parameters with their defaults, in Markdown.
func (r *Recipe) Describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", r.Name)
	if r.Also != "" {
		fmt.Fprintf(&b, "Also called: %s.\n\n", r.Also)
	}
	b.WriteString(r.Doc + "\n\n")
	if needs := r.Needs(); len(needs) > 0 {
		names := make([]string, len(needs))
		for i, n := range needs {
			names[i] = string(n)
		}
		fmt.Fprintf(&b, "Reads: %s.\n\n", strings.Join(names, ", "))
	}
	b.WriteString("| slot | choice | formula | parameters | shapes | units | source |\n|---|---|---|---|---|---|---|\n")
	for _, s := range r.Slots() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", s.Kind, s.Name, cell(s.Formula), cell(s.Params.String()), cell(s.Shapes), cell(s.Units), cell(s.Source))
	}
	return b.String()
}

// cell keeps bars from ending a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// String lists the parameters as name=value with the unit, and the default where another value is set.
func (p Params) String() string {
	out := make([]string, len(p))
	for i, x := range p {
		out[i] = x.Name + "=" + number(x.Value)
		if x.Unit != "" {
			out[i] += " " + x.Unit
		}
		if x.Value != x.Default {
			out[i] += " (default " + number(x.Default) + ")"
		}
	}
	return strings.Join(out, "; ")
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
