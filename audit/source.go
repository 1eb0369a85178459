package audit

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
)

// endings are the names of files that are read from folders.
var endings = []string{".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz"}

// expand lists the files below the paths, each once and folders in order of names.
func expand(paths []string) ([]string, error) {
	if len(paths) == 0 {
		return nil, errors.New("no paths; name files or folders of recorded conversations")
	}
	var out []string
	seen := map[string]bool{}
	add := func(p string) {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			add(path)
			continue
		}
		var found []string
		err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			for _, e := range endings {
				if strings.HasSuffix(p, e) {
					found = append(found, p)
					break
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		sort.Strings(found)
		for _, p := range found {
			add(p)
		}
	}
	return out, nil
}

// read sends the content of all files to the workers.
func (r *run) read(ctx context.Context, files []string) error {
	for _, f := range files {
		r.mu.Lock()
		r.state.File = f
		r.progress(0)
		r.mu.Unlock()
		s := &stream{run: r, ctx: ctx, source: filepath.ToSlash(f), batches: make([]work, len(r.own))}
		read := func() error { return s.file(f) }
		if r.cfg.Journal != nil {
			if all := r.cfg.Journal(ctx, f); all != nil {
				read = func() error { return s.journal(all) }
			}
		}
		if err := read(); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.note(proviso.Diagnostic{Pos: proviso.Pos{File: s.source, Line: s.line}, Code: CodeUnreadable, Msg: err.Error()})
		}
		for i := range s.batches {
			if err := s.flush(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// stream reads one file: a sequence of JSON values, one per line or spread over lines, or a list of them.
type stream struct {
	run     *run
	ctx     context.Context
	source  string
	in      *bufio.Reader
	line    int    // of the next byte, less one
	batches []work // records on their way, one batch per worker
}

// batchBytes is how much text of records is handed over at once.
const batchBytes = 64 << 10

func (s *stream) file(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	s.in = bufio.NewReaderSize(f, 256<<10)
	if magic, _ := s.in.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(s.in)
		if err != nil {
			return err
		}
		s.in = bufio.NewReaderSize(z, 256<<10)
	}
	if bom, _ := s.in.Peek(3); string(bom) == "\ufeff" {
		_, _ = s.in.Discard(3)
	}
	return s.values()
}

// values decides by the first line: where it is a whole JSON value, or wrong before its end, every line is a value; where it is only the beginning of one, values span lines.
func (s *stream) values() error {
	first, err := s.nextLine()
	if errors.Is(err, io.EOF) && len(first) == 0 {
		return nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var je *proviso.JSONError
	if _, e := proviso.DecodeResultJSON(first); errors.As(e, &je) && je.Offset >= len(first) || first[0] == '[' {
		s.in = bufio.NewReaderSize(io.MultiReader(strings.NewReader(first+"\n"), s.in), 256<<10)
		s.line--
		return s.spread()
	}
	for {
		if len(first) > 0 {
			if e := s.value(first, s.line); e != nil {
				return e
			}
		}
		if err != nil {
			return eof(err)
		}
		first, err = s.nextLine()
	}
}

func eof(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// nextLine returns the next line that is not empty, without white space around it.
// A line beyond the bound is passed over with a diagnostic.
func (s *stream) nextLine() (string, error) {
	for {
		var begun []byte // of a line that is longer than the buffer
		tooLong := false
		for {
			part, err := s.in.ReadSlice('\n')
			if tooLong = tooLong || len(begun)+len(part) > s.run.cfg.MaxBytes; tooLong {
				begun, part = nil, nil
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				begun = append(begun, part...)
				continue
			}
			if len(begun) > 0 {
				part = append(begun, part...)
			}
			s.line++
			if tooLong {
				s.tooLong(s.line)
			}
			if part = bytes.TrimSpace(part); len(part) > 0 || err != nil {
				return string(part), s.ended(err)
			}
			break
		}
	}
}

func (s *stream) tooLong(line int) {
	s.note(line, CodeUnreadable, fmt.Sprintf("the conversation is longer than %d bytes", s.run.cfg.MaxBytes), "split it, or raise the bound")
}

// ended turns a compressed file that was cut off into one that ends, with a diagnostic.
func (s *stream) ended(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		s.note(s.line, llm.CodeTruncated, "the compressed file was cut off", "copy it anew")
		return io.EOF
	}
	return err
}

func (s *stream) note(line int, code, msg, hint string) {
	s.run.note(proviso.Diagnostic{Pos: proviso.Pos{File: s.source, Line: line}, Code: code, Msg: msg, Hint: hint})
}

// spread reads values that span lines; the elements of a list at the top are values of their own unless they are the turns of one conversation.
func (s *stream) spread() error {
	for {
		c, err := s.peek()
		if err != nil {
			return eof(s.ended(err))
		}
		if c != '[' {
			text, line, err := s.take(nil)
			if e := s.lines(text, line); e != nil || err != nil {
				return errors.Join(e, eof(err))
			}
			continue
		}
		if err := s.list(); err != nil {
			return eof(err)
		}
	}
}

func (s *stream) list() error {
	line := s.line + 1
	s.skip()
	for first := true; ; first = false {
		c, err := s.peek()
		if err != nil {
			return s.ended(err)
		}
		if c == ']' || c == ',' {
			s.skip()
			if c == ']' {
				return nil
			}
			continue
		}
		text, at, err := s.take(nil)
		if first && isTurn(text) {
			whole, _, err := s.rest(append([]byte{'['}, text...), err)
			return errors.Join(s.value(string(whole), line), err)
		}
		if e := s.value(string(text), at); e != nil || err != nil {
			return errors.Join(e, err)
		}
	}
}

// rest takes what follows up to the bracket that ends the list begun in text.
func (s *stream) rest(text []byte, err error) ([]byte, int, error) {
	if err != nil {
		return text, s.line, err
	}
	return s.take(text)
}

// isTurn tells the first turn of a conversation from a conversation.
func isTurn(text []byte) bool {
	doc, _, err := llm.Decode(text)
	m := llm.Object(doc)
	if err != nil || m == nil {
		return false
	}
	for _, k := range []string{"messages", "input", "items", "request", "event"} {
		if m[k] != nil {
			return false
		}
	}
	return m["role"] != nil || m["type"] != nil
}

// peek returns the next byte that is no white space, without taking it.
func (s *stream) peek() (byte, error) {
	for {
		c, err := s.in.ReadByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			return c, s.in.UnreadByte()
		}
	}
}

func (s *stream) skip() { _, _ = s.in.Discard(1) }

// take returns the text of the next value, or of the list that text begins, up to its last bracket, and the line it starts on. At the end of the file it returns what there is and io.EOF.
func (s *stream) take(text []byte) ([]byte, int, error) {
	line := s.line + 1
	depth, inString, escaped := 0, false, false
	if len(text) > 0 {
		depth = 1
	}
	long := false
	for {
		c, err := s.in.ReadByte()
		if err != nil {
			if long {
				s.tooLong(line)
			}
			return bytes.TrimSpace(text), line, s.ended(err)
		}
		if c == '\n' {
			s.line++
		}
		if long = long || len(text) >= s.run.cfg.MaxBytes; long {
			text = text[:0]
		} else {
			text = append(text, c)
		}
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth > 0 || inString {
			continue
		}
		if next, err := s.in.Peek(1); c == '}' || c == ']' || c == '"' || err == nil && bytes.ContainsAny(next, ",]} \n\r\t") {
			if long {
				s.tooLong(line)
				return nil, line, nil
			}
			return bytes.TrimSpace(text), line, nil
		}
	}
}

// lines hands on a value that spans lines. Where it is none, and a line of it is a value of its own, the file is one of lines whose first was cut off.
func (s *stream) lines(text []byte, line int) error {
	if len(text) == 0 {
		return nil
	}
	_, _, err := llm.Decode(text)
	all := bytes.Split(text, []byte("\n"))
	if err == nil || len(all) == 1 {
		return s.value(string(text), line)
	}
	whole := false
	for _, l := range all[1:] {
		doc, err := proviso.DecodeResultJSON(bytes.TrimSpace(l))
		whole = whole || err == nil && llm.Object(doc) != nil
	}
	if !whole {
		return s.value(string(text), line)
	}
	for i, l := range all {
		if l = bytes.TrimSpace(l); len(l) > 0 {
			if err := s.value(string(l), line+i); err != nil {
				return err
			}
		}
	}
	return nil
}

// value hands one value to a worker.
func (s *stream) value(text string, line int) error {
	if len(text) == 0 {
		return nil
	}
	if s.run.surveyed != nil {
		if id, err := sessionOf(text); isRecord(text) && err == nil {
			s.run.surveyed.survey(s.source, line, strings.Clone(id), text)
		}
		return nil
	}
	if !isRecord(text) {
		return send(s.ctx, s.run.shared, work{source: s.source, line: line, place: s.run.place(), text: text})
	}
	id, err := sessionOf(text)
	if err != nil {
		s.note(line, CodeUnreadable, err.Error(), "")
		return nil
	}
	return s.record(recordLine{line: line, session: id, text: text}, len(text))
}

// journal reads a file that Config.Journal knows how to read.
func (s *stream) journal(all iter.Seq2[Stored, error]) error {
	for k, err := range all {
		if err != nil {
			return err
		}
		s.line++
		if s.run.surveyed != nil {
			s.run.surveyed.survey(s.source, s.line, k.Session, k.ID)
			continue
		}
		if err := s.record(recordLine{line: s.line, session: k.Session, read: k.Read}, k.Size); err != nil {
			return err
		}
	}
	return nil
}

// record hands a record to the worker that has its session.
func (s *stream) record(l recordLine, size int) error {
	id := l.session
	place, known := s.run.sessions[id]
	if !known {
		id = strings.Clone(id) // or the whole line would stay with the session
		place = s.run.place()
		s.run.sessions[id] = place
		if key, _ := s.run.recordsKey(id); s.run.restored(key, place) {
			s.run.sessions[id] = restoredPlace
			return nil
		}
	}
	if place == restoredPlace {
		return nil
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, id)
	n := int(h.Sum32() % uint32(len(s.batches)))
	b := &s.batches[n]
	b.source = s.source
	l.place, l.session = place, id
	b.records = append(b.records, l)
	b.bytes += size
	if b.bytes < batchBytes {
		return nil
	}
	return s.flush(n)
}

// flush sends a batch to its worker.
func (s *stream) flush(n int) error {
	b := s.batches[n]
	s.batches[n] = work{}
	if len(b.records) == 0 {
		return nil
	}
	return send(s.ctx, s.run.own[n], b)
}

// isRecord reports whether a value is a record, whose first key is always its event.
func isRecord(text string) bool {
	t := strings.TrimLeft(text, "{ \t\r\n")
	return len(t) < len(text) && strings.HasPrefix(t, `"event"`)
}

// recordStart is how records are written.
const recordStart = `{"event":{"session":"`

// sessionOf returns the session of a record without reading all of it where it is written the usual way.
func sessionOf(text string) (string, error) {
	if rest, usual := strings.CutPrefix(text, recordStart); usual {
		if end := strings.IndexByte(rest, '"'); end >= 0 && strings.IndexByte(rest[:end], '\\') < 0 {
			return rest[:end], nil
		}
	}
	var r proviso.Record
	if err := proviso.DecodeStrict(text, &r); err != nil {
		return "", err
	}
	return r.Event.Session, nil
}
