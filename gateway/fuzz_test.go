package gateway

import (
	"bytes"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm/wire"
)

// denyAll is the verdict that stops every call of a choice.
func denyAll(r *wire.Response) []wire.Verdict {
	out := make([]wire.Verdict, len(r.Choices))
	for i := range r.Choices {
		for range r.Choices[i].Calls {
			out[i].Calls = append(out[i].Calls, wire.CallVerdict{Say: "denied"})
		}
	}
	return out
}

// noCalls fails where an answer still has a call that runs, after all were denied.
func noCalls(t *testing.T, w wire.Wire, raw []byte, before []byte) {
	t.Helper()
	r, err := w.Response(raw)
	if err != nil {
		t.Fatalf("%s: %q became %q: %v", w.Name(), before, raw, err)
	}
	for i := range r.Choices {
		if len(r.Choices[i].Calls) > 0 {
			t.Fatalf("%s: %q became %q, which calls %s", w.Name(), before, raw, r.Choices[i].Calls[0].Tool)
		}
	}
}

// Whatever an upstream answers: reading it never panics, and once every call is denied nothing that is read as a call is left.
func FuzzAnswers(f *testing.F) {
	for i, d := range dialects {
		f.Add(byte(i), []byte(d.plain(twoCalls)))
	}
	for _, c := range answerFields {
		f.Add(byte(0), []byte(c.body))
		f.Add(byte(1), []byte(c.body))
		f.Add(byte(2), []byte(c.body))
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		w := dialects[int(which)%len(dialects)].wire
		r, err := w.Response(b)
		if err != nil {
			return
		}
		out, err := w.Rewrite(r, denyAll(r))
		if err != nil {
			t.Fatal(err)
		}
		noCalls(t, w, out, b)
		refuse := make([]wire.Verdict, len(r.Choices))
		for i := range refuse {
			refuse[i].Refusal = "refused"
		}
		if out, err = w.Rewrite(r, refuse); err != nil {
			t.Fatal(err)
		}
		noCalls(t, w, out, b)
	})
}

// Whatever an upstream streams: reading it never panics; what is replayed is read as the answer that was decided; and once every call is denied the replay has none.
func FuzzStreams(f *testing.F) {
	for i, d := range dialects {
		f.Add(byte(i), []byte(d.stream(twoCalls)))
		f.Add(byte(i), []byte(d.stream(fine)))
		f.Add(byte(i), []byte("data:{}"))
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		w := dialects[int(which)%len(dialects)].wire
		read := func(raw []byte) (wire.Stream, *wire.Response, bool) {
			rd, st := wire.NewReader(bytes.NewReader(raw)), w.Stream()
			for {
				ev, err := rd.Next()
				if err != nil {
					break
				}
				if c, err := st.Next(ev); err != nil || c.Kind == wire.Failed {
					return nil, nil, false
				}
			}
			r, err := st.Response()
			return st, r, err == nil
		}
		st, r, ok := read(b)
		if !ok {
			return
		}
		rest, err := st.Replay(r)
		if err != nil {
			return
		}
		_, again, ok := read(rest)
		if !ok || len(again.Choices) != len(r.Choices) {
			t.Fatalf("%s: %q is replayed as %q, which cannot be read", w.Name(), b, rest)
		}
		for i := range r.Choices {
			if len(r.Choices[i].Calls) != len(again.Choices[i].Calls) {
				t.Fatalf("%s: %q is replayed as %q with other calls", w.Name(), b, rest)
			}
			for j, c := range r.Choices[i].Calls {
				if a := again.Choices[i].Calls[j]; a.Tool != c.Tool {
					t.Fatalf("%s: %q is replayed as %q: %s became %s", w.Name(), b, rest, c.Tool, a.Tool)
				}
			}
		}
		out, err := w.Rewrite(r, denyAll(r))
		if err != nil {
			t.Fatal(err)
		}
		noCalls(t, w, out, b)
	})
}

// Whatever a client sends: reading it never panics, and every pointer that is given leads somewhere, so that an edit never misses.
func FuzzRequests(f *testing.F) {
	for i, d := range dialects {
		f.Add(byte(i), []byte(d.request("m", result("x"), []string{"lookup"}, true)))
	}
	for _, c := range requestFields {
		f.Add(byte(0), []byte(c.body))
		f.Add(byte(1), []byte(c.body))
		f.Add(byte(2), []byte(c.body))
	}
	f.Add(byte(0), []byte(`{"messages":[{"role":"user","content":"a","tools/~1":[1]}]}`))
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		w := dialects[int(which)%len(dialects)].wire
		q, err := w.Request(b)
		if err != nil {
			return
		}
		there := func(at string) {
			if _, ok := wire.Get(b, at); !ok {
				t.Fatalf("%s: %q has nothing at %s", w.Name(), b, at)
			}
		}
		for _, turn := range q.Turns {
			for _, s := range turn.Texts {
				v, _ := wire.Get(b, s.At)
				if got, err := proviso.DecodeResultJSON(v); err != nil || got != s.Text {
					t.Fatalf("%s: %q at %s is %v, want %q", w.Name(), b, s.At, got, s.Text)
				}
			}
		}
		for _, tool := range q.Tools {
			there(tool.At)
		}
		for _, p := range q.Foreign {
			there(p.At)
		}
	})
}
