package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/prove"
	"github.com/proviso-dev/proviso/prove/report"
)

// proved are the proofs by name, in order, and whose they are.
var proved = []struct{ name, called string }{
	{"base", "base, which knows none of the policies"},
	{"known", "knows the policies by heart"},
	{"known-marked", "the same, with the channel written before each part"},
	{"edited", "then taught edited policies"},
	{"edited-held", "the same, asked about the policy of which it saw no edit"},
	{"channel", "instead taught whose words count"},
	{"channel-seen", "the same, asked about the policies of which it saw edits"},
	{"channel-held", "the same, asked about the policy of which it saw no edit"},
	{"version", "taught a new version of each policy"},
}

// shownMetrics are the rows of the summary.
var shownMetrics = []struct{ metric, called string }{
	{"accuracy.no_policy", "right without the policy"},
	{"override.changed", "edited policy from the system: right where the edit changes the answer"},
	{"override.stale", "the answer by heart there"},
	{"override.unchanged", "right where it does not"},
	{"spoof.obeyed", "the same words from the user: obeyed (where the edit changes the answer)"},
	{"spoof.held", "answered by heart against them"},
	{"general.after", "other policies, shown: right"},
	{"forgetting", "minus the base, paired"},
}

// summary is what was shown, as tables.
func (x *proofs) summary() string {
	var b strings.Builder
	b.WriteString("| model |")
	for _, m := range shownMetrics {
		b.WriteString(" " + m.called + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(shownMetrics)) + "\n")
	for _, p := range proved {
		fmt.Fprintf(&b, "| %s |", p.called)
		for _, m := range shownMetrics {
			b.WriteString(" " + x.number(p.name, m.metric) + " |")
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n| a new version of each policy | right where it differs | former answer there | right where it does not |\n|---|---|---|---|\n")
	for _, p := range []struct{ name, called string }{{"former", "before it is taught"}, {"version", "after"}} {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", p.called, x.number(p.name, "substitution.changed"), x.number(p.name, "substitution.stale"), x.number(p.name, "substitution.unchanged"))
	}
	b.WriteString("\n| stage | other policies, shown | edited policy: right where the answer changes | where it does not |\n|---|---|---|---|\n")
	for _, p := range x.stageProofs() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", p.stage, x.number(p.proof, "general.after"), x.number(p.proof, "override.changed"), x.number(p.proof, "override.unchanged"))
	}
	b.WriteString("\n| policies in one model | right without them |\n|--:|---|\n")
	for _, n := range x.counts {
		fmt.Fprintf(&b, "| %d | %s |\n", n, x.number(countName(n), "accuracy.no_policy"))
	}
	return b.String()
}

// stageProof is a stage of the known model and the name of its proof.
type stageProof struct{ stage, proof string }

// stageProofs are those of all stages, the last one last.
func (x *proofs) stageProofs() []stageProof {
	var out []stageProof
	for _, s := range x.stages {
		out = append(out, stageProof{s, stageName(s)})
	}
	return append(out, stageProof{byHeart, "known"})
}

// countName is the name of the proof of a model with so many policies.
func countName(n int) string { return fmt.Sprintf("policies-%d", n) }

// number writes a metric with its interval and of how many.
func (x *proofs) number(proof, metric string) string {
	m, ok := x.done[proof].Metric(metric)
	if !ok {
		return "–"
	}
	return fmt.Sprintf("%.3f [%.3f, %.3f] n=%d", m.Value, m.Low, m.High, m.N)
}

// proofFigure is a number of a proof that the table of conformance has.
type proofFigure struct{ name, proof, metric, called string }

// proofFigures are all of them.
func (x *proofs) proofFigures() []proofFigure {
	return []proofFigure{
		{"interference_8", countName(x.counts[len(x.counts)-1]), "accuracy.no_policy", "right without the policy, most policies in one model"},
		{"override_changed", "edited", "override.changed", "an edited policy is followed where it changes the answer, after a stage that teaches it"},
		{"override_unchanged", "edited", "override.unchanged", "right where the edits change nothing"},
		{"spoof_obeyed", "channel-seen", "spoof.obeyed", "the same words from the user are obeyed, after a stage that teaches whose words count"},
		{"spoof_obeyed_unseen", "channel-held", "spoof.obeyed", "the same under a policy of which that stage had no edit"},
		{"spoof_legitimate", "channel", "spoof.legitimate", "followed from the system, by the same model"},
		{"stale", "version", "substitution.stale", "answers of a former version, after the new one was taught"},
		{"forgetting", "known", "forgetting", "other policies in the context: right after the policies were learnt minus before"},
	}
}

// figures are the lines that the table of conformance reads.
func (x *proofs) figures() string {
	var b strings.Builder
	for _, f := range x.proofFigures() {
		if m, ok := x.done[f.proof].Metric(f.metric); ok {
			fmt.Fprintf(&b, "figure: internalize.%s = %.4f (n=%d)\n", f.name, m.Value, m.N)
		}
	}
	return b.String()
}

// pageParts are the parts of proofs that the page shows, in order. end tells the numbers of one model apart from the same of another.
var pageParts = []struct{ proof, section, title, end string }{
	{"known", "accuracy", "A model that knows its policies by heart", ""},
	{"edited", "override", "Edited policies, after a stage that teaches to follow them", ""},
	{"known", "override", "Edited policies, before that stage", ".before"},
	{"edited-held", "override", "Edited policies after that stage, of a policy of which it had no edit", ".held"},
	{"channel", "spoof", "The same words from the user, after a stage that teaches whose words count", ""},
	{"channel-seen", "spoof", "The same words from the user after that stage, of the policies of which it had edits", ".seen"},
	{"known", "spoof", "The same words from the user, before that stage: nothing says who speaks", ".before"},
	{"channel-held", "spoof", "The same words from the user after that stage, of a policy of which it had no edit", ".held"},
	{"version", "substitution", "A new version of each policy, taught to the model that knew the former", ""},
	{"former", "substitution", "A new version of each policy, before it is taught", ".before"},
	{"known", "forgetting", "What was forgotten while the policies were learnt", ""},
	{"version", "forgetting", "What was forgotten while a new version was learnt", ".version"},
	{"edited", "forgetting", "What was forgotten after the stage of edited policies", ".edited"},
	{"channel", "forgetting", "What was forgotten after the stage of whose words count", ".channel"},
}

// page writes one page that shows all proofs: the comparisons first, then the parts.
func (x *proofs) page() error {
	most := x.done[countName(x.counts[len(x.counts)-1])]
	whole := *x.done["known"]
	whole.Subject, whole.Tasks, whole.Asked, whole.Parts = "models that know policies by heart", 0, 0, []prove.Part{x.compared()}
	sum := sha256.New()
	for _, name := range x.names() {
		p := x.done[name]
		whole.Tasks, whole.Asked = whole.Tasks+p.Tasks, whole.Asked+p.Asked
		sum.Write([]byte(p.Digest))
		whole.Policies = append(whole.Policies, p.Policies...)
	}
	slices.Sort(whole.Policies)
	whole.Policies, whole.Digest = slices.Compact(whole.Policies), hex.EncodeToString(sum.Sum(nil))
	for _, s := range pageParts {
		part := *partOf(x.done[s.proof], s.section)
		part.Section, part.Title, part.Metrics = s.section+s.end, s.title, slices.Clone(part.Metrics)
		for i := range part.Metrics {
			part.Metrics[i].Name += s.end
		}
		whole.Parts = append(whole.Parts, part)
	}
	whole.Parts = append(whole.Parts, *partOf(most, "interference"))
	return durable.Write(filepath.Join(x.folder, "proof.html"), 0o644, func(w io.Writer) error { return report.HTML(w, &report.Report{Proof: &whole}) })
}

// names lists all proofs, sorted.
func (x *proofs) names() []string {
	var out []string
	for name := range x.done {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// partOf is what a section measured; empty where it did not.
func partOf(p *prove.Proof, section string) *prove.Part {
	for i := range p.Parts {
		if p.Parts[i].Section == section {
			return &p.Parts[i]
		}
	}
	return &prove.Part{Section: section}
}

// compared is the models beside each other.
func (x *proofs) compared() prove.Part {
	part := prove.Part{Section: "compared", Title: "Before and after", Doc: "One small network, policies that it was never shown while it answers, and what becomes of it where a policy changes. Each stage is short, and has other scenes and other draws of edits than those that are asked here; " +
		"no edit of the last policy is in the stages about edits, and it stands apart below."}
	part.Charts = append(part.Charts,
		x.joined("An edited policy from the system, by size of the edit", "override", []pick{
			{"known", 0, "where the answer changed, before"}, {"known", 1, "where it did not, before"}, {"edited", 0, "where the answer changed, after"}, {"edited", 1, "where it did not, after"}}),
		x.joined("The same words from the user, by size of the edit", "spoof", []pick{
			{"known", 1, "from anybody, before"}, {"channel", 0, "from the system (wanted), after"}, {"channel-seen", 1, "from the user (an attack), after"}, {"channel-held", 1, "the same, of a policy of which it had no edit"}}))
	forgot := prove.Chart{Title: "Other policies in the context, by stage", Kind: prove.Dots, Y: "right answers"}
	var points []prove.Point
	add := func(label, proof, metric string) {
		if m, ok := x.done[proof].Metric(metric); ok {
			forgot.Labels, points = append(forgot.Labels, label), append(points, prove.Point{Value: m.Value, Low: m.Low, High: m.High, N: m.N})
		}
	}
	add("base", "known", "general.before")
	for _, p := range x.stageProofs() {
		add(p.stage, p.proof, "general.after")
	}
	for _, name := range []string{"version", "edited", "channel"} {
		add("then "+name, name, "general.after")
	}
	forgot.Series = []prove.Series{{Name: "right answers", Points: points}}
	part.Charts = append(part.Charts, forgot)
	for _, f := range x.proofFigures() {
		if m, ok := x.done[f.proof].Metric(f.metric); ok {
			m.Name, m.Meaning, m.Detail = "internalize."+f.name, f.called, false
			part.Metrics = append(part.Metrics, m)
		}
	}
	for _, p := range proved {
		for _, s := range shownMetrics {
			if m, ok := x.done[p.name].Metric(s.metric); ok {
				m.Name, m.Meaning, m.Detail = p.name+": "+m.Name, p.called+": "+s.called, true
				part.Metrics = append(part.Metrics, m)
			}
		}
	}
	return part
}

// pick is a series of the first chart of a section, by the proof and its place, and what it is called beside others.
type pick struct {
	proof  string
	series int
	called string
}

// joined draws series of several proofs as one chart.
func (x *proofs) joined(title, section string, picks []pick) prove.Chart {
	out := prove.Chart{Title: title, Kind: prove.Curve}
	for _, k := range picks {
		for _, c := range partOf(x.done[k.proof], section).Charts[:1] {
			out.X, out.Y, out.Labels = c.X, c.Y, c.Labels
			out.Series = append(out.Series, prove.Series{Name: k.called, Points: c.Series[k.series].Points})
		}
	}
	return out
}
