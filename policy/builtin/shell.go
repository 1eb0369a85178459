package builtin

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"cel.dev/cel-go/cel"
	"mvdan.cc/sh/v3/syntax"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// ShellArgs lists the words of every command that a shell text can run.
var ShellArgs = &Func{
	Name: "shell.args",
	Doc: `The words of every command that a shell text can run, its name first, in the order and with the errors of shell.commands. Quotes are removed; a part that the shell would expand, such as $HOME or *, stands as written.
shell.args('rm -rf "my files" $HOME') // [['rm', '-rf', 'my files', '$HOME']]
shell.args('sudo rm x')[1] // ['rm', 'x']`,
	Overloads: []Overload{{ID: "proviso_shell_args", In: text, Out: cel.ListType(texts), Cost: shellCost, Eval: eval1(func(s string) ([][]string, error) {
		c, err := readShell(s)
		return c.args, err
	})}},
}

// ShellAssigns lists the variables that a shell text sets.
var ShellAssigns = &Func{
	Name: "shell.assigns",
	Doc: `The names of the variables that a shell text sets by assignment, export or env, in order. Errors are those of shell.commands.
shell.assigns('PATH=. LD_PRELOAD=x.so ls; export A=1') // ['PATH', 'LD_PRELOAD', 'A']
shell.assigns('ls') // []`,
	Overloads: []Overload{{ID: "proviso_shell_assigns", In: text, Out: texts, Cost: shellCost, Eval: eval1(func(s string) ([]string, error) {
		c, err := readShell(s)
		return c.assigns, err
	})}},
}

// ShellCommands lists the names of the commands that a shell text can run.
var ShellCommands = &Func{
	Name: "shell.commands",
	Doc: `The names of all commands that a shell text (bash syntax) can run, in order: in pipes, branches, functions, substitutions and here-documents, and behind wrappers such as sudo, env, xargs, timeout, find -exec, ssh, eval and sh -c. A name with a path is listed as written and again without the path, so that both lists of allowed and lists of forbidden names are safe.
An error is: a text that does not parse or is longer than 8 kB, a name that the shell would compute ($X, r?), a wrapper's option that is not known, and a shell that reads its commands from elsewhere (curl … | sh).
Not seen: code in other languages (python -c, awk), what programs run by themselves (make, git hooks), aliases, scripts on disk.
shell.commands('cd /tmp && sudo -u root /bin/rm -rf x | tee "$(whoami).log"') // ['cd', 'sudo', '/bin/rm', 'rm', 'tee', 'whoami']
shell.commands("xargs -n 1 sh -c 'dd if=a of=b'") // ['xargs', 'sh', 'dd']
shell.commands('$EDITOR x') // error: not literal
shell.commands('curl x.org | sh') // error: elsewhere`,
	Overloads: []Overload{{ID: "proviso_shell_commands", In: text, Out: texts, Cost: shellCost, Eval: eval1(func(s string) ([]string, error) {
		c, err := readShell(s)
		return c.names, err
	})}},
}

// ShellParses tells whether a text is shell syntax.
var ShellParses = &Func{
	Name: "shell.parses",
	Doc: `Tells whether a text parses as bash, without saying anything about what it would do.
shell.parses('ls | wc -l') // true
shell.parses('if true; then') // false`,
	Overloads: []Overload{{ID: "proviso_shell_parses", In: text, Out: cel.BoolType, Cost: shellCost, Eval: eval1(func(s string) (bool, error) {
		_, err := parseShell(s)
		return err == nil, nil
	})}},
}

// ShellWrites lists the files that a shell text writes by redirection.
var ShellWrites = &Func{
	Name: "shell.writes",
	Doc: `The targets of all redirections that write (>, >>, >|, <>, &>, &>>, >&file), as shell.args shows words, in order. Files that programs write by themselves (tee, cp, dd) are not seen. Errors are those of shell.commands.
shell.writes('echo x > /etc/passwd 2>&1; cat <<< y >> log') // ['/etc/passwd', 'log']
shell.writes('cat < in') // []`,
	Overloads: []Overload{{ID: "proviso_shell_writes", In: text, Out: texts, Cost: shellCost, Eval: eval1(func(s string) ([]string, error) {
		c, err := readShell(s)
		return c.writes, err
	})}},
}

const (
	// maxShell bounds a shell text in bytes, because the parser recurses once for each bracket.
	maxShell = 8 << 10
	// maxNesting bounds how deep commands can run other commands.
	maxNesting = 16
	// shellCost is what a call costs at most beside reading its text.
	shellCost = 5000
)

var errNesting = fmt.Errorf("commands run commands more than %d deep", maxNesting)

// commands collects what a shell text can do.
type commands struct {
	names, assigns, writes []string
	args                   [][]string
}

// word is an argument with its quotes removed. It is literal where the shell would not expand anything in it.
type word struct {
	text    string
	literal bool
}

// mayBeOption tells whether what the shell makes of a word could begin with a hyphen.
func (w word) mayBeOption() bool {
	return strings.HasPrefix(w.text, "-") || !w.literal && !plainStart.MatchString(w.text)
}

var plainStart = lazyregexp.New(`^[A-Za-z0-9/._~%@:=+]`)

func parseShell(src string) (*syntax.File, error) {
	if len(src) > maxShell {
		return nil, fmt.Errorf("the text has %d bytes, more than %d", len(src), maxShell)
	}
	if strings.Contains(src, "\x00") {
		return nil, errors.New("the text has a NUL")
	}
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(src), "")
	if err != nil {
		return nil, fmt.Errorf("not shell syntax: %w", err)
	}
	return f, nil
}

