package clients

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The vendors' JavaScript clients end up with the same as the Go ones, in and outside of streams.
func TestJavaScript(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("skipped: needs Node")
	}
	if _, err := os.Stat("js/node_modules"); err != nil {
		t.Skip("skipped: needs npm ci in gateway/clients/js")
	}
	cmd := exec.Command(node, "js/run.mjs", open(t, chatAnswers(), false), open(t, responsesAnswers(), false), open(t, messagesAnswers(), false),
		open(t, chatAnswers(), true), open(t, responsesAnswers(), true), open(t, messagesAnswers(), true))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, errs.String())
	}
	n := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); n++ {
		var got struct {
			Name, Text string
			Calls      []string
		}
		if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		t.Run(got.Name, func(t *testing.T) {
			if strings.HasSuffix(got.Name, "error") {
				if !strings.Contains(got.Text, "words-1") || got.Calls[0] != "403" {
					t.Errorf("%+v", got)
				}
				return
			}
			if strings.HasSuffix(got.Name, "refused") {
				if !strings.Contains(got.Text, "words-1") || got.Calls[0] != "content_filter" && got.Calls[0] != "refusal" {
					t.Errorf("%+v", got)
				}
				return
			}
			want(t, got.Text, got.Calls)
		})
	}
	if n != 18 {
		t.Errorf("%d clients answered", n)
	}
}
