package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/proviso-dev/proviso"
)

// A sealed log is a journal as JSON lines, chain and all: first a line that names the store, then the acts, then the records in the order in which they were appended.

// line is any line of a sealed log; exactly one of Store, Act and Head is there.
type line struct {
	Log   int          `json:"log,omitempty"`
	Store string       `json:"store,omitempty"`
	Hash  Hash         `json:"hash,omitzero"`
	Act   proviso.JSON `json:"act,omitempty"`
	Head  proviso.JSON `json:"head,omitempty"`
	Body  proviso.JSON `json:"body,omitempty"`
}

// MaxLine is how many bytes one line of a sealed log may have.
const MaxLine = 64 << 20

// WriteLog writes the first line of a sealed log.
func WriteLog(w io.Writer, store string) error { return writeLine(w, &line{Log: 1, Store: store}) }

// WriteAct writes an act as a line of a sealed log.
func WriteAct(w io.Writer, s SealedAct) error { return writeLine(w, &line{Hash: s.Hash, Act: s.Text}) }

// WriteEntry writes a record as a line of a sealed log.
func WriteEntry(w io.Writer, e *Entry) error {
	return writeLine(w, &line{Hash: e.Hash, Head: e.Head, Body: e.Body})
}

func writeLine(w io.Writer, l *line) error {
	b, err := proviso.AppendJSON(nil, l)
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	return err
}

// ErrNotLog is the error of VerifyLog for what does not begin like a sealed log.
var ErrNotLog = fmt.Errorf("journal: this is no sealed log; write one with proviso log export --sealed [%s]", CodeStore)

// VerifyLog streams a sealed log through a verifier. What cannot be read as a line is a finding, except for a last line without its end, which is a torn tail.
// It fails only where reading fails, or where nothing of a sealed log is there.
func VerifyLog(v *Verifier, r io.Reader) error {
	return scan(r, func(n int, b []byte, torn bool) error {
		var l line
		if torn {
			v.Torn(fmt.Sprintf("line %d has no end", n))
			return nil
		}
		err := proviso.DecodeStrict(b, &l)
		switch {
		case n == 1 && (err != nil || l.Log != 1):
			return ErrNotLog
		case n == 1:
			v.Store(l.Store)
		case err != nil:
			v.Damaged(fmt.Sprintf("line %d", n), "is no line of a sealed log: "+err.Error())
		case len(l.Act) > 0:
			v.Act(SealedAct{l.Hash, l.Act})
		case len(l.Head) > 0:
			e := Entry{Hash: l.Hash, Head: l.Head, Body: l.Body}
			var h head
			if err := proviso.DecodeStrict(e.Head, &h); err != nil {
				v.Damaged(fmt.Sprintf("line %d", n), "holds a record that cannot be read: "+err.Error())
				return nil
			}
			e.Session, e.Seq = h.Session, h.Seq
			v.Entry(&e)
		default:
			v.Damaged(fmt.Sprintf("line %d", n), "holds neither a record nor an act")
		}
		return nil
	})
}

// scan gives the lines of r to f; the last one is torn where it has no newline.
func scan(r io.Reader, f func(n int, b []byte, torn bool) error) error {
	in := bufio.NewReaderSize(r, 1<<16)
	var b []byte
	for n := 1; ; {
		part, err := in.ReadSlice('\n')
		b = append(b, part...)
		if len(b) > MaxLine {
			return fmt.Errorf("journal: line %d has more than %d bytes; this is no sealed log [%s]", n, MaxLine, CodeStore)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == io.EOF && len(b) == 0 && n > 1:
			return nil
		case err != nil && err != io.EOF:
			return err
		}
		if bad := f(n, bytes.TrimSuffix(b, []byte("\n")), err == io.EOF); bad != nil || err == io.EOF {
			return bad
		}
		b, n = b[:0], n+1
	}
}
