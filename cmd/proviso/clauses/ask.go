// Package clauses is the commands that look things up in the document of a policy: proviso ask.
//
// Each is a struct of flags with a Run method; what it needs of the program around it is in an Env.
package clauses

import (
	"fmt"
	"io"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/document"
	"github.com/proviso-dev/proviso/retrieve"
)

// Env is what a command gets from the program around it. All fields are set.
type Env struct {
	Stdout   io.Writer
	JSON     bool
	Print    func(v any) error                                                // prints a result as JSON
	Document func(name string) (d *document.Document, file string, err error) // of a pack, or one that is named itself
	Bold     func(text string) string
	Indented func(prefix, text string) string // wraps text behind a prefix
	Found    func() error                     // ends the command with the exit code of findings
}

// Ask is `proviso ask`.
type Ask struct {
	Pack     string   `arg:"" help:"Folder of a pack, or a document: .md, .txt, .html, .docx, .pdf."`
	Question []string `arg:"" help:"The question, in words."`
	Count    int      `short:"n" help:"Show at most so many clauses." default:"3" placeholder:"N"`
}

// Help is the long help of the command.
func (Ask) Help() string {
	return `Finds the clauses that a question is about, by their words, and prints them with the sentence that holds the answer. Where no clause holds enough of what the question asks it says "not answered" and exits with 1: something near is no answer. No model is asked. -o json has the scores, and the nearest clauses also then.`
}

// citation is a clause that was found.
type citation struct {
	proviso.Clause
	Quote string  `json:"quote"` // a part of the clause's text
	Cover float64 `json:"cover"`
	Score float64 `json:"score"`
}

// reply is what ask prints as JSON.
type reply struct {
	Question string     `json:"question"`
	Answered bool       `json:"answered"`
	Clauses  []citation `json:"clauses"`
}

// Run asks.
func (c *Ask) Run(e *Env) error {
	d, file, err := e.Document(c.Pack)
	if err != nil {
		return err
	}
	question := strings.Join(c.Question, " ")
	ix := retrieve.New(retrieve.Passages(d))
	hits, ok := ix.Answer(question, max(1, c.Count))
	out := reply{Question: question, Answered: ok, Clauses: []citation{}}
	for _, h := range hits {
		cite := d.Clauses[h.Passage].Cite()
		cite.Span.File = file
		out.Clauses = append(out.Clauses, citation{cite, ix.Quote(question, h), h.Cover, h.Score})
	}
	if e.JSON {
		err = e.Print(out)
	} else if _, werr := io.WriteString(e.Stdout, out.pretty(e)); werr != nil {
		err = proviso.Diagnostic{Code: "PV907", Msg: "standard output: " + werr.Error(), Hint: "check the disk and the permissions"}
	}
	if err == nil && !ok {
		return e.Found()
	}
	return err
}

// pretty shows the clauses with the quoted sentence marked.
func (r *reply) pretty(e *Env) string {
	if !r.Answered {
		return "not answered\n"
	}
	var b strings.Builder
	for i, c := range r.Clauses {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s  %s:%d\n", e.Bold(c.ID), c.Span.File, c.Span.Line)
		before, after, _ := strings.Cut(c.Text, c.Quote)
		for _, part := range []struct{ mark, text string }{{"    ", before}, {"  » ", c.Quote}, {"    ", after}} {
			if strings.TrimSpace(part.text) != "" {
				b.WriteString(e.Indented(part.mark, part.text))
			}
		}
	}
	return b.String()
}
