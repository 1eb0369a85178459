package window

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/llm/wire"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/flow"
	"github.com/proviso-dev/proviso/policy/pack"
)

// textOf is what becomes of text under a rule that replaces four digits.
func textOf(t *testing.T) *flow.Text {
	t.Helper()
	p, found := pack.Load(fstest.MapFS{
		"proviso.yaml": {Data: []byte("name: text\nversion: \"1\"\ntools: tools.json\nrules: [rules.yaml]\n")},
		"tools.json":   {Data: []byte(`[]`)},
		"rules.yaml":   {Data: []byte("rules:\n  - {id: a, on: output, else: {redact: ['\\d{4}'], with: x}}\n")},
	}, ".")
	if p == nil {
		t.Fatal(found)
	}
	c, found := policy.Compile(p)
	if c == nil {
		t.Fatal(found)
	}
	return flow.Of(c)
}

// Events go out in their order, those with a replacement as events of ours, and what waits is read by the reader of what went out in the end.
func TestQueue(t *testing.T) {
	texts := textOf(t).Choices()
	var q Queue
	q.Reset(texts, openai.Chat.Stream())
	in := openai.Chat.Stream()
	so, out, outs := "", "", 0
	write := func(raw []byte, text int) bool {
		out, outs = out+string(raw), outs+1
		return true
	}
	pieces := []string{"", "the pin is 12", "34", " as it was", " said", " before"}
	for _, piece := range pieces {
		raw := []byte(fmt.Sprintf("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":null}]}\n\n", piece))
		ev := wire.Event{Data: raw[len("data: ") : len(raw)-2], Raw: raw}
		c, err := in.Next(ev)
		if err != nil {
			t.Fatal(err)
		}
		so += piece
		if piece != "" && !texts.Add(0, 0, piece) {
			t.Fatalf("%q waits", so)
		}
		if texts.Edited(0) {
			at := strings.Index(so, "1234")
			texts.Replace(0, []proviso.Edit{{Start: at, End: at + 4, Text: "x"}})
		}
		q.Add(ev, c)
		if more, err := q.Release(write); !more || err != nil {
			t.Fatalf("%q: more %v, %v", so, more, err)
		}
	}
	if strings.Contains(out, "12") || strings.Contains(out, "34") || !strings.Contains(out, `"the pin is x"`) || !strings.Contains(out, `" as it was"`) || q.Len() == 0 || q.Size() != len(q.Raw()) {
		t.Errorf("%d events went out and %d wait: %s", outs, q.Len(), out)
	}
	waits := q.Len()
	if more, err := q.Release(func([]byte, int) bool { return false }); !more || err != nil || q.Len() != waits {
		t.Errorf("more %v, %v, %d of %d wait", more, err, q.Len(), waits)
	}
	if err := q.Settle(); err != nil {
		t.Fatal(err)
	}
	r, err := q.Sent().Response()
	if err != nil || r.Choices[0].Text() != "the pin is x as it was said before" {
		t.Errorf("%v, %v", r, err)
	}
	q.Reset(nil, nil)
	for _, e := range q.events[:cap(q.events)] {
		if e.text != "" {
			t.Errorf("%q of an answer that is over is kept", e.text)
		}
	}
	if q.Len()+q.Size() != 0 || q.Cap() == 0 {
		t.Errorf("%d events, %d bytes, memory of %d", q.Len(), q.Size(), q.Cap())
	}
}
