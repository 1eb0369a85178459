package proviso

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

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

// A copy must not keep the request alive that its texts are parts of.
func TestCloneBodySharesNoText(t *testing.T) {
	request := strings.Repeat("a whole request ", 100)
	part, other := request[3:9], request[16:25]
	for _, b := range []Body{
		&Message{Role: User, Text: part, Confirms: []string{other}},
		&ToolCall{ID: part, Tool: other, Args: JSON("{}"), Response: part, Index: 1},
		&ToolResult{CallID: part, Tool: other, Content: JSON("{}"), Text: part, IsError: true},
		&ToolList{Tools: []string{part, other}},
		&ModelRequest{Model: part, Text: other, Tools: []string{part}},
		&ModelResponse{ID: part, Text: other, Calls: []ToolCall{{ID: part, Tool: other}}},
		&Lifecycle{Kind: "start", Labels: []string{part}},
	} {
		c := CloneBody(b)
		if !reflect.DeepEqual(b, c) {
			t.Errorf("the copy of %+v is %+v", b, c)
		}
		for _, s := range texts(reflect.ValueOf(c)) {
			if from, to := unsafe.StringData(request), unsafe.StringData(s); uintptr(unsafe.Pointer(to))-uintptr(unsafe.Pointer(from)) < uintptr(len(request)) {
				t.Errorf("%T: the copy shares %q", b, s)
			}
		}
	}
}

// texts lists every string in a value.
func texts(v reflect.Value) (out []string) {
	switch v.Kind() {
	case reflect.String:
		return []string{v.String()}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return texts(v.Elem())
		}
	case reflect.Struct:
		for _, f := range v.Fields() {
			out = append(out, texts(f)...)
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, texts(v.Index(i))...)
		}
	}
	return out
}
