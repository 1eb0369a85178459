package builtin

import (
	"errors"
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// wrapper describes a program that runs another one: which of its options take a value, and where the other command begins.
// Options that it does not name are errors, because a value taken for a command, or a command for a value, would hide what runs.
type wrapper struct {
	flags  string // letters of options without a value
	valued string // letters of options with a value, in the same or the next word
	script string // letters of options whose value is a shell text
	long   string // long options without a value, separated by blanks; --name=value is accepted for every name but those in scripts
	longer string // long options whose value is the next word
	texts  string // long options whose value is a shell text
	skip   int    // operands before the command; options may follow them
	assign bool   // operands NAME=value come before the command
	alone  bool   // without a command it starts a shell
	then   then
}

// then says what the words behind options and operands are.
type then uint8

const (
	runs      then = iota // a command and its arguments, or nothing
	evaluates             // texts that are joined with blanks and run by a shell
	evaluated             // one text that is run by a shell, then words that are not
	shell                 // a shell: a file to run, or nothing, where commands come from elsewhere
	files                 // a file with commands
	searches              // find: commands stand behind -exec and its kin
	elsewhere             // what runs cannot be told from the words
)

// wrappers lists the programs that are looked through, by name.
var wrappers = map[string]wrapper{
	".":        {then: files},
	"ash":      posixShell,
	"bash":     posixShell,
	"builtin":  {},
	"busybox":  {},
	"chroot":   {skip: 1, long: "skip-chdir", alone: true},
	"command":  {flags: "pvV"},
	"dash":     posixShell,
	"doas":     {flags: "Ln", valued: "aCu"},
	"env":      {flags: "i0v-", valued: "uC", script: "S", long: "ignore-environment null debug", longer: "unset chdir", texts: "split-string", assign: true},
	"eval":     {then: evaluates},
	"exec":     {flags: "cl", valued: "a"},
	"find":     {then: searches},
	"flock":    {flags: "sexnuoF", valued: "wE", script: "c", long: "shared exclusive nonblock unlock close no-fork verbose", longer: "timeout conflict-exit-code", texts: "command", skip: 1},
	"ionice":   {flags: "t", valued: "cnpPu", long: "ignore", longer: "class classdata"},
	"ksh":      posixShell,
	"nice":     {valued: "n", longer: "adjustment"},
	"nohup":    {},
	"parallel": {then: elsewhere},
	"pkexec":   {long: "disable-internal-agent keep-cwd", longer: "user", alone: true},
	"setsid":   {flags: "cfw", long: "ctty fork wait"},
	"sh":       posixShell,
	"source":   {then: files},
	"ssh":      {flags: "46AaCfGgKkMNnqsTtVvXxYy", valued: "BbcDEeFIiJLlmOoPpQRSWw", skip: 1, then: evaluates, alone: true},
	"stdbuf":   {valued: "ioe", longer: "input output error"},
	"strace":   {flags: "cCdfFhikqrtTvVwxyzZ", valued: "abeEIoOpPsSuUX"},
	"su":       {flags: "lmpf-", valued: "gGsw", script: "c", long: "login preserve-environment", longer: "group supp-group shell whitelist-environment", texts: "command session-command", skip: 1, then: shell},
	"sudo":     {flags: "AbBEeHKklnPSvVN", valued: "aCcDghpRrTtUu", long: "askpass background bell edit non-interactive preserve-env preserve-groups set-home stdin", longer: "chdir chroot close-from group host login-class prompt role type other-user command-timeout user", assign: true},
	"time":     {flags: "apvV", valued: "fo", long: "append portability verbose quiet", longer: "format output"},
	"timeout":  {flags: "fpv", valued: "ks", long: "foreground preserve-status verbose", longer: "kill-after signal", skip: 1},
	"toybox":   {},
	"trap":     {flags: "lpP-", then: evaluated},
	"unshare":  {flags: "cfimnpruUCT", valued: "GSRw", long: "fork mount uts ipc net pid user cgroup time map-root-user map-current-user mount-proc", longer: "root wd setuid setgid", alone: true},
	"watch":    {flags: "bcdegprtwx", valued: "nqs", long: "beep color differences errexit chgexit precise no-rerun no-title no-wrap exec", longer: "interval equexit", then: evaluates},
	"xargs":    {flags: "0oprtx", valued: "adEILnPs", long: "null interactive no-run-if-empty verbose exit open-tty", longer: "arg-file delimiter max-lines max-args max-procs max-chars replace"},
	"zsh":      posixShell,
}

var posixShell = wrapper{flags: "abefhiklmnprtuvxBCEHPTlD", valued: "oO", script: "c", long: "login norc noprofile posix restricted verbose", longer: "rcfile init-file", then: shell}

var errElsewhere = errors.New("its commands come from elsewhere, such as its input")

var assignment = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*\+?=`)

// unwrap records what the words behind a wrapper's name run.
func (w wrapper) unwrap(c *commands, words []word, depth int) error {
	switch w.then {
	case searches:
		return c.searches(words, depth)
	case elsewhere:
		return errElsewhere
	}
	words, scripts, err := w.options(words)
	if err != nil {
		return err
	}
	if w.skip > 0 && len(words) > 0 {
		more, after, err := w.options(words[min(w.skip, len(words)):])
		if err != nil {
			return err
		}
		words, scripts = more, append(scripts, after...)
	}
	for _, s := range scripts {
		if err := c.script(s, depth); err != nil {
			return err
		}
	}
	for w.assign && len(words) > 0 && assignment.MatchString(words[0].text) {
		name, _, _ := strings.Cut(words[0].text, "=")
		c.assigns = append(c.assigns, strings.TrimSuffix(name, "+"))
		words = words[1:]
	}
	if len(words) == 0 && len(scripts) == 0 && w.alone {
		return errElsewhere
	}
	return c.then(w.then, words, len(scripts) > 0, depth)
}

// then records what the words behind a wrapper's options and operands run; scripted tells that an option already gave the commands.
func (c *commands) then(what then, words []word, scripted bool, depth int) error {
	switch what {
	case runs:
		return c.command(words, depth+1)
	case evaluates:
		return c.evaluates(words, depth)
	case evaluated:
		if len(words) < 2 { // trap without an action lists or resets
			return nil
		}
		return c.script(words[0], depth)
	case shell, files:
		switch {
		case scripted: // the words behind a script are its arguments
			return nil
		case len(words) == 0:
			return errElsewhere
		}
		return c.name(words[0])
	}
	return nil
}

// options reads a wrapper's options; it returns the words behind them and the shell texts among their values.
func (w wrapper) options(words []word) (rest, scripts []word, err error) {
	for len(words) > 0 {
		o := words[0]
		switch {
		case !o.mayBeOption() && !(w.then == shell && strings.HasPrefix(o.text, "+")):
			return words, scripts, nil
		case !o.literal:
			return nil, nil, fmt.Errorf("the word %s is not literal, and could be an option", quote(o.text))
		case o.text == "--":
			return words[1:], scripts, nil
		}
		var script *word
		if strings.HasPrefix(o.text, "--") {
			words, script, err = w.longOption(words)
		} else {
			words, script, err = w.shortOptions(words)
		}
		if err != nil {
			return nil, nil, err
		}
		if script != nil {
			scripts = append(scripts, *script)
		}
	}
	return words, scripts, nil
}

func (w wrapper) longOption(words []word) (rest []word, script *word, err error) {
	name, value, joined := strings.Cut(words[0].text[2:], "=")
	isScript := hasField(w.texts, name)
	switch {
	case joined && isScript:
		return words[1:], &word{value, true}, nil
	case joined, hasField(w.long, name):
		return words[1:], nil, nil
	case !isScript && !hasField(w.longer, name):
		return nil, nil, fmt.Errorf("option --%s is not known", name)
	case len(words) < 2:
		return nil, nil, fmt.Errorf("option --%s has no value", name)
	case isScript:
		return words[2:], &words[1], nil
	}
	return words[2:], nil, nil
}

// shortOptions reads one word of single-letter options. A shell takes the text of -c from the next word even where other letters follow.
func (w wrapper) shortOptions(words []word) (rest []word, script *word, err error) {
	letters := words[0].text[1:]
	if letters == "" { // a lone hyphen
		letters = "-"
	}
	wantsNext := false
	for i, l := range letters {
		inline := letters[i+len(string(l)):]
		switch {
		case strings.ContainsRune(w.script, l):
			if w.then != shell && inline != "" {
				return words[1:], &word{inline, true}, nil
			}
			wantsNext = true
		case strings.ContainsRune(w.valued, l):
			if inline != "" && w.then != shell {
				return words[1:], nil, nil
			}
			if len(words) < 2 {
				return nil, nil, fmt.Errorf("option -%c has no value", l)
			}
			words = words[1:]
		case !strings.ContainsRune(w.flags, l):
			return nil, nil, fmt.Errorf("option -%c is not known", l)
		}
	}
	if !wantsNext {
		return words[1:], nil, nil
	}
	if len(words) < 2 {
		return nil, nil, errElsewhere
	}
	return words[2:], &words[1], nil
}

func hasField(list, name string) bool {
	return name != "" && strings.Contains(" "+list+" ", " "+name+" ")
}

// script reads a word as a shell text of its own.
func (c *commands) script(w word, depth int) error {
	if !w.literal {
		return fmt.Errorf("the commands in %s are not literal", quote(w.text))
	}
	return c.read(w.text, depth+1)
}

// evaluates joins words with blanks, as eval and ssh do, and reads the text.
func (c *commands) evaluates(words []word, depth int) error {
	joined := word{literal: true}
	for i, w := range words {
		if i > 0 {
			joined.text += " "
		}
		joined.text += w.text
		joined.literal = joined.literal && w.literal
	}
	return c.script(joined, depth)
}

var findRuns = map[string]bool{"-exec": true, "-execdir": true, "-ok": true, "-okdir": true}

// searches reads the commands that find runs on what it finds: from -exec and its kin to ; or +.
func (c *commands) searches(words []word, depth int) error {
	for i := 0; i < len(words); i++ {
		if !findRuns[words[i].text] {
			if !words[i].literal && words[i].mayBeOption() {
				return fmt.Errorf("the word %s is not literal, and could be -exec", quote(words[i].text))
			}
			continue
		}
		start := i + 1
		for i = start; i < len(words) && words[i].text != ";" && words[i].text != "+"; i++ {
		}
		if i == start || i == len(words) {
			return fmt.Errorf("%s has no command that ends with ; or +", words[start-1].text)
		}
		if err := c.command(words[start:i], depth+1); err != nil {
			return err
		}
	}
	return nil
}
