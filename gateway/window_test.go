package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/llm/wire"
	"github.com/proviso-dev/proviso/policy/pack"
)

// textPack is a pack whose only rules are these.
func textPack(t testing.TB, rules string) *pack.Pack {
	t.Helper()
	p, found := pack.Load(fstest.MapFS{
		"proviso.yaml": {Data: []byte("name: text\nversion: \"1\"\ntools: tools.json\nrules: [rules.yaml]\n")},
		"tools.json":   {Data: []byte(`[]`)},
		"rules.yaml":   {Data: []byte("rules:\n" + rules)},
	}, ".")
	if p == nil || found.Worst(proviso.Error) {
		t.Fatal(found)
	}
	return p
}

func textDoor(t testing.TB, rules string) *door {
	p := textPack(t, rules)
	return newDoor(t, func(c *Config) {
		c.Load = func(context.Context) (*Rules, error) { return &Rules{Base: []*pack.Pack{p}}, nil }
		c.Denials.Revisions = 0
	})
}

// cut splits a text before runes.
func cut(rt *rapid.T, text string) (out []string) {
	r := []rune(text)
	most := rapid.SampledFrom([]int{1, 2, 9}).Draw(rt, "most")
	for len(r) > 0 {
		n := rapid.IntRange(1, min(len(r), most)).Draw(rt, "piece")
		out, r = append(out, string(r[:n])), r[n:]
	}
	return out
}

