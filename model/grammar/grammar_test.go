package grammar

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// bytesVocab has a token for each byte, and longer ones.
func bytesVocab(more ...string) *Vocab {
	return NewVocab(256+len(more), func(id int32) string {
		if id < 256 {
			return string([]byte{byte(id)})
		}
		return more[id-256]
	})
}

// allows follows a text byte by byte.
func allows(b *Bound, text string) bool {
	s := b.Start()
	for i := 0; i < len(text) && s != nil; i++ {
		s, _ = b.Next(s, int32(text[i]))
	}
	return s != nil && s.Final()
}

func check(t *testing.T, a *testkit.Archive, g *Grammar) {
	t.Helper()
	b := g.Bind(bytesVocab())
	for name, want := range map[string]bool{"yes": true, "no": false} {
		lines, _ := a.File(name)
		for line := range strings.Lines(string(lines)) {
			line = strings.TrimSuffix(line, "\n")
			if got := allows(b, line); got != want {
				t.Errorf("%s: allowed is %v, want %v", line, got, want)
			}
		}
	}
}

// Each archive has a schema, and texts that its grammar allows and does not.
func TestSchema(t *testing.T) {
	testkit.Archives(t, "testdata/schema/*.txtar", func(t *testing.T, a *testkit.Archive) {
		schema, _ := a.File("schema.json")
		g, err := Schema(schema)
		if err != nil {
			t.Fatal(err)
		}
		check(t, a, g)
	})
}

func TestParse(t *testing.T) {
	testkit.Archives(t, "testdata/gbnf/*.txtar", func(t *testing.T, a *testkit.Archive) {
		text, _ := a.File("grammar")
		g, err := Parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		check(t, a, g)
	})
}

// A grammar of this kind cannot remember which keys an object of free form has: one may be there twice.
func TestFreeKeysMayRepeat(t *testing.T) {
	g, err := Schema([]byte(`{"type":"object"}`))
	if err != nil {
		t.Fatal(err)
	}
	if !allows(g.Bind(bytesVocab()), `{"a":1,"a":2}`) {
		t.Error("free keys no longer repeat; take the line out of docs/limitations.md")
	}
}

func TestOneOf(t *testing.T) {
	ref := `{"type":"object","properties":{"x":{"$ref":"#/$defs/x"}},"required":["x"],"$defs":{"x":{"type":"%s"}}}`
	g, err := OneOf([]Framed{{"<a>", []byte(fmt.Sprintf(ref, "integer")), "</a>"}, {"<b>", []byte(fmt.Sprintf(ref, "boolean")), "</b>"}})
	if err != nil {
		t.Fatal(err)
	}
	b := g.Bind(bytesVocab())
	for text, want := range map[string]bool{`<a>{"x":1}</a>`: true, `<b>{"x":true}</b>`: true, `<a>{"x":true}</a>`: false, `<b>{"x":1}</b>`: false, `<a>{"x":1}</b>`: false, `{"x":1}`: false} {
		if got := allows(b, text); got != want {
			t.Errorf("%s: allowed is %v, want %v", text, got, want)
		}
	}
}

