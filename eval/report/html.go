package report

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	"github.com/proviso-dev/proviso/eval"
	"github.com/proviso-dev/proviso/internal/form"
)

// HTML is one page that works from a disk without a network. Everything on it can be read without its script, which only filters.
var HTML = &Renderer{
	Name:   "html",
	Doc:    "one HTML page that needs nothing else: numbers with their intervals drawn, confusions, and every case that did not pass",
	Render: renderHTML,
}

// MaxPage is how many cases of a kind a page tells one by one.
const MaxPage = 500

//go:embed page.html
var pageText string

var page = form.NewPage(pageText)

type pageData struct {
	Title, Verdict, Class string
	Head                  string
	Tiles                 []form.Tile
	Axis                  []plotTick
	Lines                 []pageLine
	Times                 *histogram
	Confusion             *pageConfusion
	Groups                []pageGroup
	Gain                  *plot
	GainText              string
	Tables                []pageTable
	Kinds                 []string
	Cases                 []pageCase
	Left                  int
}

// pageLine is a number with its drawing; Plot is nil where it is no share.
type pageLine struct {
	Name, Text string
	Plot       *plot
}

type pageGroup struct {
	Name, Text    string
	Fixed, Broken int
	Plot          plot
}

type pageConfusion struct {
	Labels []string
	Rows   []pageWanted
}

type pageWanted struct {
	Label string
	Cells []pageCell
}

type pageCell struct {
	Count, Class string
	Shade        float64
}

type pageTable struct {
	Title, Doc string
	Bar        form.Bar
	Plotted    bool
	Rows       []pageRow
}

type pageRow struct {
	Name, Value, N, Want, Mark, Class, Range string
	Meaning                                  []pagePart
	Plot                                     *plot
}

// pagePart is a part of a sentence, set as code or not.
type pagePart struct {
	Text string
	Code bool
}

// parts reads the one thing of Markdown that meanings use: code between backticks.
func parts(text string) []pagePart {
	var out []pagePart
	for i, p := range strings.Split(text, "`") {
		if p != "" {
			out = append(out, pagePart{p, i%2 == 1})
		}
	}
	return out
}

type pageCase struct {
	Class, Badge, Name, Where, Note string
	Pairs                           []pagePair
}

type pagePair struct{ Want, Got, Old string }

func renderHTML(w io.Writer, r *Report) error {
	text, ok := r.verdict()
	d := &pageData{Title: r.Title, Verdict: text, Class: map[bool]string{true: "satisfied", false: "violated"}[ok], Axis: axis()}
	if r.Run != nil {
		d.run(r.Run)
	}
	if r.Comparison != nil {
		d.comparison(r.Comparison)
	}
	for i := range r.Tables {
		d.table(&r.Tables[i])
	}
	return page.Write(w, "report", d)
}

func (d *pageData) run(r *eval.Run) {
	s := r.Summary()
	d.Head = fmt.Sprintf("Suite %s, subject %s, %s.", r.Head.Suite, r.Head.Subject, form.Plural(r.Head.Cases, "case"))
	d.Tiles = append(d.Tiles, form.Tile{Name: "passed", Class: "satisfied", Count: s.Counts.Passed}, form.Tile{Name: "failed", Class: "violated", Count: s.Counts.Failed}, form.Tile{Name: "in error", Class: "error", Count: s.Counts.Errors}, form.Tile{Name: "not played", Class: "unknown", Count: s.Counts.Left})
	d.share("cases passed", s.Passed, "satisfied")
	if s.Wrongful != nil {
		d.share("wrongful denials", *s.Wrongful, "unknown")
	}
	if s.Missed != nil {
		d.share("missed violations", *s.Missed, "violated")
	}
	for _, v := range s.Values {
		d.Lines = append(d.Lines, pageLine{Name: v.Name, Text: fmt.Sprintf("%s on average (%s), n=%s", eval.FormatValue(v.Mean), interval(v.Range), eval.FormatCount(v.N))})
	}
	d.Times = times(r)
	if s.Confusion != nil && len(s.Confusion.Labels) > 1 {
		d.Confusion = confusionOf(s.Confusion)
	}
	for _, g := range s.Groups {
		d.Groups = append(d.Groups, pageGroup{Name: g.Group, Text: share(g.Passed), Plot: sharePlot(g.Passed.Value(), g.Range, "satisfied")})
	}
	d.Kinds = append(d.Kinds, "failed", "error")
	for i := range r.Results {
		res := &r.Results[i]
		if res.Status == eval.Passed {
			continue
		}
		c := caseOf(res, nil)
		c.Class, c.Badge = "violated failed", "failed"
		if res.Status == eval.Errored {
			c.Class, c.Badge = "error", "error"
		}
		d.add(c)
	}
}

func (d *pageData) share(name string, s eval.Share, class string) {
	p := sharePlot(s.Value(), s.Interval(), class)
	d.Lines = append(d.Lines, pageLine{name, share(s), &p})
}

