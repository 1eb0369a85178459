package scene

import (
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/world"
)

// PictureFile is the name of the picture of a scene in Task.Images.
const PictureFile = "scene.png"

// crop is how a clause shows a value: the name of the attribute and, as a Markdown image, an object that has the value.
func (c Clause) crop(i int) (words, file string) {
	file = c.ID() + ".png"
	if i > 0 {
		file = fmt.Sprintf("%s-%d.png", c.ID(), i+1)
	}
	return fmt.Sprintf("%s ![](%s)", Attributes[attributeOf(c.Test[i])].Name, file), file
}

func (c Clause) crops() string {
	var all []string
	for i := range c.Test {
		words, _ := c.crop(i)
		all = append(all, words)
	}
	return strings.Join(all, " ")
}

// PicturedText is Text with an image of an object in the place of each value: "If there is an object of the colour ![](C1.png), go to C2".
func (p Policy) PicturedText() string {
	return p.text(func(c Clause) string {
		var all []string
		for i := range c.Test {
			words, _ := c.crop(i)
			all = append(all, "the "+words)
		}
		return "an object of " + strings.Join(all, " and ")
	})
}

// PicturedCompact is Compact with an image of an object in the place of each value: "[C1] colour ![](C1.png)".
func (p Policy) PicturedCompact() string { return p.compact(Clause.crops) }

// Crops are the images of PicturedText and PicturedCompact, PNG files of one cell. What an image shows beside the value that it stands for depends on the name of the policy and the clause.
func (p Policy) Crops() map[string][]byte {
	out := map[string][]byte{}
	for _, c := range p.Clauses {
		for i, v := range c.Test {
			_, file := c.crop(i)
			out[file] = PNG(Crop(v, hashOf(p.Name+"/"+file), Cell))
		}
	}
	return out
}

// picture shows a scene in the place of its words. Where the objects lie depends on the scene alone.
func (s Scene) picture(t *world.Task) {
	h := fnv.New64a()
	h.Write(s.canonical())
	t.Images = map[string][]byte{PictureFile: PNG(Draw(s, h.Sum64(), Cell))}
	t.Prompt[1].Text = "![](" + PictureFile + ")"
}

var markdownImage = lazyregexp.New(`!\[[^\]]*\]\(([^()\s]+)\)`)

// Marked puts a mark in the place of each Markdown image of a text, and returns the names of the images in order, as trainers take texts with images.
func Marked(text, mark string) (marked string, names []string) {
	for _, m := range markdownImage.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return markdownImage.ReplaceAllLiteralString(text, mark), names
}
