package report

import (
	"fmt"
	"math"
	"time"

	"github.com/proviso-dev/proviso/eval"
)

// The plots are drawn in these units; the page scales them.
const (
	plotWidth  = 260.0
	plotMargin = 12.0
)

// shareTicks are the shares that the axis of shares names.
var shareTicks = []float64{0, 0.01, 0.1, 0.5, 0.9, 0.99, 1}

// shareX is the place of a share on an axis that is stretched towards 0 and 1, where the figures lie: its logit, cut at one in two thousand.
func shareX(p float64) float64 {
	const end = 3.3 // log10 of 2,000 to 1
	at := math.Log10(p / (1 - p))
	at = math.Max(-end, math.Min(end, at))
	return plotMargin + (plotWidth-2*plotMargin)*(at+end)/(2*end)
}

// plotTick is a line of the axis.
type plotTick struct {
	X    float64
	Text string
}

func axis() []plotTick {
	var out []plotTick
	for _, p := range shareTicks {
		out = append(out, plotTick{shareX(p), fmt.Sprint(p)})
	}
	return out
}

// plot is one row of a drawing: an interval with its value, what it was before, and what is wanted. Label says it in words.
type plot struct {
	Label           string
	Ticks           []plotTick
	Class           string
	X, Low, High    float64
	Before, Want    float64
	HasOld, HasWant bool
}

func sharePlot(value float64, in eval.Interval, class string) plot {
	return plot{Label: fmt.Sprintf("%s, between %s and %s", eval.FormatValue(value), eval.FormatValue(in.Low), eval.FormatValue(in.High)),
		Ticks: axis(), Class: class, X: shareX(value), Low: shareX(in.Low), High: shareX(in.High)}
}

// gainPlot draws a gain on an axis around 0 that is as wide as it has to be.
func gainPlot(c *eval.Comparison) plot {
	wide := 0.01
	for _, step := range []float64{0.02, 0.05, 0.1, 0.2, 0.5, 1} {
		if math.Max(math.Abs(c.Range.Low), math.Abs(c.Range.High)) > wide {
			wide = step
		}
	}
	x := func(v float64) float64 { return plotWidth/2 + (plotWidth/2-plotMargin)*v/wide }
	class := "edited"
	switch {
	case c.Range.Low > 0:
		class = "satisfied"
	case c.Range.High < 0:
		class = "violated"
	}
	p := plot{Label: "gain " + gain(c), Class: class, X: x(c.Gain), Low: x(c.Range.Low), High: x(c.Range.High)}
	for _, v := range []float64{-wide, 0, wide} {
		p.Ticks = append(p.Ticks, plotTick{x(v), fmt.Sprintf("%+g", v)})
	}
	p.Ticks[1].Text = "0"
	return p
}

// column is one bar of a histogram of times.
type column struct {
	X, Y, Width, Height float64
	Label               string
}

type histogram struct {
	Label   string
	Columns []column
	Ticks   []plotTick
}

// times draws how long cases took, three columns to a factor of ten.
func times(r *eval.Run) *histogram {
	if len(r.Took) == 0 {
		return nil
	}
	bucket := func(d time.Duration) int { return int(math.Floor(3 * math.Log10(math.Max(float64(d), 1)))) }
	counts := map[int]int{}
	low, high, most := math.MaxInt, math.MinInt, 0
	for _, d := range r.Took {
		b := bucket(d)
		counts[b]++
		low, high, most = min(low, b), max(high, b), max(most, counts[b])
	}
	low, high = low-1, high+1
	h := &histogram{Label: fmt.Sprintf("time per case: %s in the middle, %s at 99 %%", short(r.Percentile(0.5)), short(r.Percentile(0.99)))}
	width := (plotWidth - 2*plotMargin) / float64(high-low+1)
	start := func(b int) time.Duration { return time.Duration(math.Pow(10, float64(b)/3)) }
	for b := low; b <= high; b++ {
		x := plotMargin + width*float64(b-low)
		if n := counts[b]; n > 0 {
			height := 50 * float64(n) / float64(most)
			h.Columns = append(h.Columns, column{x + 0.05*width, 54 - height, 0.9 * width, height, fmt.Sprintf("%s cases from %s", eval.FormatCount(n), short(start(b)))})
		}
		if b%3 == 0 {
			h.Ticks = append(h.Ticks, plotTick{x, short(start(b))})
		}
	}
	return h
}
