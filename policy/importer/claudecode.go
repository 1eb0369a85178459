package importer

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// ClaudeCode reads the permission settings of Claude Code (settings.json, permissions documentation of November 2026): deny before ask before allow, and otherwise what the mode says.
//
// Shell patterns are held against every command that the text can run, as the shell sees it: an allowing pattern has to match all of them, a denying one a single one, behind any wrapper and path. What writes by redirection or sets variables is never
// allowed by a pattern. File patterns are held against the cleaned path; links cannot be seen. Relative patterns of allowing rules need to know where the agent works: the session's attributes cwd, project and home.
var ClaudeCode = &Format{
	Name: "claude-code",
	Doc:  "The permissions of a settings.json of Claude Code. Names of MCP tools are taken from tools.json beside it. Modes that ask nobody are imported as the default, which asks.",
	Read: readClaudeCode,
}

// claudeKind says what a specifier of a tool is.
type claudeKind uint8

const (
	claudeOther claudeKind = iota
	claudeShell
	claudeReads
	claudeEdits
	claudeFetch
	claudeAgent
)

// claudeTool is a built-in tool: what its specifiers speak of, and the argument that they are held against. Free tools need no permission.
type claudeTool struct {
	kind claudeKind
	arg  string
	free bool
}

var claudeTools = map[string]claudeTool{
	"Bash": {claudeShell, "command", false}, "Read": {claudeReads, "file_path", false}, "Glob": {claudeReads, "path", false}, "Grep": {claudeReads, "path", false}, "LS": {claudeReads, "path", false},
	"Edit": {claudeEdits, "file_path", false}, "MultiEdit": {claudeEdits, "file_path", false}, "Write": {claudeEdits, "file_path", false}, "NotebookEdit": {claudeEdits, "notebook_path", false},
	"WebFetch": {claudeFetch, "url", false}, "WebSearch": {}, "Agent": {claudeAgent, "subagent_type", false}, "Task": {claudeAgent, "subagent_type", false}, "TodoWrite": {free: true}, "Skill": {}, "ExitPlanMode": {},
}

// claudeFamily is the name under which rules speak of all tools of a kind.
var claudeFamily = map[string]claudeKind{"Bash": claudeShell, "Read": claudeReads, "Edit": claudeEdits, "Write": claudeEdits, "WebFetch": claudeFetch, "Agent": claudeAgent, "Task": claudeAgent}

type claudeReader struct {
	*sheet
	mode  string
	roots []string       // absolute folders beside the one where the agent works
	allow map[string]any // by tool, where an allowing rule matches
}

// claudeRule is an entry of a list, TOOL or TOOL(SPECIFIER).
type claudeRule struct {
	text, tool, spec string
}

var claudeEntry = lazyregexp.New(`(?s)\A([A-Za-z_*][A-Za-z0-9_.*-]*)(?:\((.*)\))?\z`)

func readClaudeCode(r *Reader, name string) map[string][]byte {
	src, ok := r.file(name)
	if !ok {
		return nil
	}
	v, err := proviso.DecodeJSON(src)
	settings, isMap := v.(map[string]any)
	if err != nil || !isMap {
		r.unreadable(name, "not settings: %v", err)
		return nil
	}
	c := &claudeReader{sheet: newSheet(r, name, "What the coding agent may do"), mode: "default", allow: map[string]any{}}
	if hooks, _ := settings["hooks"].(map[string]any); hooks["PreToolUse"] != nil || hooks["PermissionRequest"] != nil {
		r.foreign(name, "take the hooks out of the file that is imported, and leave them in the settings: they still run there", "the settings have hooks that can stop a call, and a pack does not run programs")
	}
	if !c.beside() {
		return nil
	}
	permissions, _ := settings["permissions"].(map[string]any)
	lists := map[string][]claudeRule{}
	for _, k := range slices.Sorted(maps.Keys(permissions)) {
		switch k {
		case "allow", "ask", "deny":
			lists[k] = c.list(k, permissions[k])
		case "defaultMode":
			c.mode, _ = permissions[k].(string)
		case "additionalDirectories":
			list, _ := permissions[k].([]any)
			for _, d := range list {
				if dir, _ := d.(string); path.IsAbs(dir) {
					c.roots = append(c.roots, path.Clean(dir))
				} else {
					r.narrower(name, "write it as an absolute path", "the additional directory %q is left out", dir)
				}
			}
		case "disableBypassPermissionsMode", "disableAutoMode":
		default:
			r.unreadable(name, "permissions: unknown key %q", k)
		}
	}
	for t := range claudeTools {
		c.tools[t] = true
	}
	for _, rules := range lists {
		for _, e := range rules {
			if claudeTools[e.tool] == (claudeTool{}) && strings.Count(e.tool, "__") >= 2 && !strings.Contains(e.tool, "*") {
				c.tools[e.tool] = true
			}
		}
	}
	c.session["cwd"] = map[string]any{"type": "string"}
	c.session["home"] = map[string]any{"type": "string"}
	c.session["project"] = map[string]any{"type": "string"}
	for _, e := range lists["deny"] {
		c.stop(e, "Not allowed: %s.", "", map[string]any{"message": "The settings do not allow this: " + e.text})
	}
	for _, e := range lists["ask"] {
		c.stop(e, "Only after a person has agreed: %s.", "ask ", map[string]any{"else": "escalate", "message": "The settings want a person to agree: " + e.text})
	}
	for _, e := range lists["allow"] {
		c.allows(e)
	}
	c.shell(lists["allow"])
	c.rest()
	return c.files()
}

