package conformance

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
)

// nbaPlayer is what the prose says of a player, as the pack's tools take it.
type nbaPlayer struct {
	Drafted  int     `json:"drafted"`
	Age      int     `json:"age"`
	Own      bool    `json:"own"` // of the team that acts
	Start    int     `json:"start"`
	Years    int     `json:"years"`
	Declined int     `json:"declined"`
	Salary   float64 `json:"salary"`
	Raise    float64 `json:"raise"`
	Minimum  bool    `json:"minimum"`

	team string // of the last contract, or to which it was traded
}

// free tells whether the last contract is over.
func (p nbaPlayer) free() bool { return p.Start+p.Years-p.Declined <= 2024 }

// nbaEarlier is a contract that the team signed before, in the same problem.
type nbaEarlier struct {
	Salary float64 `json:"salary"`
	Own    bool    `json:"own"`
}

type nbaTeam struct {
	salary      float64
	earlier     []nbaEarlier
	fresh       map[string]bool // signed in the same problem, not to be traded
	went, came  []nbaPlayer
	cameSigned  []float64
	picks       []int
	gives, gets []int
	hasPicks    bool
}

// nbaProblem is one problem, read from its prose.
type nbaProblem struct {
	players map[string]*nbaPlayer
	order   []string
	teams   map[string]*nbaTeam
	ops     []string
}

// The sentences of the problems, by what they say. A sentence that no pattern knows is counted.
var (
	nbaSalary   = regexp.MustCompile(`^Team (\w+) has a team salary of \$([\d,]+)`)
	nbaPicks    = regexp.MustCompile(`^Team (\w+) has all its first-round draft picks in the following (\d+) years(?: except (\d{4}))?(?: and Team \w+'s first-round draft picks? in (\d{4}))?`)
	nbaRoster   = regexp.MustCompile(`^Team (\w+) signs \d+ players before the new season`)
	nbaDraft    = regexp.MustCompile(`Player (\w+) was the \d+\w\w (?:first|second)-round pick of Team \w+ in (\d{4}) NBA draft when he was (\d+) years old`)
	nbaContract = regexp.MustCompile(`signed a (\d+)-year contract`)
	nbaWith     = regexp.MustCompile(`with Team (\w+)`)
	nbaPlayerIs = regexp.MustCompile(`Player (\w+)`)
	nbaAnnual   = regexp.MustCompile(`annual salary \$([\d,]+)`)
	nbaRaise    = regexp.MustCompile(`([\d.]+)% increase per year`)
	nbaDuring   = regexp.MustCompile(`during (\d{4}) Moratorium Period`)
	nbaDeclined = regexp.MustCompile(`^Player (\w+) just decided not to exercise the player option`)
	nbaHonour   = regexp.MustCompile(`was named to`)
	nbaMoved    = regexp.MustCompile(`^Player (\w+) was traded to Team (\w+) during`)

	nbaSign    = regexp.MustCompile(`^(?:Team (\w+) )?sign(?:s|es)? (?:with Player (\w+) with )?a (?:contract )?(\d+)-year (?:contract|contrct)`)
	nbaOffer   = regexp.MustCompile(`^Team (\w+) provides (?:an offer sheet|Player \w+ with an offer sheet)`)
	nbaLength  = regexp.MustCompile(`(\d+)-year contract`)
	nbaFirst   = regexp.MustCompile(`annual salary \$([\d,]+) in the first`)
	nbaShare   = regexp.MustCompile(`annual salary equal to ([\d.]+)%`)
	nbaLater   = regexp.MustCompile(`\$([\d,]+) for the (?:third|fourth)`)
	nbaTrade   = regexp.MustCompile(`^(?:Team (\w+) )?(?:immediately )?trades (.*?)(?: to Team (\w+))? for (.*)$`)
	nbaPickIn  = regexp.MustCompile(`(its|Team \w+'s) first-round draft picks? in (\d{4})(?: and (\d{4}))?`)
	nbaNames   = regexp.MustCompile(`(?:[Pp]layer|and) ([A-Z])\b`)
	nbaNothing = regexp.MustCompile(`^Team \w+ (?:provides a qualifying offer|matches the offer sheet)`)
	nbaMinimum = regexp.MustCompile(`minimum (?:applicable player salary|annual salary|salary)`)
)

