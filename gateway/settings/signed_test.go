package settings

import (
	"context"
	"crypto/ed25519"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/internal/keyfile"
	"github.com/proviso-dev/proviso/policy/pack"
)

// vouched is a gateway that takes signed packs only.
type vouched struct {
	t           *testing.T
	dir, data   string // of the pack and of the records
	file        string
	key, strang ed25519.PrivateKey
	signed      time.Time
	*Door
}

func newVouched(t *testing.T) *vouched {
	t.Helper()
	v := &vouched{t: t, dir: folder(t, small), data: filepath.Join(t.TempDir(), "data"), signed: time.Now().Add(-time.Hour)}
	keys := t.TempDir()
	var err error
	if v.key, _, err = keyfile.Private(filepath.Join(keys, "policy.pem")); err == nil {
		v.strang, _, err = keyfile.Private(filepath.Join(keys, "other.pem"))
	}
	if err != nil {
		t.Fatal(err)
	}
	v.file = filepath.Join(keys, "gateway.yaml")
	v.put(v.file, "signatures: {keys: [policy.pem.pub]}\n")
	return v
}

func (v *vouched) put(name, text string) {
	v.t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		v.t.Fatal(err)
	}
}

// rules writes the pack's rules, and sign its signature.
func (v *vouched) rules(text string) { v.put(filepath.Join(v.dir, "rules.yaml"), text) }

func (v *vouched) sign(key ed25519.PrivateKey, signed, from, until time.Time) {
	v.t.Helper()
	p, found := pack.Load(os.DirFS(v.dir), ".")
	if p == nil {
		v.t.Fatal(found)
	}
	s, err := pack.Sign(p, key, signed, from, until)
	if err != nil {
		v.t.Fatal(err)
	}
	v.put(filepath.Join(v.dir, pack.SignatureFile), string(s.Form()))
}

func (v *vouched) open() error {
	d, err := Open(context.Background(), &Flags{Packs: []string{v.dir}, File: v.file, Data: v.data, Audit: "required", DenyAs: "refusal"})
	if err == nil {
		v.Door = d
	}
	return err
}

// ring says how the call of ring is decided.
func (v *vouched) ring() string {
	v.t.Helper()
	rec := httptest.NewRecorder()
	v.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "http://localhost/v1/decide", strings.NewReader(`{"session":"s","tool":"ring","args":{}}`)))
	b, _ := io.ReadAll(rec.Body)
	for _, outcome := range []string{"allow", "deny"} {
		if strings.Contains(string(b), `"outcome":"`+outcome+`"`) {
			return outcome
		}
	}
	return string(b)
}

const grant, none = "grants:\n  - {tools: [ring]}\n", "grants: []\n"

// A gateway that takes signed packs only: one without a signature, with one that was changed, by a stranger, out of its time, or older than one that was in force is not taken; at the start the gateway says so and ends, and later what stood before goes on.
func TestSignedPacks(t *testing.T) {
	v := newVouched(t)
	if err := v.open(); err == nil || !strings.Contains(err.Error(), "not signed") || !strings.Contains(err.Error(), pack.CodeSignature) {
		t.Fatalf("without a signature: %v", err)
	}
	never := time.Time{}
	v.sign(v.key, v.signed, never, never)
	if err := v.open(); err != nil {
		t.Fatal(err)
	}
	if got := v.ring(); got != "allow" {
		t.Fatal(got)
	}
	now := time.Now()
	later := v.signed.Add(time.Minute)
	for _, c := range []struct {
		name   string
		change func()
		err    string
	}{
		{"other rules under the old signature", func() {}, "something else than when it was signed"},
		{"no signature", func() { os.Remove(filepath.Join(v.dir, pack.SignatureFile)) }, "not signed"},
		{"a signature that is none", func() { v.put(filepath.Join(v.dir, pack.SignatureFile), "{}") }, "was changed"},
		{"half of a signature", func() { v.put(filepath.Join(v.dir, pack.SignatureFile), `{"pack": "p", "ver`) }, pack.SignatureFile},
		{"signed by a stranger", func() { v.sign(v.strang, later, never, never) }, "not accepted"},
		{"not yet", func() { v.sign(v.key, later, now.Add(time.Hour), never) }, "holds from"},
		{"no longer", func() { v.sign(v.key, later, never, now.Add(-time.Hour)) }, "held until"},
		{"signed earlier than what is in force", func() { v.sign(v.key, v.signed.Add(-time.Minute), never, never) }, "sign it anew"},
		{"settings that ask for no signature any more", func() { v.put(v.file, "limits: {in_flight: 9}\n") }, "ask for no signatures"},
		{"a key that is not there", func() { v.put(v.file, "signatures: {keys: [nobody.pub]}\n") }, "nobody.pub"},
	} {
		v.rules(none)
		c.change()
		if err := v.Reread(t.Context()); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
		if got := v.ring(); got != "allow" {
			t.Errorf("%s: the old rules are gone: %s", c.name, got)
		}
		v.put(v.file, "signatures: {keys: [policy.pem.pub]}\n")
		v.rules(grant)
		v.sign(v.key, v.signed, never, never)
	}
	v.rules(none)
	v.sign(v.key, later, never, now.Add(time.Hour))
	if err := v.Reread(t.Context()); err != nil || v.ring() != "deny" {
		t.Errorf("signed as it should be: %v", err)
	}
	// Nobody goes back by starting it again, unless the older rules are signed anew.
	v.Close()
	v.rules(grant)
	v.sign(v.key, v.signed, never, never)
	if err := v.open(); err == nil || !strings.Contains(err.Error(), "sign it anew") {
		t.Fatalf("an older revision after a restart: %v", err)
	}
	v.sign(v.key, later.Add(time.Minute), never, never)
	if err := v.open(); err != nil || v.ring() != "allow" {
		t.Errorf("signed anew: %v", err)
	}
	v.Close()
	v.put(filepath.Join(v.data, "signed.json"), "{")
	if err := v.open(); err == nil || !strings.Contains(err.Error(), "signed.json") {
		t.Errorf("what was taken before cannot be read: %v", err)
	}
}

