// Package settings makes a gateway of what a person writes: flags, a settings file, packs in folders, a folder for records. It is the only room that knows the form of the file.
package settings

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/gateway"
	"github.com/proviso-dev/proviso/gateway/otlp"
	"github.com/proviso-dev/proviso/gateway/token"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/internal/strictyaml"
	"github.com/proviso-dev/proviso/journal/sqlite"
	"github.com/proviso-dev/proviso/llm/wire"
	"github.com/proviso-dev/proviso/policy/pack"
)

// CodeSettings is the code of settings that cannot be used.
const CodeSettings = "PV873"

// Error tells what is wrong with the settings, and what to do.
type Error struct{ Code, Msg, Hint string }

// Error is one line with the code.
func (e *Error) Error() string { return e.Msg + "; " + e.Hint + " [" + e.Code + "]" }

// Flags are what the command line says; they win over the file.
type Flags struct {
	Packs     []string // folders
	File      string   // the settings file; empty: none
	Data      string   // the folder of the journal, approvals, overlays and the secret
	Journal   string   // the file of the journal; empty: journal.db in Data
	OpenAI    string   // addresses of upstreams
	Anthropic string
	Audit     string // "required" or "best_effort"
	DenyAs    string // "refusal" or "error"
	Revise    int
	Rerank    int
	Env       func(string) string // looks an environment variable up
}

// audits are the kinds of audit by name.
var audits = map[string]guard.Audit{"required": guard.Required, "best_effort": guard.BestEffort}

// File is the settings file. Secrets are written as env:NAME or file:PATH, never as they are.
type File struct {
	Packs     []string          `yaml:"packs"`
	Attach    []attachSetting   `yaml:"attach"`
	Overlays  map[string]string `yaml:"overlays"`
	Upstreams []upstreamSetting `yaml:"upstreams"`
	Keys      []keySetting      `yaml:"keys"`
	Identity  identitySetting   `yaml:"identity"`
	Denials   denialSetting     `yaml:"denials"`
	Limits    limitSetting      `yaml:"limits"`
	Webhook   *webhookSetting   `yaml:"webhook"`
	Judge     *judgeSetting     `yaml:"judge"`
	Admin     string            `yaml:"admin_token"`
	Telemetry telemetrySetting  `yaml:"telemetry"`

	Signatures signatureSetting `yaml:"signatures"`

	Data    string `yaml:"-"`
	journal string
	dir     string // of the file: relative names are looked up there
}

type attachSetting struct {
	Pack   string   `yaml:"pack"`
	Agents []string `yaml:"agents"`
	Keys   []string `yaml:"keys"`
	Tags   []string `yaml:"tags"`
	Routes []string `yaml:"routes"`
}

type upstreamSetting struct {
	Name    string            `yaml:"name"`
	URL     string            `yaml:"url"`
	Wires   []string          `yaml:"wires"`
	Models  []string          `yaml:"models"`
	Key     string            `yaml:"key"`
	Headers map[string]string `yaml:"headers"`
	Private bool              `yaml:"private"`
}

type keySetting struct {
	ID       string   `yaml:"id"`
	Hash     string   `yaml:"hash"`
	Agent    string   `yaml:"agent"`
	Agents   []string `yaml:"agents"`
	User     string   `yaml:"user"`
	OnBehalf bool     `yaml:"on_behalf"`
	Tags     []string `yaml:"tags"`
}

type identitySetting struct {
	Sources  []string      `yaml:"sources"`
	Required bool          `yaml:"required"`
	Token    *tokenSetting `yaml:"token"`
}

type tokenSetting struct {
	Keys     string `yaml:"keys"` // a file: a JSON Web Key Set
	Issuer   string `yaml:"issuer"`
	Audience string `yaml:"audience"`
	Claim    string `yaml:"claim"`
}

type denialSetting struct {
	Budget int           `yaml:"budget"`
	Pass   []string      `yaml:"pass"`
	Hold   time.Duration `yaml:"hold"`
}

