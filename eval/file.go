package eval

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/proviso-dev/proviso"
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

// FileError tells that a run file cannot be used. The file is as it was. Damaged says that it does not hold what was written, beyond a torn end.
type FileError struct {
	Name    string
	Damaged bool
	Err     error
}

// Error says what is wrong and what to do.
func (e *FileError) Error() string {
	return fmt.Sprintf("%s: %v; %s [%s]", e.Name, e.Err, e.Hint(), e.Code())
}

// Hint says what to do.
func (e *FileError) Hint() string {
	if e.Damaged {
		return "restore it, or run again with another file"
	}
	return "name another file"
}

// Code is CodeFile or CodeDamaged.
func (e *FileError) Code() string {
	if e.Damaged {
		return CodeDamaged
	}
	return CodeFile
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// ReadRun reads the file of a run, finished or not. A torn end is what a crash left of a line and is passed over. Errors are *FileError.
func ReadRun(name string) (*Run, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, &FileError{Name: name, Err: because(err)}
	}
	f, err := parseFile(b)
	if err == nil && f.whole == 0 {
		err = errors.New("is not the file of a run")
	}
	if err != nil {
		return nil, fileError(name, err)
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

// because is the reason of a file system error without the path, which FileError names.
func because(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// damage is an error about bytes that no crash explains.
type damage struct{ error }

func fileError(name string, err error) error {
	var d damage
	if errors.As(err, &d) {
		return &FileError{Name: name, Damaged: true, Err: d.error}
	}
	return &FileError{Name: name, Err: err}
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

// parseFile reads the bytes of a run file. Lines are written with one call each, so that a crash leaves a prefix: a last line without its newline is cut off,
// and anything else that cannot be read is damage. A case may come again only where it was in error before.
func parseFile(b []byte) (*parsed, error) {
	f := &parsed{whole: bytes.LastIndexByte(b, '\n') + 1}
	if f.whole == 0 {
		if !looksLikeRun(b) {
			return nil, errors.New("is not the file of a run")
		}
		return f, nil
	}
	first, rest, _ := bytes.Cut(b[:f.whole], []byte("\n"))
	if err := proviso.DecodeStrict(first, &f.head); err != nil || f.head.Form == 0 {
		return nil, errors.New("is not the file of a run")
	}
	if f.head.Form != fileForm || f.head.Cases < 1 || f.head.Cases > maxCases {
		return nil, fmt.Errorf("is a run of form %d with %d cases, which this program does not read", f.head.Form, f.head.Cases)
	}
	f.lines = make([]*line, f.head.Cases)
	n := 1
	for text := range bytes.Lines(rest) {
		n++
		if err := f.add(bytes.TrimSuffix(text, []byte("\n"))); err != nil {
			return nil, damage{fmt.Errorf("line %d: %w", n, err)}
		}
	}
	if f.end != "" && f.end != runOf(f.head, f.lines).Digest() {
		return nil, damage{errors.New("the results are not those that the run ended with")}
	}
	return f, nil
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

// looksLikeRun reports whether a file without a whole line may be the beginning of a run: nothing else is ever overwritten.
func looksLikeRun(b []byte) bool {
	begin := []byte(`{"proviso_eval":`)
	return bytes.HasPrefix(begin, b[:min(len(b), len(begin))])
}

// runFile is a run file that results are appended to.
type runFile struct {
	name  string
	file  appendFile
	ended bool
}

// appendFile is what a run needs of an open file.
type appendFile interface {
	io.WriteCloser
	Sync() error
}

// openFile opens the file of a run of the suite that goes on, or begins it, and puts the finished cases into done.
func openFile(name string, s *Suite, head Head, done []*line) (*runFile, error) {
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &FileError{Name: name, Err: because(err)}
	}
	f, err := parseFile(old)
	if err != nil {
		return nil, fileError(name, err)
	}
	if f.whole > 0 {
		if f.head != head {
			return nil, &FileError{Name: name, Err: errors.New(differs(f.head, head))}
		}
		if err := f.belongs(s); err != nil {
			return nil, fileError(name, err)
		}
		copy(done, f.lines)
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, &FileError{Name: name, Err: because(err)}
	}
	r := &runFile{name: name, file: file, ended: f.end != ""}
	err = file.Truncate(int64(f.whole))
	if err == nil && f.whole == 0 {
		err = r.write(head)
	}
	if err != nil {
		file.Close()
		return nil, &FileError{Name: name, Err: because(err)}
	}
	return r, nil
}

// belongs reports damage where a finished case is not the suite's case of that number.
func (f *parsed) belongs(s *Suite) error {
	for i, l := range f.lines {
		if l != nil && (l.Result.ID != s.Cases[i].ID || !slices.Equal(l.Result.Want, s.Cases[i].Want)) {
			return damage{fmt.Errorf("case %d is %q, and %q in the suite", i, l.Result.ID, s.Cases[i].ID)}
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

// write appends one line with a single call, so that what is there after a crash is a prefix of what was written.
func (r *runFile) write(v any) error {
	b, err := proviso.AppendJSON(nil, v)
	if err != nil {
		return fmt.Errorf("write %s: %w", r.name, err)
	}
	if _, err := r.file.Write(append(b, '\n')); err != nil {
		return &FileError{Name: r.name, Err: because(err)}
	}
	return nil
}

// end writes the last line, once.
func (r *runFile) end(run *Run) error {
	if r.ended {
		return nil
	}
	if err := r.write(lastLine{run.Digest()}); err != nil {
		return err
	}
	if err := r.file.Sync(); err != nil {
		return &FileError{Name: r.name, Err: because(err)}
	}
	return nil
}

func (r *runFile) close() { r.file.Close() }
