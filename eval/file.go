package eval

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/resume"
)

// CodeFile is the code of a run file that cannot be used, and CodeDamaged of one that is not what was written.
const (
	CodeFile    = "PV601"
	CodeDamaged = "PV602"
)

// fileForm changes where an older file would be misread.
const fileForm = 1

// line is one finished case in a run file.
type line struct {
	Number int           `json:"case"` // of the suite, from 0
	Result Result        `json:"result"`
	Took   time.Duration `json:"took_ns"`
}

// lastLine ends a run in which every case was judged.
type lastLine struct {
	End string `json:"end"` // the digest of the run
}

// FileError tells that a run file cannot be used. The file is as it was. Damaged says that it does not hold what was written, beyond a torn end. Its Code is CodeFile or CodeDamaged.
type FileError = resume.FileError

var runForm = &resume.Form{
	Key:     "proviso_eval",
	Noun:    "the file of a run",
	Refused: resume.Trouble{Code: CodeFile, Hint: "name another file"},
	Damaged: resume.Trouble{Code: CodeDamaged, Hint: "restore it, or run again with another file"},
}

// ReadRun reads the file of a run, finished or not. A torn end is what a crash left of a line and is passed over. Errors are *FileError.
func ReadRun(name string) (*Run, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, runForm.Error(name, err)
	}
	f, err := parseFile(b)
	if err == nil && f.whole == 0 {
		err = errors.New("is not the file of a run")
	}
	if err != nil {
		return nil, runForm.Error(name, err)
	}
	return runOf(f.head, f.lines), nil
}

// runOf is the run of the cases that are finished.
func runOf(head Head, lines []*line) *Run {
	run := &Run{Head: head}
	for _, l := range lines {
		if l != nil {
			run.Results = append(run.Results, l.Result)
			run.Took = append(run.Took, l.Took)
		}
	}
	return run
}

// parsed is what a run file holds.
type parsed struct {
	head  Head
	lines []*line // by number of the case; nil where there is none
	end   string  // the digest that the run ended with
	whole int     // the bytes of whole lines
}

// maxCases bounds what a head may promise.
const maxCases = 10_000_000

// parseFile reads the bytes of a run file. A case may come again only where it was in error before.
func parseFile(b []byte) (f *parsed, err error) {
	f = &parsed{}
	if f.whole, err = runForm.Scan(b, f.begin, f.add); err != nil {
		return nil, err
	}
	if f.end != "" && f.end != runOf(f.head, f.lines).Digest() {
		return nil, resume.Damage(errors.New("the results are not those that the run ended with"))
	}
	return f, nil
}

func (f *parsed) begin(text []byte) error {
	if err := runForm.Head(text, &f.head); err != nil {
		return err
	}
	if f.head.Form != fileForm || f.head.Cases < 1 || f.head.Cases > maxCases {
		return fmt.Errorf("is a run of form %d with %d cases, which this program does not read", f.head.Form, f.head.Cases)
	}
	f.lines = make([]*line, f.head.Cases)
	return nil
}

func (f *parsed) add(text []byte) error {
	if f.end != "" {
		return errors.New("follows the end of the run")
	}
	if bytes.HasPrefix(text, []byte(`{"end":`)) {
		var last lastLine
		if err := proviso.DecodeStrict(text, &last); err != nil {
			return err
		}
		f.end = last.End
		return nil
	}
	l := &line{}
	if err := proviso.DecodeStrict(text, l); err != nil {
		return err
	}
	if l.Number < 0 || l.Number >= len(f.lines) {
		return fmt.Errorf("case %d of %d", l.Number, len(f.lines))
	}
	if before := f.lines[l.Number]; before != nil && before.Result.Status != Errored {
		return fmt.Errorf("case %d was finished before; two runs wrote the same file", l.Number)
	}
	f.lines[l.Number] = l
	return nil
}

// openFile opens the file of a run of the suite that goes on, or begins it, and returns what it holds already.
func openFile(name string, s *Suite, head Head) (*parsed, *resume.Log, error) {
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, runForm.Error(name, err)
	}
	f, err := parseFile(old)
	switch {
	case err != nil || f.whole == 0:
	case f.head != head:
		err = errors.New(differs(f.head, head))
	default:
		err = f.belongs(s)
	}
	if err != nil {
		return nil, nil, runForm.Error(name, err)
	}
	log, err := runForm.Append(name, f.whole, head)
	return f, log, err
}

// belongs reports damage where a finished case is not the suite's case of that number.
func (f *parsed) belongs(s *Suite) error {
	for i, l := range f.lines {
		if l != nil && (l.Result.ID != s.Cases[i].ID || !slices.Equal(l.Result.Want, s.Cases[i].Want)) {
			return resume.Damage(fmt.Errorf("case %d is %q, and %q in the suite", i, l.Result.ID, s.Cases[i].ID))
		}
	}
	return nil
}

// differs says what another run is about.
func differs(old, now Head) string {
	switch {
	case old.Suite != now.Suite:
		return fmt.Sprintf("holds a run of suite %s, not of %s", old.Suite, now.Suite)
	case old.Digest != now.Digest:
		return "holds a run over other cases"
	}
	return "holds a run of another subject"
}
