package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/resume"
)

// CodeState is the code of a state file that cannot be used.
const CodeState = "PV408"

// savedState is the file in which an audit keeps the sessions that are done, so that one that was killed goes on where it stopped.
// Its first line says what it is about; each further line is one finished session under the hash of its input.
type savedState struct {
	log   *resume.Log
	done  map[string][]byte // sessions as JSON, by key
	lines map[string]*sessionLines
}

// stateHead is the first line. Sessions count only under the same policy, the same form and the same assumed time.
type stateHead struct {
	Audit  int       `json:"proviso_audit"`
	Policy string    `json:"policy"`
	Traces bool      `json:"traces,omitempty"`
	Now    time.Time `json:"now,omitzero"`
}

type stateLine struct {
	Key     string       `json:"key"`
	Session proviso.JSON `json:"session"`
}

// sessionLines is what the records of one session are, over all files.
type sessionLines struct {
	hash  hash.Hash
	count int
	key   string
}

// stateForm changes where a session of an older state file would not be what this program finds.
const stateForm = 1

// StateError tells that the state of an earlier run cannot be used. Nothing was audited, and the file is as it was. Its Code is CodeState.
type StateError = resume.FileError

var stateTrouble = resume.Trouble{Code: CodeState, Hint: "name another file, or remove it"}

var stateFile = &resume.Form{Key: "proviso_audit", Noun: "the state of an audit", Refused: stateTrouble, Damaged: stateTrouble}

// openState reads the state of an earlier run and opens the file for this one. A file that is about another policy or form is begun anew.
// The time that recordings without one are taken to begin at is that of the first run. Errors are *StateError.
func openState(name string, cfg *Config) (*savedState, error) {
	head := stateHead{Audit: stateForm, Policy: cfg.Policy.Digest(), Traces: cfg.Traces, Now: cfg.Now.UTC()}
	s := &savedState{done: map[string][]byte{}, lines: map[string]*sessionLines{}}
	same := false
	size, err := stateFile.Read(name, func(text []byte) error {
		var had stateHead
		if err := stateFile.Head(text, &had); err != nil {
			return err
		}
		if same = had.Audit == head.Audit && had.Policy == head.Policy && had.Traces == head.Traces; same {
			cfg.Now = had.Now
		}
		return nil
	}, func(text []byte) error {
		if !same {
			return nil
		}
		var l stateLine
		if err := proviso.DecodeStrict(text, &l); err != nil {
			return err
		}
		s.done[l.Key] = l.Session
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !same {
		size = 0
	}
	s.log, err = stateFile.Append(name, size, head)
	return s, err
}

// save keeps a finished session.
func (s *savedState) save(key string, done *Session) error {
	b, err := proviso.AppendJSON(nil, done)
	if err != nil {
		return err
	}
	return s.log.Write(stateLine{key, b})
}

// restore returns the session that an earlier run finished for the same input. A damaged one is audited again.
func (s *savedState) restore(key string) (out Session, ok bool) {
	b, ok := s.done[key]
	if !ok || proviso.DecodeStrict(b, &out) != nil {
		return Session{}, false
	}
	return out, true
}

// conversationKey is the key of a conversation: its place and its bytes.
func conversationKey(source string, line int, text string) string {
	h := sha256.New()
	fmt.Fprintf(h, "conversation\x00%s\x00%d\x00", source, line)
	_, _ = io.WriteString(h, text)
	return hex.EncodeToString(h.Sum(nil))
}

// survey takes a record into the key of its session.
func (s *savedState) survey(source string, line int, id, text string) {
	l := s.lines[id]
	if l == nil {
		l = &sessionLines{hash: sha256.New()}
		s.lines[id] = l
	}
	l.count++
	fmt.Fprintf(l.hash, "record\x00%s\x00%d\x00%d\x00", source, line, len(text))
	_, _ = io.WriteString(l.hash, text)
}

// sum ends the survey.
func (s *savedState) sum() {
	for _, l := range s.lines {
		l.key = hex.EncodeToString(l.hash.Sum(nil))
		l.hash = nil
	}
}

// recordsKey is the key of a session of records, and how many lines it has; the key is empty for a session that the survey has not seen.
func (s *savedState) recordsKey(id string) (key string, lines int) {
	if l := s.lines[id]; l != nil {
		return l.key, l.count
	}
	return "", 0
}

// restoredPlace marks a session of records that an earlier run finished; its lines are passed over.
const restoredPlace = -1

// remember opens the state and, because the records of a session may lie far apart, reads all files once to know which belong together.
func (r *run) remember(ctx context.Context, files []string) error {
	s, err := openState(r.cfg.State, &r.cfg)
	if err != nil {
		return err
	}
	quiet := r.cfg
	quiet.Progress = nil
	count := &run{cfg: quiet, surveyed: s, sessions: map[string]int{}}
	if err := count.read(ctx, files); err != nil {
		s.log.Close()
		return err
	}
	s.sum()
	r.saved = s
	return nil
}

func (r *run) conversationKey(w work) string {
	if r.saved == nil {
		return ""
	}
	return conversationKey(w.source, w.line, w.text)
}

func (r *run) recordsKey(id string) (key string, lines int) {
	if r.saved == nil {
		return "", 0
	}
	return r.saved.recordsKey(id)
}

// restored takes a session that an earlier run finished into the report.
func (r *run) restored(key string, place int) bool {
	if key == "" {
		return false
	}
	s, ok := r.saved.restore(key)
	if !ok {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, numbered{place, s})
	r.state.Sessions++
	r.state.Resumed++
	r.progress(s.Events)
	return true
}

// spoil keeps a session out of the state: what is wrong with its records has to be told again.
func (r *run) spoil(session string) {
	if r.saved == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spoilt == nil {
		r.spoilt = map[string]bool{}
	}
	r.spoilt[session] = true
}

// keep saves a finished session. Where that fails it is said once, and the audit goes on. The caller holds the lock.
func (r *run) keep(key string, s *Session) {
	if key == "" || r.spoilt[s.Session] {
		return
	}
	if err := r.saved.save(key, s); err != nil && !r.unsaved {
		r.unsaved = true
		r.diags = append(r.diags, proviso.Diagnostic{Pos: proviso.Pos{File: r.cfg.State}, Code: CodeState, Severity: proviso.Warning, Msg: "a finished session could not be kept: " + err.Error(), Hint: "this run is whole, but it cannot be resumed"})
	}
}
