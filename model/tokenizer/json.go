package tokenizer

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/proviso-dev/proviso"
)

// CodeUnsupported is the code of a tokenizer.json that is malformed, or has a stage that this package does not do exactly.
const CodeUnsupported = "PV704"

// maxID bounds ids, so that a hostile file cannot ask for tables of any size.
const maxID = 1 << 22

func refuse(format string, args ...any) error {
	return proviso.Diagnostic{Code: CodeUnsupported, Msg: "tokenizer.json: " + fmt.Sprintf(format, args...),
		Hint: "byte-level BPE with the patterns gpt2, cl100k and qwen is read; convert the tokenizer or use a model with one of these"}
}

// Parse reads a tokenizer.json. It keeps b, which the caller must not change afterwards. The error is a proviso.Diagnostic with CodeUnsupported.
func Parse(b []byte) (*Tokenizer, error) {
	doc, err := proviso.DecodeResultJSON(b)
	if err != nil {
		return nil, refuse("%v", err)
	}
	r := reader{t: &Tokenizer{source: b, special: map[int32]bool{}, addedIDs: map[int32]Added{}}}
	r.file(doc)
	if r.err != nil {
		return nil, r.err
	}
	return r.t, nil
}

// reader reads the sections of the file; the first thing that is wrong stays in err.
type reader struct {
	t   *Tokenizer
	err error
}

func (r *reader) refuse(format string, args ...any) {
	if r.err == nil {
		r.err = refuse(format, args...)
	}
}

func (r *reader) object(at string, v any) map[string]any {
	m, ok := v.(map[string]any)
	if !ok {
		r.refuse("%s is no object", at)
	}
	return m
}

func (r *reader) list(at string, v any) []any {
	l, ok := v.([]any)
	if !ok {
		r.refuse("%s is no list", at)
	}
	return l
}

func (r *reader) text(at string, v any) string {
	s, ok := v.(string)
	if !ok {
		r.refuse("%s is no text", at)
	}
	return s
}

func (r *reader) id(at string, v any) int32 {
	n, ok := v.(int64)
	if !ok || n < 0 || n > maxID {
		r.refuse("%s is no id between 0 and %d", at, maxID)
		return 0
	}
	return int32(n)
}

// flag returns a boolean that may be absent or null.
func (r *reader) flag(at string, m map[string]any, key string) bool {
	switch v := m[key].(type) {
	case nil:
		return false
	case bool:
		return v
	}
	r.refuse("%s.%s is neither true nor false", at, key)
	return false
}

// absent refuses a setting that changes what the tokenizer does and that this package does not have.
func (r *reader) absent(at string, m map[string]any, keys ...string) {
	for _, k := range keys {
		switch v := m[k].(type) {
		case nil:
		case bool:
			if v {
				r.refuse("%s.%s is set, which is not supported", at, k)
			}
		case string:
			if v != "" {
				r.refuse("%s.%s is set, which is not supported", at, k)
			}
		default:
			r.refuse("%s.%s is set, which is not supported", at, k)
		}
	}
}

func (r *reader) file(doc any) {
	m := r.object("the file", doc)
	if m == nil {
		return
	}
	r.model(r.object("model", m["model"]))
	r.addedTokens(m["added_tokens"])
	r.normalizer(m["normalizer"])
	r.preTokenizer(m["pre_tokenizer"])
	r.postProcessor(m["post_processor"])
	r.decoder(m["decoder"])
}