// Two writers of one folder, while it is read again and again: no mixture of the two ever counts, where packs are signed.
func TestTwoWritersOfAPack(t *testing.T) {
	v := newVouched(t)
	other := "rules: [{id: never, tools: [ring]}]\n" + grant
	files := func(version, rules string) map[string]string {
		v.put(filepath.Join(v.dir, "proviso.yaml"), strings.Replace(small["proviso.yaml"], `"1"`, `"`+version+`"`, 1))
		v.rules(rules)
		v.sign(v.key, v.signed, time.Time{}, time.Time{})
		out := map[string]string{}
		for _, name := range []string{"proviso.yaml", "rules.yaml", pack.SignatureFile} {
			b, err := os.ReadFile(filepath.Join(v.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			out[name] = string(b)
		}
		return out
	}
	sets := []map[string]string{files("2", other), files("1", grant)}
	if err := v.open(); err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	good := map[string]bool{v.Status(t.Context()).Policy: true}
	for _, set := range sets {
		for name, text := range set {
			v.put(filepath.Join(v.dir, name), text)
		}
		if err := v.Reread(t.Context()); err != nil {
			t.Fatal(err)
		}
		good[v.Status(t.Context()).Policy] = true
	}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for _, set := range sets {
		writers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for name, text := range set {
					os.WriteFile(filepath.Join(v.dir, name), []byte(text), 0o644) // torn, as an editor writes it
				}
			}
		})
	}
	refused := 0
	for range 60 {
		if v.Reread(t.Context()) != nil {
			refused++
		}
		if p := v.Status(t.Context()).Policy; !good[p] {
			t.Errorf("a mixture counts: %s", p)
		}
	}
	close(stop)
	writers.Wait()
	if len(good) != 2 || refused == 0 {
		t.Errorf("%d policies, and none of 60 readings met a mixture: the test shows nothing", len(good))
	}
	for name, text := range sets[0] {
		v.put(filepath.Join(v.dir, name), text)
	}
	if err := v.Reread(t.Context()); err != nil || v.ring() != "deny" {
		t.Errorf("when one of them has written it whole: %v %s", err, v.ring())
	}
}

// A pack that is being written is not read until nobody has written for one look; cut off anywhere, it is not taken or says the same.
func TestHalfWrittenPack(t *testing.T) {
	dir := folder(t, small)
	d, err := Open(context.Background(), &Flags{Packs: []string{dir}, Data: filepath.Join(t.TempDir(), "data"), Audit: "required", DenyAs: "refusal"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	v := &vouched{t: t, dir: dir, Door: d}
	text := "grants:\n  - {tools: [ring], when: \"1 == 2\"}\nrules:\n  - {id: never, tools: [ring]}\n"
	changed := 0
	for i := 1; i <= len(text); i++ {
		v.rules(text[:i])
		if d.Changed() {
			changed++
		}
	}
	if changed != 0 {
		t.Errorf("%d times the pack counts as written while it was written", changed)
	}
	if !d.Changed() {
		t.Error("that nobody writes any more is not noticed")
	}
	for i := range text {
		v.rules(text[:i])
		err := d.Reread(t.Context())
		if got := v.ring(); got == "allow" && err == nil {
			t.Errorf("cut after %q the call is allowed", text[:i])
		}
	}
}

// A server that was told to end waits for its requests as long as it may, and no longer.
func TestDrainEnds(t *testing.T) {
	hang := make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer up.Close()
	defer close(hang)
	d, err := Open(context.Background(), &Flags{Packs: []string{folder(t, small)}, Data: filepath.Join(t.TempDir(), "data"), OpenAI: up.URL, Audit: "required", DenyAs: "refusal"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	agents, admin := httptest.NewUnstartedServer(nil).Listener, httptest.NewUnstartedServer(nil).Listener
	ctx, stop := context.WithCancel(context.Background())
	var mu sync.Mutex
	told := ""
	ended := make(chan error, 1)
	go func() {
		ended <- d.Serve(ctx, Serving{Agents: agents, Admin: admin, Drain: 100 * time.Millisecond, Say: func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			told += format
		}})
	}()
	cut := make(chan error, 1)
	go func() {
		resp, err := http.Post("http://"+agents.Addr().String()+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"hello"}]}`))
		if err == nil {
			resp.Body.Close()
		}
		cut <- err
	}()
	for d.Status(t.Context()).InFlight == 0 {
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := <-cut; err == nil {
		t.Error("a request that did not end was answered")
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(told, "were ended") {
		t.Errorf("nobody is told: %q", told)
	}
}
