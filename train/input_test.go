package train

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/internal/testkit"
)

// Settings that cannot be used: the text is in the archive with what is said about it.
func TestSettings(t *testing.T) {
	testkit.Archives(t, "testdata/settings/*.txtar", func(t *testing.T, a *testkit.Archive) {
		text, _ := a.File("run.yaml")
		got := "no complaint"
		if _, err := Parse("run.yaml", text); err != nil {
			got = err.Error()
		}
		a.Expect(t, "want", []byte(got))
	})
}

// The settings that the page shows can be used.
func TestPage(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(testkit.Root(t), "docs", "train.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "```yaml\n")
	text, _, found := strings.Cut(rest, "```")
	s, err := Parse("docs/train.md", []byte(text))
	if err != nil || !found || len(s.Stages) != 4 {
		t.Errorf("%d stages, %v", len(s.Stages), err)
	}
	// Every setting of a stage stands in its table or in the text around it.
	for f := range reflect.TypeFor[Stage]().Fields() {
		if name := f.Tag.Get("yaml"); !strings.Contains(string(b), "`"+name) && !strings.Contains(string(b), name+": ") {
			t.Errorf("the page does not tell of %s", name)
		}
	}
}

// Rows that cannot be used, and what becomes of those that can: tokens with the live ones in capitals.
func TestRows(t *testing.T) {
	testkit.Archives(t, "testdata/rows/*.txtar", func(t *testing.T, a *testkit.Archive) {
		stage, _ := a.File("stage")
		rows, _ := a.File("rows.jsonl")
		dir := folder(t, map[string]string{"rows.jsonl": strings.TrimSuffix(string(rows), "\n")})
		s := settings(t, "stages: [{name: s, data: [rows.jsonl], "+strings.TrimSpace(string(stage))+"}]\n")
		length := 24
		if n, other := a.File("context"); other {
			if _, err := fmt.Sscan(string(n), &length); err != nil {
				t.Fatal(err)
			}
		}
		m, err := load(dir, &s.Stages[0], Bytes{}, length)
		var b strings.Builder
		if err != nil {
			b.WriteString(strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "") + "\n")
		} else {
			for _, x := range m.examples {
				b.WriteString(show(x) + "\n")
			}
			for _, p := range m.pairs {
				b.WriteString(show(p[0]) + " over " + show(p[1]) + "\n")
			}
			for _, x := range m.tasks {
				fmt.Fprintf(&b, "%q informed %q\n", visible(x.Prompt), visible(x.Informed))
			}
			fmt.Fprintf(&b, "%d dropped\n", m.dropped)
		}
		a.Expect(t, "want", []byte(b.String()))
	})
}

func visible(tokens []int32) string {
	var b strings.Builder
	for _, x := range tokens {
		switch x {
		case bytesBegin:
			b.WriteString("<begin>")
		case bytesEnd:
			b.WriteString("<end>")
		default:
			b.WriteByte(byte(x))
		}
	}
	return b.String()
}

func show(x example) string {
	var b strings.Builder
	for i, token := range x.tokens {
		c := visible([]int32{token})
		if x.live == nil || x.live[i] {
			c = strings.ToUpper(c)
		}
		b.WriteString(c)
	}
	return fmt.Sprintf("%q then %q", visible(x.prompt), b.String())
}

