package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// TestStories plays the stories of testdata. An archive holds a pack, a story, and what it has to lead to: after each line of the story the records that came into
// the journal, and what the caller got. The lines of a story are
//
//	user: TEXT, assistant: TEXT, start USER, end
//	call TOOL ARGS                     decided only
//	call TOOL ARGS -> RESULT           run; RESULT is JSON, error TEXT, panic, or hang (until the caller goes away)
//	result ID RESULT                   a result that comes as an event of its own
//	batch                              the indented calls below are siblings, decided only
//	journal fails | works              for all appends from now on
//	judge QUESTION=true|false …        what the judge knows; judge lies | fails | panics | sleeps
//	policy FILE                        the rules in FILE count from now on
//	wait DURATION                      time passes
//	approve WHO yes|no [NOTE]          somebody answers the newest request; this is allowed only where the comment says "approvals"
//	requests                           shows all requests
//	faster                             another guard on the same journal records an event
//	restart                            the guard forgets everything at hand
func TestStories(t *testing.T) {
	testkit.Archives(t, "testdata/*.txtar", func(t *testing.T, a *testkit.Archive) {
		s := newStory(t, a)
		story, ok := a.File("story")
		if !ok {
			t.Fatal("the archive has no story")
		}
		lines := strings.Split(strings.TrimSpace(string(story)), "\n")
		for i := 0; i < len(lines); i++ {
			fmt.Fprintf(&s.out, "> %s\n", lines[i])
			if lines[i] == "batch" {
				var calls []string
				for ; i+1 < len(lines) && strings.HasPrefix(lines[i+1], " "); i++ {
					calls = append(calls, strings.TrimSpace(lines[i+1]))
					fmt.Fprintf(&s.out, "> %s\n", lines[i+1])
				}
				s.batch(calls)
			} else if line := strings.TrimSpace(lines[i]); line != "" && line[0] != '#' {
				s.line(line)
			}
			s.records()
		}
		fmt.Fprintf(&s.out, "counts %s\n", nonzero(s.g.Counts()))
		a.Expect(t, "want", s.numbered())
	})
}

// numbered gives requests for approval numbers in the order in which they were filed: their ids depend on the digest of the policy.
func (s *story) numbered() []byte {
	out := s.out.Bytes()
	if s.g.Approvals == nil {
		return out
	}
	var all []string
	for r, err := range s.g.Approvals.All(context.Background()) {
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, r.ID)
	}
	for i, id := range all {
		out = bytes.ReplaceAll(out, []byte(id), fmt.Appendf(nil, "#%d", len(all)-i))
	}
	return out
}

type story struct {
	t     *testing.T
	a     *testkit.Archive
	g     *Guard
	log   *journalOf
	judge *judgeOf
	now   time.Time
	calls int
	shown int
	out   bytes.Buffer
}

func newStory(t *testing.T, a *testkit.Archive) *story {
	s := &story{t: t, a: a, log: &journalOf{}, judge: &judgeOf{Script: Script{}}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	s.g = &Guard{Policy: s.policy("rules.yaml"), Journal: s.log, Judge: s.judge, JudgeTimeout: 50 * time.Millisecond, Clock: func() time.Time {
		s.now = s.now.Add(time.Second)
		return s.now
	}}
	if strings.Contains(a.Comment, "approvals") {
		s.g.Approvals, s.g.ApprovalLife = &MemoryApprovals{}, time.Hour
	}
	if strings.Contains(string(a.Comment), "best effort") {
		s.g.Audit = BestEffort
	}
	return s
}

func (s *story) policy(rules string) *policy.Policy {
	return compiled(s.t, s.a.Files, rules)
}

func compiled(t testing.TB, files []testkit.File, rules string) *policy.Policy {
	t.Helper()
	fsys := fstest.MapFS{}
	for _, f := range files {
		name := f.Name
		switch {
		case name == rules:
			name = "rules.yaml"
		case strings.HasSuffix(name, "rules.yaml"):
			continue
		}
		fsys[name] = &fstest.MapFile{Data: f.Data}
	}
	pk, ds := pack.Load(fsys, ".")
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	p, ds := policy.Compile(pk)
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	return p
}

func (s *story) line(line string) {
	head, rest, _ := strings.Cut(line, " ")
	ctx := context.Background()
	switch head {
	case "user:":
		s.do(ctx, proviso.Input, &proviso.Message{Role: proviso.User, Text: rest}, nil)
	case "assistant:":
		s.do(ctx, proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: rest}, nil)
	case "start":
		s.do(ctx, proviso.SessionStart, &proviso.Lifecycle{Kind: "start", User: rest}, nil)
	case "end":
		s.do(ctx, proviso.SessionEnd, &proviso.Lifecycle{Kind: "end"}, nil)
	case "call":
		call, next := s.call(rest)
		if strings.HasSuffix(rest, "-> hang") {
			var cancel func()
			ctx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
		}
		s.do(ctx, proviso.ToolCallPoint, call, next)
	case "result":
		id, content, _ := strings.Cut(rest, " ")
		r, _, err := resultOf(content)
		r.CallID, r.IsError = id, err != nil
		s.do(ctx, proviso.ToolResultPoint, &r, nil)
	case "journal":
		s.log.down = rest == "fails"
	case "judge":
		s.judge.learn(rest)
	case "policy":
		s.g.SetPolicy(s.policy(rest))
	case "wait":
		d, err := time.ParseDuration(rest)
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.now.Add(d)
	case "approve":
		s.approve(rest)
	case "requests":
		for r, err := range s.g.Approvals.All(ctx) {
			if err != nil {
				s.t.Fatal(err)
			}
			fmt.Fprintf(&s.out, "  %s by %q in %s: %s %s for %v, %s %s\n", r.ID, r.Caller, r.In, r.Tool, r.Args, r.Rules, r.Status(s.now), r.By)
		}
	case "faster":
		other := &Guard{Policy: s.g.Policy, Journal: s.log, Clock: s.g.Clock}
		if _, err := other.Do(ctx, proviso.Event{Session: "s", Point: proviso.Input, Body: &proviso.Message{Role: proviso.User, Text: "from elsewhere"}}, nil); err != nil {
			s.t.Fatal(err)
		}
	case "restart":
		s.g.sessions = nil
	default:
		s.t.Fatalf("unknown line %q", line)
	}
}

