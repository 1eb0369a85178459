package resume

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/durable"
)

// Form is what the files of one kind of run have in common.
type Form struct {
	Key     string  // the first key of every head, by which a file is known, such as "proviso_eval"
	Noun    string  // what a file is, such as "the file of a run"
	Refused Trouble // of a file that cannot be used
	Damaged Trouble // of one that does not hold what was written, beyond a torn end
}

// Trouble is how a kind of error is told: its stable code, and what to do.
type Trouble struct{ Code, Hint string }

// FileError tells that the file of a run cannot be used. The file is as it was.
type FileError struct {
	Name    string
	Damaged bool // it does not hold what was written, beyond a torn end
	Err     error
	form    Form
}

// Error says what is wrong and what to do.
func (e *FileError) Error() string {
	return fmt.Sprintf("%s: %v; %s [%s]", e.Name, e.Err, e.Hint(), e.Code())
}

// Hint says what to do.
func (e *FileError) Hint() string { return e.trouble().Hint }

// Code is the stable code of the form for what is wrong.
func (e *FileError) Code() string { return e.trouble().Code }

func (e *FileError) trouble() Trouble {
	if e.Damaged {
		return e.form.Damaged
	}
	return e.form.Refused
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Error returns err as one about the file name: damaged where err is Damage, without the path of a file system error, since the name is told, and as it is where it is a *FileError already.
func (f *Form) Error(name string, err error) *FileError {
	var fe *FileError
	var pe *fs.PathError
	var d damage
	switch {
	case errors.As(err, &fe):
		return fe
	case errors.As(err, &d):
		return &FileError{name, true, d.error, *f}
	case errors.As(err, &pe):
		err = pe.Err
	}
	return &FileError{name, false, err, *f}
}

// damage is an error about bytes that no crash explains.
type damage struct{ error }

// Damage marks err as one about bytes that no crash explains.
func Damage(err error) error { return damage{err} }

// Scan reads the bytes of a file: head takes the first line and line each one behind it, without their newlines. It returns how many bytes are whole lines, 0 where the file has not begun.
// What head refuses is about something else, what line refuses is Damage.
func (f *Form) Scan(b []byte, head, line func(text []byte) error) (size int, err error) {
	if begin := []byte(`{"` + f.Key + `":`); !bytes.HasPrefix(begin, b[:min(len(b), len(begin))]) {
		return 0, f.foreign() // nothing that did not begin as a run is ever written over
	}
	size = bytes.LastIndexByte(b, '\n') + 1
	n := 0
	for text := range bytes.Lines(b[:size]) {
		n++
		text = bytes.TrimSuffix(text, []byte("\n"))
		if n == 1 {
			if err := head(text); err != nil {
				return 0, err
			}
		} else if err := line(text); err != nil {
			return 0, Damage(fmt.Errorf("line %d: %w", n, err))
		}
	}
	return size, nil
}

func (f *Form) foreign() error { return fmt.Errorf("is not %s", f.Noun) }

// Head decodes a first line strictly into v. A line of another shape is no head of the form.
func (f *Form) Head(text []byte, v any) error {
	if proviso.DecodeStrict(text, v) != nil {
		return f.foreign()
	}
	return nil
}

// Read is Scan of the file name; one that does not exist has not begun. Errors are *FileError.
func (f *Form) Read(name string, head, line func(text []byte) error) (size int, err error) {
	b, err := os.ReadFile(name)
	if err == nil {
		size, err = f.Scan(b, head, line)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, f.Error(name, err)
	}
	return size, nil
}

// Log is the file of a run that results are appended to. A nil Log keeps nothing. It is for one goroutine at a time.
type Log struct {
	File Appender // tests put a small disk in its place
	form *Form
	name string
	err  error
}

// Appender is what a Log needs of an open file.
type Appender interface {
	io.WriteCloser
	Sync() error
}

// Append opens the file name for lines behind its first size bytes, which is what Read returned, and cuts off what follows. Where size is 0 it begins the file anew with head. Errors are *FileError.
// A file that is new is for its owner only.
func (f *Form) Append(name string, size int, head any) (*Log, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, f.Error(name, err)
	}
	l := &Log{File: file, form: f, name: name}
	if err = file.Truncate(int64(size)); err == nil && size == 0 {
		if err = l.Write(head); err == nil {
			err = durable.Sync(filepath.Dir(name)) // so that Sync is about a file that has its name
		}
	}
	if err != nil {
		file.Close()
		return nil, f.Error(name, err)
	}
	return l, nil
}

// Write appends v as one line with a single call. After an error nothing more is written, because nothing may follow a torn line: it returns that error again.
// Errors of the disk are *FileError; a value that has no JSON form is the caller's mistake, and nothing was written.
func (l *Log) Write(v any) error {
	if l == nil {
		return nil
	}
	if l.err != nil {
		return l.err
	}
	b, err := proviso.AppendJSON(nil, v)
	if err != nil {
		return fmt.Errorf("write %s: %w", l.name, err)
	}
	if _, err := l.File.Write(append(b, '\n')); err != nil {
		l.err = l.form.Error(l.name, err)
	}
	return l.err
}

// Sync waits until what was written is on the disk.
func (l *Log) Sync() error {
	if l == nil {
		return nil
	}
	if l.err != nil {
		return l.err
	}
	if err := l.File.Sync(); err != nil {
		return l.form.Error(l.name, err)
	}
	return nil
}

// Close closes the file. What was written stays.
func (l *Log) Close() {
	if l != nil {
		l.File.Close()
	}
}
