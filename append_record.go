package proviso

import (
	"fmt"
	"reflect"
	"strconv"
	"time"
)

// byHand returns how the types that every record holds are written, nil for others: field by field, but without reflection, which costs several times as much as the writing.
// They are written exactly as the tags of their fields say; a test compares.
func byHand(t reflect.Type) func(b []byte, v reflect.Value) ([]byte, error) {
	switch t {
	case reflect.TypeFor[Record]():
		return members((*object).record)
	case eventType:
		return members((*object).event)
	case reflect.TypeFor[Decision]():
		return members((*object).decision)
	case reflect.TypeFor[Kept]():
		return members((*object).kept)
	case reflect.TypeFor[Message]():
		return members((*object).message)
	case reflect.TypeFor[ToolCall]():
		return members((*object).call)
	case reflect.TypeFor[ToolResult]():
		return members((*object).result)
	case reflect.TypeFor[Lifecycle]():
		return members((*object).lifecycle)
	case reflect.TypeFor[ToolList]():
		return members((*object).tools)
	case reflect.TypeFor[ModelRequest]():
		return members((*object).request)
	case reflect.TypeFor[ModelResponse]():
		return members((*object).response)
	}
	return nil
}

// members makes a writer of what writes the members of a type.
func members[T any](write func(*object, *T)) func(b []byte, v reflect.Value) ([]byte, error) {
	return func(b []byte, v reflect.Value) ([]byte, error) {
		if v.CanAddr() {
			return appendObject(b, v.Addr().Interface().(*T), write)
		}
		x := v.Interface().(T)
		return appendObject(b, &x, write)
	}
}

// appendObject appends one object.
func appendObject[T any](b []byte, x *T, write func(*object, *T)) ([]byte, error) {
	o := object{b: b}
	inside(&o, "", x, write)
	return o.b, o.err
}

// object is an object that is being written. A lead is what stands before a value: comma, name and colon.
type object struct {
	b   []byte
	err error
}

func (o *object) text(lead, s string) {
	o.b = appendText(append(o.b, lead...), validText(s))
}

// some is text for what is left out where it is empty.
func (o *object) some(lead, s string) {
	if s != "" {
		o.text(lead, s)
	}
}

func (o *object) flag(lead string, is bool) {
	if is {
		o.b = append(append(o.b, lead...), "true"...)
	}
}

func (o *object) time(lead string, t time.Time) {
	b, err := t.AppendText(append(append(o.b, lead...), '"'))
	o.b = append(b, '"')
	o.note(err)
}

// list writes what seldom has members the slow way, from a pointer to it, and leaves it out where it has none.
func (o *object) list(lead string, n int, at any) {
	if n == 0 {
		return
	}
	var err error
	o.b, err = appendValue(append(o.b, lead...), reflect.ValueOf(at).Elem())
	o.note(err)
}

func (o *object) note(err error) {
	if o.err == nil {
		o.err = err
	}
}

func (o *object) raw(name string, raw JSON) {
	o.b = append(o.b, ',')
	if !inline(raw) {
		o.b = appendRaw(o.b, name, raw)
		return
	}
	o.b = append(append(append(append(o.b, '"'), name...), `":`...), raw...)
}

// inside writes a member that is an object of its own. Each of its members is written with a comma before it, and the first comma becomes the brace.
func inside[T any](o *object, lead string, x *T, write func(*object, *T)) {
	o.b = append(o.b, lead...)
	begin := len(o.b)
	write(o, x)
	if len(o.b) == begin {
		o.b = append(o.b, '{')
	}
	o.b[begin] = '{'
	o.b = append(o.b, '}')
}

func (o *object) record(r *Record) {
	inside(o, `,"event":`, &r.Event, (*object).event)
	inside(o, `,"decision":`, &r.Decision, (*object).decision)
	o.some(`,"phase":`, string(r.Phase))
	o.some(`,"args_hash":`, r.ArgsHash)
	o.list(`,"facts":`, len(r.Facts), &r.Facts)
	o.list(`,"stale":`, len(r.Stale), &r.Stale)
	o.list(`,"answers":`, len(r.Answers), &r.Answers)
	o.flag(`,"unverified":`, r.Unverified)
	o.flag(`,"changed":`, r.Changed)
	if r.DecidedAt != (time.Time{}) {
		o.time(`,"decided_at":`, r.DecidedAt)
	}
	if r.Approval != nil {
		o.list(`,"approval":`, 1, &r.Approval)
	}
	if r.Kept != nil {
		inside(o, `,"kept":`, r.Kept, (*object).kept)
	}
	o.flag(`,"redacted":`, r.Redacted)
}

