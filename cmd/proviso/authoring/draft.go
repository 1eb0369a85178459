package authoring

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/proviso-dev/proviso/draft"
	"github.com/proviso-dev/proviso/draft/sentence"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/llm/endpoint"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Draft is the flags of `proviso draft`.
type Draft struct {
	Packs    []string      `arg:"" optional:"" name:"pack" help:"Folder of the pack; default: this folder." default:"."`
	Clause   []string      `help:"Only this clause, even where a rule names it; repeatable." placeholder:"ID"`
	All      bool          `help:"Clauses that rules name already as well."`
	Task     string        `help:"Draft the least that this request of a user needs, instead of rules for clauses." placeholder:"TEXT"`
	Write    string        `help:"Write the draft into this new folder." placeholder:"DIR"`
	Model    string        `help:"Have this model propose; without it a small grammar reads the clauses." placeholder:"NAME"`
	Endpoint string        `help:"Address of the model's API, OpenAI- or Anthropic-compatible." env:"PROVISO_ENDPOINT" placeholder:"URL"`
	Attempts int           `help:"How often a rule may be corrected, by the model or without one." default:"3"`
	Timeout  time.Duration `help:"How long to wait for one answer of the model." default:"60s"`
	Cassette string        `help:"Replay the model's answers from this recording, or record it where it does not exist." placeholder:"FILE"`
}

// Help is the long help of the command.
func (Draft) Help() string {
	return `Proposes rules for the clauses that no rule names yet, as an overlay of lower rank that is proved to narrow. Without --model, the frequent forms of sentences are read: must, must not, may only if, unless, within N days, at most N, before, requires confirmation, once for each. What fits no tool, argument or fact becomes a question for a judge; what cannot be read is said. Nothing is in force until a person copies the rules, or joins the overlay with a further -p. The key of the endpoint is read from PROVISO_MODEL_KEY, OPENAI_API_KEY or ANTHROPIC_API_KEY.`
}

// Run drafts.
func (c *Draft) Run(e *Env) error {
	if err := e.formats(); err != nil {
		return err
	}
	if c.Write != "" {
		if err := absent(c.Write); err != nil {
			return err
		}
	}
	packs, err := e.Packs(c.Packs)
	if err != nil {
		return err
	}
	if len(packs) != 1 {
		return diagnose(codeFormat, fmt.Sprintf("%d packs are given", len(packs)), "draft for one at a time")
	}
	d, err := c.draft(e, packs[0])
	if err != nil {
		return err
	}
	if _, err := d.Prove(); err != nil {
		return err
	}
	files, err := d.Files()
	if err != nil {
		return err
	}
	if c.Write != "" && d.Size() > 0 {
		if err := folder(c.Write, files); err != nil {
			return err
		}
	}
	if err := c.report(e, d, files); err != nil {
		return err
	}
	if d.Size() == 0 {
		return e.Found()
	}
	return nil
}

func (c *Draft) draft(e *Env, p *pack.Pack) (*draft.Draft, error) {
	if c.Task != "" {
		return draft.Task(p, c.Task)
	}
	o := draft.Options{Clauses: c.Clause, All: c.All, Attempts: c.Attempts}
	if c.Model == "" {
		d, err := draft.Read(p, o)
		if err != nil {
			return nil, diagnose(codeName, err.Error(), "proviso explain lists the clauses of a pack")
		}
		return d, nil
	}
	m, err := endpoint.Open(endpoint.Options{URL: c.Endpoint, Key: c.key(e), Timeout: c.Timeout, Cassette: c.Cassette})
	if err != nil {
		return nil, diagnose(codeModel, err.Error(), "give --endpoint, such as https://host/v1/chat/completions or https://host/v1/messages")
	}
	d, err := draft.Ask(e.Context, p, o, draft.Asker{Model: m, Name: c.Model, Attempts: c.Attempts, Progress: func(clause string) { e.Status("asking about " + clause) }})
	if err == nil {
		err = m.Close()
	}
	if err != nil && e.Context.Err() == nil {
		return nil, diagnose(codeModel, err.Error(), "check the endpoint and the name of the model; nothing was written")
	}
	return d, errors.Join(err, e.Context.Err())
}

