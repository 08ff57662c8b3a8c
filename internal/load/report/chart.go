package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// chart is a picture of lines over a common axis, drawn as SVG: without scripts, so
// that a report can forbid them.
type chart struct {
	Title string
	Note  string
	x, y  axis
	lines []line
	// tips tell the figures at places of the x axis, in words.
	tips []tip
	// shade is what lies before that place: the warm-up.
	shade float64
}

// axis maps values to a picture. Its ends come from the lines.
type axis struct {
	log   bool // from is above 0 then
	from  float64
	to    float64
	show  func(float64) string
	ticks []float64 // nil: round figures
}

type line struct {
	name   string
	color  int // of the palette, from 1 on
	points []point
}

// point is a place of a line; where y is not a number there is a gap.
type point struct{ x, y float64 }

type tip struct {
	x    float64
	text string
}

// The picture, in its own units; it grows with the page.
const (
	chartWidth  = 560.0
	chartHeight = 220.0
	marginLeft  = 66.0
	marginRight = 16.0
	marginTop   = 12.0
	marginLow   = 30.0
)

// fit takes the ends of both axes from the lines, if they are not given.
func (c *chart) fit() {
	x, y := span{}, span{}
	for _, l := range c.lines {
		for _, p := range l.points {
			if !math.IsNaN(p.y) {
				x.take(p.x)
				y.take(p.y)
			}
		}
	}
	c.x.fit(x)
	c.y.fit(y)
}

type span struct {
	from, to float64
	any      bool
}

func (s *span) take(v float64) {
	if !s.any {
		s.from, s.to, s.any = v, v, true
	}
	s.from, s.to = min(s.from, v), max(s.to, v)
}

func (a *axis) fit(s span) {
	if a.from == a.to {
		a.from, a.to = s.from, s.to
		if a.log {
			a.from = math.Pow(10, math.Floor(math.Log10(max(s.from, 1))))
			a.to = math.Pow(10, math.Ceil(math.Log10(max(s.to, 1))))
		}
	}
	if a.from == a.to {
		a.to = a.from + 1
		if a.log {
			a.to = a.from * 10
		}
	}
}

// share is where a value lies between the ends, 0 to 1.
func (a axis) share(v float64) float64 {
	if a.log {
		return math.Log(max(v, a.from)/a.from) / math.Log(a.to/a.from)
	}
	return (v - a.from) / (a.to - a.from)
}

// marks are the values that are written beside the axis.
func (a axis) marks() []float64 {
	if a.ticks != nil {
		return a.ticks
	}
	var all []float64
	if a.log {
		for v := a.from; v <= a.to*1.001; v *= 10 {
			all = append(all, v)
		}
		return all
	}
	const wanted = 5
	step := math.Pow(10, math.Floor(math.Log10((a.to-a.from)/wanted)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if (a.to-a.from)/(step*factor) <= wanted {
			step *= factor
			break
		}
	}
	for v := math.Ceil(a.from/step) * step; v <= a.to+step/1000; v += step {
		all = append(all, v)
	}
	return all
}

func (c *chart) left(v float64) float64 {
	return marginLeft + c.x.share(v)*(chartWidth-marginLeft-marginRight)
}

func (c *chart) top(v float64) float64 {
	return chartHeight - marginLow - c.y.share(v)*(chartHeight-marginLow-marginTop)
}

// SVG draws it.
func (c *chart) SVG() template.HTML {
	c.fit()
	var b strings.Builder
	write := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format, args...) }
	write(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWidth, chartHeight, html.EscapeString(c.Title))
	low, right := chartHeight-marginLow, chartWidth-marginRight
	if c.shade > c.x.from {
		write(`<rect class="shade" x="%.1f" y="%g" width="%.1f" height="%.1f"><title>warm-up</title></rect>`,
			marginLeft, marginTop, c.left(min(c.shade, c.x.to))-marginLeft, low-marginTop)
	}
	for _, v := range c.y.marks() {
		y := c.top(v)
		write(`<line class="grid" x1="%g" y1="%.1f" x2="%g" y2="%.1f"/>`, marginLeft, y, right, y)
		write(`<text class="y" x="%g" y="%.1f">%s</text>`, marginLeft-8, y+4, html.EscapeString(c.y.show(v)))
	}
	for _, v := range c.x.marks() {
		x := c.left(v)
		write(`<line class="tick" x1="%.1f" y1="%g" x2="%.1f" y2="%g"/>`, x, low, x, low+4)
		write(`<text class="x" x="%.1f" y="%g">%s</text>`, x, low+18, html.EscapeString(c.x.show(v)))
	}
	write(`<line class="axis" x1="%g" y1="%g" x2="%g" y2="%g"/>`, marginLeft, low, right, low)
	for _, l := range c.lines {
		write(`<path class="line c%d" d="%s"/>`, l.color, c.path(l.points))
	}
	c.drawTips(write)
	write(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // figures, and texts that were escaped
}

// path is a line of SVG, broken where there are gaps. A point between gaps is drawn
// as a dot.
func (c *chart) path(points []point) string {
	var b strings.Builder
	pen := "M"
	for i, p := range points {
		if math.IsNaN(p.y) {
			pen = "M"
			continue
		}
		_, _ = fmt.Fprintf(&b, "%s%.1f %.1f", pen, c.left(p.x), c.top(p.y))
		if pen == "M" && (i+1 == len(points) || math.IsNaN(points[i+1].y)) {
			b.WriteString("h.1")
		}
		pen = "L"
	}
	return b.String()
}

// drawTips lays strips over the picture that tell their figures when they are
// pointed at.
func (c *chart) drawTips(write func(string, ...any)) {
	for i, t := range c.tips {
		from, to := c.left(t.x), chartWidth-marginRight
		if i > 0 {
			from = (c.left(c.tips[i-1].x) + from) / 2
		}
		if i+1 < len(c.tips) {
			to = (c.left(t.x) + c.left(c.tips[i+1].x)) / 2
		}
		write(`<rect class="tip" x="%.1f" y="%g" width="%.1f" height="%.1f"><title>%s</title></rect>`,
			from, marginTop, max(0, to-from), chartHeight-marginLow-marginTop, html.EscapeString(t.text))
	}
}

// Legend names the lines, if there are several.
func (c *chart) Legend() []legend {
	if len(c.lines) < 2 {
		return nil
	}
	var all []legend
	for _, l := range c.lines {
		all = append(all, legend{fmt.Sprintf("c%d", l.color), l.name})
	}
	return all
}

type legend struct{ Class, Name string }