func (r *reader) model(m map[string]any) {
	if r.err != nil {
		return
	}
	if k, given := m["type"]; given && k != "BPE" {
		r.refuse("model.type is %v, not BPE", k)
	}
	r.absent("model", m, "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "fuse_unk")
	vocab := r.object("model.vocab", m["vocab"])
	merges := r.list("model.merges", m["merges"])
	r.t.whole = r.flag("model", m, "ignore_merges")
	if r.err != nil {
		return
	}
	ids := make(map[string]int32, len(vocab))
	for spelled, v := range vocab {
		ids[spelled] = r.id("model.vocab["+fmt.Sprintf("%.40q", spelled)+"]", v)
	}
	if r.err != nil {
		return
	}
	pairs := make([][2]string, len(merges))
	for i, v := range merges {
		at := fmt.Sprintf("model.merges[%d]", i)
		switch v := v.(type) {
		case string:
			a, b, ok := strings.Cut(v, " ")
			if !ok || strings.Contains(b, " ") {
				r.refuse("%s is not two tokens with a space between them", at)
				return
			}
			pairs[i] = [2]string{a, b}
		case []any:
			if len(v) != 2 {
				r.refuse("%s is not two tokens", at)
				return
			}
			pairs[i] = [2]string{r.text(at, v[0]), r.text(at, v[1])}
		default:
			r.refuse("%s is neither a text nor a list", at)
			return
		}
	}
	if r.err == nil {
		r.err = r.t.fill(ids, pairs)
	}
}

// fill makes the tables of a vocabulary in its byte spelling, and of its merges in the order of their ranks.
func (t *Tokenizer) fill(ids map[string]int32, pairs [][2]string) error {
	top := int32(-1)
	for _, id := range ids {
		top = max(top, id)
	}
	t.tokens = make([]string, top+1)
	t.vocab = make(map[string]int32, len(ids))
	seen := make([]bool, top+1)
	for _, spelled := range sortedKeys(ids) {
		id := ids[spelled]
		if seen[id] {
			return refuse("two tokens have the id %d", id)
		}
		seen[id] = true
		raw, ok := unspell(spelled)
		if !ok {
			t.tokens[id] = spelled // only an added token is spelled like this; words never become it
			continue
		}
		t.tokens[id] = raw
		t.vocab[raw] = id
	}
	for b := range t.byteID {
		id, ok := t.vocab[string([]byte{byte(b)})]
		if !ok {
			return refuse("the vocabulary has no token for the byte 0x%02x", b)
		}
		t.byteID[b] = id
	}
	t.ranks = make(map[pair]merge, len(pairs))
	for i, p := range pairs {
		left, ok := ids[p[0]]
		right, ok2 := ids[p[1]]
		joined, ok3 := ids[p[0]+p[1]]
		if !ok || !ok2 || !ok3 {
			return refuse("merge %d of %.40q and %.40q has parts that are no tokens", i, p[0], p[1])
		}
		key := pair{left, right}
		if _, twice := t.ranks[key]; !twice {
			t.ranks[key] = merge{rank: i, id: joined}
		}
	}
	return nil
}

func (r *reader) addedTokens(v any) {
	if r.err != nil || v == nil {
		return
	}
	for i, v := range r.list("added_tokens", v) {
		at := fmt.Sprintf("added_tokens[%d]", i)
		m := r.object(at, v)
		if r.err != nil {
			return
		}
		a := Added{
			ID: r.id(at+".id", m["id"]), Content: r.text(at+".content", m["content"]),
			Special: r.flag(at, m, "special"), Normalized: r.flag(at, m, "normalized"),
			LStrip: r.flag(at, m, "lstrip"), RStrip: r.flag(at, m, "rstrip"), SingleWord: r.flag(at, m, "single_word"),
		}
		if a.Content == "" {
			r.refuse("%s.content is empty", at)
		}
		if r.err == nil {
			r.err = r.t.add(a)
		}
	}
}

// add makes an added token known.
func (t *Tokenizer) add(a Added) error {
	if other, twice := t.addedIDs[a.ID]; twice {
		return refuse("%.40q and %.40q have the id %d", other.Content, a.Content, a.ID)
	}
	for len(t.tokens) <= int(a.ID) {
		t.tokens = append(t.tokens, "")
	}
	if was := t.tokens[a.ID]; was != "" && was != a.Content {
		return refuse("%.40q and %.40q have the id %d", was, a.Content, a.ID)
	}
	t.tokens[a.ID] = a.Content
	t.added = append(t.added, a)
	slices.SortFunc(t.added, func(x, y Added) int { return int(x.ID - y.ID) })
	t.addedIDs[a.ID] = a
	if a.Special {
		t.special[a.ID] = true
	}
	where := &t.raw
	if a.Normalized {
		where = &t.cooked
	}
	if *where == nil {
		*where = &trie{}
	}
	(*where).insert(&a)
	return nil
}

func (r *reader) normalizer(v any) {
	if r.err != nil || v == nil {
		return
	}
	m := r.object("normalizer", v)
	switch m["type"] {
	case "NFC":
		r.t.nfc = true
	case "Sequence":
		for _, n := range r.list("normalizer.normalizers", m["normalizers"]) {
			r.normalizer(n)
		}
	default:
		r.refuse("normalizer %v is not supported", m["type"])
	}
}

func (r *reader) preTokenizer(v any) {
	if r.err != nil {
		return
	}
	spelled := false // the stage that spells bytes has to be the last
	stages := []any{v}
	if m, ok := v.(map[string]any); ok && m["type"] == "Sequence" {
		stages = r.list("pre_tokenizer.pretokenizers", m["pretokenizers"])
	}
	for _, v := range stages {
		m := r.object("pre_tokenizer", v)
		if r.err != nil {
			return
		}
		if spelled {
			r.refuse("pre_tokenizer has a stage behind ByteLevel")
			return
		}
		switch m["type"] {
		case "Split":
			r.split(m)
		case "Digits":
			if !r.flag("pre_tokenizer.Digits", m, "individual_digits") {
				r.refuse("pre_tokenizer Digits with groups of digits is not supported")
			}
			r.t.patterns = append(r.t.patterns, digits)
		case "ByteLevel":
			r.absent("pre_tokenizer.ByteLevel", m, "add_prefix_space")
			if use, given := m["use_regex"]; !given || use == true {
				r.t.patterns = append(r.t.patterns, GPT2)
			}
			spelled = true
		default:
			r.refuse("pre_tokenizer %v is not supported", m["type"])
		}
	}
	if !spelled {
		r.refuse("pre_tokenizer has no ByteLevel stage")
	}
	if len(r.t.patterns) == 0 {
		r.refuse("pre_tokenizer has no pattern that cuts words")
	}
}

func (r *reader) split(m map[string]any) {
	if b := m["behavior"]; b != "Isolated" {
		r.refuse("pre_tokenizer Split with behavior %v is not supported", b)
	}
	if r.flag("pre_tokenizer.Split", m, "invert") {
		r.refuse("pre_tokenizer Split with invert is not supported")
	}
	regex, ok := r.object("pre_tokenizer.Split.pattern", m["pattern"])["Regex"].(string)
	if !ok {
		r.refuse("pre_tokenizer Split without a Regex is not supported")
		return
	}
	for _, p := range Patterns {
		if slices.Contains(p.regex, regex) {
			r.t.patterns = append(r.t.patterns, p)
			return
		}
	}
	r.refuse("the pattern %.200q is not known", regex)
}

func (r *reader) postProcessor(v any) {
	if r.err != nil || v == nil {
		return
	}
	m := r.object("post_processor", v)
	switch m["type"] {
	case "ByteLevel": // it only moves offsets
	case "Sequence":
		for _, p := range r.list("post_processor.processors", m["processors"]) {
			r.postProcessor(p)
		}
	case "TemplateProcessing":
		r.template(m)
	default:
		r.refuse("post_processor %v is not supported", m["type"])
	}
}

func (r *reader) template(m map[string]any) {
	tokens, _ := m["special_tokens"].(map[string]any)
	seen := false
	for i, v := range r.list("post_processor.single", m["single"]) {
		at := fmt.Sprintf("post_processor.single[%d]", i)
		item := r.object(at, v)
		if _, ok := item["Sequence"]; ok {
			if seen {
				r.refuse("%s: the text stands twice", at)
			}
			seen = true
			continue
		}
		name := r.text(at, r.object(at, item["SpecialToken"])["id"])
		of := r.object(at+": special token "+name, tokens[name])
		for _, v := range r.list(at+": ids of "+name, of["ids"]) {
			id := r.id(at, v)
			if r.t.Bytes(id) == "" {
				r.refuse("%s: no token has the id %d", at, id)
			}
			if seen {
				r.t.after = append(r.t.after, id)
			} else {
				r.t.before = append(r.t.before, id)
			}
		}
	}
	if !seen {
		r.refuse("post_processor.single has no place for the text")
	}
}

func (r *reader) decoder(v any) {
	if r.err != nil {
		return
	}
	m, _ := v.(map[string]any)
	if m["type"] != "ByteLevel" {
		r.refuse("decoder %v is not supported", m["type"])
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
