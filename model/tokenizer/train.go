package tokenizer

import (
	"container/heap"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// TrainOptions say what tokenizer Train makes.
type TrainOptions struct {
	Pattern *Pattern // how words are cut; nil is Qwen
	Size    int      // ids in all: 256 bytes, merges, and special tokens; fewer where the texts hold no more pairs
	Special []string // control tokens; they get the last ids, in this order
	NFC     bool     // normalise texts, as the tokenizers of Qwen do
	Begin   string   // one of Special to put before a text that is encoded with Options.Special; empty for none
}

// Train learns a byte-level BPE from texts: again and again, the most frequent pair of neighbours within the words becomes a token, until there are as many as wanted (Sennrich et al. 2016, algorithm 1). Among equally frequent pairs the one of the smaller ids goes first, so that the same texts always give the same tokenizer.
// A pair that occurs only once is not merged.
func Train(texts iter.Seq[string], o TrainOptions) (*Tokenizer, error) {
	if o.Pattern == nil {
		o.Pattern = Qwen
	}
	if least := 256 + len(o.Special); o.Size < least {
		return nil, fmt.Errorf("train a tokenizer: a vocabulary of %d is too small; bytes and special tokens alone are %d", o.Size, least)
	}
	if o.Begin != "" && !slices.Contains(o.Special, o.Begin) {
		return nil, fmt.Errorf("train a tokenizer: the token %q that begins a text is not among the special tokens", o.Begin)
	}
	counts := map[string]int{}
	for text := range texts {
		if o.NFC {
			text = norm.NFC.String(text)
		}
		text = strings.ToValidUTF8(text, "\uFFFD")
		for text != "" {
			n := o.Pattern.next(text)
			counts[text[:n]]++
			text = text[n:]
		}
	}
	if len(counts) == 0 {
		return nil, errors.New("train a tokenizer: there is no text to learn from")
	}
	l := newLearner(counts)
	for len(l.tokens) < o.Size-len(o.Special) && l.step() {
	}
	source, err := l.json(o)
	if err != nil {
		return nil, fmt.Errorf("train a tokenizer: %w", err)
	}
	return Parse(source)
}

// word is a word of the texts as the tokens that it consists of so far.
type word struct {
	ids   []int32
	count int
}

// learner counts pairs over distinct words and keeps the counts up to date while merging.
type learner struct {
	tokens []string
	known  map[string]int32 // bytes → id: two merges can lead to the same token
	merges []pair
	words  []word
	counts map[pair]int
	where  map[pair][]int // words that had the pair at some time
	queue  pairQueue
}

// queued is a pair with the count that it had when it was queued.
type queued struct {
	pair  pair
	count int
}

type pairQueue []queued

func (q pairQueue) Len() int { return len(q) }
func (q pairQueue) Less(i, j int) bool {
	a, b := q[i], q[j]
	switch {
	case a.count != b.count:
		return a.count > b.count
	case a.pair.left != b.pair.left:
		return a.pair.left < b.pair.left
	}
	return a.pair.right < b.pair.right
}
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *pairQueue) Push(x any)   { *q = append(*q, x.(queued)) }
func (q *pairQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

func newLearner(counts map[string]int) *learner {
	l := &learner{known: map[string]int32{}, counts: map[pair]int{}, where: map[pair][]int{}}
	var byteID [256]int32
	for i, b := range alphabet() {
		byteID[b] = int32(i)
		l.known[string([]byte{b})] = int32(i)
		l.tokens = append(l.tokens, string([]byte{b}))
	}
	for _, text := range sortedKeys(counts) {
		w := word{count: counts[text], ids: make([]int32, len(text))}
		for i := range w.ids {
			w.ids[i] = byteID[text[i]]
		}
		l.words = append(l.words, w)
		at := len(l.words) - 1
		for i := range w.ids[1:] {
			p := pair{w.ids[i], w.ids[i+1]}
			l.counts[p] += w.count
			if ws := l.where[p]; len(ws) == 0 || ws[len(ws)-1] != at {
				l.where[p] = append(ws, at)
			}
		}
	}
	for p, n := range l.counts {
		l.queue = append(l.queue, queued{p, n})
	}
	heap.Init(&l.queue)
	return l
}

// alphabet is the order in which the bytes get the first ids: that of the characters which spell them, as other trainers have it.
func alphabet() []byte {
	all := make([]byte, 256)
	for b := range all {
		all[b] = byte(b)
	}
	slices.SortFunc(all, func(a, b byte) int { return int(spellByte[a]) - int(spellByte[b]) })
	return all
}

// step merges the most frequent pair. It returns false where no pair occurs twice.
func (l *learner) step() bool {
	for len(l.queue) > 0 {
		q := heap.Pop(&l.queue).(queued)
		if now := l.counts[q.pair]; now != q.count {
			if now > 1 {
				heap.Push(&l.queue, queued{q.pair, now})
			}
			continue
		}
		if q.count < 2 {
			return false
		}
		l.join(q.pair)
		return true
	}
	return false
}

func (l *learner) join(p pair) {
	text := l.tokens[p.left] + l.tokens[p.right]
	id, ok := l.known[text]
	if !ok {
		id = int32(len(l.tokens))
		l.tokens = append(l.tokens, text)
		l.known[text] = id
	}
	l.merges = append(l.merges, p)
	touched := map[pair]bool{}
	for _, at := range l.where[p] {
		w := &l.words[at]
		for i := 0; i+1 < len(w.ids); i++ {
			l.counts[pair{w.ids[i], w.ids[i+1]}] -= w.count
		}
		out := w.ids[:0]
		for i := 0; i < len(w.ids); i++ {
			if i+1 < len(w.ids) && w.ids[i] == p.left && w.ids[i+1] == p.right {
				out = append(out, id)
				i++
				continue
			}
			out = append(out, w.ids[i])
		}
		w.ids = out
		for i := 0; i+1 < len(w.ids); i++ {
			q := pair{w.ids[i], w.ids[i+1]}
			l.counts[q] += w.count
			if q.left != id && q.right != id {
				continue
			}
			touched[q] = true
			if ws := l.where[q]; len(ws) == 0 || ws[len(ws)-1] != at {
				l.where[q] = append(ws, at)
			}
		}
	}
	delete(l.counts, p)
	delete(l.where, p)
	for q := range touched {
		heap.Push(&l.queue, queued{q, l.counts[q]})
	}
}

// The sections of the file, in the order in which other programs write them.
type fileJSON struct {
	Version       string      `json:"version"`
	Truncation    any         `json:"truncation"`
	Padding       any         `json:"padding"`
	AddedTokens   []addedJSON `json:"added_tokens"`
	Normalizer    any         `json:"normalizer"`
	PreTokenizer  any         `json:"pre_tokenizer"`
	PostProcessor any         `json:"post_processor"`
	Decoder       any         `json:"decoder"`
	Model         modelJSON   `json:"model"`
}

type addedJSON struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

type modelJSON struct {
	Type         string      `json:"type"`
	Dropout      any         `json:"dropout"`
	UnkToken     any         `json:"unk_token"`
	Prefix       any         `json:"continuing_subword_prefix"`
	Suffix       any         `json:"end_of_word_suffix"`
	FuseUnk      bool        `json:"fuse_unk"`
	ByteFallback bool        `json:"byte_fallback"`
	IgnoreMerges bool        `json:"ignore_merges"`
	Vocab        orderedIDs  `json:"vocab"`
	Merges       [][2]string `json:"merges"`
}

// orderedIDs is a vocabulary that is written by id.
type orderedIDs []string

func (o orderedIDs) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for id, spelled := range o {
		key, err := json.Marshal(spelled)
		if err != nil {
			return nil, err
		}
		if id > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(append(b, key...), ":%d", id)
	}
	return append(b, '}'), nil
}

