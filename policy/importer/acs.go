package importer

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/internal/strictyaml"
)

// ACS reads manifests of the Agent Control Specification (microsoft/agent-governance-toolkit, version 0.3).
//
// A manifest binds policies, which are written elsewhere, to points of an agent's loop, and lists the tools that exist. Its points are ours under other names.
// A point that the manifest does not configure is closed; a tool that its catalogue lacks is unknown. A policy whose verdict is a constant in Rego becomes a rule;
// any other is a question that has to be answered yes before anything passes, so that a policy that fails, or says something else than allow, stops the event.
// Annotators that a point waits for are questions in the same way.
var ACS = &Format{
	Name: "acs",
	Doc:  "A manifest of the Agent Control Specification, with the Rego modules that lie beside it.",
	Read: readACS,
}

type acsManifest struct {
	Version    string                    `yaml:"agent_control_specification_version"`
	Metadata   map[string]any            `yaml:"metadata"`
	Extends    []string                  `yaml:"extends"`
	Policies   map[string]map[string]any `yaml:"policies"`
	Points     map[string]acsBinding     `yaml:"intervention_points"`
	Tools      map[string]map[string]any `yaml:"tools"`
	Annotators map[string]map[string]any `yaml:"annotators"`
}

type acsBinding struct {
	Policy struct {
		ID string `yaml:"id"`
	} `yaml:"policy"`
	Target      string                   `yaml:"policy_target"`
	ToolName    string                   `yaml:"tool_name_from"`
	Annotations map[string]acsAnnotation `yaml:"annotations"`
}

type acsAnnotation struct {
	From string `yaml:"from"`
}

// acsPoint is what one intervention point is with us. Text is whether what is decided there is a text; Targets are the paths that name what our conditions see there.
type acsPoint struct {
	name    string   // ours, and the id of the clause and of its rules with - for _
	says    string   // the beginning of the clause
	about   []string // what a question is about: all that is decided, because an answer holds for what it was asked about
	text    bool
	targets []string
}

var acsPoints = map[string]acsPoint{
	"agent_startup":   {"session_start", "A session begins", []string{"session.user"}, false, []string{"agent_startup", "startup"}},
	"input":           {"input", "What the user says is read", []string{"text"}, true, []string{"input", "input.text", "input.content"}},
	"pre_model_call":  {"model_request", "The model is asked", []string{"text"}, true, []string{"model_request", "model_request.messages"}},
	"post_model_call": {"model_response", "What the model answers is used", []string{"text"}, true, []string{"model_response", "model_response.content", "model_response.text"}},
	"pre_tool_call":   {"tool_call", "A tool is called", []string{"tool", "args"}, false, []string{"tool_call", "tool_call.args"}},
	"post_tool_call":  {"tool_result", "What a tool answers is read", []string{"tool", "args", "result"}, false, []string{"tool_result"}},
	"output":          {"output", "What the agent says is sent", []string{"text"}, true, []string{"output", "output.text", "output.content"}},
	"agent_shutdown":  {"session_end", "A session ends", []string{"session.user"}, false, []string{"agent_shutdown", "shutdown"}},
}

var (
	acsVersion = lazyregexp.New(`^0\.3\.[0-9]+(-[0-9A-Za-z.]+)?$`)
	acsName    = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)
)

// acsWriter collects the parts of the pack.
type acsWriter struct {
	r         *Reader
	file      string
	m         *acsManifest
	rego      []regoModule
	clauses   []string
	questions map[string]any
	rules     []map[string]any
	cases     []map[string]any
	closed    []string
	setPaths  map[string]bool // arguments that a rule sets
}

func readACS(r *Reader, name string) map[string][]byte {
	src, ok := r.file(name)
	if !ok {
		return nil
	}
	m := &acsManifest{}
	if err := strictyaml.Decode(src, m, true); err != nil {
		r.unreadable(name, "not a manifest: %v", err)
		return nil
	}
	w := &acsWriter{r: r, file: name, m: m, questions: map[string]any{}, setPaths: map[string]bool{}}
	if !w.check() || !w.modules(path.Dir(name)) {
		return nil
	}
	for _, p := range slices.Sorted(maps.Keys(acsPoints)) {
		if b, ok := m.Points[p]; ok {
			w.point(acsPoints[p], b)
		} else {
			w.closed = append(w.closed, acsPoints[p].name)
		}
	}
	if r.found.Worst(proviso.Error) {
		return nil
	}
	return w.files()
}

