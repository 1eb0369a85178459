package testkit

import (
	"bytes"
	"fmt"
	"strings"
)

// diffContext is how many equal lines are shown around a difference.
const diffContext = 3

// maxDiffCells bounds the table of the longest common subsequence; larger middles are shown as one replacement.
const maxDiffCells = 4 << 20

// Diff returns a line diff of two texts: lines only in want begin with "-", lines only in got with "+". It is empty where the texts are equal.
// Trailing white space that alone makes a difference is made visible.
func Diff(want, got []byte) string {
	if bytes.Equal(want, got) {
		return ""
	}
	a, b := lines(want), lines(got)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var edits []edit
	for i := range head {
		edits = append(edits, edit{' ', i + 1, a[i]})
	}
	edits = append(edits, middle(a[head:len(a)-tail], b[head:len(b)-tail], head+1)...)
	for i := len(a) - tail; i < len(a); i++ {
		edits = append(edits, edit{' ', i + 1, a[i]})
	}
	return render(edits)
}

// edit is one line of a diff; line is its number in want, or where it would be inserted.
type edit struct {
	op   byte
	line int
	text string
}

func lines(b []byte) []string {
	s := strings.SplitAfter(string(b), "\n")
	if s[len(s)-1] == "" {
		s = s[:len(s)-1]
	}
	return s
}

// middle is the diff by longest common subsequence of the parts that differ; first is the number of a's first line.
func middle(a, b []string, first int) []edit {
	var out []edit
	if (len(a)+1)*(len(b)+1) > maxDiffCells {
		for i, s := range a {
			out = append(out, edit{'-', first + i, s})
		}
		for _, s := range b {
			out = append(out, edit{'+', first + len(a), s})
		}
		return out
	}
	w := len(b) + 1
	lcs := make([]int, (len(a)+1)*w)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				lcs[i*w+j] = lcs[(i+1)*w+j+1] + 1
			} else {
				lcs[i*w+j] = max(lcs[(i+1)*w+j], lcs[i*w+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, edit{' ', first + i, a[i]})
			i++
			j++
		case j == len(b) || i < len(a) && lcs[(i+1)*w+j] >= lcs[i*w+j+1]:
			out = append(out, edit{'-', first + i, a[i]})
			i++
		default:
			out = append(out, edit{'+', first + i, b[j]})
			j++
		}
	}
	return out
}

func render(edits []edit) string {
	show := make([]bool, len(edits))
	for i, e := range edits {
		if e.op == ' ' {
			continue
		}
		for k := max(0, i-diffContext); k <= min(len(edits)-1, i+diffContext); k++ {
			show[k] = true
		}
	}
	var b strings.Builder
	for i, e := range edits {
		if !show[i] {
			continue
		}
		if i == 0 || !show[i-1] {
			fmt.Fprintf(&b, "@@ line %d\n", e.line)
		}
		text, ended := strings.CutSuffix(e.text, "\n")
		b.WriteByte(e.op)
		b.WriteString(text)
		if e.op != ' ' && strings.TrimRight(text, " \t\r") != text {
			b.WriteString("⟵ ends in white space")
		}
		if !ended && e.op != ' ' {
			b.WriteString("⟵ no newline at the end")
		}
		b.WriteByte('\n')
	}
	return b.String()
}
