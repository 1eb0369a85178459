package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/session"
)

// inquiry puts one question per name, in a conversation that says text.
func inquiry(policy, text string, names ...string) Inquiry {
	q := Inquiry{Session: "s", Policy: policy, Transcript: []proviso.Message{{Role: proviso.User, Text: text}}}
	for _, n := range names {
		q.Questions = append(q.Questions, session.Asked{Question: proviso.Question{ID: n, Ask: n + "?"}, Hash: "h-" + n})
	}
	return q
}

// counting is a judge that says yes to everything and counts what it is asked.
type counting struct {
	mu    sync.Mutex
	asked []string
	wrong bool // quote what nobody said
	err   error
}

func (c *counting) Answer(_ context.Context, q Inquiry) ([]proviso.Answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []proviso.Answer
	for _, x := range q.Questions {
		c.asked = append(c.asked, x.ID)
		a := proviso.Answer{Question: x.ID, Hash: x.Hash, Value: proviso.True, Quotes: []string{q.Transcript[0].Text}, By: "counting"}
		if c.wrong {
			a.Quotes = []string{"never said"}
		}
		out = append(out, a)
	}
	return out, c.err
}

func (c *counting) took() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := strings.Join(c.asked, " ")
	c.asked = nil
	return s
}

// A cache asks nothing twice, and never carries an answer to another policy, conversation or question.
func TestCache(t *testing.T) {
	ctx := context.Background()
	judge := &counting{}
	c := &Cache{Judge: judge, Size: 3}
	for i, s := range []struct {
		q    Inquiry
		want string // what the judge is asked
	}{
		{inquiry("p", "hi", "a", "b"), "a b"},
		{inquiry("p", "hi", "a", "b"), ""},
		{inquiry("p", "hi", "a", "c"), "c"},
		{inquiry("other", "hi", "a"), "a"}, // another policy; b is forgotten for it
		{inquiry("p", "hi", "b"), "b"},     // the bound
		{inquiry("p", "ho", "a"), "a"},     // other words
		{inquiry("", "hi", "a"), "a"},      // no policy: nothing is kept
		{inquiry("", "hi", "a"), "a"},
	} {
		got, err := c.Answer(ctx, s.q)
		if err != nil || len(got) != len(s.q.Questions) {
			t.Errorf("%d: %v, %v", i, got, err)
		}
		if asked := judge.took(); asked != s.want {
			t.Errorf("%d: asked %q, want %q", i, asked, s.want)
		}
	}
	if c.used.Len() > 3 || len(c.byKey) > 3 || c.Hits() != 3 {
		t.Errorf("%d are kept, %d hits", len(c.byKey), c.Hits())
	}
	judge.wrong = true
	for range 2 {
		if _, err := c.Answer(ctx, inquiry("p", "hu", "a")); err != nil || judge.took() != "a" {
			t.Error("an answer with a false quote is kept")
		}
	}
	judge.err = errors.New("away")
	if _, err := c.Answer(ctx, inquiry("p", "he", "a")); err == nil {
		t.Error("the error is lost")
	}
}