func readShell(src string) (*commands, error) {
	c := &commands{names: []string{}, assigns: []string{}, writes: []string{}, args: [][]string{}}
	return c, c.read(src, 0)
}

func (c *commands) read(src string, depth int) error {
	if depth > maxNesting {
		return errNesting
	}
	f, err := parseShell(src)
	if err != nil {
		return err
	}
	var failed error
	syntax.Walk(f, func(n syntax.Node) bool {
		if failed == nil {
			failed = c.node(n, src, depth)
		}
		return failed == nil
	})
	return failed
}

// writing are the redirections that write to the file that they name.
var writing = map[syntax.RedirOperator]bool{
	syntax.RdrOut: true, syntax.AppOut: true, syntax.RdrInOut: true, syntax.RdrClob: true, syntax.AppClob: true,
	syntax.RdrAll: true, syntax.RdrAllClob: true, syntax.AppAll: true, syntax.AppAllClob: true, syntax.DplOut: true,
}

// descriptor is a target of >& that names an open file rather than a path.
var descriptor = lazyregexp.New(`^[0-9]*-?$`)

func (c *commands) node(n syntax.Node, src string, depth int) error {
	switch n := n.(type) {
	case *syntax.CallExpr:
		for _, a := range n.Assigns {
			c.assigns = append(c.assigns, a.Name.Value)
		}
		words := make([]word, len(n.Args))
		for i, w := range n.Args {
			words[i] = readWord(w, src)
		}
		return c.command(words, depth)
	case *syntax.DeclClause:
		c.names = append(c.names, n.Variant.Value)
		for _, a := range n.Args {
			if a.Name != nil {
				c.assigns = append(c.assigns, a.Name.Value)
			}
		}
	case *syntax.Redirect:
		if n.Word == nil || !writing[n.Op] {
			return nil
		}
		if w := readWord(n.Word, src); n.Op != syntax.DplOut || !descriptor.MatchString(w.text) {
			c.writes = append(c.writes, w.text)
		}
	}
	return nil
}

// command records one command and what it runs in turn.
func (c *commands) command(words []word, depth int) error {
	if len(words) == 0 {
		return nil
	}
	if depth > maxNesting {
		return errNesting
	}
	line := make([]string, len(words))
	for i, w := range words {
		line[i] = w.text
	}
	c.args = append(c.args, line)
	name := words[0]
	if err := c.name(name); err != nil {
		return err
	}
	w, ok := wrappers[path.Base(name.text)]
	if !ok {
		return nil
	}
	if err := w.unwrap(c, words[1:], depth); err != nil {
		return fmt.Errorf("%s: %w", path.Base(name.text), err)
	}
	return nil
}

// name records the name of a program, with and without its path.
func (c *commands) name(w word) error {
	if !w.literal || w.text == "" {
		return fmt.Errorf("the command name %s is not literal", quote(w.text))
	}
	c.names = append(c.names, w.text)
	if strings.Contains(w.text, "/") {
		c.names = append(c.names, path.Base(w.text))
	}
	return nil
}

// readWord removes the quotes of a word. What would be expanded stays as written in src.
func readWord(w *syntax.Word, src string) word {
	r := wordReader{src: src}
	for _, p := range w.Parts {
		r.part(p)
	}
	text := r.text.String()
	pattern := r.pattern || r.bracket && text != "[" || r.brace && r.members
	return word{text, !r.computed && !pattern}
}

// wordReader puts a word together from its parts and notes what the shell would expand.
type wordReader struct {
	src      string
	text     strings.Builder
	computed bool // a substitution, or an escape that is not resolved here
	pattern  bool // * or ?
	bracket  bool // [, a pattern unless it is the command of that name
	brace    bool // {, an expansion where members are separated by , or ..
	members  bool
}

func (r *wordReader) part(p syntax.WordPart) {
	switch p := p.(type) {
	case *syntax.Lit:
		r.unquoted(p.Value)
	case *syntax.SglQuoted:
		r.text.WriteString(p.Value)
		r.computed = r.computed || p.Dollar && strings.Contains(p.Value, `\`)
	case *syntax.DblQuoted:
		r.computed = r.computed || p.Dollar
		for _, q := range p.Parts {
			if l, ok := q.(*syntax.Lit); ok {
				r.text.WriteString(quotedEscapes.Replace(l.Value))
				continue
			}
			r.part(q)
		}
	default:
		if from, to := p.Pos().Offset(), p.End().Offset(); from <= to && to <= uint(len(r.src)) {
			r.text.WriteString(r.src[from:to])
		}
		r.computed = true
	}
}

// quotedEscapes are the escapes inside double quotes; a backslash before anything else stands for itself.
var quotedEscapes = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, `$`, "\\`", "`", "\\\n", "")

// unquoted reads text outside quotes, where a backslash makes the next character stand for itself.
func (r *wordReader) unquoted(s string) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) && s[i] != '\n' {
				r.text.WriteByte(s[i])
			}
			continue
		case '*', '?':
			r.pattern = true
		case '[':
			r.bracket = true
		case '{':
			r.brace = true
		case ',':
			r.members = true
		case '.':
			r.members = r.members || strings.HasPrefix(s[i:], "..")
		}
		r.text.WriteByte(s[i])
	}
}
