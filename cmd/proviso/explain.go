package main

import (
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit/coverage"
	"github.com/proviso-dev/proviso/docs"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// explainCmd is `proviso explain`.
type explainCmd struct {
	packFlag
	Code    string `arg:"" optional:"" help:"A code such as PV012, or the id of a clause."`
	Clauses bool   `help:"List the clauses of the pack with the rules that cite them."`
}

// Help is the long help of the command.
func (explainCmd) Help() string {
	return `With a code, prints what it means and how to mend what it stands for. With the id of a clause, prints the clause and the rules that cite it. With --clauses, lists all clauses of the pack.`
}

var codeName = lazyregexp.New(`(?i)^pv[0-9]{3}$`)

// Run explains.
func (c *explainCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	if codeName.MatchString(c.Code) && !c.Clauses {
		return a.explainCode(strings.ToUpper(c.Code))
	}
	if c.Code == "" && !c.Clauses {
		return &problem{exit: exitInput, code: codeUsage, msg: "nothing to explain", hint: "name a code such as PV012 or a clause, or give --clauses"}
	}
	o, err := a.compiled(c.Pack)
	if err != nil {
		return err
	}
	var all []coverage.Clause
	for i := range o.packs {
		all = append(all, o.clauses(i)...)
	}
	if c.Code != "" {
		var ids []string
		var one []coverage.Clause
		for _, cl := range all {
			ids = append(ids, cl.ID)
			if cl.ID == c.Code {
				one = append(one, cl)
			}
		}
		if one == nil {
			return &problem{exit: exitInput, code: codeUnknown, msg: fmt.Sprintf("no clause has the id %q", c.Code), hint: orElse(proviso.DidYouMean(c.Code, ids), "proviso explain --clauses lists them")}
		}
		all = one
	}
	if a.output == "json" {
		return a.printJSON(all)
	}
	var b strings.Builder
	uncited := 0
	for _, cl := range all {
		fmt.Fprintf(&b, "%s%s  %s\n", strings.Repeat("  ", cl.Depth), a.style.paint(printable(cl.ID), bold, cyan), a.style.paint(fmt.Sprintf("%s:%d", cl.Span.File, cl.Span.Line), faint))
		indent := strings.Repeat("  ", cl.Depth+1)
		b.WriteString(a.style.indented(indent, cl.Text))
		switch {
		case len(cl.Rules) > 0 && cl.By != "":
			b.WriteString(a.style.indented(indent, "implemented with "+cl.By))
		case len(cl.Rules) > 0:
			b.WriteString(a.style.indented(indent+"rules: ", strings.Join(cl.Rules, ", ")))
		case cl.Reason != "":
			b.WriteString(a.style.indented(indent+"unenforceable: ", cl.Reason))
		default:
			uncited++
			b.WriteString(a.style.indented(indent, "no rule implements it", magenta))
		}
		if len(cl.Questions) > 0 {
			b.WriteString(a.style.indented(indent+"asked: ", strings.Join(cl.Questions, ", ")))
		}
	}
	if c.Clauses {
		fmt.Fprintf(&b, "\n%d clauses, %d of them implemented by no rule\n", len(all), uncited)
	}
	if _, err := fmt.Fprint(a.stdout, b.String()); err != nil {
		return unwritable("standard output", err)
	}
	return nil
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// clauses lists the clauses of one pack's document in the order of the text, with the file named as the person would.
func (o *opened) clauses(pack int) []coverage.Clause {
	out := coverage.Clauses(o.policy, o.packs[pack])
	for i := range out {
		out[i].Span.File = shown(o.roots[pack], out[i].Span.File)
	}
	return out
}

// explainCode prints a section of docs/errors.md.
func (a *app) explainCode(code string) error {
	text, ok := docs.Section(code)
	if !ok {
		return &problem{exit: exitInput, code: codeUnknown, msg: "no code " + code, hint: orElse(proviso.DidYouMean(code, docs.Codes()), "docs/errors.md lists all codes")}
	}
	if a.output == "json" {
		return a.printJSON(map[string]string{"code": code, "markdown": text})
	}
	var b strings.Builder
	a.style.markdown(&b, text)
	if _, err := fmt.Fprint(a.stdout, b.String()); err != nil {
		return unwritable("standard output", err)
	}
	return nil
}

// markdown shows a section: the heading bold, paragraphs wrapped, code as it stands.
func (s style) markdown(b *strings.Builder, text string) {
	var para []string
	flush := func() {
		if len(para) > 0 {
			b.WriteString(s.indented("", strings.Join(para, " ")))
			para = nil
		}
	}
	code := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			flush()
			code = !code
		case code:
			fmt.Fprintf(b, "    %s\n", s.paint(line, cyan))
		case strings.HasPrefix(line, "#"):
			flush()
			b.WriteString(s.paint(strings.TrimLeft(line, "# "), bold) + "\n")
		case strings.TrimSpace(line) == "":
			flush()
			b.WriteByte('\n')
		case strings.HasPrefix(line, "- "), strings.HasPrefix(line, "* "):
			flush()
			b.WriteString(s.indented("- ", line[2:]))
		default:
			para = append(para, line)
		}
	}
	flush()
}