// spoken writes a stream with these pieces of text by choice, in turns, on a wire.
func spoken(d dialect, choices [][]string) string {
	if d.wire != openai.Chat {
		whole := d.stream(answer{text: "\x00"})
		// The dialect's one delta is said once for each piece.
		var out strings.Builder
		for _, ev := range strings.SplitAfter(whole, "\n\n") {
			if !strings.Contains(ev, "delta") || !strings.Contains(ev, `"\u0000"`) {
				out.WriteString(strings.ReplaceAll(ev, `"\u0000"`, js(strings.Join(choices[0], ""))))
				continue
			}
			for _, p := range choices[0] {
				out.WriteString(strings.ReplaceAll(ev, `"\u0000"`, js(p)))
			}
		}
		return out.String()
	}
	chunk := func(i int, delta m, finish any) any {
		return m{"id": "c", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": []any{m{"index": i, "delta": delta, "finish_reason": finish}}}
	}
	var events []any
	for i := range choices {
		events = append(events, chunk(i, m{"role": "assistant", "content": ""}, nil))
	}
	for n, more := 0, true; more; n++ {
		more = false
		for i, c := range choices {
			if n < len(c) {
				events, more = append(events, chunk(i, m{"content": c[n]}, nil)), true
			}
		}
	}
	for i := range choices {
		events = append(events, chunk(i, m{}, "stop"))
	}
	return data(append(events, "[DONE]")...)
}

// heard is the text that the deltas of a stream say, by choice.
func heard(body string) map[int64]string {
	out := map[int64]string{}
	r := wire.NewReader(strings.NewReader(body))
	for {
		ev, err := r.Next()
		if err != nil {
			return out
		}
		doc, err := proviso.DecodeResultJSON(ev.Data)
		if err != nil {
			continue
		}
		e := llm.Object(doc)
		switch llm.Text(e["type"]) {
		case "response.output_text.delta":
			out[0] += llm.Text(e["delta"])
		case "content_block_delta", "content_block_start":
			out[0] += llm.Text(llm.Object(e["delta"])["text"]) + llm.Text(llm.Object(e["content_block"])["text"])
		}
		for _, c := range llm.List(e["choices"]) {
			i, _ := llm.Object(c)["index"].(int64)
			out[i] += llm.Text(llm.Object(llm.Object(c)["delta"])["content"])
		}
	}
}

// understood is what a reader makes of a whole stream, by choice; nil where readers could differ.
func understood(w wire.Wire, body string) (out []string) {
	r, st := wire.NewReader(strings.NewReader(body)), w.Stream()
	for {
		ev, err := r.Next()
		if err != nil {
			break
		}
		if _, err := st.Next(ev); err != nil {
			return nil
		}
	}
	whole, err := st.Response()
	if err != nil || !st.Regular() {
		return nil
	}
	for i := range whole.Choices {
		out = append(out, whole.Choices[i].Text())
	}
	return out
}

// Whatever is said and however it is cut, what is streamed is the decision on the whole text, and nothing of a forbidden match is.
func TestWindowsDecideAsTheWhole(t *testing.T) {
	forbidden := regexp.MustCompile(`aé|b{2,3}€\b|\B😀y`)
	deny := textDoor(t, `  - {id: words, on: output, require: "role == 'assistant' && !(text.contains('aé') || text.matches(r'b{2,3}€\\b|\\B😀y'))"}`+"\n")
	redacted := regexp.MustCompile(`\b1{2}-1{1,2}|x[éy]{1,2}z`)
	redact := textDoor(t, `  - {id: cards, on: output, else: {redact: ['\b1{2}-1{1,2}', 'x[éy]{1,2}z'], with: "[no]"}}`+"\n")
	pieces := []string{"a", "é", "b", "€", "😀", "y", "1", "11-", "x", "z", " ", "\n", "\"", "a long and harmless passage ", "xéy", "bb€"}
	asked, streamed, early := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		d := rapid.SampledFrom(dialects).Draw(rt, "wire")
		n := 1
		if d.wire == openai.Chat {
			n = rapid.IntRange(1, 3).Draw(rt, "choices")
		}
		var texts []string
		var cuts [][]string
		for range n {
			text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 30).Draw(rt, "text"), "")
			texts, cuts = append(texts, text), append(cuts, cut(rt, text))
		}
		for _, c := range []struct {
			door *door
			find *regexp.Regexp
			deny bool
		}{{deny, forbidden, true}, {redact, redacted, false}} {
			c.door.up.say("", spoken(d, cuts))
			asked++
			_, _, body := c.door.post(d.wire.Path(), strings.Replace(d.request("m", hello, nil, true), `"stream":true`, fmt.Sprintf(`"stream":true,"n":%d`, n), 1), HeaderSession, fmt.Sprintf("w%d", asked))
			got := heard(body)
			whole := understood(d.wire, body)
			stopped := false
			for _, text := range texts {
				stopped = stopped || c.deny && c.find.MatchString(text)
			}
			if stopped != strings.Contains(body, "Policy: ") {
				rt.Fatalf("%s: %q: denied: %v, want %v: %s", d.wire.Name(), texts, !stopped, stopped, body)
			}
			for i, text := range texts {
				at := c.find.FindStringIndex(text)
				said := got[int64(i)]
				switch {
				case !c.deny:
					if want := c.find.ReplaceAllString(text, "[no]"); said != want || i >= len(whole) || whole[i] != want {
						rt.Fatalf("%s: %q of %q is %q, want %q: %s", d.wire.Name(), text, cuts[i], said, want, body)
					}
				case at != nil:
					if !strings.HasPrefix(text[:at[0]], said) && !strings.HasPrefix(said, "Policy: ") {
						rt.Fatalf("%s: %q: %q went out: %s", d.wire.Name(), text, said, body)
					}
					if said != "" && !strings.HasPrefix(said, "Policy: ") {
						early++
					}
				case !stopped && said != text:
					rt.Fatalf("%s: %q of %q is %q: %s", d.wire.Name(), text, cuts[i], said, body)
				case !strings.HasPrefix(text, said):
					rt.Fatalf("%s: %q: %q went out: %s", d.wire.Name(), text, said, body)
				}
			}
			streamed++
		}
	})
	if early == 0 {
		t.Errorf("of %d streams none let text go before a denial", streamed)
	}
}