// approve answers the newest request.
func (s *story) approve(line string) {
	who, verb, _ := strings.Cut(line, " ")
	verb, note, _ := strings.Cut(verb, " ")
	ctx := context.Background()
	for r, err := range s.g.Approvals.All(ctx) {
		if err == nil {
			r, err = s.g.Approvals.Resolve(ctx, r.ID, proviso.Resolution{Grant: verb == "yes", By: who, Note: note, At: s.now})
		}
		if err != nil {
			fmt.Fprintf(&s.out, "  %v\n", err)
		} else {
			fmt.Fprintf(&s.out, "  %s is %s\n", r.ID, r.State)
		}
		return
	}
	fmt.Fprintln(&s.out, "  nothing was asked for")
}

// call reads TOOL ARGS [-> RESULT].
func (s *story) call(text string) (*proviso.ToolCall, Next) {
	what, result, runs := strings.Cut(text, " -> ")
	tool, args, _ := strings.Cut(what, " ")
	s.calls++
	c := &proviso.ToolCall{ID: fmt.Sprint("c", s.calls), Tool: tool, Args: proviso.JSON(args)}
	if !runs {
		return c, nil
	}
	return c, func(ctx context.Context, ev proviso.Event) (proviso.ToolResult, error) {
		got := ev.Body.(*proviso.ToolCall)
		s.log.note("ran %s %s", got.Tool, got.Args)
		switch result {
		case "panic":
			panic("the tool broke")
		case "hang":
			<-ctx.Done()
			return proviso.ToolResult{}, ctx.Err()
		}
		r, _, err := resultOf(result)
		return r, err
	}
}

func resultOf(text string) (r proviso.ToolResult, isText bool, err error) {
	if why, failed := strings.CutPrefix(text, "error "); failed {
		return proviso.ToolResult{Text: why}, true, errors.New(why)
	}
	return proviso.ToolResult{Content: proviso.JSON(text)}, false, nil
}

func (s *story) do(ctx context.Context, point proviso.Point, body proviso.Body, next Next) {
	e, err := s.g.Do(ctx, proviso.Event{Session: "s", Point: point, Body: body}, next)
	s.got(e, err)
}

func (s *story) batch(lines []string) {
	var events []proviso.Event
	for i, l := range lines {
		c, _ := s.call(strings.TrimPrefix(l, "call "))
		c.Index = i
		events = append(events, proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: c})
	}
	// Decided only: effects that run side by side come in any order, and TestBatchRuns looks at those.
	effects, errs := s.g.Batch(context.Background(), events, nil)
	for i := range effects {
		s.got(effects[i], errs[i])
	}
}

func (s *story) got(e Effect, err error) {
	for _, n := range s.log.notes {
		fmt.Fprintf(&s.out, "  %s\n", n)
	}
	s.log.notes = nil
	if e.Result != nil {
		what := e.Result.Content.String() + e.Result.Text
		if e.Result.IsError {
			what = "error: " + what
		}
		fmt.Fprintf(&s.out, "  agent gets %s\n", what)
	}
	if err != nil {
		fmt.Fprintf(&s.out, "  %v\n", err)
	}
}

// records prints what came into the journal.
func (s *story) records() {
	for _, r := range s.log.records[s.shown:] {
		fmt.Fprintf(&s.out, "  %s\n", recordLine(&r))
	}
	s.shown = len(s.log.records)
}

