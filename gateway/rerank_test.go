package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm/openai"
)

// mailTo is an answer that sends a mail.
func mailTo(to, more string) answer {
	return answer{uses: []use{{id: "c-" + to, tool: "mail", args: fmt.Sprintf(`{"to":%q,"body":"x"%s}`, to, more)}}}
}

var (
	mailOut   = mailTo("eve@elsewhere.org", `,"subject":"s"`)
	mailIn    = mailTo("ann@example.com", `,"subject":"s"`)
	mailBare  = mailTo("bob@example.com", "") // its subject is set
	payMuch   = answer{uses: []use{{id: "p", tool: "pay", args: `{"id":"A","amount":500}`}}}
	payNobody = answer{uses: []use{{id: "q", tool: "pay", args: `{"id":"B","amount":5}`}}}
	twoWrongs = answer{text: "plutonium", uses: mailOut.uses}
)

// several makes the upstream give these answers, one for each request, or as choices where so many are asked for. An answer without text and calls is an error of the upstream.
func (d dialect) several(up *upstreamTwin, list []answer) {
	var mu sync.Mutex
	next := 0
	up.mu.Lock()
	defer up.mu.Unlock()
	up.answer = func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var q struct {
			N      int  `json:"n"`
			Stream bool `json:"stream"`
		}
		json.Unmarshal(b, &q)
		mu.Lock()
		a := list[next%len(list)]
		next++
		mu.Unlock()
		switch {
		case q.N > 1:
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, choicesOf(list[:q.N]))
		case a.text == "" && a.uses == nil:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, `{"error":{"message":"down"}}`)
		case q.Stream:
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, d.stream(a))
		default:
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, d.plain(a))
		}
	}
}

// choicesOf is an answer of chat completions with several choices.
func choicesOf(list []answer) string {
	var doc map[string]any
	var choices []any
	for i, a := range list {
		json.Unmarshal([]byte(chatPlain(a)), &doc)
		c := doc["choices"].([]any)[0].(map[string]any)
		c["index"] = i
		choices = append(choices, c)
	}
	doc["choices"] = choices
	return js(doc)
}

func rerankDoor(t testing.TB, n int) *door {
	return newDoor(t, func(c *Config) { c.Rerank = n })
}

func TestRerankOnEveryWire(t *testing.T) {
	for _, di := range dialects {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s stream=%v", di.wire.Name(), stream), func(t *testing.T) {
				d := rerankDoor(t, 4)
				di.several(d.up, []answer{mailOut, mailOut, mailIn, mailOut})
				status, h, got := d.post(di.wire.Path(), di.request("m", []said{{role: "user", text: "mail ann"}}, []string{"mail"}, stream))
				if status != http.StatusOK || !strings.Contains(got, "ann@example.com") || strings.Contains(got, "eve@") || strings.Contains(got, "is denied") {
					t.Fatalf("%d %s", status, got)
				}
				requests := 4
				if di.wire == openai.Chat && !stream {
					requests = 1
					if !strings.Contains(d.up.last(), `"n":4`) {
						t.Errorf("four choices were not asked for: %s", d.up.last())
					}
				}
				if d.up.count() != requests {
					t.Errorf("%d requests", d.up.count())
				}
				if c := h.Get(HeaderCandidate); !strings.HasSuffix(c, "/4") || requests == 1 && c != "3/4" {
					t.Errorf("candidate %q", c)
				}
				var calls []string
				for _, r := range d.records("") {
					if c, ok := r.Event.Body.(*proviso.ToolCall); ok {
						calls = append(calls, string(c.Args)+" "+r.Decision.Outcome.String())
					}
				}
				if len(calls) != 1 || !strings.Contains(calls[0], "ann@example.com") || !strings.HasSuffix(calls[0], " allow") {
					t.Errorf("the journal has %q", calls)
				}
			})
		}
	}
}

// Each candidate alone gets the outcome that its rank says, and the best one is taken whatever the order: allowed, allowed with edits, escalated, to be found out, denied for one clause, denied for two.
func TestRerankOrder(t *testing.T) {
	best := []struct {
		name string
		a    answer
	}{{"allowed", mailIn}, {"edited", mailBare}, {"escalated", payMuch}, {"open", payNobody}, {"denied", mailOut}, {"denied twice", twoWrongs}}
	d := rerankDoor(t, 2)
	di := dialects[0]
	// The session knows account A, so that paying much only waits for a person.
	di.several(d.up, []answer{{uses: []use{{id: "l", tool: "lookup", args: `{"id":"A"}`}}}, {text: "hm"}})
	start := []said{{role: "user", text: "pay"}}
	_, h, _ := d.post(di.wire.Path(), di.request("m", start, []string{"lookup", "pay", "mail"}, false))
	session := h.Get(HeaderSession)
	known := append(start, said{role: "assistant", uses: []use{{id: "l", tool: "lookup", args: `{"id":"A"}`}}}, said{role: "tool", call: "l", text: `{"owner":"ann"}`})
	for i := range best {
		for j := range best {
			if i == j {
				continue
			}
			di.several(d.up, []answer{renamed(best[i].a, 10*i+j, 1), renamed(best[j].a, 10*i+j, 2)})
			_, h, got := d.post(di.wire.Path(), di.request("m", known, []string{"lookup", "pay", "mail"}, false), HeaderSession, session)
			want := "1/2"
			if j < i {
				want = "2/2"
			}
			if h.Get(HeaderCandidate) != want {
				t.Errorf("%s before %s: candidate %q of\n%s", best[i].name, best[j].name, h.Get(HeaderCandidate), got)
			}
		}
	}
}