// A match of a pattern that is replaced is replaced while the text flows on behind it: the caller has the text behind the replacement while the upstream still speaks, and what it has in the end is what the whole decision gives.
func TestReplacedTextFlowsOn(t *testing.T) {
	door := textDoor(t, `  - {id: cards, on: output, else: {redact: ['\b\d{4}-\d{4}\b'], with: "[card]"}}`+"\n")
	pieces := []string{"Your card is ", "12", "34-", "56", "78", ", and ", "harmless words", " follow it ", "and more", " words"}
	want := "Your card is [card], and harmless words follow it and more words"
	for _, d := range dialects {
		t.Run(d.wire.Name(), func(t *testing.T) {
			stream := spoken(d, [][]string{pieces})
			at := strings.Index(stream, js(" words"))
			at = strings.LastIndex(stream[:at], "\n\n") + 2
			heardIt := door.up.pause(stream[:at], stream[at:])
			r, _ := http.NewRequest(http.MethodPost, door.url+d.wire.Path(), strings.NewReader(d.request("m", hello, nil, true)))
			r.Header.Set("Content-Type", "application/json")
			resp, err := door.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var body strings.Builder
			lines := bufio.NewScanner(resp.Body)
			for lines.Scan() {
				body.WriteString(lines.Text() + "\n")
				if strings.Contains(lines.Text(), js("harmless words")) {
					break
				}
			}
			if got := heard(body.String())[0]; !strings.HasPrefix(got, "Your card is [card], and ") {
				t.Errorf("%q: %s", got, body.String())
			}
			close(heardIt) // without what was safe the test hangs
			for lines.Scan() {
				body.WriteString(lines.Text() + "\n")
			}
			if got, whole := heard(body.String())[0], understood(d.wire, body.String()); got != want || len(whole) != 1 || whole[0] != want {
				t.Errorf("%q, understood as %q: %s", got, whole, body.String())
			}
		})
	}
}

// A match that is cut between events at every character, and at every one of them, is found before its first letter goes out.
func TestWindowsFindASplitMatch(t *testing.T) {
	door := textDoor(t, `  - {id: words, on: output, require: "!text.contains('plutonium 😀é')"}`+"\n")
	before, match, after := strings.Repeat("harmless words ", 10), []rune("plutonium 😀é"), " and more"
	var cuts [][]string
	for at := range len(match) + 1 {
		cuts = append(cuts, []string{before, string(match[:at]), string(match[at:]), after})
	}
	cuts = append(cuts, strings.Split(before+string(match)+after, ""))
	for _, d := range dialects {
		for n, c := range cuts {
			door.up.say("", spoken(d, [][]string{c}))
			_, _, body := door.post(d.wire.Path(), d.request("m", hello, nil, true), HeaderSession, fmt.Sprintf("%s%d", d.wire.Name(), n))
			said := heard(body)[0]
			if !strings.Contains(body, "Policy: ") || !strings.HasPrefix(before, said) && !strings.HasPrefix(said, "Policy: ") {
				t.Errorf("%s, cut %d: %q: %s", d.wire.Name(), n, said, body)
			}
			if n == len(cuts)-1 && len(said) < len(before)-len(string(match)) {
				t.Errorf("%s: only %q went out", d.wire.Name(), said)
			}
		}
	}
}

// Text flows behind its window: the caller has what is safe while the upstream still speaks.
func TestWindowsFlow(t *testing.T) {
	words := textDoor(t, `  - {id: words, on: output, require: "!text.contains('plutonium')"}`+"\n")
	mails := textDoor(t, `  - {id: mails, on: output, else: {redact: {pii: [email]}}}`+"\n")
	for i := range 2 * len(dialects) {
		d, door, second := dialects[i/2], words, "to the end of it"
		if i%2 == 1 {
			door, second = mails, strings.Repeat("to the end of it ", 10)
		}
		t.Run(fmt.Sprintf("%s/%d", d.wire.Name(), i%2), func(t *testing.T) {
			first := strings.Repeat("harmless words ", 4)
			stream := spoken(d, [][]string{{first, second}})
			at := strings.Index(stream, js(first)) + len(js(first))
			at += strings.Index(stream[at:], "\n\n") + 2
			// The first delta is safe once more text than the window came behind it.
			heardIt := door.up.pause(stream[:at]+strings.ReplaceAll(last(stream[:at]), js(first), js(second)), stream[at:])
			r, _ := http.NewRequest(http.MethodPost, door.url+d.wire.Path(), strings.NewReader(d.request("m", hello, nil, true)))
			r.Header.Set("Content-Type", "application/json")
			resp, err := door.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			lines := bufio.NewScanner(resp.Body)
			for lines.Scan() {
				if strings.Contains(lines.Text(), js(first)) {
					break
				}
			}
			close(heardIt) // without what was safe the test hangs
			io.Copy(io.Discard, resp.Body)
		})
	}
}

// last is the last event of a stream.
func last(stream string) string {
	return stream[strings.LastIndex(strings.TrimSuffix(stream, "\n\n"), "\n\n")+2:]
}

