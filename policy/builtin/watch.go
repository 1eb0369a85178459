package builtin

import "strings"

// Watcher looks at the end of a text of which more may come. found is true where it may have something of the kinds that are watched for, or where that cannot be told;
// else nothing of them begins in its first safe bytes, whatever comes, and what is behind from is all that has to be looked at when more has come.
// What was cut off in front must have ended at an earlier from. The time is in proportion to the length of the text.
type Watcher func(text string) (found bool, safe, from int)

// WatchWords is how many words behind its first one, the word included that the text ends with, take part in finding a value: twelve words of a house's address before its state, the state and the postcode,
// eight of what follows, the word behind them, and those that an escape which is cut makes. No other detector of personal data reaches as far. A mail address may have more; its mark is looked for.
const WatchWords = 26

const (
	watchBytes   = 72 // before its mark a mail address has at most 64, and an escape that is cut has 6
	watchContext = 24 // words before a value that may announce it, or belong to it
	watchMost    = 1 << 14
)

// NewWatcher returns a watcher for kinds of personal data; AllKinds stands for all. It finds wherever NewFinder does in the whole text, and may find more: where one detector takes a value for another kind,
// it does not ask which of them would win. The error is that of NewFinder.
func NewWatcher(pii []string) (Watcher, error) {
	pick, err := piiDetectors.only(pii)
	if err != nil {
		return nil, err
	}
	return func(text string) (bool, int, int) {
		p := newPage(text)
		if len(text) > watchMost || pick("email") && p.mailMark() || piiDetectors.suspects(p, pick) {
			return true, 0, 0
		}
		n := len(p.words)
		open := max(n-WatchWords, 0)
		for k := n; k > open; k-- {
			if !p.close(k) { // no value goes on behind it
				open = k
			}
		}
		safe := max(min(p.opens(open), len(p.s)-watchBytes), 0)
		from := min(p.opens(max(open-watchContext, 0)), safe-watchBytes)
		return false, p.origin(safe), p.origin(max(from, 0))
	}, nil
}

// opens is where a value may begin whose first word is the k-th: before the marks in front of it.
func (p *page) opens(k int) int {
	i, floor := len(p.s), 0
	if k < len(p.words) {
		i = p.words[k].start
	}
	if k > 0 {
		floor = p.words[k-1].end
	}
	for i > floor && strings.IndexByte("+(-", p.s[i-1]) >= 0 {
		i--
	}
	return i
}

// mailMark tells whether there is an @ that may be one of a mail address.
func (p *page) mailMark() bool {
	for i := 1; i < len(p.s); i++ {
		if p.s[i] == '@' && strings.IndexByte(" \t\n\r\"<>", p.s[i-1]) < 0 {
			return true
		}
	}
	return false
}

// suspects tells whether any detector of the kinds finds something, whatever the others make of it.
func (d *detectors) suspects(p *page, pick func(string) bool) (found bool) {
	yield := func(kind string, _, _ int) { found = found || pick(kind) }
	for _, a := range p.announcements(d.cues()) {
		if x := d.table[a.row]; pick(x.kinds[0]) {
			_, _, ok := x.value(p, a.word)
			found = found || ok
		}
	}
	for _, x := range d.table {
		if x.find != nil && !found && anyKind(x.kinds, pick) {
			x.find(p, yield)
		}
	}
	return found
}

func anyKind(kinds []string, pick func(string) bool) bool {
	for _, k := range kinds {
		if pick(k) {
			return true
		}
	}
	return false
}
