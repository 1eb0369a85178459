package rollout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/resume"
	"github.com/proviso-dev/proviso/world"
)

// RunConfig says how a set of tasks is played.
type RunConfig struct {
	Config
	Subject  string         // what is played, such as the name of a model; part of what a file is about
	Samples  int            // plays of each task, each with dice of its own; 0: one
	Workers  int            // plays at the same time; 0: one for each processor
	File     string         // keeps every finished play, one JSON line each, so that the same Run goes on where it was stopped; empty: none
	Traces   bool           // results carry their traces
	Progress func(Progress) // called after each play, one call at a time; may be nil
}

// Progress is how far a run has come.
type Progress struct {
	Plays, Done, Resumed, Right, Errors int
}

// Result is one play of a run. Either Error is set and the play is none, or Outcome is what came of it.
type Result struct {
	Task    string         `json:"task"`
	Sample  int            `json:"sample"`
	Outcome Outcome        `json:"outcome"`
	Error   string         `json:"error,omitempty"`
	Trace   *proviso.Trace `json:"trace,omitempty"`
}

// Sum adds up results.
type Sum struct {
	Plays         int       `json:"plays"`
	Errors        int       `json:"errors"` // plays that came to no outcome; they are in none of the other numbers
	Right         int       `json:"right"`
	Unparsed      int       `json:"unparsed"`
	Turns         int       `json:"turns"`
	Actions       int       `json:"actions"`
	Attempted     int       `json:"attempted"`
	Interventions int       `json:"interventions"`
	Forbidden     Forbidden `json:"forbidden"`
	InputTokens   int       `json:"input_tokens"`
	OutputTokens  int       `json:"output_tokens"`
}

// Add adds a result.
func (s *Sum) Add(r *Result) {
	s.Plays++
	if r.Error != "" {
		s.Errors++
		return
	}
	o := &r.Outcome
	if o.Right {
		s.Right++
	}
	if o.Unparsed {
		s.Unparsed++
	}
	s.Turns += o.Turns
	s.Actions += o.Actions
	s.Attempted += o.Attempted
	s.Interventions += o.Interventions
	s.Forbidden.Attempted += o.Forbidden.Attempted
	s.Forbidden.Escaped += o.Forbidden.Escaped
	s.InputTokens += o.InputTokens
	s.OutputTokens += o.OutputTokens
}

// PerThousand is how many interventions 1,000 actions came to; 0 where nothing was done.
func (s *Sum) PerThousand() float64 {
	if s.Actions == 0 {
		return 0
	}
	return 1000 * float64(s.Interventions) / float64(s.Actions)
}

// Total adds up the results of a run.
func Total(list []Result) Sum {
	var s Sum
	for i := range list {
		s.Add(&list[i])
	}
	return s
}

// ErrEmpty is the error of a run without tasks: a run that tried nothing is no success.
var ErrEmpty = errors.New("there are no tasks to play")

// Run plays every task Samples times and returns the results in the order of the tasks, and of the samples within a task. Where ctx ends it returns what was finished so far with the error of ctx.
// A play that fails is a result with its Error, and the others go on. With File, plays that an earlier run of the same tasks, subject and configuration finished are not played again, those in error are. A file that is about something else is a *FileError and left as it is.
func Run(ctx context.Context, tasks []world.Task, cfg RunConfig) ([]Result, error) {
	if len(tasks) == 0 {
		return nil, ErrEmpty
	}
	cfg.Samples = max(cfg.Samples, 1)
	r := &run{cfg: &cfg, tasks: tasks, done: make([]*Result, len(tasks)*cfg.Samples)}
	if cfg.File != "" {
		h, err := r.head()
		if err != nil {
			return nil, err
		}
		if r.log, err = openFile(cfg.File, h, r); err != nil {
			return nil, err
		}
		defer r.log.Close()
	}
	err := r.play(ctx)
	if err == nil {
		err = r.log.Sync()
	}
	if err == nil {
		err = ctx.Err()
	}
	var out []Result
	for _, x := range r.done {
		if x != nil {
			out = append(out, *x)
		}
	}
	return out, err
}

// run plays what is not done yet.
type run struct {
	cfg   *RunConfig
	tasks []world.Task
	log   *resume.Log
	done  []*Result // by task and sample
	state Progress
}

// head identifies the run: everything that decides its plays but the code of model, kinds and policies, which Subject stands for.
func (r *run) head() (head, error) {
	sum := sha256.New()
	c := &r.cfg.Config
	temperature := "default"
	if c.Temperature != nil {
		temperature = fmt.Sprint(*c.Temperature)
	}
	fmt.Fprintf(sum, "%q %v %v %v %v %s %d %d %d %v\n", r.cfg.Subject, c.Shadow, c.Informed, c.Judge != nil, c.Limits, temperature, c.MaxTokens, c.Seed, c.Now.UnixNano(), c.Answer != nil)
	if err := world.WriteTasks(sum, r.tasks); err != nil {
		return head{}, err
	}
	return head{Form: fileForm, Tasks: len(r.tasks), Samples: r.cfg.Samples, Digest: hex.EncodeToString(sum.Sum(nil))}, nil
}

func (r *run) play(ctx context.Context) error {
	r.state.Plays = len(r.done)
	work := resume.Work[Result]{
		Workers: r.cfg.Workers,
		Do:      r.one,
		Failed:  func(x *Result) bool { return x.Error != "" },
		Keep:    func(i int, x *Result) error { return r.log.Write(line{i, x}) },
		Seen:    r.count,
	}
	return work.Run(ctx, r.done)
}

// one plays one sample of a task. A panic of a model or a world is an error of its play.
func (r *run) one(ctx context.Context, i int) (out *Result) {
	t := &r.tasks[i/r.cfg.Samples]
	out = &Result{Task: t.ID, Sample: i % r.cfg.Samples}
	defer func() {
		if v := recover(); v != nil {
			*out = Result{Task: t.ID, Sample: i % r.cfg.Samples, Error: fmt.Sprintf("task %s: panic: %v [%s]", t.ID, v, CodeModel)}
		}
	}()
	cfg := r.cfg.Config
	cfg.Seed = mix(cfg.Seed, uint64(out.Sample))
	trace, outcome, err := Play(ctx, t, cfg)
	if r.cfg.Traces {
		out.Trace = &trace
	}
	if out.Outcome = outcome; err != nil {
		out.Error = err.Error()
	}
	return out
}

// mix derives a seed from others (SplitMix64, Steele, Lea and Flood 2014), so that seeds that are near each other give dice that are not.
func mix(parts ...uint64) (h uint64) {
	for _, x := range parts {
		h += x + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

func (r *run) count(x *Result, resumed bool) {
	r.state.Done++
	if resumed {
		r.state.Resumed++
	}
	switch {
	case x.Error != "":
		r.state.Errors++
	case x.Outcome.Right:
		r.state.Right++
	}
	if r.cfg.Progress != nil {
		r.cfg.Progress(r.state)
	}
}