func (c *claudeReader) list(key string, v any) (out []claudeRule) {
	list, isList := v.([]any)
	if !isList {
		c.r.unreadable(c.file, "permissions.%s is not a list", key)
	}
	for _, e := range list {
		text, _ := e.(string)
		m := claudeEntry.FindStringSubmatch(strings.TrimSpace(text))
		if m == nil {
			c.r.unreadable(c.file, "permissions.%s: %q is not TOOL or TOOL(SPECIFIER)", key, text)
			continue
		}
		if m[2] == "*" {
			m[2] = ""
		}
		out = append(out, claudeRule{text, m[1], m[2]})
	}
	return out
}

// of lists the tools that a rule speaks of, sorted. A server's name alone means all of its tools.
func (c *claudeReader) of(e claudeRule) []string {
	if kind, known := claudeFamily[e.tool]; known {
		return c.matching(func(n string) bool {
			t := claudeTools[n]
			return n == e.tool || t.kind == kind && (e.spec != "" || kind == claudeEdits && e.tool == "Edit")
		})
	}
	re := regexp.MustCompile(`\A` + strings.ReplaceAll(regexp.QuoteMeta(e.tool), `\*`, `.*`) + `\z`) // quoted, so that it is one
	return c.matching(func(n string) bool { return re.MatchString(n) || strings.HasPrefix(n, e.tool+"__") })
}

// stop writes the rules of an entry that denies or asks.
func (c *claudeReader) stop(e claudeRule, says, prefix string, rest map[string]any) {
	tools := c.of(e)
	id := c.id(prefix + e.text)
	c.clause(id, says, quoted(e.text))
	if len(tools) == 0 {
		c.r.narrower(c.file, "list the agent's MCP tools in tools.json", "%s: the pack knows no such tool; what it does not know is denied", e.text)
		return
	}
	byWhen := map[string][]string{}
	for _, t := range tools {
		when := c.most(claudeTools[t], e.spec)
		byWhen[when] = append(byWhen[when], t)
	}
	if claudeFamily[e.tool] == claudeReads && e.spec != "" { // commands read files as well
		byWhen["!has(args.command) || shell.args(args.command).exists(c, c.exists(w, w.matches("+celPattern(`(?s)\A(?:.*[/=:])?`+c.tail(e.spec, most)+`\z`)+")))"] = []string{"Bash"}
	}
	for i, when := range slices.Sorted(maps.Keys(byWhen)) {
		rule := id
		if i > 0 {
			rule = c.id(id)
		}
		test := any(when)
		if when == "true" {
			test = true
		}
		c.fires(rule, id, byWhen[when], test, rest)
	}
}

