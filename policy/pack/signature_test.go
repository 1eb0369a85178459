package pack

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func keyOf(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(b), ed25519.SeedSize)))
}

func signedPack(t *testing.T, version, rules string) *Pack {
	t.Helper()
	p, found := Load(fstest.MapFS{
		"proviso.yaml": {Data: []byte("name: p\nversion: \"" + version + "\"\ntools: tools.json\nrules: [rules.yaml]\n")},
		"tools.json":   {Data: []byte(`[{"type":"function","function":{"name":"ring","parameters":{"type":"object","properties":{}}}}]`)},
		"rules.yaml":   {Data: []byte(rules)},
	}, ".")
	if p == nil {
		t.Fatal(found)
	}
	return p
}

// A signature vouches for one pack, in one version, by one key, for one time. Whatever of it or of the pack is changed, it does not.
func TestSignature(t *testing.T) {
	const grant, none = "grants:\n  - {tools: [ring]}\n", "grants: []\n"
	noon := time.Date(2026, 3, 1, 12, 0, 0, 500, time.FixedZone("there", 3600))
	p := signedPack(t, "1", grant)
	s, err := Sign(p, keyOf('a'), noon, noon, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	form := string(s.Form())
	accepted := []ed25519.PublicKey{keyOf('b').Public().(ed25519.PublicKey), keyOf('a').Public().(ed25519.PublicKey)}
	other, _ := Sign(p, keyOf('b'), noon, noon, noon.Add(time.Hour))
	for _, c := range []struct {
		name, form string
		pack       *Pack
		keys       []ed25519.PublicKey
		now        time.Time
		want       string // of the error; empty: it holds
	}{
		{"as it was signed", form, p, accepted, noon, ""},
		{"laid out otherwise", strings.ReplaceAll(form, "\n", " "), p, accepted, noon, ""},
		{"rules with a comment", form, signedPack(t, "1", "# hello\n"+grant), accepted, noon, ""},
		{"by a key that is not accepted", form, p, accepted[:1], noon, "a key that is not accepted"},
		{"no key is accepted", form, p, nil, noon, "a key that is not accepted"},
		{"other rules", form, signedPack(t, "1", none), accepted, noon, "something else"},
		{"another version", form, signedPack(t, "2", grant), accepted, noon, "signed as p 1, and is p 2"},
		{"before its time", form, p, accepted, noon.Add(-time.Second), "holds from 2026-03-01T11:00:00Z, and this machine's clock says 2026-03-01T10:59:59Z"},
		{"at its end", form, p, accepted, noon.Add(time.Hour), "held until 2026-03-01T12:00:00Z"},
		{"a moment before its end", form, p, accepted, noon.Add(time.Hour - time.Second), ""},
		{"a longer time", strings.Replace(form, "T12:00:00Z", "T22:00:00Z", 1), p, accepted, noon, "was changed"},
		{"a later time of signing", strings.Replace(form, `"signed": "2026`, `"signed": "2027`, 1), p, accepted, noon, "was changed"},
		{"another digest", strings.Replace(form, s.Digest, Digest([]*Pack{signedPack(t, "1", none)}), 1), signedPack(t, "1", none), accepted, noon, "was changed"},
		{"the key of somebody who is accepted", strings.Replace(form, field(form, "key"), field(string(other.Form()), "key"), 1), p, accepted, noon, "was changed"},
		{"no signature", strings.Replace(form, field(form, "signature"), "", 1), p, accepted, noon, "was changed"},
		{"no key", strings.Replace(form, field(form, "key"), "", 1), p, accepted, noon, "was changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadSignature([]byte(c.form))
			if err == nil {
				err = got.Check(c.pack, c.keys, c.now)
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	for _, bad := range []string{"", "{}x", form + form, strings.Replace(form, `"pack"`, `"Pack"`, 1), strings.Replace(form, `"pack"`, `"more": 1, "pack"`, 1), strings.Replace(form, `"pack"`, `"pack": "q", "pack"`, 1), strings.Replace(form, "2026-03-01T12", "99999-03-01T12", 1)} {
		if _, err := ReadSignature([]byte(bad)); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
	if _, err := Sign(p, keyOf('a'), noon, noon, noon); err == nil {
		t.Error("a signature that never holds is made")
	}
	if s, err := Sign(p, keyOf('a'), noon, time.Time{}, time.Time{}); err != nil || s.Check(p, accepted, time.Time{}) != nil || s.Check(p, accepted, noon.AddDate(500, 0, 0)) != nil || strings.Contains(string(s.Form()), "until") {
		t.Errorf("without a time: %v", err)
	}
}

// field is the value of a text in a signature's form.
func field(form, name string) string {
	_, rest, _ := strings.Cut(form, `"`+name+`": "`)
	v, _, _ := strings.Cut(rest, `"`)
	return v
}
