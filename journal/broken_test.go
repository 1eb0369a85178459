package journal_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/journal"
)

// story are the records that the broken logs are made of: two sessions, taking turns.
func story() []proviso.Record {
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	var out []proviso.Record
	next := map[string]uint64{}
	add := func(session string, p proviso.Point, b proviso.Body, d proviso.Decision, phase proviso.Phase) {
		next[session]++
		at = at.Add(time.Second)
		out = append(out, proviso.Record{Event: proviso.Event{Session: session, Seq: next[session], Time: at, Point: p, Body: b}, Decision: d, Phase: phase})
	}
	allow := proviso.Decision{Outcome: proviso.Allow, Policy: "shop"}
	deny := proviso.Decision{Outcome: proviso.Deny, Policy: "shop", Reasons: []proviso.Reason{{Rule: "ceiling", Outcome: proviso.Deny, Class: proviso.WithChange, Because: []proviso.Cause{{Expr: "args.amount <= 50", Value: "false", Inputs: []proviso.Value{{Path: "args.amount", Val: int64(90)}}}}}}}
	for _, s := range []string{"ann", "bob"} {
		add(s, proviso.Input, &proviso.Message{Role: proviso.User, Text: "Refund order R1, please."}, allow, "")
	}
	add("ann", proviso.ToolCallPoint, &proviso.ToolCall{ID: "1", Tool: "refund", Args: proviso.JSON(`{"id":"R1","amount":90}`)}, deny, proviso.Denied)
	add("ann", proviso.ToolCallPoint, &proviso.ToolCall{ID: "2", Tool: "refund", Args: proviso.JSON(`{"id":"R1","amount":40}`)}, allow, proviso.Released)
	add("bob", proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: "Which order?"}, allow, "")
	add("ann", proviso.ToolResultPoint, &proviso.ToolResult{CallID: "2", Tool: "refund", Text: "done"}, allow, proviso.OK)
	add("ann", proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: "Done: 40 euros."}, allow, "")
	add("bob", proviso.Input, &proviso.Message{Role: proviso.User, Text: "Never mind."}, allow, "")
	return out
}

const (
	wholeLog = "testdata/whole.jsonl"
	keptFile = "testdata/kept.jsonl"
)

// testKey signs the checkpoint of the tests. Whoever reads this has it.
func testKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)) }

// TestWholeLog looks that the log of which the broken ones are made still verifies, and the checkpoint of all but its last records.
// Both are made, with -update, only where the log is not there: each new one has other salts, and with them other hashes.
func TestWholeLog(t *testing.T) {
	if _, err := os.Stat(wholeLog); err != nil && testkit.Update() {
		makeWhole(t)
	}
	rep := verifyLog(t, read(t, wholeLog), read(t, keptFile))
	if len(rep.Findings) > 0 || rep.Records != 8 || rep.Sessions != 2 || rep.Kept != 1 {
		t.Errorf("%+v", rep)
	}
}

func makeWhole(t *testing.T) {
	var b bytes.Buffer
	tips := map[string]journal.Tip{}
	check(t, journal.WriteLog(&b, "teststore"))
	for i, r := range story() {
		if i == 6 {
			c := &journal.Checkpoint{Number: 1, Store: "teststore", At: r.Event.Time}
			check(t, c.Sign(testKey(), func(yield func(string, journal.Tip) bool) {
				for _, id := range slices.Sorted(maps.Keys(tips)) {
					yield(id, tips[id])
				}
			}))
			check(t, os.WriteFile(keptFile, c.Text, 0o644))
		}
		e, err := journal.Seal(&r, tips[r.Event.Session].Head)
		check(t, err)
		tips[e.Session] = journal.Tip{Length: e.Seq, Head: e.Hash}
		check(t, journal.WriteEntry(&b, &e))
	}
	check(t, os.WriteFile(wholeLog, b.Bytes(), 0o644))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	return b
}

func verifyLog(t *testing.T, log []byte, kept ...[]byte) *journal.Report {
	t.Helper()
	v := journal.Verifier{Key: testKey().Public().(ed25519.PublicKey)}
	for _, b := range kept {
		v.Checkpoint("kept", b)
	}
	check(t, journal.VerifyLog(&v, bytes.NewReader(log)))
	return v.Report()
}