func (o *object) event(e *Event) {
	o.text(`,"session":`, e.Session)
	o.b = strconv.AppendUint(append(o.b, `,"seq":`...), e.Seq, 10)
	o.time(`,"time":`, e.Time)
	o.text(`,"point":`, e.Point.String())
	o.list(`,"agents":`, len(e.Agents), &e.Agents)
	o.b = append(o.b, `,"body":`...)
	o.body(e.Body)
}

// body writes a body inside of an object that names its kind.
func (o *object) body(body Body) {
	begin := len(o.b)
	switch x := body.(type) {
	case *Message:
		named(o, `{"message":`, x, (*object).message)
	case *ToolCall:
		named(o, `{"tool_call":`, x, (*object).call)
	case *ToolResult:
		named(o, `{"tool_result":`, x, (*object).result)
	case *Lifecycle:
		named(o, `{"lifecycle":`, x, (*object).lifecycle)
	case *ToolList:
		named(o, `{"tool_list":`, x, (*object).tools)
	case *ModelRequest:
		named(o, `{"model_request":`, x, (*object).request)
	case *ModelResponse:
		named(o, `{"model_response":`, x, (*object).response)
	case nil:
	default:
		o.note(fmt.Errorf("encode JSON: no name for a body of type %T", body))
	}
	if len(o.b) == begin {
		o.b = append(o.b, "null"...)
	}
}

// named writes a body that is there behind the name of its kind.
func named[T any](o *object, lead string, x *T, write func(*object, *T)) {
	if x != nil {
		inside(o, lead, x, write)
		o.b = append(o.b, '}')
	}
}

func (o *object) decision(d *Decision) {
	o.text(`,"outcome":`, d.Outcome.String())
	o.text(`,"policy":`, d.Policy)
	o.list(`,"edits":`, len(d.Edits), &d.Edits)
	o.list(`,"notices":`, len(d.Notices), &d.Notices)
	o.list(`,"reasons":`, len(d.Reasons), &d.Reasons)
	o.list(`,"missing":`, len(d.Missing), &d.Missing)
	o.list(`,"errors":`, len(d.Errors), &d.Errors)
	o.flag(`,"approximate":`, d.Approximate)
	o.flag(`,"failed_open":`, d.FailedOpen)
}

func (o *object) kept(k *Kept) {
	o.list(`,"args":`, len(k.Args), &k.Args)
	o.list(`,"sent":`, len(k.Sent), &k.Sent)
	o.some(`,"hash":`, k.Hash)
	o.some(`,"known":`, k.Known)
	o.flag(`,"asked":`, k.Asked)
}

func (o *object) message(m *Message) {
	o.text(`,"role":`, string(m.Role))
	o.text(`,"text":`, m.Text)
	o.list(`,"confirms":`, len(m.Confirms), &m.Confirms)
}

func (o *object) call(c *ToolCall) {
	o.some(`,"id":`, c.ID)
	o.text(`,"tool":`, c.Tool)
	if len(c.Args) == 0 {
		o.b = append(o.b, `,"args":null`...)
	} else {
		o.raw("args", c.Args)
	}
	o.some(`,"response":`, c.Response)
	if c.Index != 0 {
		o.b = strconv.AppendInt(append(o.b, `,"index":`...), int64(c.Index), 10)
	}
}

func (o *object) result(r *ToolResult) {
	o.some(`,"call_id":`, r.CallID)
	o.text(`,"tool":`, r.Tool)
	if len(r.Content) > 0 {
		o.raw("content", r.Content)
	}
	o.some(`,"text":`, r.Text)
	o.flag(`,"is_error":`, r.IsError)
}

func (o *object) lifecycle(l *Lifecycle) {
	o.text(`,"kind":`, l.Kind)
	o.some(`,"name":`, l.Name)
	o.some(`,"user":`, l.User)
	o.list(`,"attributes":`, len(l.Attributes), &l.Attributes)
	o.list(`,"labels":`, len(l.Labels), &l.Labels)
}

func (o *object) tools(l *ToolList) {
	o.list(`,"tools":`, 1, &l.Tools)
}

func (o *object) request(r *ModelRequest) {
	o.some(`,"model":`, r.Model)
	o.text(`,"text":`, r.Text)
	o.list(`,"tools":`, len(r.Tools), &r.Tools)
}

func (o *object) response(r *ModelResponse) {
	o.some(`,"id":`, r.ID)
	o.text(`,"text":`, r.Text)
	o.list(`,"calls":`, len(r.Calls), &r.Calls)
}
