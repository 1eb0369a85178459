package form

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"sync"
)

//go:embed page.html
var pageText string

// Page is a set of HTML templates over the shared ones: "head" (of data with a Title, up to the body), "script" (the filter and the end of the document), "foot" (the end alone) and "bar" (of a Bar). A page may define "style", which the head holds behind the shared one.
type Page struct {
	text string
	once sync.Once
	set  *template.Template
}

// NewPage is a page of templates that use the shared ones. They are parsed when the page is first written, so that a program which writes none does not wait for them.
func NewPage(text string) *Page { return &Page{text: text} }

// parse panics where the templates are wrong, since they are part of the program.
func (p *Page) parse() {
	p.set = template.Must(template.Must(template.New("").Parse(pageText)).Parse(p.text))
}

// Write executes the template of that name. Where the page cannot be made nothing is written.
func (p *Page) Write(w io.Writer, name string, data any) error {
	p.once.Do(p.parse)
	var b bytes.Buffer
	if err := p.set.ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Tile is a number with its name, in the colour of a class.
type Tile struct {
	Name, Class string
	Count       int
}

// Bar is a drawing of how many there are of each class. Label says it in words.
type Bar struct {
	Label string
	Parts []BarPart
}

// BarPart is a piece of a bar, in percent of its width.
type BarPart struct {
	Class    string
	X, Width float64
}

// NewBar draws counts in their order; those of 0 are left out. Name and Class are the same here, as in a Tile.
func NewBar(counts ...Tile) Bar {
	all := 0
	for _, c := range counts {
		all += c.Count
	}
	var b Bar
	var label []string
	x := 0.0
	for _, c := range counts {
		if c.Count == 0 {
			continue
		}
		width := 100 * float64(c.Count) / float64(all)
		b.Parts = append(b.Parts, BarPart{c.Class, x, width})
		x += width
		label = append(label, fmt.Sprintf("%d %s", c.Count, c.Name))
	}
	b.Label = strings.Join(label, ", ")
	return b
}