type limitSetting struct {
	Body        int64         `yaml:"body"`
	Answer      int64         `yaml:"answer"`
	InFlight    int           `yaml:"in_flight"`
	Memory      int64         `yaml:"memory"`
	ReadBody    time.Duration `yaml:"read_body"`
	Connect     time.Duration `yaml:"connect"`
	FirstByte   time.Duration `yaml:"first_byte"`
	Idle        time.Duration `yaml:"idle"`
	WriteStall  time.Duration `yaml:"write_stall"`
	Sessions    int           `yaml:"sessions"`
	SessionIdle time.Duration `yaml:"session_idle"`
	Hosts       []string      `yaml:"hosts"`
}

type webhookSetting struct {
	URL     string `yaml:"url"`
	Secret  string `yaml:"secret"`
	Private bool   `yaml:"private"`
}

type judgeSetting struct {
	URL     string        `yaml:"url"`
	Wire    string        `yaml:"wire"`
	Model   string        `yaml:"model"`
	Key     string        `yaml:"key"`
	Timeout time.Duration `yaml:"timeout"`
	Private bool          `yaml:"private"`
}

type telemetrySetting struct {
	Endpoint string `yaml:"endpoint"`
}

// Door is a gateway with all that it stands on.
type Door struct {
	*gateway.Server
	file    *File
	ups     []gateway.Upstream
	flags   *Flags
	closers []func() error
	watched atomic.Pointer[[]string] // the files and folders that are looked at for changes: those that were read last
	seen    string                   // what the files looked like when they were read
	pending string
}

// File is what the settings file says.
func (d *Door) File() *File { return d.file }

// Upstreams lists where requests are forwarded to.
func (d *Door) Upstreams() []gateway.Upstream { return d.ups }

// Reread reads packs, attachments, overlays, keys, upstreams, identity and limits again. Where they cannot be used, what stood before goes on.
func (d *Door) Reread(ctx context.Context) error {
	d.seen = d.fingerprint()
	return d.Reload(ctx)
}

// Close ends the server and closes what it stands on.
func (d *Door) Close() {
	if d.Server != nil {
		d.Server.Close()
	}
	for _, f := range slices.Backward(d.closers) {
		f()
	}
}

// Locked reports whether callers have to show a key or a token.
func (s *File) Locked() bool {
	return len(s.Keys) > 0 || s.Identity.Required || s.Identity.Token != nil
}

// JournalFile is the file of the journal.
func (s *File) JournalFile() string {
	if s.journal != "" {
		return s.journal
	}
	return filepath.Join(s.Data, "journal.db")
}

// at is a name of the file as seen from where the program runs.
func (s *File) at(name string) string {
	if filepath.IsAbs(name) || s.dir == "" {
		return name
	}
	return filepath.Join(s.dir, name)
}

func bad(file, msg, hint string) error {
	return &Error{CodeSettings, file + ": " + msg, hint}
}