// check reports what no manifest may be, and what cannot be imported as a whole.
func (w *acsWriter) check() bool {
	m, r := w.m, w.r
	if !acsVersion.MatchString(m.Version) {
		r.unreadable(w.file, "agent_control_specification_version is %q; manifests of version 0.3 are read", m.Version)
	}
	if len(m.Extends) > 0 {
		r.foreign(w.file, "merge the manifests first, and import the result", "extends names other manifests: %s", strings.Join(m.Extends, ", "))
	}
	if len(m.Points) == 0 {
		r.unreadable(w.file, "no intervention point is configured")
	}
	for _, p := range slices.Sorted(maps.Keys(m.Points)) {
		b := m.Points[p]
		if _, known := acsPoints[p]; !known {
			r.unreadable(w.file, "unknown intervention point %q", p)
		}
		if _, known := m.Policies[b.Policy.ID]; !known {
			r.unreadable(w.file, "%s: there is no policy %q", p, b.Policy.ID)
		}
		if b.Target == "" {
			r.unreadable(w.file, "%s: policy_target is missing", p)
		}
		for _, a := range slices.Sorted(maps.Keys(b.Annotations)) {
			if _, known := m.Annotators[a]; !known {
				r.unreadable(w.file, "%s: there is no annotator %q", p, a)
			}
		}
	}
	for _, names := range [][]string{slices.Sorted(maps.Keys(m.Policies)), slices.Sorted(maps.Keys(m.Tools)), slices.Sorted(maps.Keys(m.Annotators))} {
		for _, n := range names {
			if !acsName.MatchString(n) {
				r.foreign(w.file, "use letters, digits, _ . and -", "%q is not a name that a pack can use", n)
			}
		}
	}
	return !r.found.Worst(proviso.Error)
}

// point writes the clause, the questions and the rules of a configured point.
func (w *acsWriter) point(p acsPoint, b acsBinding) {
	id := strings.ReplaceAll(p.name, "_", "-")
	target := strings.TrimPrefix(strings.TrimPrefix(b.Target, "$snap."), "$.")
	policy := "policy " + b.Policy.ID
	verdict, constant := w.verdict(b.Policy.ID)
	says := p.says
	switch {
	case !strings.HasPrefix(b.Target, "$snap.") && !strings.HasPrefix(b.Target, "$.") || !slices.Contains(p.targets, target):
		w.r.narrower(w.file, "point policy_target at what is decided there, such as $snap."+p.targets[0], "%s: %s names nothing that a pack can see; the point is closed", p.name, b.Target)
		says = "Nothing passes here: the manifest decides about " + b.Target + ", which is never there"
		w.rule(id, p, map[string]any{"message": "the policy decides about " + b.Target + ", which is not there"})
	case constant:
		says = w.constant(id, p, policy, verdict)
	default:
		kind, _ := w.m.Policies[b.Policy.ID]["type"].(string)
		w.r.narrower(w.file, "write its rules into the pack, and remove the question", "%s: %s (%s) is not in the manifest; whether it allows is asked as a question, and any other verdict stops", p.name, policy, kind)
		w.question(id, p, fmt.Sprintf("Does %s (%s) allow this?", policy, kind))
		says += ", if " + policy + " allows it"
	}
	for _, a := range slices.Sorted(maps.Keys(b.Annotations)) {
		w.r.narrower(w.file, "answer the question once the annotator has answered", "%s: annotator %s does not run here; whether it has answered is asked as a question", p.name, a)
		w.question(id+"-"+strings.ToLower(notInName.ReplaceAllString(strings.ToLower(a), "-")), p, fmt.Sprintf("Has annotator %s answered?", a))
		says += ", once annotator " + a + " has answered"
	}
	if w.r.MaxBytes > 0 {
		w.bound(id, p)
	}
	w.clauses = append(w.clauses, fmt.Sprintf("- %s. {#%s}", says, id))
	if p.name == "tool_call" && b.ToolName == "" {
		w.r.narrower(w.file, "name the tools in the manifest's catalogue", "tool_call: the manifest does not look tools up; only those of its catalogue are granted")
	}
}

// rule adds a rule of a point.
func (w *acsWriter) rule(id string, p acsPoint, rest map[string]any) {
	rule := map[string]any{"id": id, "clause": []string{strings.ReplaceAll(p.name, "_", "-")}, "on": p.name}
	if w.r.Observe {
		rule["mode"] = "audit"
	}
	maps.Copy(rule, rest)
	w.rules = append(w.rules, rule)
}

// question adds a question that has to be answered yes, and the cases that show it.
func (w *acsWriter) question(id string, p acsPoint, ask string) {
	q := strings.ReplaceAll(id, "-", "_")
	w.questions[q] = map[string]any{"ask": ask, "about": p.about, "clause": []string{strings.ReplaceAll(p.name, "_", "-")}}
	w.rule(id, p, map[string]any{"require": "judged." + q})
}

