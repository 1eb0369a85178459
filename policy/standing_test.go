package policy_test

import (
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

func TestStanding(t *testing.T) {
	pk, found := pack.Load(fstest.MapFS{
		"proviso.yaml": {Data: []byte("name: desk\nversion: \"1\"\n")},
		"tools.json": {Data: []byte(`[
			{"name": "free", "inputSchema": {"type": "object"}},
			{"name": "ruled", "inputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
			{"name": "watched", "inputSchema": {"type": "object"}},
			{"name": "denied", "inputSchema": {"type": "object"}},
			{"name": "asked", "inputSchema": {"type": "object"}},
			{"name": "night", "inputSchema": {"type": "object"}},
			{"name": "other", "inputSchema": {"type": "object"}}]`)},
		"rules.yaml": {Data: []byte(`
grants:
  - {tools: [free, ruled, watched, denied, asked]}
  - {tools: [night], agents: [night-*]}
rules:
  - {id: small, tools: [ruled], require: "args.n < 5"}
  - {id: seen, tools: [watched], mode: audit}
  - {id: no, tools: [denied]}
  - {id: person, tools: [asked], else: escalate}
`)},
	}, ".")
	if found.Worst(proviso.Error) {
		t.Fatal(found)
	}
	p, found := policy.Compile(pk)
	if p == nil {
		t.Fatal(found)
	}
	for _, c := range []struct {
		tool   string
		agents []string
		want   policy.Standing
	}{
		{"free", nil, policy.Always},
		{"ruled", nil, policy.Depends},
		{"watched", nil, policy.Always},
		{"denied", nil, policy.Never},
		{"asked", nil, policy.Depends},
		{"night", nil, policy.Never},
		{"night", []string{"night-1"}, policy.Always},
		{"night", []string{"night-1", "day"}, policy.Never},
		{"other", nil, policy.Never},
		{"unknown", nil, policy.Never},
	} {
		if got := p.Standing(c.tool, c.agents); got != c.want {
			t.Errorf("%s by %v: got %d, want %d", c.tool, c.agents, got, c.want)
		}
	}
}