// anySchema draws a schema of the supported keywords.
func anySchema(t *rapid.T, depth int) any {
	kinds := []string{"string", "integer", "number", "boolean", "null", "enum", "const", "true", "pattern", "bounded", "list"}
	if depth > 0 {
		kinds = append(kinds, "object", "array", "anyOf", "tuple", "map", "object", "object")
	}
	small := func(name string) int { return rapid.IntRange(-130, 130).Draw(t, name) }
	switch k := rapid.SampledFrom(kinds).Draw(t, "kind"); k {
	case "string":
		lo := rapid.IntRange(0, 3).Draw(t, "min")
		return map[string]any{"type": "string", "minLength": lo, "maxLength": lo + rapid.IntRange(0, 3).Draw(t, "more")}
	case "bounded":
		lo := small("lo")
		s := map[string]any{"type": rapid.SampledFrom([]string{"integer", "number"}).Draw(t, "type"), "minimum": lo, "maximum": lo + rapid.IntRange(1, 2000).Draw(t, "width")}
		if rapid.Bool().Draw(t, "exclusive") {
			s["exclusiveMinimum"] = float64(lo) + 0.5
		}
		return s
	case "enum":
		return map[string]any{"enum": []any{"a", 1, nil, map[string]any{"k": "v"}}}
	case "const":
		return map[string]any{"const": rapid.SampledFrom([]any{"x\n\"y", 2.5, true, []any{1, "two"}}).Draw(t, "const")}
	case "true":
		return true
	case "list":
		return map[string]any{"type": []any{"integer", "null", "boolean"}}
	case "pattern":
		return map[string]any{"type": "string", "pattern": rapid.SampledFrom([]string{"^a+$", "b", "^[^a-z]{1,3}$", `^(foo|ba[rz])\d*$`, `^\w+@\w+\.de$`, "^x|y$", `^[\x00-\x7f]{2}$`, "(?i)^ja$"}).Draw(t, "pattern")}
	case "object":
		props, required := map[string]any{}, []any{}
		for i := range rapid.IntRange(0, 4).Draw(t, "properties") {
			name := fmt.Sprintf("p%d\"ü", i)
			props[name] = anySchema(t, depth-1)
			if rapid.Bool().Draw(t, "required") {
				required = append(required, name)
			}
		}
		if rapid.Bool().Draw(t, "unnamed") {
			required = append(required, "unnamed")
		}
		return map[string]any{"type": "object", "properties": props, "required": required}
	case "map":
		return map[string]any{"type": "object", "additionalProperties": anySchema(t, depth-1)}
	case "array":
		lo := rapid.IntRange(0, 2).Draw(t, "min")
		return map[string]any{"type": "array", "items": anySchema(t, depth-1), "minItems": lo, "maxItems": lo + rapid.IntRange(0, 2).Draw(t, "more")}
	case "tuple":
		s := map[string]any{"type": "array", "prefixItems": []any{anySchema(t, depth-1), anySchema(t, depth-1)}, "minItems": rapid.IntRange(0, 3).Draw(t, "min"), "maxItems": 3}
		return s
	case "anyOf":
		return map[string]any{"anyOf": []any{anySchema(t, depth-1), anySchema(t, depth-1)}}
	default:
		return map[string]any{"type": k}
	}
}

// write makes a text that the grammar allows, by chance; what is open is closed soon. ok is false where it became too long.
func write(r *rand.Rand, b *Bound) (string, bool) {
	var out []byte
	s := b.Start()
	for len(out) < 3000 {
		if s.Final() && (b.Mask(s).Count == 0 || r.IntN(4) > 0) {
			return string(out), true
		}
		m := b.Mask(s)
		if m.Count == 0 {
			panic("nothing may follow " + string(out))
		}
		pick := -1
		for _, c := range []byte(`"]}`) { // endings
			if m.Has(int32(c)) && r.IntN(3) == 0 {
				pick = int(c)
			}
		}
		for pick < 0 {
			c := r.IntN(256)
			if m.Has(int32(c)) {
				pick = c
			}
		}
		s, _ = b.Next(s, int32(pick))
		out = append(out, byte(pick))
	}
	return "", false
}

// Whatever the schema: all that its grammar writes is JSON that the schema allows.
func TestAllThatIsWrittenIsValid(t *testing.T) {
	written := 0
	rapid.Check(t, func(t *rapid.T) {
		doc := anySchema(t, 3)
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		g, err := Schema(raw)
		if err != nil {
			if strings.Contains(err.Error(), "there is no text") {
				t.Skip(err)
			}
			t.Fatalf("%s: %v", raw, err)
		}
		plain, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("s.json", plain); err != nil {
			t.Fatal(err)
		}
		valid, err := c.Compile("s.json")
		if err != nil {
			t.Fatal(err)
		}
		b := g.Bind(bytesVocab())
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range 5 {
			text, ok := write(r, b)
			if !ok {
				continue
			}
			written++
			if !utf8.ValidString(text) {
				t.Fatalf("%s: %q is no UTF-8", raw, text)
			}
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatalf("%s: %q is no JSON: %v", raw, text, err)
			}
			if err := valid.Validate(v); err != nil {
				t.Fatalf("%s: %s is not valid: %v", raw, text, err)
			}
		}
	})
	if written < 200 {
		t.Errorf("%d texts were written; the test says too little", written)
	}
	t.Logf("figure: grammar.valid = 1.0000 (n=%d)", written)
}