// renamed gives the calls of an answer ids that no other answer of the session has.
func renamed(a answer, i, j int) answer {
	a.uses = slices.Clone(a.uses)
	for k := range a.uses {
		a.uses[k].id = fmt.Sprintf("%s-%d-%d-%d", a.uses[k].id, i, j, k)
	}
	return a
}

func TestRerankAmongEqualsTakesTheFirst(t *testing.T) {
	d := rerankDoor(t, 3)
	dialects[0].several(d.up, []answer{mailIn, mailTo("cid@example.com", `,"subject":"s"`), {text: "hello"}})
	_, h, got := d.post("/v1/chat/completions", chatRequest("m", []said{{role: "user", text: "hi"}}, []string{"mail"}, false))
	if h.Get(HeaderCandidate) != "1/3" || !strings.Contains(got, "ann@example.com") {
		t.Errorf("%s %s", h.Get(HeaderCandidate), got)
	}
}

// What all candidates took is what the caller is told.
func TestRerankAddsUsageUp(t *testing.T) {
	told := 0
	for _, di := range dialects {
		for _, stream := range []bool{false, true} {
			d := rerankDoor(t, 3)
			one := newDoor(t, nil)
			di.several(d.up, []answer{mailOut, mailIn, mailOut})
			di.several(one.up, []answer{mailIn})
			if di.wire == openai.Chat && !stream {
				continue // the provider counts them itself
			}
			request := di.request("m", []said{{role: "user", text: "mail"}}, []string{"mail"}, stream)
			_, _, got := d.post(di.wire.Path(), request)
			_, _, alone := one.post(di.wire.Path(), request)
			threefold, single := toldUsage(got), toldUsage(alone)
			told += len(single)
			for at, n := range single {
				if threefold[at] != 3*n {
					t.Errorf("%s stream=%v: %s is %d, and %d alone", di.wire.Name(), stream, at, threefold[at], n)
				}
			}
		}
	}
	if told < 3 {
		t.Errorf("only %d numbers of usage were told", told)
	}
}

// toldUsage are the numbers of usage that a caller reads last.
func toldUsage(text string) map[string]int64 {
	c := candidate{body: []byte(text), stream: strings.Contains(text, "data: ")}
	return usageOf(&c)
}

func TestRerankOfFailures(t *testing.T) {
	di := dialects[2]
	d := rerankDoor(t, 3)
	request := di.request("m", []said{{role: "user", text: "mail"}}, []string{"mail"}, false)
	di.several(d.up, []answer{{}, mailIn, {}})
	if status, h, got := d.post(di.wire.Path(), request); status != http.StatusOK || !strings.Contains(got, "ann@example.com") {
		t.Errorf("one of three answers: %d %s %s", status, h.Get(HeaderCandidate), got)
	}
	di.several(d.up, []answer{{}})
	if status, _, got := d.post(di.wire.Path(), request); status != http.StatusInternalServerError || !strings.Contains(got, "down") {
		t.Errorf("no answer: %d %s", status, got)
	}
	d.up.Close()
	if status, _, got := d.post(di.wire.Path(), request); status != http.StatusBadGateway || !strings.Contains(got, CodeUpstream) {
		t.Errorf("no upstream: %d %s", status, got)
	}
}

// A caller who asks for several answers gets them, and a server without reranking asks as ever.
func TestRerankIsLeftAlone(t *testing.T) {
	d := rerankDoor(t, 4)
	dialects[0].several(d.up, []answer{mailIn, mailOut})
	doc := map[string]any{}
	json.Unmarshal([]byte(chatRequest("m", []said{{role: "user", text: "hi"}}, []string{"mail"}, false)), &doc)
	doc["n"] = 2
	_, h, got := d.post("/v1/chat/completions", js(doc))
	if h.Get(HeaderCandidate) != "" || !strings.Contains(got, "ann@example.com") || !strings.Contains(d.up.last(), `"n":2`) {
		t.Errorf("%s %s", h.Get(HeaderCandidate), got)
	}
	plain := newDoor(t, nil)
	dialects[0].several(plain.up, []answer{mailIn})
	if _, h, _ := plain.post("/v1/chat/completions", chatRequest("m", []said{{role: "user", text: "hi"}}, []string{"mail"}, false)); h.Get(HeaderCandidate) != "" || strings.Contains(plain.up.last(), `"n"`) {
		t.Errorf("reranked without being told to: %s", plain.up.last())
	}
	if _, err := New(t.Context(), Config{Load: plain.cfg.Load, Journal: plain.journal, Rerank: MaxRerank + 1}); err == nil {
		t.Error("too many candidates are no error")
	}
}