// The event file as TensorBoard reads it: the record that each such file begins with, whose length and checksum are known, and values that come back by an own reading of the format.
func TestEventFile(t *testing.T) {
	dir := t.TempDir()
	r, err := openRecorder(dir, 0, 0, time.Unix(1000, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.write(&Metrics{Step: 300, Stage: "s", Loss: 1.5, Reward: -2}, time.Unix(1001, 500e6)); err != nil {
		t.Fatal(err)
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, eventsFile))
	if err != nil {
		t.Fatal(err)
	}
	// Every event file of version 2 begins with a record of 24 bytes; the masked checksum of that length is a37f4b22, and its data are the time and the version.
	if want := "\x18\x00\x00\x00\x00\x00\x00\x00\xa3\x7f\x4b\x22\x09"; !strings.HasPrefix(string(b), want) || !strings.Contains(string(b[:40]), "\x1a\x0dbrain.Event:2") {
		t.Errorf("the file begins with % x", b[:40])
	}
	second := b[12+24+4:]
	data := second[12 : 12+binary.LittleEndian.Uint64(second)]
	if got := math.Float64frombits(binary.LittleEndian.Uint64(data[1:])); data[0] != 0x09 || got != 1001.5 {
		t.Errorf("the time is %g", got)
	}
	if step, _ := binary.Uvarint(data[10:]); data[9] != 0x10 || step != 300 {
		t.Errorf("the step is %d", step)
	}
	for tag, value := range map[string]float32{"s/loss": 1.5, "s/reward": -2} {
		want := append([]byte(tag), 0x15) // then field 2, a float of 32 bits
		want = binary.LittleEndian.AppendUint32(want, math.Float32bits(value))
		if !bytes.Contains(data, want) {
			t.Errorf("%s is not %g in % x", tag, value, data)
		}
	}
}

func TestBytes(t *testing.T) {
	TestText(t, func(testing.TB) Text { return Bytes{} })
}

func TestRules(t *testing.T) {
	row := Row{Fields: map[string]any{"answer": "yes", "call": map[string]any{"id": int64(1)}, "n": int64(3), "pattern": "^y.s$", "bad": "("}}
	for _, c := range []struct {
		rule   Rule
		answer string
		value  float64
		ok     bool
	}{
		{Rule{Rule: "equals", Field: "answer"}, " yes\n", 1, true}, {Rule{Rule: "equals", Field: "answer"}, "yes!", 0, true}, {Rule{Rule: "equals", Field: "missing"}, "yes", 0, false}, {Rule{Rule: "equals", Field: "n"}, "3", 0, false},
		{Rule{Rule: "contains", Value: "es"}, "yes", 1, true}, {Rule{Rule: "lacks", Value: "es"}, "yes", 0, true}, {Rule{Rule: "length"}, "née", 3, true},
		{Rule{Rule: "matches", Field: "pattern"}, "yes", 1, true}, {Rule{Rule: "matches", Field: "bad"}, "yes", 0, false},
		{Rule{Rule: "json", Field: "call"}, `{"id": 1}`, 1, true}, {Rule{Rule: "json", Field: "call"}, `{"id": 1, "id": 1}`, 0, true}, {Rule{Rule: "json", Value: `{"a":[1]}`}, `{"a":[1]}`, 1, true}, {Rule{Rule: "json", Value: `{`}, `{}`, 0, false},
	} {
		got, err := byRules{c.rule}.Judge(context.Background(), row, c.answer)
		if err != nil || got[0].Value != c.value || got[0].OK != c.ok || got[0].Name != c.rule.Rule {
			t.Errorf("%+v on %q: %+v, %v", c.rule, c.answer, got, err)
		}
	}
}

func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		o    Optimizer
		step int
		want float64
	}{
		{Optimizer{Rate: 1, Warmup: 4}, 0, .25}, {Optimizer{Rate: 1, Warmup: 4}, 3, 1}, {Optimizer{Rate: 1, Warmup: 4}, 99, 1},
		{Optimizer{Rate: 1, Schedule: "linear", Floor: .1}, 50, .55}, {Optimizer{Rate: 2, Schedule: "cosine"}, 0, 2}, {Optimizer{Rate: 2, Schedule: "cosine"}, 50, 1}, {Optimizer{Rate: 2, Schedule: "cosine", Floor: .5}, 100, 1},
	} {
		if got := c.o.rate(c.step, 100); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v at %d: %g, want %g", c.o, c.step, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("name: a\nmodel: {path: x}\nstages: [{name: b, kind: sft, data: [c]}]\n")
	f.Add("name: &a [*a]\n")
	f.Add("stages: [{set: {clip.high: .nan}, optimizer: {rate: -1}}]")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("run.yaml", []byte(text))
		if err == nil {
			s.digest()
		}
	})
}

// No line of a data file, whatever it is, does more than be refused.
func FuzzRows(f *testing.F) {
	for _, row := range []string{
		`{"text":"a"}`, `{"segments":[{"text":"a","loss":false}]}`, `{"messages":[{"role":"assistant","content":"a"}]}`, `{"prompt":[],"completion":"x"}`, `{"prompt":"a","chosen":1,"rejected":[]}`,
		`{"prompt":"a","policy":"b"}`, `{"messages":[null],"policy":"b"}`, `{"tokens":[1],"live":[true,false]}`, `{"tokens":[]}`, `[]`, `{"text":null}`,
	} {
		for kind := range 4 {
			f.Add(row, kind)
		}
	}
	f.Fuzz(func(t *testing.T, row string, kind int) {
		name := []string{"cpt", "sft", "preference", "rl"}[uint(kind)%4]
		dir := folder(t, map[string]string{"rows.jsonl": row})
		s := settings(t, "stages: [{name: s, kind: "+name+", data: [rows.jsonl], reward: [{rule: length}], long: cut, sample: {tokens: 4}}]\n")
		m, err := load(dir, &s.Stages[0], Bytes{}, 24)
		if err != nil {
			return
		}
		for _, x := range m.examples {
			if len(x.prompt) == 0 || len(x.tokens) == 0 || x.length() > 24 || x.live != nil && len(x.live) != len(x.tokens) {
				t.Errorf("%s gives %+v", row, x)
			}
		}
	})
}
