// Package completion writes scripts that complete a command line in a shell, from the model of the command line.
package completion

import (
	"fmt"
	"sort"
	"strings"

	"github.com/alecthomas/kong"
)

var scripts = map[string]func([]command) string{"bash": bash, "zsh": zsh, "fish": fish}

// Script is the script that completes a command line in a shell: "bash", "zsh" or "fish". It is empty for every other.
func Script(shell string, root *kong.Node) string {
	write := scripts[shell]
	if write == nil {
		return ""
	}
	return write(words(root))
}

// command is what can be completed behind one subcommand.
type command struct {
	name, help string
	flags      []flagWord
	values     []string // of the first argument, where they are few
}

type flagWord struct {
	long, short, help string
	values            []string
	takes             bool // a value
}

// words reads the completions out of the model of the command line.
func words(root *kong.Node) []command {
	common := flagWords(root)
	var out []command
	for _, n := range root.Children {
		if n.Hidden {
			continue
		}
		c := command{name: n.Name, help: n.Help, flags: append(flagWords(n), common...)}
		for _, p := range n.Positional {
			if p.Enum != "" {
				c.values = enumOf(p)
			}
		}
		out = append(out, c)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out
}

func flagWords(n *kong.Node) []flagWord {
	var out []flagWord
	for _, f := range n.Flags {
		if f.Hidden {
			continue
		}
		w := flagWord{long: f.Name, help: f.Help, values: enumOf(f.Value), takes: !f.IsBool()}
		if f.Short != 0 {
			w.short = string(f.Short)
		}
		out = append(out, w)
	}
	return out
}

func enumOf(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return strings.Split(v.Enum, ",")
}

func bash(cs []command) string {
	var b strings.Builder
	b.WriteString("_proviso() {\n  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd=${COMP_WORDS[1]} list=\n")
	var names []string
	b.WriteString("  case \"$cmd $prev\" in\n")
	for _, c := range cs {
		names = append(names, c.name)
		for _, f := range c.flags {
			if f.values != nil {
				pattern := fmt.Sprintf("%q", c.name+" --"+f.long)
				if f.short != "" {
					pattern += fmt.Sprintf(" | %q", c.name+" -"+f.short)
				}
				fmt.Fprintf(&b, "    %s) COMPREPLY=($(compgen -W %q -- \"$cur\")); return ;;\n", pattern, strings.Join(f.values, " "))
			}
		}
	}
	b.WriteString("  esac\n")
	fmt.Fprintf(&b, "  if [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W %q -- \"$cur\")); return; fi\n  case \"$cmd\" in\n", strings.Join(names, " "))
	for _, c := range cs {
		list := append([]string(nil), c.values...)
		for _, f := range c.flags {
			list = append(list, "--"+f.long)
		}
		fmt.Fprintf(&b, "    %s) list=%q ;;\n", c.name, strings.Join(list, " "))
	}
	b.WriteString("  esac\n  COMPREPLY=($(compgen -W \"$list\" -- \"$cur\") $(compgen -f -- \"$cur\"))\n}\ncomplete -o filenames -F _proviso proviso\n")
	return b.String()
}

func zsh(cs []command) string {
	quote := strings.NewReplacer("'", "'\\''", ":", "\\:", "[", "\\[", "]", "\\]")
	var b strings.Builder
	b.WriteString("#compdef proviso\n_proviso() {\n  local -a commands\n  commands=(\n")
	for _, c := range cs {
		fmt.Fprintf(&b, "    '%s:%s'\n", c.name, quote.Replace(c.help))
	}
	b.WriteString("  )\n  if (( CURRENT == 2 )); then _describe command commands; return; fi\n  local cmd=$words[2]\n  shift words; (( CURRENT-- ))\n  case $cmd in\n")
	for _, c := range cs {
		fmt.Fprintf(&b, "    %s) _arguments", c.name)
		for _, f := range c.flags {
			help, tail := quote.Replace(f.help), ""
			if f.takes {
				tail = ":value:_files"
			}
			if f.values != nil {
				tail = ":value:(" + strings.Join(f.values, " ") + ")"
			}
			fmt.Fprintf(&b, " '--%s[%s]%s'", f.long, help, tail)
			if f.short != "" {
				fmt.Fprintf(&b, " '-%s[%s]%s'", f.short, help, tail)
			}
		}
		if c.values != nil {
			fmt.Fprintf(&b, " '1:value:(%s)'", strings.Join(c.values, " "))
		}
		b.WriteString(" '*:file:_files' ;;\n")
	}
	b.WriteString("  esac\n}\ncompdef _proviso proviso\n")
	return b.String()
}

func fish(cs []command) string {
	quote := strings.NewReplacer("'", "\\'")
	var b strings.Builder
	for _, c := range cs {
		fmt.Fprintf(&b, "complete -c proviso -n __fish_use_subcommand -f -a %s -d '%s'\n", c.name, quote.Replace(c.help))
		on := fmt.Sprintf("-n '__fish_seen_subcommand_from %s'", c.name)
		for _, f := range c.flags {
			fmt.Fprintf(&b, "complete -c proviso %s -l %s", on, f.long)
			if f.short != "" {
				fmt.Fprintf(&b, " -s %s", f.short)
			}
			switch {
			case f.values != nil:
				fmt.Fprintf(&b, " -x -a '%s'", strings.Join(f.values, " "))
			case f.takes:
				b.WriteString(" -r")
			}
			fmt.Fprintf(&b, " -d '%s'\n", quote.Replace(f.help))
		}
		if c.values != nil {
			fmt.Fprintf(&b, "complete -c proviso %s -f -a '%s'\n", on, strings.Join(c.values, " "))
		}
	}
	return b.String()
}
