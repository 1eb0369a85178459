package starter

import (
	"fmt"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// compiled writes a pack for tools and compiles it.
func compiled(tools []byte, o Options) proviso.Diagnostics {
	list, found := pack.ReadTools("tools.json", tools)
	if found.Worst(proviso.Error) {
		return found
	}
	files, _, err := Write(list, o)
	if err != nil {
		return proviso.Diagnostics{{Msg: err.Error()}}
	}
	fsys := fstest.MapFS{"tools.json": {Data: tools}}
	for n, b := range files {
		fsys[n] = &fstest.MapFile{Data: b}
	}
	pk, found := pack.Load(fsys, ".")
	if found.Worst(proviso.Error) {
		return found
	}
	_, found = policy.Compile(pk)
	return found
}

// Whatever the tools are called and ask for, the pack that is written compiles.
func TestEveryPackCompiles(t *testing.T) {
	names := []string{"send_money", "delete-file", "get.thing", "in", "x", "share", "runCommand", "post_page", "update_password", "book", "invite", "fetch_url", "list", "true", "frob"}
	args := []string{"to", "in", "from", "file-name", "class", "amount", "id", "url", "user", "email", "path", "namespace", "password", "body", "x.y", "subject", "true", "channel", "date", "null", "$ref", "name", "as", "description"}
	texts := []string{"", "Sends it's \"text\" to: somebody # now", "The email of the user.", "ID of the record", "Deletes a file", "The URL", "Amount in euros", "The body.\n\nMore: of it", "'quoted' {braces}", "Pays.", "Reads the page.", "Updates a user"}
	pick := func(list []string) *rapid.Generator[string] { return rapid.SampledFrom(list) }
	rapid.Check(t, func(rt *rapid.T) {
		var list []any
		used := map[string]bool{}
		for range rapid.IntRange(1, 4).Draw(rt, "tools") {
			n := pick(names).Draw(rt, "tool")
			if used[pack.Skeleton(n)] {
				continue
			}
			used[pack.Skeleton(n)] = true
			props, required := map[string]any{}, []any{}
			for range rapid.IntRange(0, 4).Draw(rt, "arguments") {
				a := pick(args).Draw(rt, "argument")
				p := map[string]any{"type": pick([]string{"string", "number", "integer", "boolean", "string"}).Draw(rt, "type")}
				if d := pick(texts).Draw(rt, "text"); d != "" {
					p["description"] = d
				}
				switch rapid.IntRange(0, 7).Draw(rt, "shape") {
				case 0:
					p = map[string]any{"type": "array", "items": p}
				case 1:
					p = map[string]any{"anyOf": []any{p, map[string]any{"type": "null"}}, "default": nil}
				case 2:
					p = map[string]any{"type": "object", "properties": map[string]any{pick(args).Draw(rt, "inner"): p}}
				case 3:
					p = map[string]any{"type": "array", "items": map[string]any{"type": "object", "properties": map[string]any{"email": p}}}
				case 4:
					p["type"] = []any{p["type"], "null"}
				}
				props[a] = p
				if rapid.Bool().Draw(rt, "required") {
					required = append(required, a)
				}
			}
			list = append(list, map[string]any{"name": n, "description": pick(texts).Draw(rt, "text"), "inputSchema": map[string]any{"type": "object", "properties": props, "required": required}})
		}
		tools := proviso.CanonicalJSON(map[string]any{"tools": list})
		if found := compiled(tools, Options{Unattended: rapid.Bool().Draw(rt, "unattended")}); found.Worst(proviso.Error) {
			rt.Fatal(fmt.Sprintf("%s\n%v", tools, found))
		}
	})
}
