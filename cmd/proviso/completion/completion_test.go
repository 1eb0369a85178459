package completion

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// Every shell's script knows commands, flags and the values of those that have few; a shell that is none has no script.
func TestScript(t *testing.T) {
	var c struct {
		Ring struct {
			Tone string `help:"The tone." enum:"low,high" default:"low" short:"t"`
		} `cmd:"" help:"Ring the bell."`
	}
	k, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		s := Script(shell, k.Model.Node)
		for _, want := range []string{"ring", "tone", "low", "high"} {
			if !strings.Contains(s, want) {
				t.Errorf("%s does not know %s:\n%s", shell, want, s)
			}
		}
	}
	if s := Script("cmd.exe", k.Model.Node); s != "" {
		t.Errorf("%q", s)
	}
}