// The mask of a state is the tokens that can be followed from it, also when what was known is forgotten in between.
func TestMaskIsNext(t *testing.T) {
	v := bytesVocab(`{"`, `":`, `": "`, `"}`, `, "`, "ab", "abc", "12", "ü"[:1], "true", "  ", "\n")
	g, err := Schema([]byte(`{"type":"object","properties":{"a":{"type":"string","maxLength":6},"ab":{"type":"array","items":{"type":"integer"}},"c":{"type":"boolean"}},"required":["ab"]}`))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		b := g.Bind(v)
		s := b.Start()
		for range rapid.IntRange(0, 30).Draw(t, "tokens") {
			m := b.Mask(s)
			var allowed []int32
			for id := range int32(v.size) {
				_, ok := b.Next(s, id)
				if ok != m.Has(id) {
					t.Fatalf("token %q: next says %v, the mask %v", v.tokens[id], ok, m.Has(id))
				}
				if ok {
					allowed = append(allowed, id)
				}
			}
			if len(allowed) != m.Count {
				t.Fatalf("%d tokens may follow, and the mask counts %d", len(allowed), m.Count)
			}
			if len(allowed) == 0 {
				return
			}
			s, _ = b.Next(s, rapid.SampledFrom(allowed).Draw(t, "token"))
			if rapid.IntRange(0, 5).Draw(t, "forget") == 0 {
				b.mu.Lock()
				b.m.forget()
				b.mu.Unlock()
			}
		}
	})
}

func TestUTF8Sequences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Int32Range(0, utf8.MaxRune).Draw(t, "lo")
		hi := rapid.Int32Range(lo, min(lo+70000, utf8.MaxRune)).Draw(t, "hi")
		g, err := compile(map[string]*expr{"root": seqOf(lit("<"), chars(runeRange{lo, hi}))}, "root")
		if err != nil {
			if lo >= 0xd800 && hi <= 0xdfff {
				return
			}
			t.Fatal(err)
		}
		b := g.Bind(bytesVocab())
		for _, r := range []rune{lo - 1, lo, lo + 1, (lo + hi) / 2, hi - 1, hi, hi + 1} {
			if !utf8.ValidRune(r) {
				continue
			}
			if got, want := allows(b, "<"+string(r)), r >= lo && r <= hi; got != want {
				t.Fatalf("%U in %U to %U: %v", r, lo, hi, got)
			}
		}
	})
}

func TestDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Int64Range(0, 5000).Draw(t, "lo")
		hi := rapid.Int64Range(lo, lo+5000).Draw(t, "hi")
		g, err := compile(map[string]*expr{"root": digits(lo, hi)}, "root")
		if err != nil {
			t.Fatal(err)
		}
		b := g.Bind(bytesVocab())
		for _, n := range []int64{0, lo - 1, lo, lo + 1, (lo + hi) / 2, hi - 1, hi, hi + 1, 10 * hi, rapid.Int64Range(0, 20000).Draw(t, "n")} {
			if got, want := allows(b, fmt.Sprint(n)), n >= lo && n <= hi; got != want {
				t.Fatalf("%d in %d to %d: %v", n, lo, hi, got)
			}
		}
	})
}

// A list of any length does not make stacks deep, so that few states serve it.
func TestListsDoNotGrow(t *testing.T) {
	g, err := Schema([]byte(`{"type":"array","items":{"type":"integer"}}`))
	if err != nil {
		t.Fatal(err)
	}
	b := g.Bind(bytesVocab())
	if !allows(b, "["+strings.Repeat("1,", 5000)+"1]") {
		t.Fatal("a long list is not allowed")
	}
	if n := len(b.m.states); n > 60 {
		t.Errorf("a list of integers needed %d states", n)
	}
}

