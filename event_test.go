package proviso

import "testing"

// Every body fits the points that carry it and no other, and nothing fits without a point or without a body.
func TestEventFits(t *testing.T) {
	for _, c := range []struct {
		body Body
		at   []Point
	}{
		{&ToolCall{}, []Point{ToolCallPoint}},
		{&ToolResult{}, []Point{ToolResultPoint}},
		{&Message{}, []Point{Input, Output}},
		{&ModelRequest{}, []Point{ModelRequestPoint}},
		{&ModelResponse{}, []Point{ModelResponsePoint}},
		{&ToolList{}, []Point{ToolListPoint}},
		{&Lifecycle{}, []Point{SessionStart, SessionEnd}},
		{nil, nil},
	} {
		want := map[Point]bool{}
		for _, p := range c.at {
			want[p] = true
		}
		for _, p := range append(Points(), NoPoint, Point(99)) {
			if e := (&Event{Point: p, Body: c.body}); e.Fits() != want[p] {
				t.Errorf("%T at %q: %v", c.body, p, e.Fits())
			}
		}
	}
}