// key is the secret of the endpoint; none is fine for local ones.
func (c *Draft) key(e *Env) string {
	for _, name := range []string{"PROVISO_MODEL_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"} {
		if k := e.Getenv(name); k != "" {
			return k
		}
	}
	return ""
}

// folder writes files into a new folder, all or none.
func folder(dir string, files map[string][]byte) error {
	if err := durable.Folder(dir, durable.Files(files)); err != nil {
		return diagnose(codeWrite, dir+": "+because(err), "check the folder and its permissions")
	}
	return nil
}

// clauseLine is a clause of the result.
type clauseLine struct {
	Clause string     `json:"clause"`
	Text   string     `json:"text"`
	Status string     `json:"status"`
	Rules  []ruleLine `json:"rules,omitempty"`
	Notes  []string   `json:"notes,omitempty"`
}

type ruleLine struct {
	ID    string   `json:"id"`
	Tools []string `json:"tools"`
	Words string   `json:"words"`
	Stops string   `json:"stops,omitempty"`
	Lets  string   `json:"lets_through,omitempty"`
	Fault string   `json:"fault,omitempty"`
}

func (c *Draft) report(e *Env, d *draft.Draft, files map[string][]byte) error {
	lines := []clauseLine{}
	count := map[draft.Status]int{}
	for _, p := range d.Proposals {
		count[p.Status]++
		l := clauseLine{Clause: p.Clause.ID, Text: p.Clause.Text, Status: string(p.Status), Notes: p.Notes}
		for _, r := range p.Rules {
			x := ruleLine{ID: r.ID, Tools: r.Tools, Words: r.Words, Stops: r.Violating, Lets: r.Compliant}
			if r.Fault.Fault != sentence.Correct {
				x.Fault = r.Fault.Fault.String()
			}
			l.Rules = append(l.Rules, x)
		}
		lines = append(lines, l)
	}
	names := []string{"proviso.yaml", "rules.yaml"}
	if e.Format == "json" {
		out := map[string]string{}
		for _, n := range names {
			out[n] = string(files[n])
		}
		return e.Print(map[string]any{"status": "draft", "clauses": lines, "files": out, "written": c.Write})
	}
	var b strings.Builder
	for _, l := range lines {
		if l.Status == string(draft.Covered) && len(l.Notes) == 0 || l.Status == string(draft.NoRule) && len(c.Clause) == 0 {
			continue
		}
		b.WriteString(e.Hang(fmt.Sprintf("%-10s", l.Status), l.Clause, 10))
		if l.Text != "" {
			b.WriteString(e.Hang("          | ", l.Text, 12))
		}
		for _, r := range l.Rules {
			b.WriteString(e.Hang("          rule  ", r.Words, 16))
			if r.Stops != "" {
				b.WriteString(e.Hang("          stops ", r.Stops, 16))
			}
		}
		for _, r := range l.Rules {
			if r.Lets != "" {
				b.WriteString(e.Hang("          lets  ", r.Lets, 16))
			}
		}
		for _, n := range l.Notes {
			b.WriteString(e.Hang("          - ", n, 12))
		}
	}
	if d.Size() > 0 {
		for _, n := range names {
			b.WriteString(e.Diff(d.Name+"/"+n, nil, files[n]))
		}
	}
	var tally []string
	for _, s := range []draft.Status{draft.Drafted, draft.Covered, draft.NoRule, draft.Unread, draft.Person} {
		if count[s] > 0 {
			tally = append(tally, fmt.Sprintf("%d %s", count[s], s))
		}
	}
	fmt.Fprintf(&b, "%s %d rules, proved to narrow; clauses: %s\n", e.Bold("draft:"), len(d.Rules()), strings.Join(tally, ", "))
	if c.Write != "" && d.Size() > 0 {
		fmt.Fprintf(&b, "written to %s; look at it, then join it with -p\n", c.Write)
	}
	return e.write(b.String())
}
