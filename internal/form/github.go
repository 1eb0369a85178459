package form

import (
	"fmt"
	"io"
	"strings"
)

// Annotation is a workflow command of GitHub Actions, which becomes a note at a line of a file. Level is "error", "warning" or "notice".
type Annotation struct {
	Level, Title, File string
	Line, Col          int // left out where 0
	Text               string
}

// The runner takes these characters for its own; it undoes the escapes.
var (
	annotationText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	annotationProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// Write writes the command on one line.
func (a Annotation) Write(w io.Writer) error {
	var place []string
	if a.File != "" {
		place = append(place, "file="+annotationProperty.Replace(a.File))
	}
	if a.Line > 0 {
		place = append(place, fmt.Sprintf("line=%d", a.Line))
	}
	if a.Col > 0 {
		place = append(place, fmt.Sprintf("col=%d", a.Col))
	}
	place = append(place, "title="+annotationProperty.Replace(a.Title))
	_, err := fmt.Fprintf(w, "::%s %s::%s\n", a.Level, strings.Join(place, ","), annotationText.Replace(a.Text))
	return err
}
