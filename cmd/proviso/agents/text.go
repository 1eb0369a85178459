package agents

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/proviso-dev/proviso"
)

// quoted writes the words of a command for a shell.
func quoted(words []string) string {
	var out []string
	for _, w := range words {
		if w == "" || strings.ContainsFunc(w, func(r rune) bool { return !strings.ContainsRune(plain, r) }) {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,"

// indented prints JSON for a person.
func indented(e *Env, text proviso.JSON) error {
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := e.Stdout.Write(b.Bytes())
	return err
}

// sayLine talks to a person in lines of the terminal's width.
func sayLine(e *Env, prefix, text string, n int) {
	e.Say("%s", strings.TrimSuffix(e.Hang(prefix, text, n), "\n"))
}
