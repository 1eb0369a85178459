package pack

import (
	"slices"
	"strings"
)

// The labels that every session knows without a pack naming them.
const (
	LabelUser      = "user"      // what a user said, or confirmed
	LabelSystem    = "system"    // what stands in the system's messages
	LabelAssistant = "assistant" // what was found nowhere: the model made it
	LabelField     = "field"     // the whole of a field, a list member or a key of a tool's JSON result
	LabelText      = "text"      // a piece of a longer field, or of a text that a tool answered
	LabelAsked     = "asked"     // in the result of a call that the user asked for: its arguments have texts, all of which stand in the user's words
	LabelTrusted   = "trusted"   // results of the tools that proviso.yaml lists under trusted
	toolPrefix     = "tool:"
)

// SessionLabels are the labels that packs cannot give. It must not be changed.
var SessionLabels = []string{LabelUser, LabelSystem, LabelAssistant, LabelField, LabelText, LabelAsked}

// Label is a name that a pack gives to sources of values, such as private or trusted.
// From lists user, system, globs of tools (read_*), and globs of fields of their results (get_user.address), below which everything counts as well.
type Label struct {
	Name Text
	From []Text
}

// covers reports whether one entry of From names a source. Sources are written as labels of a session are: user, system, tool:NAME, or tool:NAME.FIELD.
func covers(from, source string) bool {
	name, isTool := strings.CutPrefix(source, toolPrefix)
	if !isTool {
		return from == source
	}
	if from == LabelUser || from == LabelSystem {
		return false
	}
	// The glob may name the source itself or anything above it: a tool, or an object that the field lies in.
	for {
		if Match(from, name) {
			return true
		}
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			return false
		}
		name = name[:i]
	}
}

// SourceLabels returns the names that the pack gives to a source, sorted: those of its labels section, and trusted for tools that proviso.yaml lists as such.
// A source is user, system, tool:NAME, or tool:NAME.FIELD with the dotted path of a field of the result.
func (p *Pack) SourceLabels(source string) []string {
	var out []string
	for _, l := range p.Labels {
		if slices.ContainsFunc(l.From, func(t Text) bool { return covers(t.S, source) }) {
			out = append(out, l.Name.S)
		}
	}
	if strings.HasPrefix(source, toolPrefix) && slices.ContainsFunc(p.Trusted, func(t Text) bool { return covers(t.S, source) }) {
		out = append(out, LabelTrusted)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// LabelNames returns the labels that the pack gives, sorted.
func (p *Pack) LabelNames() []string {
	var out []string
	for _, l := range p.Labels {
		out = append(out, l.Name.S)
	}
	if len(p.Trusted) > 0 {
		out = append(out, LabelTrusted)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// labelShape is the name of a label: it must not read like a source that every session knows.
var labelShape = named("a name for a label", idPattern.String(), "use letters, digits, '-', '_' and '.', and none of user, system, assistant, field, text, asked, which every session has", func(s string) bool {
	return idPattern.MatchString(s) && !slices.Contains(SessionLabels, s)
})

var labelObject = &object[Label]{
	name: "label", doc: "What sources of values are called.",
	props: []prop[Label]{
		req("from", textsShape, func(l *Label) *[]Text { return &l.From }, "user, system, globs of tools, or globs of fields of their results, such as get_user.address."),
	},
}