func (l *learner) json(o TrainOptions) ([]byte, error) {
	type m = map[string]any
	byteLevel := m{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": len(o.Pattern.regex) == 0}
	f := fileJSON{Version: "1.0", PreTokenizer: byteLevel, PostProcessor: m{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true},
		Decoder: m{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}, AddedTokens: []addedJSON{}}
	if o.NFC {
		f.Normalizer = m{"type": "NFC"}
	}
	if len(o.Pattern.regex) > 0 {
		split := m{"type": "Split", "pattern": m{"Regex": o.Pattern.regex[0]}, "behavior": "Isolated", "invert": false}
		f.PreTokenizer = m{"type": "Sequence", "pretokenizers": []any{split, byteLevel}}
	}
	for i, s := range o.Special {
		f.AddedTokens = append(f.AddedTokens, addedJSON{ID: int32(len(l.tokens) + i), Content: s, Special: true})
	}
	if o.Begin != "" {
		id := len(l.tokens) + slices.Index(o.Special, o.Begin)
		text, begin := m{"Sequence": m{"id": "A", "type_id": 0}}, m{"SpecialToken": m{"id": o.Begin, "type_id": 0}}
		second := m{"Sequence": m{"id": "B", "type_id": 1}}
		f.PostProcessor = m{"type": "TemplateProcessing", "single": []any{begin, text}, "pair": []any{begin, text, second},
			"special_tokens": m{o.Begin: m{"id": o.Begin, "ids": []int{id}, "tokens": []string{o.Begin}}}}
	}
	f.Model = modelJSON{Type: "BPE", Merges: [][2]string{}}
	for _, t := range l.tokens {
		f.Model.Vocab = append(f.Model.Vocab, spell(t))
	}
	for _, p := range l.merges {
		f.Model.Merges = append(f.Model.Merges, [2]string{spell(l.tokens[p.left]), spell(l.tokens[p.right])})
	}
	b, err := json.MarshalIndent(f, "", "  ")
	return append(b, '\n'), err
}
