package builtin

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// longer are more pieces of values that are long, or that end where something far behind decides about them.
var longer = []string{"the", "of a", "Springfield", "Mount", "Vernon", "CA", "90210", "12", "5", "12345", "rue", "de la", "Paix", "Hauptstraße 5", "Calle", "Mayor", "PO", "Box", "P.O.", "street", "Street", "apt", "4th of July 1990", "born on",
	"AB 12 34 56 C", "1 2 3 4 5", "+1", "((", "call", "0132", "415", "555", "x389", "driver s license", "no", "number is", "37.7749", "-122.4194", "fe80::1:2", "10.1", ".2.3", "00:1b:44", ":11:3a:b7",
	"北京市的天气很好，今天我们去公园散步，明天再去。", "                              ", "\n\n", ",\n    ", "\\u00", "\\", "a.b.c.d", "example.org", "sin", "046 454 286", "bc1", "IMEI", "490154203237518", "iban", "DE89", "3704"}

// watched lets a text arrive in pieces as a reader has it, cut after characters, with what the watcher does not need any more cut off in front. It returns how much was let go before something was found.
func watched(watch Watcher, pieces []string) (let int, found bool) {
	tail, cut := "", 0
	for _, piece := range pieces {
		tail += piece
		found, safe, from := watch(tail)
		if found {
			return let, true
		}
		let = max(let, cut+safe)
		tail, cut = tail[from:], cut+from
	}
	return let, false
}

// However a text arrives, nothing of a value that is found in the whole of it is let go before.
func TestWatcherIsAheadOfTheFinder(t *testing.T) {
	kinds := PIIKinds()
	values, early := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom(append(kinds, AllKinds, AllKinds)).Draw(rt, "kind")
		watch, err := NewWatcher([]string{kind})
		if err != nil {
			rt.Fatal(err)
		}
		find, err := NewFinder([]string{kind}, nil)
		if err != nil {
			rt.Fatal(err)
		}
		from := slices.Concat(snippets, longer, longer)
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(from), 1, 60).Draw(rt, "pieces"), rapid.SampledFrom([]string{"", " ", " ", ", "}).Draw(rt, "between"))
		r := []rune(text)
		most := rapid.SampledFrom([]int{1, 3, 20}).Draw(rt, "most")
		var pieces []string
		for len(r) > 0 {
			n := rapid.IntRange(1, min(len(r), most)).Draw(rt, "piece")
			pieces, r = append(pieces, string(r[:n])), r[n:]
		}
		let, found := watched(watch, pieces)
		if !utf8.ValidString(text[:let]) {
			rt.Fatalf("%q: %d bytes were let go, within a character", text, let)
		}
		ms := find(text)
		switch {
		case len(ms) > 0 && !found:
			rt.Fatalf("%s: of %q nothing was found in pieces, but %v in the whole", kind, pieces, ms)
		case len(ms) > 0 && ms[0].Start < let:
			rt.Fatalf("%s: of %q %d bytes were let go, and %v is found in the whole", kind, pieces, let, ms)
		case len(ms) > 0:
			values++
		}
		if let > 0 {
			early++
		}
	})
	if early == 0 || values == 0 {
		t.Errorf("%d texts had values and %d flowed: the test shows nothing", values, early)
	}
}

// Values that end, or are told by something, far behind where they begin arrive letter by letter in the middle of prose.
func TestWatcherWaitsForLongValues(t *testing.T) {
	prose := strings.Repeat("and so it went on as it had begun ", 12)
	blanks := strings.Repeat(" ", 2*watchBytes)
	for _, c := range []struct{ kind, value string }{
		{"email", strings.Repeat("a.", 30) + "ab@" + strings.Repeat("b-c.d.", 38) + "example.org"},
		{"email", `ann\u0040` + strings.Repeat("b.", 90) + "example.org"},
		{"postal_address", "Northumberland Westmoreland Worcestershire 12 Leicestershire Nottinghamshire Gloucestershire Bedfordshire Buckinghamshire Carmarthenshire, CA 90210"},
		{"postal_address", "12 rue" + strings.Repeat(" ", maxBreak) + "de" + strings.Repeat(" ", maxBreak) + "la Paix"},
		{"driver_license", "driver" + blanks + "s" + blanks + "license number is A 1 2 3 4 5 6 7 8 9 0 1"},
		{"phone", "call me on " + strings.Repeat("(", 2*watchBytes) + "415 555 0132"},
		{"phone", "+4 9 3 0 12 34 56 78"},
		{"birth_date", "date of birth: the 4th of July, 1990"},
		{"card", "4111 1111 1111 1111"},
		{"iban", "DE89 3704 0044 0532 0130 00"},
	} {
		find, err := NewFinder([]string{c.kind}, nil)
		if err != nil {
			t.Fatal(err)
		}
		watch, err := NewWatcher([]string{c.kind})
		if err != nil {
			t.Fatal(err)
		}
		text := prose + c.value + ". " + prose
		ms := find(text)
		if len(ms) != 1 {
			t.Errorf("%s: %q: %v", c.kind, c.value, ms)
			continue
		}
		if let, found := watched(watch, strings.Split(text, "")); !found || let > ms[0].Start {
			t.Errorf("%s: %q: found %v, %d bytes were let go before the value at %d", c.kind, c.value, found, let, ms[0].Start)
		}
	}
}

// Prose flows: nothing is found in it, and what is kept back stays short.
func TestWatcherLetsProseFlow(t *testing.T) {
	watch, err := NewWatcher([]string{AllKinds})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		strings.Repeat("Your order is on its way and should be with you by Friday, as we said; is there anything else? ", 10),
		strings.Repeat("您的订单正在路上，预计周五送达。还有什么可以帮您的吗？", 20),
		strings.Repeat("| item | price |\n|---|---|\n| tea | 3.20 |\n", 20),
	} {
		pieces := strings.SplitAfter(text, " ")
		let, found := watched(watch, pieces)
		if kept := len(text) - let; found || kept > 260 {
			t.Errorf("%.30q…: found %v, %d of %d bytes are kept back", text, found, kept, len(text))
		}
	}
	if _, err := NewWatcher([]string{"emial"}); err == nil {
		t.Error("a kind that does not exist is taken")
	}
}

func BenchmarkWatcher(b *testing.B) {
	watch, err := NewWatcher([]string{AllKinds})
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("Your order is on its way and should be with you by Friday. ", 6)
	b.ReportAllocs()
	for b.Loop() {
		watch(text)
	}
}
