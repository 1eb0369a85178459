package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/journal/sqlite"
)

// keep opens the journal of the story: the file that was asked for, which must not exist yet, or one for the time of the story. end closes it.
func (t *tale) keep(name string) (end func(), err error) {
	dir := ""
	if name == "" {
		if dir, err = os.MkdirTemp("", "proviso-try-*"); err != nil {
			return nil, unwritable("a folder for the journal", err)
		}
		name = filepath.Join(dir, "journal.db")
	} else if _, err := os.Stat(name); err == nil {
		return nil, &problem{exit: exitInput, code: codeExists, msg: name + " exists", hint: "name another file, or remove it"}
	}
	if t.journal, err = sqlite.Open(name, sqlite.Options{}); err != nil {
		return nil, logProblem(err)
	}
	return func() {
		t.journal.Close()
		if dir != "" {
			os.RemoveAll(dir)
		}
	}, nil
}

// verified verifies the journal of the story, and then a copy in which the first denial says allow.
func (t *tale) verified() (sound, forged *journal.Report, err error) {
	var v, f journal.Verifier
	if err := t.journal.Verify(t.ctx, &v); err != nil {
		return nil, nil, logProblem(err)
	}
	var b bytes.Buffer
	if err := sealedLog(t.ctx, t.journal, &b); err != nil {
		return nil, nil, logProblem(err)
	}
	text := bytes.Replace(b.Bytes(), []byte(`"outcome":"deny"`), []byte(`"outcome":"allow"`), 1)
	if err := journal.VerifyLog(&f, bytes.NewReader(text)); err != nil {
		return nil, nil, err
	}
	return v.Report(), f.Report(), nil
}

// proof tells what the verification found. The hashes are left out, because they are others each time.
func (t *tale) proof(sound, forged *journal.Report) {
	s := t.style
	t.heading(fmt.Sprintf("3  The journal: %d records, each with the hash of the one before", sound.Records))
	t.speaker("verify", s.paint("ok", bold, green)+": nothing was edited, cut, put in or reordered")
	if len(forged.Findings) == 0 {
		// unreachable: the story has a denial, and its hash covers the outcome.
		return
	}
	t.speaker("forge", fmt.Sprintf("in a copy, the %s in record %d is made an %s", proviso.Deny, forged.Findings[0].Seq, proviso.Allow))
	msg, _, _ := strings.Cut(forged.Findings[0].Msg, ":")
	t.speaker("verify", s.paint("found", bold, red)+": "+msg)
}
