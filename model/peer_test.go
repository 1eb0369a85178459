package model

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/model/chat"
	"github.com/proviso-dev/proviso/model/tokenizer"
)

// A checkpoint that we wrote, its tokenizer and its chat template are read by the npm package @huggingface/transformers, which then gives conversations the ids that we do.
func TestTransformersReadsOurs(t *testing.T) {
	modules := os.Getenv("PROVISO_NODE_MODULES")
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join(modules, "@huggingface", "transformers")); modules == "" || err != nil || missing != nil {
		t.Skip("skipped: needs node, and PROVISO_NODE_MODULES set to a node_modules folder with @huggingface/transformers")
	}
	tool := proviso.JSON(`{"type": "function", "function": {"name": "cancel", "description": "Cancel \"it\".", "parameters": {"type": "object", "properties": {"id": {"type": "string"}}}}}`)
	conversations := []struct {
		messages []chat.Message
		tools    []proviso.JSON
	}{
		{messages: []chat.Message{{Role: chat.User, Text: "it's größer 12345\n\n  ok 🙂 予約"}}},
		{messages: []chat.Message{{Role: chat.System, Text: "Follow the policy."}, {Role: chat.User, Text: "Cancel R1."}, {Role: chat.Assistant, Text: "Sure?"}, {Role: chat.User, Text: "yes "}}, tools: []proviso.JSON{tool}},
		{messages: []chat.Message{{Role: chat.User, Text: "Cancel."}, {Role: chat.Assistant, Calls: []chat.Call{{Name: "cancel", Args: proviso.JSON(`{"id": "R1"}`)}}}, {Role: chat.ToolRole, Text: "{\"ok\": true}"}}},
	}
	type call struct {
		Function struct {
			Name      string       `json:"name"`
			Arguments proviso.JSON `json:"arguments"`
		} `json:"function"`
	}
	type wire struct {
		Role    string `json:"role"`
		Content string `json:"content"`
		Calls   []call `json:"tool_calls,omitempty"`
	}
	var in []any
	for _, c := range conversations {
		var list []wire
		for _, m := range c.messages {
			w := wire{Role: m.Role, Content: m.Text}
			for _, x := range m.Calls {
				var y call
				y.Function.Name, y.Function.Arguments = x.Name, x.Args
				w.Calls = append(w.Calls, y)
			}
			list = append(list, w)
		}
		in = append(in, map[string]any{"messages": list, "tools": c.tools})
	}
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, p := range tokenizer.Patterns {
		text := "the reservation may be cancelled within 24 hours of booking, größer 12345"
		tok, err := tokenizer.Train(slices.Values([]string{text, text}), tokenizer.TrainOptions{Pattern: p, Size: 300, Special: control})
		if err != nil {
			t.Fatal(err)
		}
		m, err := New(tiny("qwen3"), tok, chat.ChatML, 1)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(node, "testdata/transformers.mjs", modules, saved(t, m, SaveOptions{}))
		cmd.Stdin, cmd.Stderr = bytes.NewReader(body), os.Stderr
		b, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var ids [][]int32
		if err := json.Unmarshal(b, &ids); err != nil || len(ids) != len(conversations) {
			t.Fatalf("%d answers, %v", len(ids), err)
		}
		for i, c := range conversations {
			got, err := m.Prompt(c.messages, chat.Options{Tools: c.tools, Generate: true})
			if err != nil {
				t.Fatal(err)
			}
			compared++
			if !slices.Equal(got, ids[i]) {
				t.Errorf("%s: conversation %d is\n%v, and there\n%v", p.Name, i, got, ids[i])
			}
		}
	}
	t.Logf("figure: model.transformers_same_ids = 1 (n=%d)", compared)
}