// What is recorded plays again through a guard, without the judge; what is not recorded stays open, and a cassette that was tampered with answers nothing.
func TestCassette(t *testing.T) {
	ctx := context.Background()
	play := func(j Judge, said string) error {
		g := &Guard{Policy: bank(t), Journal: &journal.Memory{}, Judge: j}
		if _, err := g.Do(ctx, proviso.Event{Session: "s", Point: proviso.Input, Body: &proviso.Message{Role: proviso.User, Text: said}}, nil); err != nil {
			t.Fatal(err)
		}
		_, err := g.Do(ctx, proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("", "gift", `{"id":"A1"}`)}, returns(`{}`))
		return err
	}
	var tape bytes.Buffer
	if err := play(&Recorder{Judge: Script{"birthday": proviso.True}, W: &tape}, "It is her birthday."); err != nil {
		t.Fatal(err)
	}
	read := func(text string) *Cassette {
		t.Helper()
		c, err := ReadCassette(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := read(tape.String())
	if err := play(c, "It is her birthday."); err != nil || c.Missed() != 0 {
		t.Errorf("%v, %d missed", err, c.Missed())
	}
	if err := play(c, "It is for nothing."); err == nil {
		t.Error("an answer whose quote nobody said counts")
	}
	if c := read(strings.ReplaceAll(tape.String(), `"key":"`, `"key":"0`)); play(c, "It is her birthday.") == nil || c.Missed() == 0 {
		t.Error("a question that is not on the cassette was answered")
	}
	for _, text := range []string{"{", `{"key":"k","oops":1}`, tape.String()[:tape.Len()/2]} {
		if _, err := ReadCassette(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := play(&Recorder{Judge: Script{"birthday": proviso.True}, W: failingWriter{}}, "It is her birthday."); err == nil {
		t.Error("an answer that could not be recorded counts")
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// together is a batch judge that says how many inquiries came at once.
type together struct {
	mu    sync.Mutex
	sizes []int
	do    func(ctx context.Context, n int) error
	short bool
}

func (j *together) AnswerAll(ctx context.Context, qs []Inquiry) ([][]proviso.Answer, error) {
	j.mu.Lock()
	j.sizes = append(j.sizes, len(qs))
	j.mu.Unlock()
	if j.do != nil {
		if err := j.do(ctx, len(qs)); err != nil {
			return nil, err
		}
	}
	var out [][]proviso.Answer
	for _, q := range qs {
		out = append(out, []proviso.Answer{{Question: q.Session}})
	}
	if j.short {
		out = out[:len(out)-1]
	}
	return out, nil
}

// askAll asks n sessions at the same time and returns their errors; every answer must be the asker's own.
func askAll(t *testing.T, ctx context.Context, b *Batcher, n int) []error {
	t.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			id := fmt.Sprint("s", i)
			got, err := b.Answer(ctx, Inquiry{Session: id})
			if errs[i] = err; err == nil && (len(got) != 1 || got[0].Question != id) {
				t.Errorf("%s got %v", id, got)
			}
		})
	}
	wg.Wait()
	return errs
}

func TestBatcher(t *testing.T) {
	ctx := context.Background()
	t.Run("full", func(t *testing.T) {
		j := &together{}
		b := &Batcher{Judge: j, Max: 4, Wait: time.Hour}
		for _, err := range askAll(t, ctx, b, 12) {
			if err != nil {
				t.Error(err)
			}
		}
		if fmt.Sprint(j.sizes) != "[4 4 4]" {
			t.Errorf("batches of %v", j.sizes)
		}
	})
	t.Run("waited long enough", func(t *testing.T) {
		j := &together{}
		b := &Batcher{Judge: j, Wait: time.Millisecond}
		if err := askAll(t, ctx, b, 1)[0]; err != nil || len(j.sizes) != 1 {
			t.Error(err, j.sizes)
		}
	})
	for name, j := range map[string]*together{
		"fails":      {do: func(context.Context, int) error { return errors.New("away") }},
		"panics":     {do: func(context.Context, int) error { panic("no such case") }},
		"leaves out": {short: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, err := range askAll(t, ctx, &Batcher{Judge: j, Max: 3}, 3) {
				if err == nil {
					t.Error("no error")
				}
			}
		})
	}
	t.Run("one leaves, the others stay", func(t *testing.T) {
		release := make(chan struct{})
		b := &Batcher{Max: 2, Judge: &together{do: func(ctx context.Context, _ int) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}}
		short, cancel := context.WithCancel(ctx)
		stays := make(chan error, 1)
		go func() { _, err := b.Answer(ctx, Inquiry{Session: "a"}); stays <- err }()
		gone := make(chan error, 1)
		go func() { _, err := b.Answer(short, Inquiry{Session: "b"}); gone <- err }()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		close(release)
		if err := <-stays; err != nil {
			t.Error(err)
		}
	})
	t.Run("nobody waits", func(t *testing.T) {
		ended := make(chan error, 1)
		b := &Batcher{Max: 1, Judge: &together{do: func(ctx context.Context, _ int) error {
			<-ctx.Done()
			ended <- ctx.Err()
			return ctx.Err()
		}}}
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if _, err := b.Answer(short, Inquiry{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := <-ended; err == nil {
			t.Error("the batch goes on for nobody")
		}
	})
}

// A cassette that can be read never panics, and one that was written can be read.
func FuzzReadCassette(f *testing.F) {
	var tape bytes.Buffer
	r := &Recorder{Judge: &counting{}, W: &tape}
	if _, err := r.Answer(context.Background(), inquiry("p", "hi", "a")); err != nil {
		f.Fatal(err)
	}
	f.Add(tape.String())
	f.Add(`{"key":"k","question":"q","ask":"?","answer":{"question":"q","value":1}}`)
	f.Add("{\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ReadCassette(strings.NewReader(text))
		if err != nil {
			return
		}
		if _, err := c.Answer(context.Background(), inquiry("p", "hi", "a")); err != nil {
			t.Error(err)
		}
	})
}
