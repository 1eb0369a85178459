package llm

import (
	"errors"

	"github.com/proviso-dev/proviso"
)

// messageKeys are the keys under which the formats keep the turns of a conversation.
var messageKeys = map[string]bool{"messages": true, "input": true, "output": true, "items": true}

// Decode reads the JSON of a recording. Where the text was cut off, cut is true and the value holds the turns that are complete; a turn that is not is left out whole, because half a turn may say something else.
// An error is a *proviso.JSONError for the text as it is.
func Decode(b []byte) (doc any, cut bool, err error) {
	doc, err = proviso.DecodeResultJSON(b)
	var je *proviso.JSONError
	if err == nil || !errors.As(err, &je) || je.Offset < len(b) {
		return doc, false, err
	}
	whole, ok := closed(b)
	if !ok {
		return nil, false, err
	}
	doc, again := proviso.DecodeResultJSON(whole)
	if again != nil {
		return nil, false, err
	}
	return doc, true, nil
}

// container is an object or list that is open while scanning.
type container struct {
	close byte
	key   string // the key of the object's current member, or of the member that this list is
	end   int    // where its last complete element ends
	turns bool   // a list of turns
}

// closed ends a cut-off text after the last complete element of the list of turns that is open, or of the outermost open list where no list is known to hold turns.
func closed(b []byte) ([]byte, bool) {
	var stack []container
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '{', '[':
			n := container{close: c + 2, end: i + 1}
			if len(stack) > 0 {
				up := stack[len(stack)-1]
				n.turns = c == '[' && up.close == '}' && messageKeys[up.key]
			}
			stack = append(stack, n)
		case '}', ']':
			if len(stack) == 0 || stack[len(stack)-1].close != c {
				return nil, false
			}
			if stack = stack[:len(stack)-1]; len(stack) > 0 {
				stack[len(stack)-1].end = i + 1
			}
		case '"':
			end := stringEnd(b, i)
			if end < 0 {
				i = len(b)
				continue
			}
			if len(stack) > 0 && keyFollows(b, end) {
				stack[len(stack)-1].key = string(b[i+1 : end-1])
			} else if len(stack) > 0 && stack[len(stack)-1].close == ']' {
				stack[len(stack)-1].end = end
			}
			i = end - 1
		}
	}
	at := -1
	for i, c := range stack {
		if c.turns || at < 0 && c.close == ']' {
			at = i
		}
		if c.turns {
			break
		}
	}
	if at < 0 {
		return nil, false
	}
	out := append([]byte(nil), b[:stack[at].end]...)
	for i := at; i >= 0; i-- {
		out = append(out, stack[i].close)
	}
	return out, true
}

// stringEnd returns the offset behind the string that starts at i, -1 where it is cut off.
func stringEnd(b []byte, i int) int {
	for j := i + 1; j < len(b); j++ {
		switch b[j] {
		case '\\':
			j++
		case '"':
			return j + 1
		}
	}
	return -1
}

func keyFollows(b []byte, i int) bool {
	for ; i < len(b); i++ {
		if c := b[i]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c == ':'
		}
	}
	return false
}