// A match that no more text can undo denies the answer at once: the caller has the denial, and the upstream is let go, while it would still speak.
func TestDenialDoesNotWaitForTheRest(t *testing.T) {
	door := textDoor(t, `  - {id: words, on: output, require: "!text.matches(r'\\bplutonium\\b')"}`+"\n")
	for _, d := range dialects {
		for _, before := range []string{"", strings.Repeat("harmless words ", 10)} {
			t.Run(fmt.Sprintf("%s/%d", d.wire.Name(), len(before)), func(t *testing.T) {
				stream := spoken(d, [][]string{{before + "plu", "tonium and", " more"}})
				at := strings.Index(stream, js(" more"))
				at = strings.LastIndex(stream[:at], "\n\n") + 2
				let := make(chan error, 1)
				door.up.mu.Lock()
				door.up.answer = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					io.WriteString(w, stream[:at])
					w.(http.Flusher).Flush()
					select {
					case <-r.Context().Done():
						let <- nil
					case <-time.After(5 * time.Second):
						let <- fmt.Errorf("the upstream is still waited for")
					}
				}
				door.up.mu.Unlock()
				session := fmt.Sprintf("early-%s%d", d.wire.Name(), len(before))
				_, _, body := door.post(d.wire.Path(), d.request("m", hello, nil, true), HeaderSession, session)
				if err := <-let; err != nil {
					t.Fatal(err)
				}
				said := heard(body)[0]
				if !strings.Contains(body, "Policy: ") || strings.Contains(body, "plutonium and") || !strings.HasPrefix(before, said) && !strings.HasPrefix(said, "Policy: ") {
					t.Errorf("%q: %s", said, body)
				}
				if before == "" && understood(d.wire, body) == nil {
					t.Errorf("a denial of which nothing went out before is no whole answer: %s", body)
				}
				outputs := 0
				for _, r := range door.records(session) {
					if r.Event.Point == proviso.Output {
						outputs++
						if m := r.Event.Body.(*proviso.Message); r.Decision.Outcome != proviso.Deny || m.Text != before+"plutonium and" {
							t.Errorf("recorded: %s of %q", r.Decision.Outcome, m.Text)
						}
					}
				}
				if outputs != 1 {
					t.Errorf("%d decisions about the text are on record", outputs)
				}
			})
		}
	}
}

// Where a second choice is asked for, the denial of one waits, so that the other is not cut off.
func TestDenialWaitsForOtherChoices(t *testing.T) {
	door := textDoor(t, `  - {id: words, on: output, require: "!text.contains('plutonium')"}`+"\n")
	d := dialects[0]
	door.up.say("", spoken(d, [][]string{{"plutonium", " and more"}, {"all", " is well"}}))
	_, _, body := door.post(d.wire.Path(), strings.Replace(d.request("m", hello, nil, true), `"stream":true`, `"stream":true,"n":2`, 1), HeaderSession, "two")
	if got := heard(body); got[1] != "all is well" || !strings.Contains(body, "Policy: ") {
		t.Errorf("%v: %s", got, body)
	}
}

// Text under rules about personal data flows until there may be some, which then is withheld as in the whole text.
func TestPersonalDataInStreams(t *testing.T) {
	redact := textDoor(t, `  - {id: mails, on: output, else: {redact: {pii: [email, phone]}}}`+"\n")
	deny := textDoor(t, `  - {id: mails, on: output, require: "!pii.has(text)"}`+"\n")
	before, after := strings.Repeat("harmless words and nothing else ", 20), " and so it goes on"
	for _, d := range dialects {
		for n, c := range []struct {
			door        *door
			value, want string
		}{{redact, "ann@example.org", "[email]"}, {redact, "+1 415 555 0132", "[phone]"}, {redact, "nobody", "nobody"}, {deny, "ann@example.org", ""}} {
			c.door.up.say("", spoken(d, [][]string{strings.SplitAfter(before+c.value+after, "")}))
			_, _, body := c.door.post(d.wire.Path(), d.request("m", hello, nil, true), HeaderSession, fmt.Sprintf("p%s%d", d.wire.Name(), n))
			said := heard(body)[0]
			switch {
			case c.want != "" && said != before+c.want+after:
				t.Errorf("%s: %s: %q: %s", d.wire.Name(), c.value, said, body)
			case c.want == "" && (!strings.Contains(body, "Policy: ") || !strings.HasPrefix(before, said) || len(said) < len(before)-300):
				t.Errorf("%s: %s: %q: %s", d.wire.Name(), c.value, said, body)
			}
		}
	}
}