// most is where a call may be one that a specifier means.
func (c *claudeReader) most(t claudeTool, spec string) string {
	if spec == "" {
		return "true"
	}
	arg := "args." + t.arg
	switch t.kind {
	case claudeShell:
		p := claudeCommand(spec)
		return fmt.Sprintf("!has(%[1]s) || %[1]s.matches(%[2]s) || shell.args(%[1]s).exists(c, c.join(' ').matches(%[2]s))", arg, celPattern(`(?s)\A\s*(?:[^ ]*/)?(?:`+p+`)\s*\z`))
	case claudeReads, claudeEdits:
		if abs, isAbs := strings.CutPrefix(spec, "//"); isAbs {
			return fmt.Sprintf("has(%[1]s) && (!%[1]s.startsWith('/') || path.clean(%[1]s).matches(%[2]s))", arg, celPattern(`(?s)\A/`+c.glob(abs, most)+`\z`))
		}
		missing := "has(" + arg + ") && "
		if t.arg == "path" { // a search without a path goes through the whole folder
			missing = "!has(" + arg + ") || "
		}
		return missing + fmt.Sprintf("path.clean(%s).matches(%s)", arg, celPattern(`(?s)\A(?:.*/)?`+c.tail(spec, most)+`\z`))
	case claudeFetch:
		if domain, is := strings.CutPrefix(spec, "domain:"); is {
			return fmt.Sprintf("!has(%[1]s) || url.in_domain(%[1]s, %[2]s)", arg, celText(strings.ToLower(strings.TrimPrefix(domain, "*."))))
		}
	case claudeAgent:
		return fmt.Sprintf("!has(%[1]s) || %[1]s == %[2]s", arg, celText(spec))
	}
	c.r.narrower(c.file, "write the rule by hand", "the specifier %q is not known; the rule is imported for every call of its tool", spec)
	return "true"
}

// allows notes where an entry allows calls. Shell patterns are put together by shell.
func (c *claudeReader) allows(e claudeRule) {
	tools := c.of(e)
	c.clause(c.id("allow "+e.text), "Allowed: %s.", quoted(e.text))
	if len(tools) == 0 {
		c.r.narrower(c.file, "list the agent's MCP tools in tools.json", "%s: the pack knows no such tool", e.text)
	}
	for _, name := range tools {
		t := claudeTools[name]
		if t.kind == claudeShell && e.spec != "" {
			continue
		}
		if holds := c.least(e, t); holds != false {
			c.allow[name] = anyOf(c.allow[name] == true, holds, orFalse(c.allow[name]))
		}
	}
}

func orFalse(v any) any {
	if v == nil {
		return false
	}
	return v
}

// least is where a call certainly is one that an entry means.
func (c *claudeReader) least(e claudeRule, t claudeTool) any {
	if e.spec == "" {
		return true
	}
	arg := "args." + t.arg
	switch t.kind {
	case claudeReads, claudeEdits:
		if e.tool == "Write" {
			c.r.narrower(c.file, "write it as Edit(…), which speaks of all tools that edit", "%s: Claude Code does not look at specifiers of Write; nothing is allowed by it", e.text)
			return false
		}
		root, pattern := "cwd", strings.TrimPrefix(e.spec, "./")
		switch {
		case strings.HasPrefix(e.spec, "//"):
			return fmt.Sprintf("has(%[1]s) && %[1]s.startsWith('/') && path.clean(%[1]s).matches(%[2]s)", arg, celPattern(`(?s)\A/`+c.glob(e.spec[2:], least)+`\z`))
		case strings.HasPrefix(e.spec, "~/"):
			root, pattern = "home", e.spec[2:]
		case strings.HasPrefix(e.spec, "/"):
			root, pattern = "project", e.spec[1:]
		}
		return fmt.Sprintf("has(%[1]s) && has(session.%[2]s) && path.clean(session.%[2]s) != '/' && path.within(%[1]s, session.%[2]s) && path.clean(%[1]s).substring(size(path.clean(session.%[2]s))).matches(%[3]s)",
			arg, root, celPattern(`(?s)\A/`+c.glob(pattern, least)+`\z`))
	case claudeFetch:
		if domain, is := strings.CutPrefix(e.spec, "domain:"); is && !strings.Contains(domain, "*") {
			return fmt.Sprintf("has(%[1]s) && url.host(%[1]s) == %[2]s", arg, celText(strings.ToLower(domain)))
		}
	case claudeAgent:
		return fmt.Sprintf("has(%[1]s) && %[1]s == %[2]s", arg, celText(e.spec))
	}
	c.r.narrower(c.file, "write the rule by hand", "%s: the specifier is not known; nothing is allowed by it", e.text)
	return false
}

// shell puts the allowing shell patterns together: every command of a text has to match one of them. Words that the shell reads as one are quoted, so that they are not taken for several.
func (c *claudeReader) shell(rules []claudeRule) {
	var patterns []string
	for _, e := range rules {
		if e.tool == "Bash" && e.spec != "" {
			patterns = append(patterns, claudeCommand(e.spec))
		}
	}
	if len(patterns) == 0 || c.allow["Bash"] == true {
		return
	}
	words := `c.map(w, w.matches(r'\A[A-Za-z0-9_./:=@%+,^-]+\z') ? w : "'" + w + "'").join(' ')`
	c.allow["Bash"] = all("has(args.command)",
		"shell.args(args.command).all(c, "+words+".matches("+celPattern(`(?s)\A(?:`+strings.Join(patterns, "|")+`)\z`)+"))", "shell.writes(args.command) == []", "shell.assigns(args.command) == []")
}

