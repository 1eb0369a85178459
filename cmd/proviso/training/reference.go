package training

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso/train"
	"github.com/proviso-dev/proviso/train/objective"
)

// Compare is `proviso train compare`.
type Compare struct {
	A string `arg:"" help:"Folder of a run."`
	B string `arg:"" help:"Folder of another."`
}

// Run compares.
func (c Compare) Run(e *Env) error {
	if err := e.formats("pretty", "json"); err != nil {
		return err
	}
	r, err := train.Compare(c.A, c.B)
	if err != nil {
		return err
	}
	if e.Format == "json" {
		return e.Print(r)
	}
	var b bytes.Buffer
	switch {
	case r.Same == r.Steps[0] && r.Same == r.Steps[1]:
		fmt.Fprintf(&b, "the same in all %d steps\n", r.Same)
	default:
		fmt.Fprintf(&b, "%d and %d steps; the first %d are the same\n", r.Steps[0], r.Steps[1], r.Same)
	}
	for _, s := range r.Stages {
		fmt.Fprintf(&b, "%s%s\n", e.Bold(s.Stage), "  (means over the last tenth of its steps)")
		for _, v := range s.Values {
			fmt.Fprintf(&b, "  %-18s %12.5g %12.5g %+12.5g\n", v.Name, v.A, v.B, v.B-v.A)
		}
	}
	return e.write(b.Bytes())
}

// Recipes is `proviso train recipes`.
type Recipes struct {
	Name string `arg:"" optional:"" help:"A recipe; left out: all of them."`
}

// Run prints the reference of objectives.
func (c Recipes) Run(e *Env) error {
	chosen := objective.All
	if c.Name != "" {
		r, err := objective.ByName(c.Name)
		if err != nil {
			return diagnose(codeName, err.Error(), "see proviso train recipes")
		}
		chosen = []*objective.Recipe{r}
	}
	var b bytes.Buffer
	switch e.Format {
	case "markdown":
		for _, r := range chosen {
			b.WriteString(r.Describe() + "\n")
		}
	case "json":
		var all []map[string]any
		for _, r := range chosen {
			all = append(all, map[string]any{"name": r.Name, "also": r.Also, "doc": r.Doc, "reads": r.Needs(), "slots": r.Slots()})
		}
		return e.Print(all)
	case "pretty":
		for _, r := range chosen {
			if c.Name == "" {
				b.WriteString(e.Hang(fmt.Sprintf("%-20s ", r.Name), also(r)+firstSentence(r.Doc), 21))
				continue
			}
			e.recipe(&b, r)
		}
	default:
		return diagnose(codeFormat, "this command has no output format "+e.Format, "use -o pretty, markdown or json")
	}
	return e.write(b.Bytes())
}

func also(r *objective.Recipe) string {
	if r.Also == "" {
		return ""
	}
	return "[" + r.Also + "] "
}

func firstSentence(s string) string {
	first, _, _ := strings.Cut(s, ". ")
	return strings.TrimSuffix(first, ".") + "."
}

// recipe prints one recipe as a list of its slots.
func (e *Env) recipe(b *bytes.Buffer, r *objective.Recipe) {
	b.WriteString(e.Bold(r.Name) + "\n")
	if r.Also != "" {
		b.WriteString(e.Hang("  also called ", r.Also, 4))
	}
	b.WriteString(e.Hang("  ", r.Doc, 2))
	if needs := r.Needs(); len(needs) > 0 {
		names := make([]string, len(needs))
		for i, n := range needs {
			names[i] = string(n)
		}
		b.WriteString(e.Hang("  reads ", strings.Join(names, ", "), 4))
	}
	const margin = 20
	for _, x := range r.Slots() {
		fmt.Fprintf(b, "\n%-10s %s\n", x.Kind, e.Bold(x.Name))
		for _, f := range []struct{ name, text string }{{"formula", x.Formula}, {"shapes", x.Shapes}, {"units", x.Units}, {"set", x.Params.String()}, {"source", x.Source}} {
			if f.text != "" {
				b.WriteString(e.Hang(fmt.Sprintf("           %-8s ", f.name), f.text, margin))
			}
		}
	}
}
