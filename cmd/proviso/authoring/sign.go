package authoring

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/internal/keyfile"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Sign is the flags of `proviso sign`.
type Sign struct {
	Pack  string        `arg:"" optional:"" help:"Folder of the pack; default: this folder." default:"."`
	Key   string        `help:"The private key (Ed25519 in PEM); one that does not exist is made, with its public key in FILE.pub. With --check the public key." required:"" placeholder:"FILE"`
	From  time.Time     `help:"When the signature begins to hold, as 2026-03-01T12:00:00Z; default: at any time." placeholder:"TIME"`
	Until time.Time     `help:"When it ends; default: never." placeholder:"TIME"`
	For   time.Duration `help:"How long it holds from now on, or from --from, such as 720h." placeholder:"TIME"`
	Check bool          `help:"Check the signature instead: exit 4 where it does not hold now."`
}

// Help is the long help of the command.
func (Sign) Help() string {
	return `Writes proviso.sig into the folder of a pack: your word, by your key, that the pack says what it says now. A gateway whose settings have signatures: {keys: [FILE.pub]} takes no pack without it, none that was changed since, none outside of its time, and none that was signed earlier than one that was in force. Comments, layout and tests may change without a new signature; clauses, tools, rules, tables, name and version may not. Keep the private key off the machine that serves.`
}

// Run signs, or checks.
func (c *Sign) Run(e *Env) error {
	if err := e.formats(); err != nil {
		return err
	}
	packs, err := e.Packs([]string{c.Pack})
	if err != nil {
		return err
	}
	if c.Check {
		return c.check(e, packs[0])
	}
	if c.For != 0 && !c.Until.IsZero() {
		return diagnose(codeFormat, "--for and --until both say when it ends", "give one of them")
	}
	key, made, err := keyfile.Private(c.Key)
	if err != nil {
		return keyProblem(err)
	}
	if made {
		e.Say("made the key %s; settings of gateways name %s.pub", c.Key, c.Key)
	}
	now := e.Now()
	until := c.Until
	if c.For != 0 {
		if until = now; !c.From.IsZero() {
			until = c.From
		}
		until = until.Add(c.For)
	}
	if !until.IsZero() && !until.After(now) {
		return diagnose(codeFormat, "the signature would have ended already, at "+until.Format(time.RFC3339), "give a later --until")
	}
	s, err := pack.Sign(packs[0], key, now, c.From, until)
	if err != nil {
		return diagnose(codeFormat, err.Error(), "give a later --until")
	}
	name := filepath.Join(c.Pack, pack.SignatureFile)
	if err := durable.Replace(name, s.Form(), 0o644); err != nil {
		return diagnose(codeWrite, name+": "+because(err), "check the disk and the permissions")
	}
	return c.tell(e, "signed", s)
}

func (c *Sign) check(e *Env, p *pack.Pack) error {
	key, err := keyfile.Public(c.Key)
	if err != nil {
		return keyProblem(err)
	}
	name := filepath.Join(c.Pack, pack.SignatureFile)
	b, err := os.ReadFile(name)
	if err != nil {
		return diagnose(pack.CodeSignature, name+": "+because(err), "have the pack signed with proviso sign")
	}
	s, err := pack.ReadSignature(b)
	if err == nil {
		err = s.Check(p, []ed25519.PublicKey{key}, e.Now())
	}
	if err != nil {
		return diagnose(pack.CodeSignature, fmt.Sprintf("the pack %s: %s", p.Name, err), "have it signed anew with proviso sign")
	}
	return c.tell(e, "signature holds", s)
}

// tell says what was signed.
func (c *Sign) tell(e *Env, what string, s *pack.Signature) error {
	if e.Format == "json" {
		return e.Print(s)
	}
	text := fmt.Sprintf("%s %s, digest %.12s, signed %s", s.Pack, s.Version, s.Digest, s.Signed.Format(time.RFC3339))
	if !s.From.IsZero() {
		text += ", from " + s.From.Format(time.RFC3339)
	}
	if !s.Until.IsZero() {
		text += ", until " + s.Until.Format(time.RFC3339)
	}
	return e.write(e.Hang(what+": ", text, 2))
}

// keyProblem tells what is wrong with a key.
func keyProblem(err error) error {
	var bad *keyfile.Error
	if errors.As(err, &bad) {
		return diagnose(journal.CodeKey, bad.Error(), bad.Hint)
	}
	return err
}
