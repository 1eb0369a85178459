package rollout

import (
	"errors"
	"fmt"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/resume"
)

// The codes of files of plays.
const (
	CodeFile    = "PV937" // a file that is about something else, or cannot be opened
	CodeDamaged = "PV938" // a file that does not hold what was written, beyond a torn end
)

// fileForm changes where an older file would be misread.
const fileForm = 1

// head is the first line of a file.
type head struct {
	Form    int    `json:"proviso_rollout"`
	Tasks   int    `json:"tasks"`
	Samples int    `json:"samples"`
	Digest  string `json:"digest"` // SHA-256 of tasks, subject and configuration, in hexadecimal
}

// line is one finished play.
type line struct {
	Play   int     `json:"play"` // of the run, from 0
	Result *Result `json:"result"`
}

// FileError tells that a file of plays cannot be used. The file is as it was. Damaged says that it does not hold what was written, beyond a torn end. Its Code is CodeFile or CodeDamaged.
type FileError = resume.FileError

var runForm = &resume.Form{
	Key:     "proviso_rollout",
	Noun:    "the file of a run",
	Refused: resume.Trouble{Code: CodeFile, Hint: "name another file"},
	Damaged: resume.Trouble{Code: CodeDamaged, Hint: "restore it, or play again into another file"},
}

// openFile opens the file of a run that goes on, or begins it, and puts the finished plays where they belong.
func openFile(name string, h head, r *run) (*resume.Log, error) {
	same := func(text []byte) error {
		var old head
		if err := runForm.Head(text, &old); err != nil {
			return err
		}
		if old != h {
			return errors.New("holds plays of other tasks, of another subject or in another configuration")
		}
		return nil
	}
	size, err := runForm.Read(name, same, r.restore)
	if err != nil {
		return nil, err
	}
	return runForm.Append(name, size, h)
}

// restore takes a finished play back. A play may come again only where it was in error before.
func (r *run) restore(text []byte) error {
	var l line
	if err := proviso.DecodeStrict(text, &l); err != nil {
		return err
	}
	if l.Play < 0 || l.Play >= len(r.done) || l.Result == nil {
		return fmt.Errorf("play %d of %d", l.Play, len(r.done))
	}
	if before := r.done[l.Play]; before != nil && before.Error == "" {
		return fmt.Errorf("play %d was finished before; two runs wrote the same file", l.Play)
	}
	if want := r.tasks[l.Play/r.cfg.Samples].ID; l.Result.Task != want || l.Result.Sample != l.Play%r.cfg.Samples {
		return fmt.Errorf("play %d is of task %q, and %q in the run", l.Play, l.Result.Task, want)
	}
	if r.cfg.Traces && l.Result.Trace == nil && l.Result.Error == "" {
		return fmt.Errorf("play %d was kept without its trace", l.Play)
	}
	r.done[l.Play] = l.Result
	return nil
}