func recordLine(r *proviso.Record) string {
	what := ""
	switch b := r.Event.Body.(type) {
	case *proviso.Message:
		what = string(b.Role)
	case *proviso.ToolCall:
		what = b.Tool
	case *proviso.ToolResult:
		what = b.Tool
	case *proviso.Lifecycle:
		what = b.Kind
	}
	parts := []string{fmt.Sprintf("%d %s %s: %s", r.Event.Seq, r.Event.Point, what, r.Decision.Outcome)}
	if r.Phase != "" {
		parts = append(parts, string(r.Phase))
	}
	for _, x := range r.Decision.Reasons {
		parts = append(parts, "rule "+x.Rule)
	}
	for _, m := range r.Decision.Missing {
		parts = append(parts, fmt.Sprintf("missing %s %s", m.Kind, m.Fact+questionName(m)))
	}
	for _, f := range r.Decision.Errors {
		parts = append(parts, f.Code)
	}
	for _, f := range r.Facts {
		parts = append(parts, fmt.Sprintf("shows %s%v", f.Fact, f.Key))
	}
	for _, k := range r.Stale {
		parts = append(parts, fmt.Sprintf("spoils %s%v", k.Fact, k.Key))
	}
	for _, x := range r.Answers {
		parts = append(parts, fmt.Sprintf("answer %s=%s", x.Question, x.Value))
	}
	if x := r.Approval; x != nil {
		parts = append(parts, fmt.Sprintf("approval %s by %s for %v", x.ID, x.By, x.Rules))
	}
	for name, set := range map[string]bool{"unverified": r.Unverified, "changed": r.Changed} {
		if set {
			parts = append(parts, name)
		}
	}
	return strings.Join(parts, ", ")
}

func questionName(m proviso.Missing) string {
	if m.Kind == proviso.MissingQuestion {
		return m.Question
	}
	return ""
}

func nonzero(c Counts) string {
	var parts []string
	for _, n := range []struct {
		name string
		n    int64
	}{
		{"decisions", c.Decisions}, {"denied", c.Denied}, {"failed open", c.FailedOpen}, {"errors", c.Errors}, {"journal", c.Journal}, {"lost", c.Lost},
		{"conflicts", c.Conflicts}, {"folds", c.Folds}, {"judge", c.Judge}, {"quotes", c.Quotes}, {"panics", c.Panics},
	} {
		if n.n != 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", n.name, n.n))
		}
	}
	return strings.Join(parts, " ")
}

// journalOf is a journal that can fail, and that notes what happened between records.
type journalOf struct {
	records []proviso.Record
	notes   []string
	down    bool
}

func (j *journalOf) note(format string, a ...any) {
	j.notes = append(j.notes, fmt.Sprintf("after record %d: ", len(j.records))+fmt.Sprintf(format, a...))
}

type faster struct{}

func (faster) Error() string  { return "another writer was faster" }
func (faster) Conflict() bool { return true }

func (j *journalOf) Append(_ context.Context, rs ...proviso.Record) error {
	if j.down {
		return errors.New("disk full")
	}
	for i := range rs {
		if want := uint64(len(j.records)+i) + 1; rs[i].Event.Seq < want {
			return faster{}
		} else if rs[i].Event.Seq > want {
			return fmt.Errorf("record %d, want %d", rs[i].Event.Seq, want)
		}
	}
	j.records = append(j.records, rs...)
	return nil
}

func (j *journalOf) Read(_ context.Context, _ string, from uint64) iter.Seq2[proviso.Record, error] {
	return func(yield func(proviso.Record, error) bool) {
		if j.down {
			yield(proviso.Record{}, errors.New("disk gone"))
			return
		}
		for _, r := range j.records[max(from, 1)-1:] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// judgeOf is a judge that can lie, fail, panic and sleep.
type judgeOf struct {
	Script
	mu   sync.Mutex // a judge that sleeps is left behind
	mode string
}

func (j *judgeOf) learn(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mode = ""
	for _, w := range strings.Fields(text) {
		q, v, ok := strings.Cut(w, "=")
		if !ok {
			j.mode = w
			continue
		}
		j.Script[q] = proviso.TriOf(v == "true")
	}
}

func (j *judgeOf) Answer(ctx context.Context, q Inquiry) ([]proviso.Answer, error) {
	j.mu.Lock()
	as, err := j.Script.Answer(ctx, q)
	mode := j.mode
	j.mu.Unlock()
	switch mode {
	case "fails":
		return nil, errors.New("the model is away")
	case "panics":
		panic("the judge broke")
	case "sleeps": // without a look at ctx
		time.Sleep(200 * time.Millisecond)
	case "lies":
		for i := range as {
			as[i].Quotes = []string{"what nobody said"}
		}
	}
	return as, err
}
