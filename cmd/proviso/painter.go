package main

import (
	"io"
	"regexp"
	"strings"
)

// painter colours the status words of an audit on a terminal; the renderers themselves write plain text.
type painter struct {
	w     io.Writer
	style style
}

func (a *app) painted() io.Writer {
	if a.output != "pretty" || !a.style.colour {
		return a.stdout
	}
	return &painter{a.stdout, a.style}
}

var statusLine = regexp.MustCompile(`(?m)^(  (?:would be )?)(violated|error|unknown)(  .*)$|^(    \| )(.*)$`)

var statusLook = map[string][]string{"violated": {bold, red}, "error": {bold, magenta}, "unknown": {bold, magenta}}

func (p *painter) Write(b []byte) (int, error) {
	text := statusLine.ReplaceAllStringFunc(string(b), func(line string) string {
		m := statusLine.FindStringSubmatch(line)
		if m[2] != "" {
			return m[1] + p.style.paint(m[2], statusLook[m[2]]...) + p.style.paint(m[3], bold)
		}
		return m[4] + p.style.paint(m[5], cyan)
	})
	if _, err := io.Copy(p.w, strings.NewReader(text)); err != nil {
		return 0, err
	}
	return len(b), nil
}
