package tokenizer

import (
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Tokenizer holds a vocabulary and the stages that lead to it. It does not change after it was made and is safe for concurrent use.
// Make one with Parse or Train.
type Tokenizer struct {
	vocab    map[string]int32 // spelled bytes → id, without added tokens
	tokens   []string         // id → bytes; of an added token its content; empty where no token has the id
	ranks    map[pair]merge   // which neighbours become one
	byteID   [256]int32
	whole    bool // a word that is a token is not merged (ignore_merges)
	nfc      bool
	patterns []*Pattern
	added    []Added         // by id
	special  map[int32]bool  // ids of special tokens
	addedIDs map[int32]Added // by id
	raw      *trie           // added tokens that are sought in the text as it is
	cooked   *trie           // added tokens that are sought in the normalised text
	before   []int32         // what the post-processor puts in front
	after    []int32         // and behind
	source   []byte          // tokenizer.json

	mu    sync.RWMutex
	cache map[string][]int32
}

// Added is a token that is looked for in the text as a whole, before words are cut. Its fields are those of the format.
type Added struct {
	ID         int32
	Content    string
	Special    bool // a control token: decoding can leave it out
	Normalized bool // sought in the normalised text
	LStrip     bool // takes the spaces before it
	RStrip     bool // takes the spaces behind it
	SingleWord bool // only between characters that are no letters or digits
}

// Span is a range of bytes of a text, from Start to before End.
type Span struct{ Start, End int }

// Options say how a text is encoded. The zero value finds added tokens anywhere and puts nothing around the text.
type Options struct {
	// Special adds what the post-processor of the tokenizer adds, such as the token that begins a text.
	Special bool
	// Literal are the parts of the text in which added tokens are words like any other, in order and without overlap. An added token that reaches into one is not recognised.
	Literal []Span
}

// Size returns the number of ids: the largest id and one.
func (t *Tokenizer) Size() int { return len(t.tokens) }

// ID returns the id of a token by its content: an added token by its text, any other by its bytes. ok is false where there is none.
func (t *Tokenizer) ID(content string) (id int32, ok bool) {
	for _, a := range t.added {
		if a.Content == content {
			return a.ID, true
		}
	}
	id, ok = t.vocab[content]
	return id, ok
}

// Bytes returns the bytes that a token stands for; of an added token its content. They are empty for an id that no token has.
func (t *Tokenizer) Bytes(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.tokens[id]
}

// Special reports whether the id is that of a special token.
func (t *Tokenizer) Special(id int32) bool { return t.special[id] }

// Added returns the added tokens by id. The caller may keep them.
func (t *Tokenizer) Added() []Added { return append([]Added(nil), t.added...) }

// Pattern returns the names of the patterns that cut words, in order.
func (t *Tokenizer) Pattern() string {
	names := make([]string, len(t.patterns))
	for i, p := range t.patterns {
		names[i] = p.Name
	}
	return strings.Join(names, "+")
}

// JSON returns the tokenizer.json: that which was read, byte for byte, or the one of a trained tokenizer. The caller must not change it.
func (t *Tokenizer) JSON() []byte { return t.source }

// Encode returns the ids of a text. Bytes that are not UTF-8 count as U+FFFD.
func (t *Tokenizer) Encode(text string, o Options) []int32 {
	if !utf8.ValidString(text) {
		text, o.Literal = valid(text, o.Literal)
	}
	var ids []int32
	if o.Special {
		ids = append(ids, t.before...)
	}
	t.raw.split(text, o.Literal, func(piece string, at int, a *Added) {
		if a != nil {
			ids = append(ids, a.ID)
			return
		}
		var literal []Span
		if overlaps(o.Literal, Span{at, at + len(piece)}) {
			// Normalising moves offsets; where a part is literal, so is its surrounding piece. That can only leave a word spelled out that might have been an added token.
			literal = []Span{{0, len(piece) * maxGrowth}}
		}
		if t.nfc {
			piece = norm.NFC.String(piece)
		}
		t.cooked.split(piece, literal, func(piece string, _ int, a *Added) {
			if a != nil {
				ids = append(ids, a.ID)
				return
			}
			ids = t.words(ids, piece, t.patterns)
		})
	})
	if o.Special {
		ids = append(ids, t.after...)
	}
	return ids
}

// maxGrowth bounds how much longer a text can become by NFC: three times in bytes (Unicode Annex 15, §12).
const maxGrowth = 3

// valid replaces what is not UTF-8 and moves the spans with it.
func valid(text string, spans []Span) (string, []Span) {
	var b strings.Builder
	moved := append([]Span(nil), spans...)
	for i, r := range text {
		for j, s := range spans {
			if s.Start == i {
				moved[j].Start = b.Len()
			}
			if s.End == i {
				moved[j].End = b.Len()
			}
		}
		b.WriteRune(r)
	}
	for j, s := range spans {
		if s.End >= len(text) {
			moved[j].End = b.Len()
		}
	}
	return b.String(), moved
}

// words cuts a piece by the patterns that are left and appends the ids of its words.
func (t *Tokenizer) words(ids []int32, piece string, patterns []*Pattern) []int32 {
	if len(patterns) == 0 {
		return t.word(ids, piece)
	}
	for piece != "" {
		n := patterns[0].next(piece)
		ids = t.words(ids, piece[:n], patterns[1:])
		piece = piece[n:]
	}
	return ids
}

// cached bounds the words that a tokenizer remembers, and the length of one.
const (
	cachedWords = 1 << 16
	cachedBytes = 64
)

func (t *Tokenizer) word(ids []int32, w string) []int32 {
	if w == "" {
		return ids
	}
	if id, ok := t.vocab[w]; ok && (t.whole || len(w) == 1) {
		return append(ids, id)
	}
	if len(w) > cachedBytes {
		return append(ids, t.merge(w)...)
	}
	t.mu.RLock()
	known, ok := t.cache[w]
	t.mu.RUnlock()
	if !ok {
		known = t.merge(w)
		t.mu.Lock()
		if len(t.cache) >= cachedWords || t.cache == nil {
			t.cache = map[string][]int32{}
		}
		t.cache[strings.Clone(w)] = known
		t.mu.Unlock()
	}
	return append(ids, known...)
}

// Decode returns the text of ids. With skipSpecial, special tokens are left out. Ids that no token has stand for nothing, and bytes that are not UTF-8 become U+FFFD.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	s := t.Stream(skipSpecial)
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(s.Next(id))
	}
	b.WriteString(s.Flush())
	return b.String()
}

// Stream returns a decoder of ids that come one by one.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream {
	return &Stream{t: t, skip: skipSpecial}
}

// Stream decodes ids that come one by one: a character whose bytes are spread over several tokens appears with the last of them. It is for one goroutine.
type Stream struct {
	t       *Tokenizer
	skip    bool
	pending []byte
}

// Next takes an id and returns the text that is complete with it.
func (s *Stream) Next(id int32) string {
	if a, ok := s.t.addedIDs[id]; ok {
		text := s.Flush()
		if a.Special && s.skip {
			return text
		}
		return text + a.Content
	}
	s.pending = append(s.pending, s.t.Bytes(id)...)
	n := len(s.pending) - partial(s.pending)
	text := strings.ToValidUTF8(string(s.pending[:n]), "\uFFFD")
	s.pending = append(s.pending[:0], s.pending[n:]...)
	return text
}

// Flush returns what was held back, as U+FFFD, and forgets it.
func (s *Stream) Flush() string {
	if len(s.pending) == 0 {
		return ""
	}
	s.pending = s.pending[:0]
	return "\uFFFD"
}

// partial returns how many bytes at the end of b are the beginning of a character that is not complete.
func partial(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		c := b[len(b)-n]
		if utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}
