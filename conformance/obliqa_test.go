package conformance

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/retrieve"
)

// ruleBook is the passages of ObliQA, each once, and the questions about them.
type ruleBook struct {
	passages  []retrieve.Passage
	document  []int // of each passage
	questions []bookQuestion
}

type bookQuestion struct {
	text     string
	relevant map[int]bool // passages
	group    int
}

// readRuleBook reads the suite. The context of a passage is the passages whose numbers begin its number.
func readRuleBook(t testing.TB) *ruleBook {
	t.Helper()
	b := &ruleBook{}
	at := map[string]int{}
	key := func(doc int, id string) string { return strconv.Itoa(doc) + "|" + strings.TrimSuffix(id, ".") }
	var ids []string
	testkit.Lines(t, "compliance/obliqa_passages.jsonl", func(line []byte) {
		var p struct {
			ID, PassageID, Passage string
			DocumentID             int
		}
		strict(t, line, &p)
		k := key(p.DocumentID, p.PassageID)
		if i, ok := at[k]; ok {
			b.passages[i].Text += "\n" + p.Passage
			return
		}
		at[k] = len(b.passages)
		ids = append(ids, p.PassageID)
		b.passages = append(b.passages, retrieve.Passage{ID: k, Text: p.Passage})
		b.document = append(b.document, p.DocumentID)
	})
	for i := range b.passages {
		var context []string
		for id := strings.TrimSuffix(ids[i], "."); ; {
			cut := strings.LastIndexByte(id, '.')
			if cut < 0 {
				break
			}
			id = id[:cut]
			if up, ok := at[key(b.document[i], id)]; ok {
				context = append(context, b.passages[up].Text)
			}
		}
		b.passages[i].Context = strings.Join(context, "\n")
	}
	testkit.Lines(t, "compliance/obliqa_questions.jsonl", func(line []byte) {
		var q struct {
			Split                string `json:"split"`
			QuestionID, Question string
			Passages             []struct {
				DocumentID         int
				PassageID, Passage string
			}
			Group int
		}
		strict(t, line, &q)
		out := bookQuestion{text: q.Question, relevant: map[int]bool{}, group: q.Group}
		for _, p := range q.Passages {
			i, ok := at[key(p.DocumentID, p.PassageID)]
			if !ok {
				t.Fatalf("question %s: no passage %s of document %d", q.QuestionID, p.PassageID, p.DocumentID)
			}
			out.relevant[i] = true
		}
		b.questions = append(b.questions, out)
	})
	return b
}

// strict decodes a line of a suite.
func strict(t testing.TB, line []byte, v any) {
	t.Helper()
	if err := proviso.DecodeStrict(line, v); err != nil {
		t.Fatal(err)
	}
}

// Recall and mean average precision are of the first ten passages, over all relevant passages of a question, as trec_eval computes them.
func TestObliQA(t *testing.T) {
	b := readRuleBook(t)
	ix := retrieve.New(b.passages)
	recall, precision := 0.0, 0.0
	for _, q := range b.questions {
		found, average := 0, 0.0
		for rank, h := range ix.Search(q.text, 10) {
			if q.relevant[h.Passage] {
				found++
				average += float64(found) / float64(rank+1)
			}
		}
		recall += float64(found) / float64(len(q.relevant))
		precision += average / float64(len(q.relevant))
	}
	n := len(b.questions)
	recall /= float64(n)
	precision /= float64(n)
	t.Logf("figure: obliqa.recall10 = %.4f (n=%d)", recall, n)
	t.Logf("figure: obliqa.map10 = %.4f (n=%d)", precision, n)
	if recall < 0.79 || precision < 0.65 {
		t.Errorf("recall %.4f and precision %.4f, wanted 0.79 and 0.65", recall, precision)
	}
}

// Every second question is asked of the rule book that answers it and of another one; the others served to set the threshold. What a rule book says of the matter of another counts as a wrong answer, although it may well be a right one.
func TestObliQANotAnswered(t *testing.T) {
	b := readRuleBook(t)
	books := map[int][]retrieve.Passage{}
	for i, p := range b.passages {
		books[b.document[i]] = append(books[b.document[i]], p)
	}
	indexes := map[int]*retrieve.Index{}
	var numbers []int
	for n, ps := range books {
		indexes[n] = retrieve.New(ps)
		if len(ps) > 100 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	n, answered, wrong := 0, 0, 0
	for i, q := range b.questions {
		if i%2 == 0 {
			continue
		}
		own := map[int]bool{}
		right := 0
		for p := range q.relevant {
			own[b.document[p]] = true
			right = max(right, b.document[p])
		}
		other := numbers[i%len(numbers)]
		for k := i; own[other]; k++ {
			other = numbers[k%len(numbers)]
		}
		n++
		if _, ok := indexes[right].Answer(q.text, 5); ok {
			answered++
		}
		if _, ok := indexes[other].Answer(q.text, 5); ok {
			wrong++
		}
	}
	yes, no := float64(answered)/float64(n), 1-float64(wrong)/float64(n)
	t.Logf("figure: obliqa.answered = %.4f (n=%d)", yes, n)
	t.Logf("figure: obliqa.not_answered_elsewhere = %.4f (n=%d)", no, n)
	if (yes+no)/2 < 0.8 {
		t.Errorf("answered %.4f, not answered elsewhere %.4f", yes, no)
	}
}
