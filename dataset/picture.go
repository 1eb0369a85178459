package dataset

import (
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// Image stands for a picture in the texts of a row, as package train reads it.
const Image = "<image>"

// reference is a picture in Markdown.
var reference = lazyregexp.New(`!\[[^\]]*\]\(([^()\s]+)\)`)

// picture replaces the references to files of the row's task and policy in what the row shows by the mark of an image, and adds the files in the order in which they are shown. References to other files stay words.
func (b *Builder) picture(r *Row) {
	find := func(name string) []byte { return nil }
	t, p := b.tasks[r.From.Task], b.Source.Policy(r.From.Policy)
	if t != nil && len(t.Images)+len(t.Crops) > 0 || p != nil && len(p.Crops) > 0 {
		find = func(name string) []byte {
			if t != nil && len(t.Images[name]) > 0 {
				return t.Images[name]
			}
			if t != nil && len(t.Crops[name]) > 0 {
				return t.Crops[name]
			}
			if p != nil {
				return p.Crops[name]
			}
			return nil
		}
	}
	mark := func(text string) string {
		if !strings.Contains(text, "](") {
			return text
		}
		var out strings.Builder
		at := 0
		for _, m := range reference.FindAllStringSubmatchIndex(text, -1) {
			file := find(text[m[2]:m[3]])
			if len(file) == 0 {
				continue
			}
			out.WriteString(text[at:m[0]])
			if s := out.String(); s != "" && !strings.HasSuffix(s, " ") && !strings.HasSuffix(s, "\n") {
				out.WriteByte(' ')
			}
			out.WriteString(Image)
			r.Images = append(r.Images, file)
			at = m[1]
			if at < len(text) && text[at] != ' ' && text[at] != '\n' {
				out.WriteByte(' ')
			}
		}
		return out.String() + text[at:]
	}
	r.Text, r.Prompt.Text = mark(r.Text), mark(r.Prompt.Text)
	r.Prompt.Turns, r.Messages = slices.Clone(r.Prompt.Turns), slices.Clone(r.Messages)
	for _, turns := range [][]Turn{r.Prompt.Turns, r.Messages} {
		for i := range turns {
			turns[i].Content = mark(turns[i].Content)
		}
	}
}
