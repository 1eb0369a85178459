package corpus

import (
	"slices"

	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// shuffled returns copies of packs with everything whose order means nothing in the opposite order.
func shuffled(packs []*pack.Pack) []*pack.Pack {
	out := make([]*pack.Pack, len(packs))
	for i, pk := range packs {
		c := *pk
		c.Grants, c.Facts, c.Questions, c.Lets = reversed(pk.Grants), reversed(pk.Facts), reversed(pk.Questions), reversed(pk.Lets)
		c.Rules, c.Scopes, c.Overrides = reversed(pk.Rules), reversed(pk.Scopes), reversed(pk.Overrides)
		c.Tools, c.Tables, c.Session, c.Keys = reversed(pk.Tools), reversed(pk.Tables), reversed(pk.Session), reversed(pk.Keys)
		for j, r := range c.Rules {
			c.Rules[j].Clauses, c.Rules[j].Lets = r.Clauses, reversed(r.Lets)
		}
		out[len(packs)-1-i] = &c
	}
	return out
}

// turned returns copies of packs in which the operands of all and any stand in the opposite order; those of chain and gate mean something by theirs.
func turned(packs []*pack.Pack) []*pack.Pack {
	out := make([]*pack.Pack, len(packs))
	for i, pk := range packs {
		c := *pk
		c.Rules, c.Grants = slices.Clone(pk.Rules), slices.Clone(pk.Grants)
		for j := range c.Rules {
			c.Rules[j].When, c.Rules[j].Require = turn(c.Rules[j].When), turn(c.Rules[j].Require)
		}
		for j := range c.Grants {
			c.Grants[j].When = turn(c.Grants[j].When)
		}
		out[i] = &c
	}
	return out
}

func turn(c *pack.Cond) *pack.Cond {
	if c == nil || c.Op == tree.Atom {
		return c
	}
	t := *c
	t.Kids = make([]*pack.Cond, len(c.Kids))
	for i, k := range c.Kids {
		t.Kids[i] = turn(k)
	}
	if c.Op == tree.All || c.Op == tree.Any {
		slices.Reverse(t.Kids)
	}
	return &t
}

func reversed[T any](in []T) []T {
	out := slices.Clone(in)
	slices.Reverse(out)
	return out
}