func TestRefused(t *testing.T) {
	for want, schema := range map[string]string{
		"schema #: not is not supported":                 `{"not":{}}`,
		"schema #/properties/a: patternProperties":       `{"properties":{"a":{"patternProperties":{}}}}`,
		"uniqueItems is not supported":                   `{"items":{},"uniqueItems":true}`,
		"multipleOf is not supported":                    `{"type":"number","multipleOf":0.5}`,
		"may both be true of a value":                    `{"oneOf":[{"type":"integer"},{"type":"number"}]}`,
		"allOf of several":                               `{"allOf":[{},{}]}`,
		"type beside anyOf":                              `{"type":"object","anyOf":[{}]}`,
		`the type "text" is not known`:                   `{"type":"text"}`,
		`the reference "other.json" leads`:               `{"$ref":"other.json"}`,
		`the reference "#/$defs/x" leads`:                `{"$ref":"#/$defs/x"}`,
		"the schemas of oneOf":                           `{"oneOf":[{"$ref":"#"},{"$ref":"#"}]}`,
		"there is no text":                               `{"$ref":"#"}`,
		"pattern beside":                                 `{"pattern":"a","minLength":2}`,
		`the pattern "a(?=b)" is none`:                   `{"pattern":"a(?=b)"}`,
		"stands where it cannot be kept":                 `{"pattern":"a\\bc"}`,
		"minimum is no number":                           `{"type":"integer","minimum":1e300}`,
		"minLength is no whole number":                   `{"type":"string","minLength":-1}`,
		"repeats up to 100000 times":                     `{"type":"string","maxLength":100000}`,
		"a schema is an object":                          `{"items":3}`,
		"enum is no list":                                `{"enum":[]}`,
		"the grammar is too large":                       `{"prefixItems":[{}` + strings.Repeat(`,{"type":"string","maxLength":4000}`, 60) + `]}`,
		"schema #/properties/b/anyOf/1: if is not suppo": `{"properties":{"b":{"anyOf":[{},{"if":{}}]}}}`,
	} {
		_, err := Schema([]byte(schema))
		var d proviso.Diagnostic
		if !errors.As(err, &d) || d.Code != CodeUnsupported || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s … [%s]", schema, err, want, CodeUnsupported)
		}
	}
	if _, err := Schema([]byte(`{"type":"object","type":"string"}`)); err == nil {
		t.Error("a schema that says two things was taken")
	}
	for want, text := range map[string]string{
		"has no rule root":              `a ::= "b"`,
		`the rule "b" is used`:          `root ::= b`,
		"grammar:2: the rule a is":      "root ::= a\na ::= \"x\" a ::= \"y\"",
		"a text is not closed":          `root ::= "a`,
		"a class of characters is not":  `root ::= [a`,
		"a group is not closed":         `root ::= ("a"`,
		"a range of characters goes":    `root ::= [z-a]`,
		`\q has no meaning`:             `root ::= "\q"`,
		`\u needs 4 hexadecimal digits`: `root ::= "\u12"`,
		"a number of times":             `root ::= "a"{5000}`,
		"want a number of times":        `root ::= "a"{3,2}`,
		"want a rule":                   `= "a"`,
		"want the next rule":            `root ::= "a")`,
		"can begin with itself":         `root ::= root "a" | "b"`,
		"repeats what may be empty":     `root ::= ("a"*)*`,
		"there is no text":              `root ::= "a" root`,
		"nested more than":              "root ::= " + strings.Repeat("(", 300),
	} {
		_, err := Parse(text)
		var d proviso.Diagnostic
		if !errors.As(err, &d) || d.Code != CodeUnsupported || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s … [%s]", text, err, want, CodeUnsupported)
		}
	}
}

func FuzzSchema(f *testing.F) {
	f.Add([]byte(`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`))
	f.Add([]byte(`{"$ref":"#/$defs/a","$defs":{"a":{"items":{"$ref":"#/$defs/a"}}}}`))
	f.Add([]byte(`{"type":"number","minimum":-1.5,"maximum":3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := Schema(b)
		if err != nil {
			return
		}
		if text, ok := write(rand.New(rand.NewPCG(1, 1)), g.Bind(bytesVocab())); ok {
			if _, err := proviso.DecodeResultJSON(text); err != nil && !strings.Contains(err.Error(), "duplicate") && !strings.Contains(err.Error(), "twice") && !strings.Contains(err.Error(), "deep") {
				t.Fatalf("%s wrote %s: %v", b, text, err)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(`root ::= "a" [b-z]* ("c" | root)`)
	f.Fuzz(func(t *testing.T, s string) {
		if g, err := Parse(s); err == nil {
			write(rand.New(rand.NewPCG(1, 1)), g.Bind(bytesVocab()))
		}
	})
}

// BenchmarkMask is the first mask of a state inside of a string, over a vocabulary of 50,000 tokens, and the same again.
func BenchmarkMask(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var words []string
	for range 50_000 {
		w := make([]byte, 1+r.IntN(8))
		for i := range w {
			w[i] = byte('a' + r.IntN(26))
		}
		words = append(words, string(w))
	}
	v := bytesVocab(words...)
	g, err := Schema([]byte(`{"type":"string"}`))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			bound := g.Bind(v)
			s, _ := bound.Next(bound.Start(), '"')
			bound.Mask(s)
		}
	})
	b.Run("again", func(b *testing.B) {
		bound := g.Bind(v)
		s, _ := bound.Next(bound.Start(), '"')
		for b.Loop() {
			bound.Mask(s)
		}
	})
}