// constant writes the rules of a policy that always gives the same verdict, and returns the clause.
func (w *acsWriter) constant(id string, p acsPoint, policy string, v acsVerdict) string {
	because := policy
	if v.Reason != "" {
		because += ": " + v.Reason
	}
	switch v.Decision {
	case "allow":
		return p.says + "; " + policy + " allows everything"
	case "warn":
		w.rule(id, p, map[string]any{"else": map[string]any{"notice": map[string]any{"auditor": because}}})
		return p.says + ", with a warning of " + policy
	case "escalate":
		w.rule(id, p, map[string]any{"else": "escalate", "message": because})
		return p.says + " after a person approved it, as " + policy + " wants"
	case "transform":
		if effect := w.transform(id, p, v.Transform); effect != nil {
			w.rule(id, p, map[string]any{"else": effect})
			return p.says + " with what " + policy + " puts in its place"
		}
		w.r.narrower(w.file, "write the change as a rule with set or redact", "%s: %s changes %s, which a pack cannot; the point is closed", p.name, policy, v.Transform.Path)
	case "":
		w.r.narrower(w.file, "mend the policy and import it again", "%s: %s gives no verdict: %s; the point is closed", p.name, policy, v.Reason)
	}
	w.rule(id, p, map[string]any{"message": because})
	return "Nothing passes here, says " + policy
}

var acsField = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// transform is the effect that puts a value in the place of a part of what is decided; nil where a pack cannot say it exactly.
func (w *acsWriter) transform(id string, p acsPoint, t *acsTransform) map[string]any {
	field, inside := strings.CutPrefix(t.Path, "$policy_target")
	field = strings.TrimPrefix(field, ".")
	switch {
	case !inside:
		return nil
	case p.text:
		text, isText := t.Value.(string)
		if !isText || text == "" || !slices.Contains([]string{"", "text", "content"}, field) {
			return nil
		}
		return map[string]any{"redact": []string{`(?s)\A.*\z`}, "with": text}
	case p.name == "tool_call" && acsField.MatchString(field):
		value, err := json.Marshal(t.Value)
		if err != nil {
			return nil
		}
		w.setPaths[field] = true
		w.rule(id+"-place", p, map[string]any{"require": "has(args." + field + ")", "message": "what is to be replaced is not there: " + field})
		return map[string]any{"set": map[string]any{field: "json.parse(" + celText(string(value)) + ")"}}
	}
	return nil
}

// envelope is how many bytes of an event's JSON are not its text, and growth how many bytes one byte of the text may become there.
const (
	envelope = 64
	growth   = 6
)

// bound writes the rule that keeps a text below the host's limit. The limit counts bytes of JSON, which a condition does not see, so that the longest JSON of the text counts.
func (w *acsWriter) bound(id string, p acsPoint) {
	if !p.text {
		w.r.narrower(w.file, "import without a limit; the engine has its own", "%s: the size of the event cannot be told there; the point is closed", p.name)
		w.rule(id+"-size", p, map[string]any{"message": "the size of the event is limited, and cannot be told here"})
		return
	}
	w.rule(id+"-size", p, map[string]any{
		"require": fmt.Sprintf("%d * size(bytes(text)) + %d <= %d", growth, envelope, w.r.MaxBytes), "message": "the text is longer than the limit"})
}

// files lays the pack out.
func (w *acsWriter) files() map[string][]byte {
	defaults := map[string]any{"extra_arguments": "allow"}
	for _, p := range w.closed {
		if p != "tool_call" {
			defaults[p] = "deny"
		}
	}
	if len(w.closed) > 0 {
		slices.Sort(w.closed)
		w.r.narrower(w.file, "set defaults in proviso.yaml for the points that your agent has and the manifest left out", "points that the manifest does not configure are closed: %s", strings.Join(w.closed, ", "))
	}
	tools, names := []any{}, slices.Sorted(maps.Keys(w.m.Tools))
	properties := map[string]any{}
	for f := range w.setPaths {
		properties[f] = map[string]any{}
	}
	for _, n := range names {
		tools = append(tools, map[string]any{"name": n, "parameters": map[string]any{"type": "object", "properties": properties}})
	}
	grants := []any{}
	if _, open := w.m.Points["pre_tool_call"]; open && len(names) > 0 {
		grants = append(grants, map[string]any{"tools": names})
	}
	slices.SortFunc(w.rules, func(a, b map[string]any) int { return strings.Compare(a["id"].(string), b["id"].(string)) })
	rules := map[string]any{"grants": grants, "rules": w.rules}
	if len(w.questions) > 0 {
		rules["questions"] = w.questions
	}
	parts := map[string]any{"proviso.yaml": map[string]any{"name": w.r.Name, "version": "1", "defaults": defaults}, "rules.yaml": rules}
	if c := w.tests(); len(c) > 0 {
		parts["tests/acs.yaml"] = map[string]any{"cases": c}
	}
	out := map[string][]byte{"policy.md": []byte("# What the agent may do\n\n" + strings.Join(w.clauses, "\n") + "\n")}
	list, err := json.MarshalIndent(tools, "", "  ")
	out["tools.json"] = append(list, '\n')
	for _, n := range slices.Sorted(maps.Keys(parts)) {
		if err == nil {
			out[n], err = file(n, parts[n])
		}
	}
	if err != nil {
		w.r.foreign(w.file, "use plain texts as names and reasons", "the pack cannot be written: %v", err)
		return nil
	}
	return out
}
