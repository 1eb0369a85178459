package main

import (
	"io"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// painter colours words on a terminal; the renderers themselves write plain text.
type painter struct {
	w     io.Writer
	paint func(text string) string
}

// painted is standard output for an audit.
func (a *app) painted() io.Writer { return a.paintedBy(a.style.auditLines) }

// paintedBy is standard output, in colour where the terminal has it.
func (a *app) paintedBy(paint func(string) string) io.Writer {
	if a.output != "pretty" || !a.style.colour {
		return a.stdout
	}
	return &painter{a.stdout, paint}
}

var statusLine = lazyregexp.New(`(?m)^(  (?:would be )?)(violated|error|unknown)(  .*)$|^(    \| )(.*)$`)

var statusLook = map[string][]string{"violated": {bold, red}, "error": {bold, magenta}, "unknown": {bold, magenta}}

// auditLines colours the status words of an audit.
func (s style) auditLines(text string) string {
	return statusLine.ReplaceAllStringFunc(text, func(line string) string {
		m := statusLine.FindStringSubmatch(line)
		if m[2] != "" {
			return m[1] + s.paint(m[2], statusLook[m[2]]...) + s.paint(m[3], bold)
		}
		return m[4] + s.paint(m[5], cyan)
	})
}

var caseLook = map[string][]string{"FAIL": {bold, red}, "BROKEN": {bold, red}, "ERROR": {bold, magenta}, "failing": {magenta}, "fixed": {bold, green}}

var caseWord = lazyregexp.New(`(?m)^(FAIL|BROKEN|ERROR|failing|fixed)  ?`)

// evalLines colours what became of the cases of a run.
func (s style) evalLines(text string) string {
	return caseWord.ReplaceAllStringFunc(text, func(word string) string {
		return s.paint(word, caseLook[strings.TrimSpace(word)]...)
	})
}

func (p *painter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.w, p.paint(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}
