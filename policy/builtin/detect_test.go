package builtin

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// snippets are pieces of which texts are made that detectors have something to do with.
var snippets = []string{" ", "\n", ", ", ": ", "=", "-", ".", "(", ")", "\"", `\n`, `\u0040`, "\u200b", "é", "４", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "ann@example.org", "+1 415 555 0132", "219-09-9999",
	"12 Maple Street", "DOB", "born", "passport", "3/14/1985", "10.1.2.3", "2001:db8::1", "00:1b:44:11:3a:b7", "password", "is", "hunter2", "api_key", "9f86d081884c7d659a2feaa0c55ad015", "sk-ant-", "AKIAQX7MFVZ2LT4WSN3P", "Bearer ",
	"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.abcdefghijklmnop", "://", "user:pw@", "-----BEGIN PRIVATE KEY-----", "-----END ", "MHcCAQ", "@", "www.", "https", "order", "7", "+", "0000000000000000000000000000"}

// What is found lies in the text, in order, without overlaps, of a kind that the family has, and is the same the next time.
func TestMatchesAreInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(snippets), 0, 30).Draw(t, "pieces"), rapid.SampledFrom([]string{"", " "}).Draw(t, "between"))
		for _, d := range []*detectors{piiDetectors, secretDetectors} {
			checkMatches(t, d, text)
		}
	})
}

func checkMatches(t interface{ Fatalf(string, ...any) }, d *detectors, text string) {
	ms := d.find(text)
	at := 0
	for _, m := range ms {
		if m.Start < at || m.End <= m.Start || m.End > len(text) || !slices.Contains(d.kinds(), m.Kind) {
			t.Fatalf("%q: %v is not in order", text, ms)
		}
		at = m.End
	}
	if again := d.find(text); !slices.Equal(ms, again) {
		t.Fatalf("%q: first %v, then %v", text, ms, again)
	}
}

// What was replaced is not found again, however texts are made: a redaction leaves nothing behind that a detector would have seen.
func TestRedactionLeavesNothing(t *testing.T) {
	find, err := NewFinder([]string{AllKinds}, []string{AllKinds})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range snippets {
		text := "It is " + s + " and so on."
		var b strings.Builder
		at := 0
		for _, m := range find(text) {
			b.WriteString(text[at:m.Start] + "[" + m.Kind + "]")
			at = m.End
		}
		b.WriteString(text[at:])
		if again := find(b.String()); len(again) > 0 {
			t.Errorf("%q becomes %q, in which %v is found", text, b.String(), again)
		}
	}
}

func FuzzDetect(f *testing.F) {
	for _, s := range snippets {
		f.Add(s)
	}
	f.Add("\\u00\xff \xf0\x9f 4111\\")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > MaxText {
			return
		}
		checkMatches(t, piiDetectors, text)
		checkMatches(t, secretDetectors, text)
	})
}

func FuzzPII(f *testing.F)    { fuzzFamily(f, "pii", "ann@example.org", "email", "4111 1111 1111 1111") }
func FuzzSecret(f *testing.F) { fuzzFamily(f, "secret", "password: hunter2", "jwt", "eyJ.eyJ.") }

// The documentation of a family names every kind that it has, and no other.
func TestDocumentedKinds(t *testing.T) {
	for _, c := range []struct {
		doc   string
		kinds []string
	}{{piiKindsDoc, PIIKinds()}, {secretKindsDoc, SecretKinds()}} {
		_, list, _ := strings.Cut(strings.TrimSuffix(c.doc, "."), ": ")
		got := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
		if !slices.Equal(got, c.kinds) {
			t.Errorf("documented\n%v\nhave\n%v", got, c.kinds)
		}
	}
}

// What is known not to be found. A detector that learns one of these moves it to its cases.
func TestWhatDetectorsMiss(t *testing.T) {
	for _, text := range []string{
		"My name is Ann Barker.", "four one one one, one one one one, one one one one, one one one one", "YW5uQGV4YW1wbGUub3Jn", "ann at example dot org", "a n n @ e x a m p l e . o r g",
		"ask for 138 1234 5678", "the mother of all codes is correct horse battery staple", "9f86d081884c7d659a2feaa0c55ad015",
	} {
		if got := append(piiDetectors.find(text), secretDetectors.find(text)...); len(got) > 0 {
			t.Errorf("%q: found %v", text, got)
		}
	}
}

