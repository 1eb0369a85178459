package proviso

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
)

// EditConflict says which two edits of one body contradict each other: one path set to two values, or a path set below another. It is empty where none do.
func EditConflict(edits []Edit) string {
	for i, a := range edits {
		for _, b := range edits[i+1:] {
			if a.Path == "" || b.Path == "" {
				continue
			}
			if a.Path == b.Path && !reflect.DeepEqual(a.Value, b.Value) {
				return fmt.Sprintf("%s is set to two values by %s and %s", a.Path, a.Rule, b.Rule)
			}
			if strings.HasPrefix(a.Path, b.Path+".") || strings.HasPrefix(b.Path, a.Path+".") {
				return fmt.Sprintf("%s and %s are both set by %s and %s", a.Path, b.Path, a.Rule, b.Rule)
			}
		}
	}
	return ""
}

// UniteEdits joins redactions that overlap, whose text is then that of the first, and drops a path that is set again. Edits come out in order of position, then path.
// It sorts edits in place and returns a part of them.
func UniteEdits(edits []Edit) []Edit {
	sort.SliceStable(edits, func(i, j int) bool {
		a, b := edits[i], edits[j]
		if a.Redacts() != b.Redacts() {
			return a.Redacts()
		}
		if a.Path != b.Path {
			return a.Path < b.Path
		}
		return a.Start < b.Start
	})
	out := edits[:0]
	for _, e := range edits {
		if n := len(out); n > 0 {
			last := &out[n-1]
			if e.Redacts() && last.Redacts() && e.Start < last.End {
				last.End = max(last.End, e.End)
				continue
			}
			if !e.Redacts() && e.Path == last.Path {
				continue
			}
		}
		out = append(out, e)
	}
	return out
}

// RedactText carries the redactions among united edits out on the text they were computed on.
// One that overlaps the last, ends beyond the text, or ends before it starts is left out.
func RedactText(text string, edits []Edit) string {
	var b strings.Builder
	at := 0
	for _, e := range edits {
		if !e.Redacts() || e.Start < at || e.End < e.Start || e.End > len(text) {
			continue
		}
		b.WriteString(text[at:e.Start])
		b.WriteString(e.Text)
		at = e.End
	}
	b.WriteString(text[at:])
	return b.String()
}
