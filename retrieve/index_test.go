package retrieve

import (
	"testing"

	"github.com/proviso-dev/proviso/document"
)

func TestStem(t *testing.T) {
	for word, want := range map[string]string{
		"caresses": "caress", "ponies": "poni", "cats": "cat", "feed": "feed", "agreed": "agre", "plastered": "plaster", "motoring": "motor", "sing": "sing", "conflated": "conflat", "hopping": "hop",
		"falling": "fall", "filing": "file", "happy": "happi", "sky": "sky", "relational": "relat", "vietnamization": "vietnam", "electrical": "electr", "goodness": "good", "adjustment": "adjust", "adoption": "adopt",
		"controll": "control", "rate": "rate", "cease": "ceas", "is": "is", "naïve": "naïve", "x2s": "x2s",
	} {
		if got := Stem(word); got != want {
			t.Errorf("%s: got %s, want %s", word, got, want)
		}
	}
}

func FuzzStem(f *testing.F) {
	f.Add("relational")
	f.Fuzz(func(t *testing.T, word string) {
		if got := Stem(word); len(got) > len(word)+1 {
			t.Errorf("%q became %q", word, got)
		}
	})
}

func TestSearch(t *testing.T) {
	d, ds := document.Parse("p.md", []byte("# Refunds\n\nA refund is paid within 14 days.\n\nThe desk answers letters.\n\n# Bags\n\nOne bag flies free:\n\n- in a saver fare it has at most 8 kilos\n- in a flex fare it has at most 23 kilos\n"))
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	ix := New(Passages(d))
	for question, want := range map[string]string{
		"How soon are refunds paid?":            "refunds/1",
		"How heavy may a bag be in flex fares?": "bags/3",
		"saver bags":                            "bags/2",
		"who answers a letter?":                 "refunds/2",
	} {
		hits := ix.Search(question, 3)
		if len(hits) == 0 || hits[0].ID != want {
			t.Errorf("%s: got %+v, want %s first", question, hits, want)
		}
		for i, h := range hits {
			if h.Cover <= 0 || h.Cover > 1 || i > 0 && h.Score > hits[i-1].Score || d.Clauses[h.Passage].ID != h.ID {
				t.Errorf("%s: hit %d is %+v", question, i, h)
			}
		}
	}
	if hits := ix.Search("the of and", 3); hits != nil {
		t.Errorf("empty words found %+v", hits)
	}
	if hits := New(nil).Search("refund", 3); hits != nil {
		t.Errorf("nothing holds %+v", hits)
	}
	if hits := ix.Search("refund", 0); hits != nil {
		t.Errorf("none were asked for: %+v", hits)
	}
}

// Of passages that fit equally the earlier one comes first.
func TestTies(t *testing.T) {
	ix := New([]Passage{{ID: "a", Text: "same words"}, {ID: "b", Text: "same words"}, {ID: "c", Text: "same words"}})
	hits := ix.Search("words", 2)
	if len(hits) != 2 || hits[0].ID != "a" || hits[1].ID != "b" {
		t.Errorf("got %+v", hits)
	}
}
