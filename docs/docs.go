// Package docs holds the pages of this folder for programs that show them. It is read only.
package docs

import (
	"embed"
	"regexp"
	"strings"
)

// Files has the Markdown pages, such as errors.md.
//
//go:embed *.md
var Files embed.FS

// ErrorsPage is the page that has a section for each code.
const ErrorsPage = "errors.md"

var heading = regexp.MustCompile(`^#{2,3} +(PV[0-9]{3})\b`)

// sections splits the page of codes; each section begins with its heading and ends before the next one of any depth.
func sections() (order []string, text map[string]string) {
	text = map[string]string{}
	b, err := Files.ReadFile(ErrorsPage)
	if err != nil {
		return nil, text
	}
	code, fenced := "", false
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if !fenced && strings.HasPrefix(line, "#") {
			code = ""
			if m := heading.FindStringSubmatch(line); m != nil {
				code = m[1]
				order = append(order, code)
			}
		}
		if code != "" {
			text[code] += line
		}
	}
	return order, text
}

// Codes lists the codes that have a section, in the order of the page.
func Codes() []string {
	order, _ := sections()
	return order
}

// Section returns the Markdown that explains a code; ok is false where the page has none.
func Section(code string) (markdown string, ok bool) {
	_, text := sections()
	s, ok := text[code]
	return strings.TrimSpace(s) + "\n", ok
}