// claudeCommand writes a shell pattern as a regular expression: * is any text, and a blank before a final * ends a word.
func claudeCommand(spec string) string {
	end := ""
	if p, cut := strings.CutSuffix(spec, ":*"); cut {
		spec, end = p, "(?: .*)?"
	} else if p, cut := strings.CutSuffix(spec, " *"); cut {
		spec, end = p, "(?: .*)?"
	}
	return strings.ReplaceAll(regexp.QuoteMeta(spec), `\*`, ".*") + end
}

// tail is a relative pattern at any depth.
func (c *claudeReader) tail(spec string, s side) string {
	for _, prefix := range []string{"~/", "./", "//", "/"} {
		if p, cut := strings.CutPrefix(spec, prefix); cut {
			spec = p
			break
		}
	}
	return c.glob(spec, s)
}

// glob writes a pattern as gitignore has them as a regular expression. Where more matches do no harm a folder means all that is below it.
func (c *claudeReader) glob(p string, s side) string {
	var b strings.Builder
	for p != "" {
		n := 1
		switch {
		case strings.HasPrefix(p, "**/"):
			n = 3
			b.WriteString("(?:.*/)?")
		case p == "**" || strings.HasPrefix(p, "**"):
			n = 2
			b.WriteString(".*")
		case p[0] == '*':
			b.WriteString("[^/]*")
		case p[0] == '?':
			b.WriteString("[^/]")
		case p[0] == '[' || p[0] == '\\' || p[0] == '!':
			c.r.foreign(c.file, "write the pattern without classes, escapes and !", "the file pattern %q", p)
			return "x"
		default:
			b.WriteString(regexp.QuoteMeta(p[:1]))
		}
		p = p[n:]
	}
	if s == most {
		return strings.TrimSuffix(b.String(), "/") + "(?:/.*)?"
	}
	return b.String()
}

// rest writes what holds where no list speaks: the mode.
func (c *claudeReader) rest() {
	otherwise, says := any("escalate"), "What nothing above allows needs a person to agree"
	switch c.mode {
	case "dontAsk":
		otherwise, says = "deny", "What nothing above allows is denied"
	case "default", "acceptEdits", "plan":
	default:
		c.r.narrower(c.file, "grant the tools by hand, if they shall pass without anybody asked", "the mode %s asks nobody; here what no rule allows is asked", c.mode)
	}
	id := c.id("otherwise")
	c.clause(id, "%s; files in the folder where the agent works may be read.", says)
	c.r.narrower(c.file, "allow them by name", "commands that Claude Code takes for reading only, such as ls, are not allowed by themselves")
	var granted []string
	for _, name := range c.names() {
		t := claudeTools[name]
		allowed := orFalse(c.allow[name])
		if t.free {
			allowed = true
		}
		if t.kind == claudeReads || t.kind == claudeEdits && c.mode == "acceptEdits" {
			allowed = anyOf(allowed, c.inside(t))
		}
		outcome := otherwise
		if c.mode == "plan" && (t.kind == claudeEdits || t.kind == claudeShell) {
			allowed, outcome = false, "deny"
		}
		if allowed == false && outcome == "deny" {
			continue
		}
		granted = append(granted, name)
		if allowed == true {
			continue
		}
		rule := map[string]any{"tools": []string{name}, "else": outcome, "message": "No entry of the settings allows this."}
		if outcome == "deny" {
			delete(rule, "else")
		}
		if allowed != false {
			rule["require"] = allowed
		}
		c.rule(c.id("otherwise "+name), id, rule)
	}
	if len(granted) > 0 {
		c.grant(granted, nil)
	}
}

// inside is where a path lies in a folder that the agent works in.
func (c *claudeReader) inside(t claudeTool) any {
	arg := "args." + t.arg
	ways := []any{"has(" + arg + ") && has(session.cwd) && path.within(" + arg + ", session.cwd)"}
	for _, root := range c.roots {
		ways = append(ways, "has("+arg+") && path.within("+arg+", "+celText(root)+")")
	}
	if t.arg == "path" {
		ways = append(ways, "!has("+arg+")")
	}
	return anyOf(ways...)
}
