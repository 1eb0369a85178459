package agents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/mcpproxy"
)

// lookFlags are the flags of commands that look at servers without an agent.
type lookFlags struct {
	Servers
	Data    string        `help:"Folder of pins." default:".proviso" placeholder:"DIR"`
	Timeout time.Duration `help:"How long the servers may take." default:"1m"`
}

// look reads what the servers show of themselves.
func (c *lookFlags) look(e *Env) ([]mcpproxy.Surface, error) {
	servers, err := c.Servers.list(e)
	if err != nil {
		return nil, err
	}
	out, err := mcpproxy.Look(e.Context, servers, mcpproxy.Limits{Connect: c.Timeout, Call: c.Timeout})
	if err != nil {
		return nil, diagnose(mcpproxy.CodeServer, "start the server by hand to see what it says", "%s", strings.TrimSuffix(err.Error(), " ["+mcpproxy.CodeServer+"]"))
	}
	return out, nil
}

// MCPTools is `proviso mcp tools`.
type MCPTools struct {
	lookFlags
	Methods bool `help:"Also the tools that stand for resources, prompts and what servers ask of clients."`
}

// Run prints a tools.json.
func (c *MCPTools) Run(e *Env) error {
	surfaces, err := c.look(e)
	if err != nil {
		return err
	}
	text, err := mcpproxy.ToolsFile(surfaces, c.Methods)
	if err != nil {
		return err
	}
	return indented(e, text)
}

// MCPPins is `proviso mcp pins`.
type MCPPins struct{ lookFlags }

// Run shows the differences. It ends with 1 where something is withheld.
func (c *MCPPins) Run(e *Env) error {
	surfaces, err := c.look(e)
	if err != nil {
		return err
	}
	pins := c.pins(c.Data)
	var all []mcpproxy.Drift
	withheld := 0
	for i := range surfaces {
		s := &surfaces[i]
		approved, known, err := pins.Get(e.Context, s.Server)
		if err != nil {
			return diagnose(mcpproxy.CodePin, "", "%v", err)
		}
		if !known && !e.JSON {
			fmt.Fprintf(e.Stdout, "%s: nothing of it is pinned yet\n", e.Printable(s.Server))
		}
		all = append(all, s.Differ(approved)...)
	}
	for _, d := range all {
		if d.Kind != mcpproxy.DriftGone {
			withheld++
		}
	}
	if e.JSON {
		if err := e.Print(map[string]any{"differences": drifts(all)}); err != nil {
			return err
		}
	} else {
		for _, d := range all {
			show(e, &d)
		}
		if len(all) == 0 {
			e.Say("everything is as it was approved")
		}
	}
	if withheld > 0 {
		return e.Exit(1)
	}
	return nil
}

func drifts(all []mcpproxy.Drift) []any {
	out := []any{}
	for _, d := range all {
		out = append(out, map[string]any{"server": d.Server, "name": d.Name, "kind": string(d.Kind), "was": string(d.Was), "is": string(d.Is)})
	}
	return out
}

// show shows one difference to a person, field by field.
func show(e *Env, d *mcpproxy.Drift) {
	fmt.Fprintf(e.Stdout, "%s  %s  %s\n", e.Printable(d.Server), e.Printable(d.Name), d.Kind)
	was, is := partsOf(d.Was), partsOf(d.Is)
	for _, key := range slices.Compact(slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(was)), slices.Collect(maps.Keys(is))...)))) {
		if was[key] == is[key] {
			continue
		}
		for _, side := range []struct{ mark, text string }{{"  - ", was[key]}, {"  + ", is[key]}} {
			if side.text == "" {
				continue
			}
			for i, line := range strings.Split(side.text, "\n") {
				if i == 0 && key != "" {
					line = key + ": " + line
				}
				fmt.Fprint(e.Stdout, e.Hang(side.mark, e.Printable(line), 6))
			}
		}
	}
}

// partsOf are the fields of a definition as text: a text as it is, anything else as indented JSON.
func partsOf(definition proviso.JSON) map[string]string {
	v, err := proviso.DecodeResultJSON(definition)
	if err != nil {
		return nil
	}
	fields, ok := v.(map[string]any)
	if !ok {
		fields = map[string]any{"": v}
	}
	out := map[string]string{}
	for k, f := range fields {
		if s, ok := f.(string); ok {
			out[k] = s
			continue
		}
		var b bytes.Buffer
		if err := json.Indent(&b, proviso.CanonicalJSON(f), "", "  "); err == nil {
			out[k] = b.String()
		}
	}
	return out
}

// MCPApprove is `proviso mcp approve`.
type MCPApprove struct {
	lookFlags
	By   string   `required:"" help:"Who you are." placeholder:"NAME"`
	Only []string `help:"Names of tools, or (instructions); default: everything that the servers show." placeholder:"TOOL"`
}

// Run approves.
func (c *MCPApprove) Run(e *Env) error {
	surfaces, err := c.look(e)
	if err != nil {
		return err
	}
	pins := c.pins(c.Data)
	for i := range surfaces {
		s := &surfaces[i]
		before, _, err := pins.Get(e.Context, s.Server)
		if err == nil {
			err = s.Approve(e.Context, pins, c.By, e.Now(), c.Only...)
		}
		if err != nil {
			return diagnose(mcpproxy.CodePin, "", "%v", err)
		}
		after, _, err := pins.Get(e.Context, s.Server)
		if err != nil {
			return diagnose(mcpproxy.CodePin, "", "%v", err)
		}
		n := 0
		for name, p := range after {
			if before[name].Digest != p.Digest {
				n++
			}
		}
		e.Say("%s: %d approved now, %d in all", e.Printable(s.Server), n, len(after))
	}
	return nil
}