// Denials are counted against the budget once for an answer, not once for a candidate.
func TestRerankBudgetCountsTheChosenOne(t *testing.T) {
	d := newDoor(t, func(c *Config) { c.Rerank, c.Denials.Budget = 4, 2 })
	dialects[0].several(d.up, []answer{mailOut, mailOut, mailOut, mailOut})
	request := chatRequest("m", []said{{role: "user", text: "mail eve"}}, []string{"mail"}, false)
	session := ""
	for i := range 3 {
		status, h, got := d.post("/v1/chat/completions", request, HeaderSession, session)
		session = h.Get(HeaderSession)
		if final := strings.Contains(got, CodeRepeated) || status != http.StatusOK; final != (i == 2) {
			t.Errorf("denial %d: %d %s", i+1, status, got)
		}
	}
}

func TestBetterIsAnOrder(t *testing.T) {
	values := rapid.Custom(func(t *rapid.T) value {
		return value{rapid.IntRange(rankDenied, rankAllowed).Draw(t, "rank"), rapid.IntRange(0, 3).Draw(t, "clauses")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := values.Draw(t, "a"), values.Draw(t, "b"), values.Draw(t, "c")
		if a.better(a) || a.better(b) && b.better(a) || a.better(b) && b.better(c) && !a.better(c) || a != b && !a.better(b) && !b.better(a) {
			t.Fatalf("%v %v %v", a, b, c)
		}
	})
}

// How much choosing helps a noisy model: three of five of its answers break the policy, and half of those that keep it are worth nothing. The first answer, a random one of four, the one of four that a reward likes best which knows worth but no policy, and the one of four that the policy thinks best of.
func TestRerankFigures(t *testing.T) {
	const rounds = 120
	draw := func(dice *rand.Rand) []answer {
		list := make([]answer, 4)
		for i := range list {
			switch dice.IntN(10) {
			case 0, 1, 2, 3:
				list[i] = mailTo(fmt.Sprintf("p%d@elsewhere.org", dice.IntN(50)), `,"subject":"useful"`)
			case 4, 5:
				list[i] = answer{text: "the plutonium is useful"}
			case 6, 7:
				list[i] = mailTo(fmt.Sprintf("p%d@example.com", dice.IntN(50)), `,"subject":"useful"`)
			default:
				list[i] = answer{text: "I do not know."}
			}
		}
		return list
	}
	breaks := func(a answer) bool {
		return strings.Contains(a.text, "plutonium") || len(a.uses) > 0 && strings.Contains(a.uses[0].args, "elsewhere")
	}
	worth := func(a answer) bool { return strings.Contains(fmt.Sprint(a.text, a.uses), "useful") || len(a.uses) > 0 }
	dice := rand.New(rand.NewPCG(1, 2))
	d := newDoor(t, func(c *Config) { c.Rerank, c.Denials.Budget = 4, -1 })
	var broken [4]int
	for range rounds {
		list := draw(dice)
		liked := max(slices.IndexFunc(list, worth), 0)
		dialects[0].several(d.up, list)
		_, h, _ := d.post("/v1/chat/completions", chatRequest("m", []said{{role: "user", text: "do it"}}, []string{"mail"}, false))
		var chosen, of int
		if _, err := fmt.Sscanf(h.Get(HeaderCandidate), "%d/%d", &chosen, &of); err != nil || of != 4 {
			t.Fatalf("candidate %q", h.Get(HeaderCandidate))
		}
		for i, a := range []answer{list[0], list[dice.IntN(4)], list[liked], list[chosen-1]} {
			if breaks(a) {
				broken[i]++
			}
		}
		if breaks(list[chosen-1]) && slices.ContainsFunc(list, func(a answer) bool { return !breaks(a) }) {
			t.Fatalf("a candidate that breaks the policy was taken, and one of %v does not", list)
		}
	}
	for i, name := range []string{"violations_first", "violations_random_of_4", "violations_best_of_4_by_reward", "violations_rerank_4"} {
		fmt.Printf("figure: rerank.%s = %.3f (n=%d)\n", name, float64(broken[i])/rounds, rounds)
	}
	if broken[3] >= broken[0] || broken[3] >= broken[1] || broken[3] >= broken[2] {
		t.Errorf("choosing does not help: %v", broken)
	}
}

// Sessions that are asked at the same time do not disturb each other's choices; run with -race.
func TestRerankSideBySide(t *testing.T) {
	d := rerankDoor(t, 3)
	dialects[2].several(d.up, []answer{mailOut, mailIn, mailBare})
	var wrong atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, _, got := d.post("/v1/messages", messagesRequest("m", []said{{role: "user", text: fmt.Sprint("mail ", i)}}, []string{"mail"}, i%2 == 0))
			// Where all three of a session's answers were the bad one, its denial names the call, and no call comes.
			if strings.Contains(got, "eve@elsewhere.org") && strings.Contains(got, "tool_use") {
				wrong.Add(1)
			}
		})
	}
	wg.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d answers that break the policy reached a caller", wrong.Load())
	}
}
