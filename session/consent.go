package session

import (
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// talk keeps the newest messages, as far as consent may rest on them. It implements policy.Consent.
//
// A call is confirmed where an assistant's message named all its key arguments (spelling.go), a user's message that answers it agreed (lexicon.go), and the call was not released since.
// A message answers a proposal where no message of the assistant that names nothing stands between: what the assistant says before the user speaks again is one turn, and one of its messages has to name everything.
// Once given, an agreement lasts through turns about other things; a refusal or a doubt in any of them makes it unknown again, and a refusal in answer to a proposal makes it false.
// A message with the call's hash among its Confirms agrees without any words, and for nothing but these arguments of this tool.
//
// Words say less than a control: a proposal has to name the arguments, not what will be done with them, so that agreeing to look at R1 also agrees to cancel R1 where both are confirmed calls; and one message may propose several calls.
type talk struct {
	rules Rules
	said  []said
	bytes int
	count uint64 // of messages ever said
	// used is the newest release of each argument hash that a kept message could still confirm.
	used map[string]uint64
	// waits are the newest calls that were held for the user's word, the newest last; the proposal that comes next is about the largest of them that it names.
	waits []*policy.Input
}

// said is one message. What was read out of it is worked out when a consent is first asked for: most messages are never read.
type said struct {
	seq      uint64
	role     proviso.Role
	text     string
	confirms []string
	asks     []ask  // of the assistant
	stance   stance // of the user
	folded   string // of the assistant
	read     bool   // stance and folded are known
	cut      bool   // the text is not all that was said, and the stance is that of the whole
}

// ask is a held call that the assistant's text names, the newest last.
type ask struct {
	Hash  string `json:"hash"`
	Terms string `json:"terms"` // its key arguments, folded
}

const (
	maxUsed  = 4096 // releases that are remembered beside the messages
	maxWaits = 8    // held calls that a proposal is compared with
)

func (t *talk) say(seq uint64, m *proviso.Message) {
	text := strings.ToValidUTF8(m.Text, "\ufffd")
	s := said{seq: seq, role: m.Role, confirms: m.Confirms}
	if len(text) > MaxText {
		if m.Role == proviso.User {
			// All of it, so that a refusal at the end of a long message is not cut off.
			s.stance, s.read, s.cut = stanceOf(text), true, true
		}
		text = strings.ToValidUTF8(text[:MaxText], "")
	}
	s.text = text
	if m.Role == proviso.Assistant {
		for _, in := range t.waits {
			if args := t.rules.KeyArguments(in); proposalOf(in, args).in(s.fold()) {
				s.asks = append(s.asks, ask{in.Hash, fold(termsOf(args))})
			}
		}
	}
	t.count++
	t.keep(s)
}

// fold reads an assistant's message.
func (s *said) fold() string {
	if !s.read {
		s.folded, s.read = fold(s.text), true
	}
	return s.folded
}

// answers reads a user's message.
func (s *said) answers() stance {
	if !s.read {
		s.stance, s.read = stanceOf(s.text), true
	}
	return s.stance
}

func (t *talk) keep(s said) {
	t.said = append(t.said, s)
	t.bytes += len(s.text)
	for len(t.said) > MaxMessages || t.bytes > MaxTalk {
		t.bytes -= len(t.said[0].text)
		t.said = t.said[1:]
	}
}

// hold remembers that a call waits for the user's word.
func (t *talk) hold(in *policy.Input, missing []proviso.Missing) {
	if !slices.ContainsFunc(missing, func(m proviso.Missing) bool { return m.Kind == proviso.MissingConfirmation }) {
		return
	}
	t.drop(in.Hash)
	t.waits = append(t.waits, in)
	if len(t.waits) > maxWaits {
		t.waits = t.waits[1:]
	}
}

func (t *talk) drop(hash string) {
	t.waits = slices.DeleteFunc(t.waits, func(w *policy.Input) bool { return w.Hash == hash })
}

// asksMore reports whether a message asks for another call instead of this one, which says no more than the other: who agrees to give back three articles did not agree to give back two of them.
// Of held calls that the message names alike, it asks for the newest; else for the one that says more.
func (s *said) asksMore(hash string, names proposal, terms string) bool {
	for i, a := range s.asks {
		newest := i == len(s.asks)-1
		if a.Hash != hash && names.in(a.Terms) && (newest || len(a.Terms) > len(terms)) {
			return true
		}
	}
	return false
}

// spend uses up what was confirmed for a call.
func (t *talk) spend(seq uint64, in *policy.Input) {
	t.drop(in.Hash)
	if len(t.said) == 0 || !t.rules.AsksConsent() {
		return
	}
	if t.used == nil {
		t.used = map[string]uint64{}
	}
	if in.Hash != "" {
		t.used[in.Hash] = seq
	}
	t.used[t.spoken(in)] = seq
	if len(t.used) <= maxUsed {
		return
	}
	for h, at := range t.used {
		if at < t.said[0].seq {
			delete(t.used, h)
		}
	}
	if len(t.used) > maxUsed {
		// Forgetting who used what would let an agreement count twice; forgetting the agreement only has it asked for again.
		t.said, t.used, t.bytes = nil, nil, 0
	}
}

// Confirmed tells whether the user agreed to a call.
func (t *talk) Confirmed(in *policy.Input) proviso.Tri {
	if in.Hash == "" || len(t.said) == 0 {
		return proviso.Unknown
	}
	kept := t.said
	if at, ok := t.used[in.Hash]; ok {
		kept = kept[t.after(at):]
	}
	args := t.rules.KeyArguments(in)
	names, terms := proposalOf(in, args), fold(termsOf(args))
	// Words speak of the key arguments only: what they allowed is used up by any call with the same ones.
	spent := t.used[spokenKey(in, terms)]
	state, proposed, spoke := proviso.Unknown, false, proviso.User
	for i := range kept {
		m := &kept[i]
		if m.seq <= spent {
			if m.role == proviso.User && slices.Contains(m.confirms, in.Hash) {
				state = proviso.True
			}
			continue
		}
		switch m.role {
		case proviso.Assistant:
			if spoke == proviso.User {
				proposed = false
			}
			proposed = proposed || names.in(m.fold()) && !m.asksMore(in.Hash, names, terms)
		case proviso.User:
			if proposed || state == proviso.True { // nothing else that is said changes it, and reading is slow
				state = m.answers().answer(state, proposed)
			}
			if slices.Contains(m.confirms, in.Hash) {
				state = proviso.True
			}
		default:
			continue
		}
		spoke = m.role
	}
	return state
}

// spokenKey names what words can say of a call: the tool and its key arguments.
func spokenKey(in *policy.Input, terms string) string { return in.Tool() + "\x00" + terms }

// spoken is the key under which the release of a call is remembered beside its hash.
func (t *talk) spoken(in *policy.Input) string {
	return spokenKey(in, fold(termsOf(t.rules.KeyArguments(in))))
}

// after is the number of the first kept message behind event seq.
func (t *talk) after(seq uint64) int {
	i, _ := slices.BinarySearchFunc(t.said, seq+1, func(s said, at uint64) int {
		switch {
		case s.seq < at:
			return -1
		case s.seq > at:
			return 1
		}
		return 0
	})
	return i
}

// last returns the newest n messages.
func (t *talk) last(n int) []proviso.Message {
	kept := t.said[max(0, len(t.said)-max(n, 0)):]
	out := make([]proviso.Message, len(kept))
	for i, m := range kept {
		out[i] = proviso.Message{Role: m.role, Text: m.text, Confirms: m.confirms}
	}
	return out
}

// answer is what becomes of a consent when the user says this.
func (s stance) answer(now proviso.Tri, proposed bool) proviso.Tri {
	switch {
	case proposed && s == agrees:
		return proviso.True
	case proposed && s == refuses:
		return proviso.False
	case proposed && s == doubts, now == proviso.True && s != agrees && s != silent:
		return proviso.Unknown
	}
	return now
}