// add takes a case onto the page, as far as there is room.
func (d *pageData) add(c pageCase) {
	if len(d.Cases) == MaxPage {
		d.Left++
		return
	}
	d.Cases = append(d.Cases, c)
}

func caseOf(now, old *eval.Result) pageCase {
	c := pageCase{Name: now.ID, Where: now.Pos.String(), Note: now.Note}
	for i, w := range now.Want {
		p := pagePair{Want: w, Got: at(now.Got, i)}
		if old != nil {
			p.Old = at(old.Got, i)
		}
		if p.Got != w || p.Old != "" && p.Old != w {
			c.Pairs = append(c.Pairs, p)
		}
	}
	return c
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

func confusionOf(m *eval.Confusion) *pageConfusion {
	out := &pageConfusion{Labels: m.Labels}
	for i, l := range m.Labels {
		row, all := pageWanted{Label: l}, 0
		for _, n := range m.Counts[i] {
			all += n
		}
		for j, n := range m.Counts[i] {
			c := pageCell{Count: eval.FormatCount(n), Class: "wrong"}
			if i == j {
				c.Class = "right"
			}
			if n > 0 {
				c.Shade = 0.12 + 0.5*float64(n)/float64(all)
			}
			row.Cells = append(row.Cells, c)
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

func (d *pageData) comparison(c *eval.Comparison) {
	d.Head = fmt.Sprintf("Suite %s, from subject %s to %s, %s.", c.New.Suite, c.Old.Subject, c.New.Subject, form.Plural(c.New.Cases, "case"))
	d.Tiles = append(d.Tiles, form.Tile{Name: "broken", Class: "violated", Count: len(c.Broken)}, form.Tile{Name: "fixed", Class: "satisfied", Count: len(c.Fixed)}, form.Tile{Name: "still failing", Class: "unknown", Count: len(c.Failing)}, form.Tile{Name: "still passing", Count: c.Passing})
	d.share("before", c.Before, "dormant")
	d.share("after", c.After, "satisfied")
	g := gainPlot(c)
	d.Gain, d.GainText = &g, gain(c)
	if len(c.Groups) > 1 {
		for _, g := range c.Groups {
			p := sharePlot(g.After.Value(), g.After.Interval(), "satisfied")
			p.Before, p.HasOld = shareX(g.Before.Value()), true
			p.Label = fmt.Sprintf("from %s to %s", eval.FormatValue(g.Before.Value()), p.Label)
			d.Groups = append(d.Groups, pageGroup{g.Group, eval.FormatValue(g.Before.Value()) + " → " + share(g.After), g.Fixed, g.Broken, p})
		}
	}
	d.Kinds = append(d.Kinds, "broken", "fixed", "failing")
	for _, part := range []struct {
		badge, class string
		flips        []eval.Flip
	}{{"broken", "violated broken", c.Broken}, {"fixed", "satisfied fixed", c.Fixed}, {"failing", "unknown failing", c.Failing}} {
		for i := range part.flips {
			p := caseOf(&part.flips[i].New, &part.flips[i].Old)
			p.Class, p.Badge = part.class, part.badge
			if p.Note == "" {
				p.Note = part.flips[i].Old.Note
			}
			d.add(p)
		}
	}
}

// marks tells for each mark how it is shown.
var marks = map[eval.Mark]struct{ text, class string }{
	eval.Met: {"✓", "satisfied"}, eval.Unmet: {"✕", "violated"}, eval.Missing: {"✕", "violated"}, eval.Told: {"", "edited"}, eval.Absent: {"", "dormant"}, eval.Slow: {"~", "unknown"},
}

func (d *pageData) table(t *eval.Table) {
	p := pageTable{Title: t.Title, Doc: t.Doc}
	counts := map[string]int{}
	for i := range t.Rows {
		r := &t.Rows[i]
		row := pageRow{Name: r.Name, Meaning: parts(r.Meaning), Value: NotMeasured, Want: r.Want.String(), Mark: marks[r.Mark].text, Class: marks[r.Mark].class}
		counts[row.Class]++
		if r.N > 0 {
			row.Value, row.N = eval.FormatValue(r.Value), eval.FormatCount(r.N)
		}
		if r.Range != nil {
			p.Plotted = true
			row.Range = interval(*r.Range)
			drawn := sharePlot(r.Value, *r.Range, row.Class)
			if v, ok := r.Want.Value(); ok {
				drawn.Want, drawn.HasWant = shareX(v), true
				drawn.Label += ", wanted " + row.Want
			}
			row.Plot = &drawn
		}
		p.Rows = append(p.Rows, row)
	}
	p.Bar = form.NewBar(form.Tile{Name: "not as wanted", Class: "violated", Count: counts["violated"]}, form.Tile{Name: "as wanted", Class: "satisfied", Count: counts["satisfied"]}, form.Tile{Name: "slow", Class: "unknown", Count: counts["unknown"]}, form.Tile{Name: "told", Class: "dormant", Count: counts["edited"] + counts["dormant"]})
	d.Tables = append(d.Tables, p)
}
