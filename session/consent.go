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
}

// said is one message.
type said struct {
	seq      uint64
	role     proviso.Role
	text     string
	folded   string // of the assistant
	stance   stance // of the user
	confirms []string
}

// maxUsed bounds the releases that are remembered beside the messages.
const maxUsed = 4096

func (t *talk) say(seq uint64, m *proviso.Message) {
	text := strings.ToValidUTF8(m.Text, "\ufffd")
	s := said{seq: seq, role: m.Role, confirms: m.Confirms}
	if m.Role == proviso.User {
		// All of it, so that a refusal at the end of a long message is not cut off.
		s.stance = stanceOf(text)
	}
	if len(text) > MaxText {
		text = strings.ToValidUTF8(text[:MaxText], "")
	}
	s.text = text
	t.count++
	t.keep(s)
}

func (t *talk) keep(s said) {
	if s.role == proviso.Assistant {
		s.folded = fold(s.text)
	}
	t.said = append(t.said, s)
	t.bytes += len(s.text)
	for len(t.said) > MaxMessages || t.bytes > MaxTalk {
		t.bytes -= len(t.said[0].text)
		t.said = t.said[1:]
	}
}

// spend uses up what was confirmed for a call.
func (t *talk) spend(seq uint64, hashes ...string) {
	if len(t.said) == 0 {
		return
	}
	if t.used == nil {
		t.used = map[string]uint64{}
	}
	for _, h := range hashes {
		if h != "" {
			t.used[h] = seq
		}
	}
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
	names := proposalOf(in, t.rules.KeyArguments(in))
	state, proposed, spoke := proviso.Unknown, false, proviso.User
	for i := range kept {
		m := &kept[i]
		switch m.role {
		case proviso.Assistant:
			if spoke == proviso.User {
				proposed = false
			}
			proposed = proposed || names.in(m.folded)
		case proviso.User:
			state = m.stance.answer(state, proposed)
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