// saidIn are sentences as customers write them, by language.
var saidIn = map[string][]string{
	"da": {"Hvad er status på min bestilling, og hvornår kommer den?", "Jeg vil gerne have mine penge tilbage."},
	"de": {"Wann kommt meine Bestellung an?", "Ich möchte mein Geld zurück, weil die Ware nicht passt.", "Können Sie mir bitte die Rechnung schicken?"},
	"en": {"Where is my order?", "I want my money back because the shoes do not fit.", "Could you send me the invoice, please?", "Please cancel it."},
	"es": {"¿Dónde está mi pedido?", "Quiero que me devuelvan el dinero.", "¿Me puede enviar la factura, por favor?"},
	"fi": {"Missä tilaukseni on ja milloin se tulee?", "Minun tilaus ei ole tullut, mutta olen maksanut sen."},
	"fr": {"Où est ma commande ?", "Je veux être remboursé, les chaussures ne sont pas à ma taille.", "Pouvez-vous m'envoyer la facture ?"},
	"it": {"Dov'è il mio ordine?", "Vorrei che mi fosse restituito il denaro.", "Mi può mandare la fattura per favore, non l'ho ricevuta."},
	"nl": {"Waar is mijn bestelling?", "Ik wil mijn geld terug, want de schoenen passen niet.", "Kan je mij de factuur sturen, alsjeblieft?"},
	"pl": {"Gdzie jest moje zamówienie?", "Chcę zwrotu pieniędzy, ponieważ buty nie pasują.", "Czy mogę prosić o fakturę do mojego zamówienia?"},
	"pt": {"Onde está o meu pedido?", "Quero o meu dinheiro de volta, porque não serve.", "Você pode me enviar a fatura, por favor?"},
	"sv": {"Var är min beställning?", "Jag vill ha pengarna tillbaka.", "Kan du skicka fakturan till mig?"},
	"tr": {"Siparişim ne zaman gelir ve nasıl takip ederim?", "Bu ürün için param iade edilsin istiyorum."},
	"el": {"Πού είναι η παραγγελία μου;"}, "ar": {"أين طلبي؟"}, "he": {"איפה ההזמנה שלי?"}, "hi": {"मेरा ऑर्डर कहाँ है?"}, "ja": {"注文はどこですか?"}, "ko": {"제 주문은 어디에 있나요?"},
	"ru": {"Где мой заказ?"}, "th": {"คำสั่งซื้อของฉันอยู่ที่ไหน"}, "zh": {"我的订单在哪里?"},
}

// Short sentences are told apart or left open, and never taken for another language.
func TestLanguageOfSentences(t *testing.T) {
	right, open := 0, 0
	for want, texts := range saidIn {
		for _, s := range texts {
			switch got, err := guessLanguage(s); {
			case err != nil:
				t.Error(err)
			case got == want:
				right++
			case got == "":
				open++
			default:
				t.Errorf("%q: taken for %s, is %s", s, got, want)
			}
		}
	}
	if open*4 > right {
		t.Errorf("%d were told, %d left open", right, open)
	}
	t.Logf("%d were told, %d left open", right, open)
}

// hard are texts that would be slow if anything were read again and again.
var hard = map[string]string{
	"prose":      "The committee met on Tuesday and agreed on a plan for the next 3 months, which Ann will write down. ",
	"digits":     "1 ",
	"groups":     "0123-",
	"at":         "a@",
	"schemes":    "a://b:c@",
	"web":        "www.",
	"hex":        "a:",
	"headers":    "eyJ-",
	"bearers":    "bearer=",
	"begins":     "-----BEGIN PRIVATE KEY-----",
	"assigned":   "password=",
	"cues":       "date of birth ",
	"streets":    "1 A Rue ",
	"hooks":      "hooks.slack.com/services/",
	"escapes":    `\u0041`,
	"brackets":   "https://x)",
	"sentences":  "a. ",
	"unfinished": "ya29.",
	"cards":      "4111 ",
}

func BenchmarkDetect(b *testing.B) {
	find, err := NewFinder([]string{AllKinds}, []string{AllKinds})
	if err != nil {
		b.Fatal(err)
	}
	for name, piece := range hard {
		text := strings.Repeat(piece, MaxText/len(piece))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				find(text)
				urlsIn(text)
				_, _ = sentences(text)
			}
		})
	}
	short := "Your order R-1044 was sent to ann@example.org on 3 March; call +1 415 555 0132 with questions."
	b.Run("one line", func(b *testing.B) {
		b.SetBytes(int64(len(short)))
		for b.Loop() {
			find(short)
		}
	})
}

func BenchmarkLeaks(b *testing.B) {
	text := strings.Repeat("The committee met on Tuesday. ", MaxText/30)
	for _, c := range []struct {
		name   string
		values []string
	}{
		{"one", []string{strings.Repeat("Project Falcon starts in May. ", 100)}},
		{"many", slices.Repeat([]string{"ab 12"}, MaxItems)},
		{"alike", []string{strings.Repeat("a", MaxText)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := leaks(text, c.values, 40); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