func nbaDollars(s string) float64 {
	f, _ := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	return f
}

func nbaInt(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// first is what the first group of a pattern found, or nothing.
func first(re *regexp.Regexp, s string) string {
	if m := re.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

func (p *nbaProblem) team(name string) *nbaTeam {
	if p.teams[name] == nil {
		p.teams[name] = &nbaTeam{fresh: map[string]bool{}}
	}
	return p.teams[name]
}

func (p *nbaProblem) player(name string) *nbaPlayer {
	if p.players[name] == nil {
		p.players[name] = &nbaPlayer{}
		p.order = append(p.order, name)
	}
	return p.players[name]
}

// situation reads one sentence about a team or a player.
func (p *nbaProblem) situation(s string) bool {
	if m := nbaSalary.FindStringSubmatch(s); m != nil {
		p.team(m[1]).salary = nbaDollars(m[2])
		return true
	}
	if m := nbaPicks.FindStringSubmatch(s); m != nil {
		t := p.team(m[1])
		t.hasPicks = true
		for y := 2025; y < 2025+nbaInt(m[2]); y++ {
			if y != nbaInt(m[3]) {
				t.picks = append(t.picks, y)
			}
		}
		if m[4] != "" {
			t.picks = append(t.picks, nbaInt(m[4]))
		}
		return true
	}
	if m := nbaDeclined.FindStringSubmatch(s); m != nil {
		p.player(m[1]).Declined = 1
		return true
	}
	if m := nbaMoved.FindStringSubmatch(s); m != nil {
		p.player(m[1]).team = m[2]
		return true
	}
	if nbaHonour.MatchString(s) || nbaRoster.MatchString(s) {
		return true
	}
	known := false
	if m := nbaDraft.FindStringSubmatch(s); m != nil {
		one := p.player(m[1])
		one.Drafted, one.Age, known = nbaInt(m[2]), nbaInt(m[3]), true
	}
	if years := first(nbaContract, s); years != "" {
		one := p.player(first(nbaPlayerIs, s))
		one.Years, one.team, known = nbaInt(years), first(nbaWith, s), true
		one.Minimum = nbaMinimum.MatchString(s)
		one.Salary = nbaDollars(first(nbaAnnual, s))
		one.Raise, _ = strconv.ParseFloat(first(nbaRaise, s), 64)
		one.Raise /= 100
		if one.Start = nbaInt(first(nbaDuring, s)); one.Start == 0 {
			one.Start = 2024 - one.Years // a contract without a date ran until now
		}
	}
	return known
}

// as is a player as a team sees him.
func (p *nbaProblem) as(name, team string) nbaPlayer {
	one := *p.player(name)
	one.Own = one.team == team
	return one
}

// common are the arguments of every tool: the team's salaries as stated, its free agents whom no operation signs, and what it signed before.
func (p *nbaProblem) common(team string) map[string]any {
	holds := []nbaPlayer{}
	for _, name := range p.order {
		one := p.as(name, team)
		if one.Own && one.free() && !strings.Contains(strings.Join(p.ops, "\n")+"\n", "Player "+name) {
			holds = append(holds, one)
		}
	}
	return map[string]any{"salary": p.team(team).salary, "holds": holds, "earlier": append([]nbaEarlier{}, p.team(team).earlier...),
		"went": append([]nbaPlayer{}, p.team(team).went...), "came": append([]nbaPlayer{}, p.team(team).came...), "came_signed": append([]float64{}, p.team(team).cameSigned...)}
}

// nbaCall is one call that an operation becomes.
type nbaCall struct {
	tool string
	args map[string]any
}

func (c *nbaCall) with(k string, v any) { c.args[k] = v }

// calls reads one operation as calls of the pack's tools, and keeps what it changes for the next; ok is false where no pattern knows it.
func (p *nbaProblem) calls(op string) (out []nbaCall, ok bool) {
	if nbaNothing.MatchString(op) {
		return nil, true
	}
	if team := first(nbaOffer, op); team != "" {
		c := nbaCall{"offer_sheet", p.common(team)}
		c.with("player", p.as(first(nbaNames, op), team))
		c.with("years", nbaInt(first(nbaLength, op)))
		c.with("first", nbaDollars(first(nbaFirst, op)))
		share, _ := strconv.ParseFloat(first(nbaShare, op), 64)
		raise, _ := strconv.ParseFloat(first(nbaRaise, op), 64)
		c.with("share", share/100)
		c.with("raise", raise/100)
		later := []float64{}
		for _, m := range nbaLater.FindAllStringSubmatch(op, -1) {
			later = append(later, nbaDollars(m[1]))
		}
		c.with("later", later)
		return []nbaCall{c}, true
	}
	team := ""
	signed := map[string]float64{}
	for _, part := range regexp.MustCompile(`, and immediately | and (?:(?:immediately )?trades |signs a contract )`).Split(op, -1) {
		switch rest := strings.TrimPrefix(op[strings.Index(op, part):], ""); {
		case nbaSign.MatchString(part) || regexp.MustCompile(`^\d+-year contract`).MatchString(part):
			if m := nbaSign.FindStringSubmatch(part); m != nil && m[1] != "" {
				team = m[1]
			}
			name := first(regexp.MustCompile(`with (?:[Pp]layer) (\w+)`), part)
			one := p.as(name, team)
			raise, _ := strconv.ParseFloat(first(nbaRaise, part), 64)
			salary := nbaDollars(first(regexp.MustCompile(`annual salary \$([\d,]+)`), part))
			c := nbaCall{"sign", p.common(team)}
			c.with("player", one)
			c.with("years", nbaInt(first(regexp.MustCompile(`(\d+)-year`), part)))
			c.with("first", salary)
			c.with("raise", raise/100)
			c.with("minimum", nbaMinimum.MatchString(part))
			c.with("traded", strings.Contains(rest, "immediately trades"))
			out = append(out, c)
			if strings.Contains(rest, "immediately trades") {
				signed[name] = salary
			} else {
				p.team(team).earlier = append(p.team(team).earlier, nbaEarlier{salary, one.Own})
				p.team(team).fresh[name] = true
			}
			ok = true
		default:
			t := part
			if !strings.Contains(t, "trades") {
				t = "trades " + t
			}
			m := nbaTrade.FindStringSubmatch(t)
			if m == nil {
				return nil, false
			}
			if m[1] != "" {
				team = m[1]
			}
			out = append(out, p.trade(team, m[2], m[3], m[4], signed)...)
			ok = true
		}
	}
	return out, ok
}

// trade are the two sides of a trade; the second is left out where the prose does not say who it is.
func (p *nbaProblem) trade(team, gives, partner, gets string, signed map[string]float64) (out []nbaCall) {
	if partner == "" {
		for _, m := range nbaNames.FindAllStringSubmatch(gets, -1) {
			partner = p.player(m[1]).team
		}
	}
	side := func(team, gives, gets string, giver bool) nbaCall {
		c := nbaCall{"trade", p.common(team)}
		t := p.team(team)
		given, taken, signedOut, signedIn, fresh := []nbaPlayer{}, []nbaPlayer{}, []map[string]any{}, []float64{}, 0
		for _, m := range nbaNames.FindAllStringSubmatch(gives, -1) {
			if s, new := signed[m[1]]; new && giver {
				signedOut = append(signedOut, map[string]any{"first": s, "player": p.as(m[1], team)})
			} else {
				given = append(given, p.as(m[1], team))
				if t.fresh[m[1]] {
					fresh++
				}
			}
		}
		for _, m := range nbaNames.FindAllStringSubmatch(gets, -1) {
			if s, new := signed[m[1]]; new && !giver {
				signedIn = append(signedIn, s)
			} else {
				taken = append(taken, p.as(m[1], team))
			}
		}
		years := func(s string) (list []int) {
			for _, m := range nbaPickIn.FindAllStringSubmatch(s, -1) {
				for _, y := range m[2:] {
					if y != "" {
						list = append(list, nbaInt(y))
					}
				}
			}
			return list
		}
		t.gives, t.gets = append(t.gives, years(gives)...), append(t.gets, years(gets)...)
		for k, v := range map[string]any{"given": given, "taken": taken, "signed_out": signedOut, "signed_in": signedIn, "fresh": fresh, "has_picks": t.hasPicks,
			"picks": append([]int{}, t.picks...), "gives": append([]int{}, t.gives...), "gets": append([]int{}, t.gets...)} {
			c.with(k, v)
		}
		t.went, t.came, t.cameSigned = append(t.went, given...), append(t.came, taken...), append(t.cameSigned, signedIn...)
		return c
	}
	out = append(out, side(team, gives, gets, true))
	if partner != "" {
		out = append(out, side(partner, gets, gives, false))
	}
	return out
}

// nbaVerdict is what the pack says of a problem: the letter of the first operation that is refused, empty for none.
func nbaVerdict(t testing.TB, p *policy.Policy, r nbaRecord) (letter string, why []string, unread int) {
	problem := &nbaProblem{players: map[string]*nbaPlayer{}, teams: map[string]*nbaTeam{}, ops: r.Operations}
	for _, s := range append(append([]string{}, r.Teams...), r.Players...) {
		if !problem.situation(strings.TrimSpace(s)) {
			unread++
		}
	}
	for _, op := range r.Operations {
		name, text, _ := strings.Cut(op, ". ")
		calls, ok := problem.calls(strings.TrimSuffix(text, "."))
		if !ok {
			unread++
		}
		for _, c := range calls {
			d := decideCall(p, c.tool, encode(t, c.args))
			if d.Outcome != proviso.Allow && letter == "" {
				letter = name
			}
			for _, x := range d.Reasons {
				why = append(why, name+" "+x.Rule)
			}
			for _, x := range d.Errors {
				why = append(why, name+" "+x.Code+" "+x.Msg)
			}
		}
	}
	return letter, why, unread
}

type nbaRecord struct {
	ID         string
	Teams      []string `json:"team_situations"`
	Players    []string `json:"player_situations"`
	Operations []string
	Answer     bool
	Illegal    *string  `json:"illegal_operation"`
	Rules      []string `json:"relevant_rules"`
}

// Transactions are read from prose by general patterns, and judged by the pack.
func TestRuleArenaNBA(t *testing.T) {
	p := loadPack(t, "rulearena-nba")
	var illegal, legal, named, read tally
	testkit.Lines(t, "rulearena/nba.jsonl", func(line []byte) {
		var r nbaRecord
		must(t, json.Unmarshal(line, &r))
		letter, why, unread := nbaVerdict(t, p, r)
		read.add(unread == 0)
		right := (letter != "") == r.Answer
		if r.Answer {
			illegal.add(right)
			named.add(r.Illegal != nil && *r.Illegal == letter)
		} else {
			legal.add(right)
		}
		if !right || unread > 0 {
			t.Logf("%s: %q, the suite says %v, %d sentences were not read: %s", r.ID, letter, r.Answer, unread, strings.Join(why, "; "))
		}
	})
	exactly("rulearena.nba", tally{(illegal.share() + legal.share()) / 2 * float64(illegal.n+legal.n), illegal.n + legal.n})
	exactly("rulearena.nba_missed_violations", tally{float64(illegal.n) - illegal.sum, illegal.n})
	exactly("rulearena.nba_wrongful_denials", tally{float64(legal.n) - legal.sum, legal.n})
	exactly("rulearena.nba_operation_named", named)
	exactly("rulearena.nba_read", read)
	if balanced := (illegal.share() + legal.share()) / 2; balanced < 0.87 {
		t.Errorf("balanced accuracy %v, it was 0.89", balanced)
	}
}