// because is the reason of an error of the system, without the name that it is told with.
func because(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// readFile reads the settings file.
func readFile(name string) (*File, error) {
	s := &File{}
	if name == "" {
		return s, nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, bad(name, because(err), "check the name and its permissions")
	}
	s.dir = filepath.Dir(name)
	if err := strictyaml.Decode(b, s, true); err != nil {
		return nil, bad(name, err.Error(), "see docs/gateway.md for the settings")
	}
	for i, k := range s.Keys {
		if len(k.Hash) != 64 || strings.Trim(k.Hash, "0123456789abcdef") != "" || k.ID == "" {
			return nil, bad(name, fmt.Sprintf("key %d needs an id and the hash that proviso serve --new-key printed", i+1), "a key itself is never written here")
		}
	}
	return s, nil
}

func (f *Flags) env(name string) string {
	if f.Env == nil {
		return ""
	}
	return f.Env(name)
}

// secret reads env:NAME or file:PATH.
func (f *Flags) secret(s *File, where, v string) (gateway.Secret, error) {
	kind, name, _ := strings.Cut(v, ":")
	switch {
	case v == "":
		return "", nil
	case kind == "env":
		if x := f.env(name); x != "" {
			return gateway.Secret(x), nil
		}
		return "", bad(where, "the variable "+name+" is not set", "set it, or name another source")
	case kind == "file":
		b, err := os.ReadFile(s.at(name))
		if err != nil {
			return "", bad(where, because(err), "check the name and its permissions")
		}
		return gateway.Secret(strings.TrimSpace(string(b))), nil
	}
	return "", bad(where, "a secret is written as env:NAME or file:PATH", "move it out of the settings")
}

// Open opens the gateway that flags and settings describe. The caller closes it. Where a control group limits the memory and GOMEMLIMIT is not set, it sets the program's limit below that. Errors are *Error, or of the journal.
func Open(ctx context.Context, f *Flags) (*Door, error) {
	s, err := readFile(f.File)
	if err != nil {
		return nil, err
	}
	s.Data, s.journal = f.Data, f.Journal
	stayWithinGroup()
	d := &Door{file: s, flags: f}
	cfg, err := f.config(d)
	if err == nil {
		err = f.telemetry(d, cfg)
	}
	if err == nil {
		err = f.records(d, cfg)
	}
	if err == nil {
		d.Server, err = gateway.New(ctx, *cfg)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	if x, ok := cfg.Telemetry.Trace.(*otlp.Exporter); ok {
		x.Watch(d.Server.Metrics)
	}
	d.seen = d.fingerprint()
	return d, nil
}

// telemetry makes the exporter of spans and metrics, where a collector is named.
func (f *Flags) telemetry(d *Door, cfg *gateway.Config) error {
	endpoint := d.file.Telemetry.Endpoint
	if endpoint == "" {
		endpoint = f.env("OTEL_EXPORTER_OTLP_ENDPOINT")
	}
	if endpoint == "" {
		return nil
	}
	x := &otlp.Exporter{Endpoint: endpoint, Service: f.env("OTEL_SERVICE_NAME"), GenAI: strings.Contains(f.env("OTEL_SEMCONV_STABILITY_OPT_IN"), otlp.OptIn), Headers: map[string]string{}}
	for _, kv := range strings.Split(f.env("OTEL_EXPORTER_OTLP_HEADERS"), ",") {
		if k, v, ok := strings.Cut(kv, "="); ok {
			x.Headers[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	if v := f.env("OTEL_METRIC_EXPORT_INTERVAL"); v != "" {
		ms, err := strconv.Atoi(v)
		if err != nil || ms <= 0 {
			return bad("telemetry", "OTEL_METRIC_EXPORT_INTERVAL "+v+" is no number of milliseconds", "write it as 60000")
		}
		x.MetricEvery = time.Duration(ms) * time.Millisecond
	}
	if err := x.Open(); err != nil {
		return bad("telemetry", err.Error(), "set OTEL_EXPORTER_OTLP_ENDPOINT to the collector's address")
	}
	d.closers = append(d.closers, func() error { x.Close(); return nil })
	cfg.Telemetry.Trace = x
	return nil
}

// records opens the journal and the approvals.
func (f *Flags) records(d *Door, cfg *gateway.Config) error {
	for _, dir := range []string{d.file.Data, filepath.Dir(d.file.JournalFile())} {
		if err := durable.MkdirAll(dir, 0o700); err != nil {
			return bad(dir, because(err), "name another folder with --data")
		}
	}
	j, err := sqlite.Open(d.file.JournalFile(), sqlite.Options{})
	if err != nil {
		return err
	}
	d.closers = append(d.closers, j.Close)
	ap, err := sqlite.OpenApprovals(filepath.Join(d.file.Data, "approvals.db"), true)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, ap.Close)
	cfg.Journal, cfg.Approvals = j, ap
	cfg.OverlayDir = filepath.Join(d.file.Data, "overlays")
	cfg.Identity.Secret, err = lastingSecret(filepath.Join(d.file.Data, "secret"))
	return err
}

// lastingSecret reads the secret that signs session handles, and makes one where there is none.
func lastingSecret(name string) (gateway.Secret, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		var raw [32]byte
		rand.Read(raw[:])
		b = []byte(hex.EncodeToString(raw[:]))
		err = durable.Replace(name, append(b, '\n'), 0o600)
	}
	if err != nil {
		return "", bad(name, because(err), "check the folder and its permissions")
	}
	if len(strings.TrimSpace(string(b))) < 32 {
		return "", bad(name, "the secret is too short", "remove the file; a new one is made, and sessions begin anew")
	}
	return gateway.Secret(strings.TrimSpace(string(b))), nil
}

// config makes the configuration of flags and settings; flags win.
func (f *Flags) config(d *Door) (*gateway.Config, error) {
	s, f := d.file, d.flags
	cfg := &gateway.Config{
		Load:    func(context.Context) (*gateway.Rules, error) { return f.load(d) },
		Audit:   audits[f.Audit],
		Denials: gateway.Denials{AsError: f.DenyAs == "error", Revisions: f.Revise, Budget: s.Denials.Budget, Pass: s.Denials.Pass, Hold: s.Denials.Hold},
		Rerank:  f.Rerank,
	}
	terms, err := f.terms(s)
	if err != nil {
		return nil, err
	}
	cfg.Upstreams, cfg.Identity, cfg.Limits = terms.Upstreams, terms.Identity, terms.Limits
	d.ups = cfg.Upstreams
	if w := s.Webhook; w != nil {
		secret, err := f.secret(s, f.File+": webhook.secret", w.Secret)
		if err != nil {
			return nil, err
		}
		cfg.Webhook = &gateway.Webhook{URL: w.URL, Secret: secret, Private: w.Private || numbered(w.URL)}
	}
	if cfg.AdminToken, err = f.secret(s, f.File+": admin_token", s.Admin); err != nil {
		return nil, err
	}
	if j := s.Judge; j != nil {
		if cfg.Judge, err = f.judge(s, j, f.File); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

// terms are upstreams, identity and limits as the file has them.
func (f *Flags) terms(s *File) (t gateway.Terms, err error) {
	t.Limits = gateway.Limits(s.Limits)
	for _, name := range s.Identity.Sources {
		i := slices.IndexFunc(gateway.Sources(), func(x gateway.Source) bool { return x.Name == name })
		if i < 0 {
			return t, bad(f.File, fmt.Sprintf("unknown source of sessions %q", name), "use handle, header, token or trace")
		}
		t.Identity.Sources = append(t.Identity.Sources, gateway.Sources()[i])
	}
	t.Identity.Required = s.Identity.Required
	if x := s.Identity.Token; x != nil {
		keys, err := os.ReadFile(s.at(x.Keys))
		if err != nil {
			return t, bad(f.File, "identity.token.keys: "+because(err), "name the file of a JSON Web Key Set")
		}
		tokens := &token.Verifier{Keys: keys, Issuer: x.Issuer, Audience: x.Audience}
		if err := tokens.Check(); err != nil {
			return t, fmt.Errorf("%s: identity.token: %w", f.File, err)
		}
		t.Identity.Tokens, t.Identity.Claim = tokens, x.Claim
	}
	t.Upstreams, err = f.upstreams(s)
	return t, err
}

// numbered reports whether an address names its machine by number, or as localhost, so that nothing can point it elsewhere.
func numbered(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()) != nil)
}

// upstreams lists the upstreams: those of the flags, then those of the settings, then the vendors' own for wires that none of these speaks.
func (f *Flags) upstreams(s *File) ([]gateway.Upstream, error) {
	var out []gateway.Upstream
	openai, anthropic := []string{"chat", "responses"}, []string{"messages"}
	add := func(name, flag, env string, wires []string) {
		if flag == "" && len(s.Upstreams) == 0 {
			flag = f.env(env)
		}
		if flag != "" {
			out = append(out, gateway.Upstream{Name: name, URL: flag, Wires: wires, Private: numbered(flag)})
		}
	}
	add("openai", f.OpenAI, "OPENAI_BASE_URL", openai)
	add("anthropic", f.Anthropic, "ANTHROPIC_BASE_URL", anthropic)
	for i, u := range s.Upstreams {
		where := fmt.Sprintf("%s: upstreams[%d]", f.File, i)
		key, err := f.secret(s, where+".key", u.Key)
		if err != nil {
			return nil, err
		}
		for _, w := range u.Wires {
			if !slices.ContainsFunc(gateway.Wires, func(x wire.Wire) bool { return x.Name() == w }) {
				return nil, bad(where, fmt.Sprintf("unknown wire %q", w), "use chat, responses or messages")
			}
		}
		out = append(out, gateway.Upstream{Name: u.Name, URL: u.URL, Wires: u.Wires, Models: u.Models, Key: key, Headers: u.Headers, Private: u.Private || numbered(u.URL)})
	}
	for _, v := range []gateway.Upstream{{Name: "openai", URL: "https://api.openai.com/v1", Wires: openai}, {Name: "anthropic", URL: "https://api.anthropic.com", Wires: anthropic}} {
		spoken := slices.ContainsFunc(out, func(u gateway.Upstream) bool { return len(u.Wires) == 0 || slices.Contains(u.Wires, v.Wires[0]) })
		if !spoken && len(s.Upstreams) == 0 {
			out = append(out, v)
		}
	}
	return out, nil
}

// load reads everything that can change while the gateway runs.
func (f *Flags) load(d *Door) (*gateway.Rules, error) {
	s, err := readFile(f.File)
	if err != nil {
		return nil, err
	}
	// Who had to show who they are still has to: the address may be one that strangers reach.
	if d.file.Locked() && !s.Locked() {
		return nil, bad(f.File, "the settings let everybody in, and did not when the gateway was started", "restore keys, token or required, or start the gateway again")
	}
	if len(d.file.Signatures.Keys) > 0 && len(s.Signatures.Keys) == 0 {
		return nil, bad(f.File, "the settings ask for no signatures, and did when the gateway was started", "restore signatures.keys, or start the gateway again")
	}
	s.Data = d.file.Data
	by, err := f.vouchers(s, time.Now())
	if err == nil && by != nil {
		err = by.recall(s.seenFile())
	}
	if err != nil {
		return nil, err
	}
	rules, dirs, err := f.rules(s, by)
	watched := append(s.beside(f.File), dirs...)
	d.watched.Store(&watched)
	if err != nil {
		return nil, err
	}
	terms, err := f.terms(s)
	if err != nil {
		return nil, err
	}
	rules.Terms = &terms
	if by != nil {
		rules.Until = by.until
		if err := by.keep(s.seenFile()); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// beside lists the files that settings are read from.
func (s *File) beside(file string) (list []string) {
	if file != "" {
		list = append(list, file)
	}
	if t := s.Identity.Token; t != nil {
		list = append(list, s.at(t.Keys))
	}
	for _, key := range s.Signatures.Keys {
		list = append(list, s.at(key))
	}
	return list
}

// rules reads the packs, attachments, overlays and keys, and lists the folders that it read, the one that cannot be used included.
func (f *Flags) rules(s *File, by *vouching) (_ *gateway.Rules, read []string, err error) {
	load := func(dir string) (*pack.Pack, error) {
		read = append(read, dir)
		return by.pack(dir)
	}
	dirs := f.Packs
	if len(s.Packs) > 0 && slices.Equal(dirs, []string{"."}) {
		dirs = nil
		for _, p := range s.Packs {
			dirs = append(dirs, s.at(p))
		}
	}
	rules := &gateway.Rules{Overlays: map[string]*pack.Pack{}}
	for _, dir := range dirs {
		p, err := load(dir)
		if err != nil {
			return nil, read, err
		}
		rules.Base = append(rules.Base, p)
		for _, at := range p.Attach {
			x, err := load(filepath.Join(dir, filepath.FromSlash(at.Pack.S)))
			if err != nil {
				return nil, read, err
			}
			rules.Attached = append(rules.Attached, gateway.Attachment{Packs: []*pack.Pack{x}, Agents: globsOf(at.Agents)})
		}
	}
	for _, at := range s.Attach {
		x, err := load(s.at(at.Pack))
		if err != nil {
			return nil, read, err
		}
		rules.Attached = append(rules.Attached, gateway.Attachment{Packs: []*pack.Pack{x}, Agents: at.Agents, Keys: at.Keys, Tags: at.Tags, Routes: at.Routes})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Overlays)) {
		if rules.Overlays[name], err = load(s.at(s.Overlays[name])); err != nil {
			return nil, read, err
		}
	}
	for _, k := range s.Keys {
		rules.Keys = append(rules.Keys, gateway.Key(k))
	}
	return rules, read, nil
}

func globsOf(list []pack.Text) []string {
	var out []string
	for _, t := range list {
		out = append(out, t.S)
	}
	return out
}

// onePack loads the pack of a folder. The first error in it is the error.
func onePack(dir string) (*pack.Pack, error) {
	if _, err := os.Stat(filepath.Join(dir, pack.ManifestFile)); err != nil {
		return nil, bad(dir, "there is no pack: it has no "+pack.ManifestFile, "name the folder of a pack, or make one with proviso init")
	}
	p, found := pack.Load(os.DirFS(dir), ".")
	for _, x := range found {
		if x.Severity == proviso.Error {
			x.Pos.File = filepath.Join(dir, x.Pos.File)
			return nil, &Error{x.Code, x.Pos.String() + ": " + x.Msg, "see proviso check"}
		}
	}
	p.Tests = nil // the larger part of most packs, and nothing that decides
	return p, nil
}

// Rules reads what the flags and the settings file name, without opening anything else.
func Rules(f *Flags) (*gateway.Rules, error) {
	s, err := readFile(f.File)
	if err != nil {
		return nil, err
	}
	by, err := f.vouchers(s, time.Now())
	if err != nil {
		return nil, err
	}
	rules, _, err := f.rules(s, by)
	return rules, err
}

// Changed reports whether the files look otherwise than when they were read. They have to look the same twice, so that a file is not read while it is written.
func (d *Door) Changed() bool {
	now := d.fingerprint()
	if now == d.seen {
		d.pending = ""
		return false
	}
	if now != d.pending {
		d.pending = now
		return false
	}
	return true
}

// fingerprint is what the settings and the files of all packs look like: names, sizes, times. Links are followed, so that a folder that is put in place of another is seen; the folder of records may lie in that of a pack.
func (d *Door) fingerprint() string {
	var b strings.Builder
	watched := d.watched.Load()
	if watched == nil {
		return ""
	}
	records, _ := os.Stat(d.file.Data)
	for _, root := range *watched {
		at, err := filepath.EvalSymlinks(root)
		if err != nil {
			continue
		}
		filepath.WalkDir(at, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			i, err := os.Stat(path)
			switch {
			case err != nil || path == at && e.IsDir():
			case e.IsDir() && (strings.HasPrefix(e.Name(), ".") || records != nil && os.SameFile(i, records)):
				return fs.SkipDir
			case !i.IsDir():
				fmt.Fprintln(&b, path, i.Size(), i.ModTime().UnixNano())
			}
			return nil
		})
	}
	return b.String()
}

// judge makes the judge of questions.
func (f *Flags) judge(s *File, j *judgeSetting, file string) (guard.Judge, error) {
	key, err := f.secret(s, file+": judge.key", j.Key)
	if err != nil {
		return nil, err
	}
	judge, err := gateway.NewJudge(gateway.JudgeConfig{URL: j.URL, Wire: j.Wire, Model: j.Model, Key: key, Timeout: j.Timeout, Private: j.Private || numbered(j.URL)})
	if err != nil {
		return nil, err
	}
	return &guard.Cache{Judge: judge}, nil
}