// Each archive changes the whole log, line by line and counted from 1, and wants the findings. The checkpoint that was kept elsewhere has seen the first six records.
//
//	delete 4          takes a line out
//	swap 4 5          lets two lines change places
//	copy 4 9          puts a copy of line 4 before line 9
//	replace 4 a b     replaces a by b in a line
//	strip 4           takes the body out of a record
//	reseal ann        numbers a session anew and computes all its hashes, as somebody does who knows how
//	cut 40            takes bytes off the end
//	checkpoint a b    replaces a by b in the checkpoint
//	alone             leaves the checkpoint out
func TestBrokenLogs(t *testing.T) {
	testkit.Archives(t, filepath.Join("testdata", "broken", "*.txtar"), func(t *testing.T, a *testkit.Archive) {
		script, ok := a.File("change")
		if !ok {
			t.Fatal("no change")
		}
		lines := strings.SplitAfter(string(read(t, wholeLog)), "\n")
		kept := [][]byte{read(t, keptFile)}
		for _, cmd := range strings.Split(strings.TrimSpace(string(script)), "\n") {
			f := strings.Fields(cmd)
			n := func(i int) int {
				x, err := strconv.Atoi(f[i])
				check(t, err)
				return x - 1
			}
			switch f[0] {
			case "delete":
				lines = slices.Delete(lines, n(1), n(1)+1)
			case "swap":
				lines[n(1)], lines[n(2)] = lines[n(2)], lines[n(1)]
			case "copy":
				lines = slices.Insert(lines, n(2), lines[n(1)])
			case "replace":
				l := strings.ReplaceAll(lines[n(1)], f[2], f[3])
				if l == lines[n(1)] {
					t.Fatalf("%s: replaces nothing", cmd)
				}
				lines[n(1)] = l
			case "strip":
				lines[n(1)] = bodyField.ReplaceAllString(lines[n(1)], "}")
			case "reseal":
				reseal(t, lines, f[1])
			case "cut":
				text := strings.Join(lines, "")
				lines = []string{text[:len(text)-n(1)-1]}
			case "checkpoint":
				kept[0] = bytes.ReplaceAll(kept[0], []byte(f[1]), []byte(f[2]))
			case "alone":
				kept = nil
			default:
				t.Fatalf("unknown change %q", cmd)
			}
		}
		rep := verifyLog(t, []byte(strings.Join(lines, "")), kept...)
		var out strings.Builder
		for _, f := range rep.Findings {
			fmt.Fprintf(&out, "%s: %s\n", f.Kind, f.Msg)
		}
		for _, n := range rep.Notes {
			fmt.Fprintf(&out, "note: %s\n", n)
		}
		if len(rep.Findings) == 0 {
			out.WriteString("nothing was found\n")
		}
		a.Expect(t, "want", []byte(out.String()))
	})
}

var (
	sessionOf = regexp.MustCompile(`"head":\{"session":"(\w+)"`)
	hashField = regexp.MustCompile(`^\{"hash":"\w{64}"`)
	prevField = regexp.MustCompile(`("seq":\d+,)("prev":"\w{64}",)?`)
	seqField  = regexp.MustCompile(`"seq":\d+`)
	bodyField = regexp.MustCompile(`,"body":\{"salt".*`)
	headField = regexp.MustCompile(`"head":(\{.*\}),"body":\{"salt"`)
)

func reseal(t *testing.T, lines []string, session string) {
	prev, seq := "", 0
	for i, l := range lines {
		if m := sessionOf.FindStringSubmatch(l); m == nil || m[1] != session {
			continue
		}
		seq++
		l = seqField.ReplaceAllString(l, fmt.Sprintf(`"seq":%d`, seq))
		link := ""
		if prev != "" {
			link = `"prev":"` + prev + `",`
		}
		at := prevField.FindStringSubmatchIndex(l)
		l = l[:at[0]] + l[at[2]:at[3]] + link + l[at[1]:]
		head := headField.FindStringSubmatch(l)
		if head == nil {
			t.Fatalf("line %d has no head", i+1)
		}
		prev = journal.HashOf([]byte(head[1])).String()
		lines[i] = hashField.ReplaceAllLiteralString(l, `{"hash":"`+prev+`"`)
	}
}
