package gateway

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso/policy/pack"
)

// Streams with a call that the policy does not allow, torn apart and put together in ways that no vendor documents: events that are left out, come twice, at another place, under another name, with the number or
// the kind of another, with members of another. Whatever comes of it, nothing of the arguments reaches the caller.
func TestNothingOfMutantsEscapes(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.wire.Name(), func(t *testing.T) {
			var doors []*door
			for _, dir := range []string{"testdata/desk", "testdata/calls"} {
				p := loadPack(t, dir)
				doors = append(doors, newDoor(t, func(c *Config) {
					c.Load = func(context.Context) (*Rules, error) { return &Rules{Base: []*pack.Pack{p}}, nil }
				}))
			}
			whole := events(d.stream(answer{"hello, I look", []use{{"c1", "lookup", `{"id":"A"}`}, {"c2", "mail", `{"to":"LEAK@evil.org","subject":"LEAK"}`}}}))
			rapid.Check(t, func(t *rapid.T) {
				stream, door := mutate(t, whole), rapid.SampledFrom(doors).Draw(t, "door")
				door.up.say("", stream)
				_, _, body := door.post(d.wire.Path(), d.request("m", hello, nil, true))
				if strings.Contains(body, "LEAK") {
					t.Fatalf("of\n%s\nthe caller got\n%s", stream, body)
				}
			})
		})
	}
}

// sent is one server-sent event: its name and its data, which are an object unless raw is set.
type sent struct {
	name string
	doc  m
	raw  string
}

func events(stream string) (out []sent) {
	for block := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		var e sent
		for line := range strings.Lines(block) {
			if n, ok := strings.CutPrefix(line, "event: "); ok {
				e.name = strings.TrimSpace(n)
			}
			if v, ok := strings.CutPrefix(line, "data: "); ok {
				if json.Unmarshal([]byte(v), &e.doc) != nil {
					e.raw = strings.TrimSpace(v)
				}
			}
		}
		out = append(out, e)
	}
	return out
}

// mutate changes a stream in up to four ways.
func mutate(t *rapid.T, whole []sent) string {
	list := slices.Clone(whole)
	for range rapid.IntRange(1, 4).Draw(t, "changes") {
		i, j := rapid.IntRange(0, len(list)-1).Draw(t, "event"), rapid.IntRange(0, len(list)-1).Draw(t, "other")
		e := list[i]
		e.doc = maps.Clone(e.doc)
		switch kind := rapid.SampledFrom([]string{"drop", "twice", "move", "swap", "name", "no name", "kind", "member", "inner", "capitals", "number"}).Draw(t, "change"); kind {
		case "drop":
			if len(list) > 1 {
				list = slices.Delete(list, i, i+1)
			}
			continue
		case "twice":
			list = slices.Insert(list, j, e)
			continue
		case "move":
			list = slices.Insert(slices.Delete(list, i, i+1), min(j, len(list)-1), e)
			continue
		case "swap":
			list[i], list[j] = list[j], e
			continue
		case "name":
			e.name = list[j].name
		case "no name":
			e.name = ""
		case "kind":
			if v, ok := list[j].doc["type"]; ok && e.doc != nil {
				e.doc["type"] = v
			}
		case "member", "inner":
			// It gets what the other has beside its own.
			for k, v := range list[j].doc {
				if _, ok := e.doc[k]; !ok && e.doc != nil {
					e.doc[k] = v
				}
				a, ok1 := e.doc[k].(m)
				b, ok2 := v.(m)
				if kind == "inner" && ok1 && ok2 {
					both := maps.Clone(b)
					maps.Copy(both, a)
					e.doc[k] = both
				}
			}
		case "capitals":
			for k, v := range list[j].doc {
				if e.doc != nil {
					e.doc[strings.ToUpper(k[:1])+k[1:]] = v
				}
			}
		case "number":
			for _, k := range []string{"index", "output_index", "content_index"} {
				if _, ok := e.doc[k]; ok {
					e.doc[k] = rapid.IntRange(0, 4).Draw(t, "number")
				}
			}
			e.doc = renumbered(e.doc, rapid.IntRange(0, 2).Draw(t, "number"))
		}
		list[i] = e
	}
	var b strings.Builder
	for _, e := range list {
		if e.name != "" {
			b.WriteString("event: " + e.name + "\n")
		}
		if e.raw == "" {
			e.raw = js(e.doc)
		}
		b.WriteString("data: " + e.raw + "\n\n")
	}
	return b.String()
}

// renumbered gives the calls of a chunk another number.
func renumbered(doc m, n int) m {
	list, _ := doc["choices"].([]any)
	if len(list) == 0 {
		return doc
	}
	var out m
	if err := json.Unmarshal([]byte(js(doc)), &out); err != nil {
		panic(err)
	}
	delta, _ := out["choices"].([]any)[0].(m)["delta"].(m)
	if calls, ok := delta["tool_calls"].([]any); ok {
		calls[0].(m)["index"] = n
	}
	return out
}
