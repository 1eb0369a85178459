package importer

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// Cedar reads policies in Cedar (read by cedar-go 1.9), with the entities that lie beside them in entities.json.
//
// An action is a tool and the context its arguments; context.input is read as the arguments where a policy uses it, as Amazon Bedrock AgentCore does. What ToolHive writes, action call_tool on resource Tool::"x" with context.arg_y, is tool x with argument y.
// A permit becomes a grant and a forbid a rule, which is Cedar's own way of joining them. Who acts and on what the door says: the session's attributes principal and resource, such as User::"alice".
// A forbid that cannot be evaluated forbids, where Cedar passes it over; what is not in entities.json belongs to no group in a permit, and to every group in a forbid.
var Cedar = &Format{
	Name: "cedar",
	Doc:  "Policies in Cedar, with entities.json and tools.json beside them. Actions are tools, and the context is their arguments.",
	Read: readCedar,
}

type cedarReader struct {
	*sheet
	input    bool                      // the context has the arguments below input
	parents  map[string][]string       // all ancestors of an entity
	attrs    map[string]map[string]any // by name, the values of an attribute by entity
	refs     map[string]bool           // attributes whose values are entities
	known    bool                      // there is a file of entities
	at       string                    // the policy, for messages
	toolhive bool
}

func readCedar(r *Reader, name string) map[string][]byte {
	src, ok := r.file(name)
	if !ok {
		return nil
	}
	list, err := cedar.NewPolicyListFromBytes(path.Base(name), src)
	if err != nil {
		r.unreadable(name, "%v", err)
		return nil
	}
	c := &cedarReader{sheet: newSheet(r, name, "Who may do what")}
	return c.read(list, nil)
}

// read imports policies; beyond gives, for some of them by number, a further condition that Cedar does not have.
func (c *cedarReader) read(list cedar.PolicyList, beyond map[int]func(s side, tools []string) any) map[string][]byte {
	if !c.beside() || !c.entities() {
		return nil
	}
	for _, p := range list {
		c.survey((*ast.Policy)(p.AST()))
	}
	for _, attribute := range []string{"principal", "resource"} {
		c.session[attribute] = map[string]any{"type": "string"}
	}
	for i, p := range list {
		c.policy(i, (*ast.Policy)(p.AST()), string(p.MarshalCedar()), beyond[i])
	}
	return c.files()
}

// entities reads entities.json beside the policies, into one table of ancestors and one for each attribute.
func (c *cedarReader) entities() bool {
	name := path.Join(path.Dir(c.file), "entities.json")
	if _, err := fs.Stat(c.r.fsys, name); err != nil {
		return true
	}
	b, ok := c.r.file(name)
	if !ok {
		return false
	}
	v, err := proviso.DecodeJSON(b)
	list, isList := v.([]any)
	if err != nil || !isList {
		c.r.unreadable(name, "not a list of entities: %v", err)
		return false
	}
	c.known, c.parents, c.attrs, c.refs = true, map[string][]string{}, map[string]map[string]any{}, map[string]bool{}
	direct := map[string][]string{}
	for _, e := range list {
		m, _ := e.(map[string]any)
		uid, isRef := cedarRef(m["uid"])
		if !isRef {
			c.r.unreadable(name, "an entity has no uid")
			return false
		}
		parents, _ := m["parents"].([]any)
		for _, p := range parents {
			if ref, isRef := cedarRef(p); isRef {
				direct[uid] = append(direct[uid], ref)
			}
		}
		attrs, _ := m["attrs"].(map[string]any)
		for k, v := range attrs {
			if c.attrs[k] == nil {
				c.attrs[k] = map[string]any{}
				_, c.refs[k] = cedarRef(v)
			}
			if _, isRef := cedarRef(v); isRef != c.refs[k] {
				c.r.foreign(name, "give every entity the same type of it", "the attribute %s is an entity here and another value there", k)
			}
			c.attrs[k][uid] = cedarData(v)
		}
	}
	for uid := range direct {
		for todo := slices.Clone(direct[uid]); len(todo) > 0; todo = todo[1:] {
			if !slices.Contains(c.parents[uid], todo[0]) {
				c.parents[uid] = append(c.parents[uid], todo[0])
				todo = append(todo, direct[todo[0]]...)
			}
		}
		slices.Sort(c.parents[uid])
	}
	c.tables["ancestors"] = c.parents
	return true
}

// cedarRef reads a reference to an entity, {type, id} or that below __entity.
func cedarRef(v any) (string, bool) {
	m, _ := v.(map[string]any)
	if inner, has := m["__entity"].(map[string]any); has {
		m = inner
	}
	t, isType := m["type"].(string)
	id, isID := m["id"].(string)
	return cedarUID(t, id), isType && isID && len(m) == 2
}

func cedarUID(t, id string) string { return t + `::"` + id + `"` }

// cedarData is a value with references as texts.
func cedarData(v any) any {
	if ref, isRef := cedarRef(v); isRef {
		return ref
	}
	if list, isList := v.([]any); isList {
		out := make([]any, len(list))
		for i, e := range list {
			out[i] = cedarData(e)
		}
		return out
	}
	return v
}

// survey finds the tools that a policy names, and where its context has the arguments.
func (c *cedarReader) survey(p *ast.Policy) {
	for _, u := range cedarUIDs(p.Action) {
		c.tools[string(u.ID)] = true
	}
	if u := cedarUIDs(p.Action); len(u) == 1 && u[0].ID == "call_tool" {
		if r := cedarUIDs(p.Resource); len(r) == 1 && strings.HasSuffix(string(r[0].Type), "Tool") {
			delete(c.tools, "call_tool")
			c.tools[string(r[0].ID)], c.toolhive = true, true
		}
	}
	for _, cond := range p.Conditions {
		ast.Inspect(ast.NewNode(cond.Body), func(n ast.IsNode) bool {
			if a, is := n.(ast.NodeTypeAccess); is && a.Value == "input" {
				if v, is := a.Arg.(ast.NodeTypeVariable); is && v.Name == "context" {
					c.input = true
				}
			}
			return true
		})
	}
}

func cedarUIDs(scope any) []types.EntityUID {
	switch s := scope.(type) {
	case ast.ScopeTypeEq:
		return []types.EntityUID{s.Entity}
	case ast.ScopeTypeIn:
		return []types.EntityUID{s.Entity}
	case ast.ScopeTypeInSet:
		return s.Entities
	}
	return nil
}

// policy imports one policy.
func (c *cedarReader) policy(n int, p *ast.Policy, source string, beyond func(s side, tools []string) any) {
	c.at = fmt.Sprintf("policy%d", n)
	for _, a := range p.Annotations {
		if a.Key == "id" {
			c.at = string(a.Value)
		}
	}
	permit, s := p.Effect == ast.EffectPermit, most
	if permit {
		s = least
	}
	tools, resource := c.names(), any(p.Resource)
	if ids := cedarUIDs(p.Action); len(ids) > 0 {
		named := map[string]bool{}
		for _, u := range ids {
			named[string(u.ID)] = true
		}
		if r := cedarUIDs(p.Resource); c.toolhive && named["call_tool"] && len(r) == 1 {
			named, resource = map[string]bool{string(r[0].ID): true}, ast.ScopeTypeAll{}
		}
		_, group := p.Action.(ast.ScopeTypeIn)
		if group {
			c.r.narrower(c.file, "list the actions with in [...]", "%s: which actions are in a group is not known; a permit means the action of that name alone, a forbid all", c.at)
		}
		if !group || permit {
			tools = c.matching(func(t string) bool { return named[t] })
		}
	}
	parts := []any{c.scope(p.Principal, "principal", s), c.scope(resource, "resource", s)}
	for _, cond := range p.Conditions {
		if cond.Condition == ast.ConditionWhen {
			parts = append(parts, celBool(c.truth(cond.Body, s)))
		} else {
			parts = append(parts, celBool(negated(c.truth(cond.Body, !s))))
		}
	}
	if beyond != nil {
		parts = append(parts, beyond(s, tools))
	}
	id := c.id(c.at)
	when := all(parts...)
	if len(tools) == 0 {
		c.r.narrower(c.file, "list the agent's tools in tools.json", "%s speaks of no tool that is known", c.at)
	}
	if permit {
		c.clause(id, "Permitted: %s", cedarSource(source))
		if when != false && len(tools) > 0 {
			c.grant(tools, when)
		}
		return
	}
	c.clause(id, "Forbidden: %s", cedarSource(source))
	c.fires(id, id, tools, when, map[string]any{"message": "This is forbidden by " + c.at + "."})
}

func celBool(s string) any {
	switch s {
	case "true", "!false":
		return true
	case "false", "!true":
		return false
	}
	return s
}

// cedarSource is a policy in one line.
func cedarSource(source string) string {
	text := []rune(strings.Join(strings.Fields(source), " "))
	if len(text) > 400 {
		text = append(text[:400], []rune(" …")...)
	}
	return quoted(string(text))
}

// scope is what the head of a policy wants of who acts, or on what.
func (c *cedarReader) scope(scope any, name string, s side) any {
	x := "session." + name
	var test string
	switch t := scope.(type) {
	case ast.ScopeTypeEq:
		test = x + " == " + celText(cedarUID(string(t.Entity.Type), string(t.Entity.ID)))
	case ast.ScopeTypeIn:
		test = c.within(x, celText(cedarUID(string(t.Entity.Type), string(t.Entity.ID))), s)
	case ast.ScopeTypeIs:
		test = x + ".startsWith(" + celText(string(t.Type)+`::"`) + ")"
	case ast.ScopeTypeIsIn:
		test = joined(" && ", "true", []string{x + ".startsWith(" + celText(string(t.Type)+`::"`) + ")", c.within(x, celText(cedarUID(string(t.Entity.Type), string(t.Entity.ID))), s)})
	default:
		return true
	}
	return celBool(guarded([]string{"has(" + x + ")"}, test, s))
}

// within is whether an entity is another one or below it.
func (c *cedarReader) within(a, b string, s side) string {
	if c.known {
		return fmt.Sprintf("(%[1]s == %[2]s || %[1]s in data.ancestors && %[2]s in data.ancestors[%[1]s])", a, b)
	}
	c.r.narrower(c.file, "lay the entities beside the policies as entities.json", "which entities are in which is not known; a permit means the entity itself alone, a forbid holds for all")
	if s == most {
		return "true"
	}
	return a + " == " + b
}

// guarded holds where what an expression needs is there, and it is true; where more harm is done by false, also where something is missing.
func guarded(needs []string, test string, s side) string {
	if len(needs) == 0 {
		return test
	}
	if s == least && test == "true" {
		test = needs[0]
		needs = needs[1:]
	}
	seen := map[string]bool{}
	needs = slices.DeleteFunc(slices.Clone(needs), func(n string) bool {
		again := seen[n]
		seen[n] = true
		return again
	})
	if s == least {
		return joined(" && ", "true", append(needs, test))
	}
	for i, n := range needs {
		needs[i] = negated(n)
	}
	return joined(" || ", "false", append(needs, test))
}

// truth is an expression as a condition. An error in Cedar fails the whole policy, even beside something that decides; a condition of ours would be content with that, so that a permit asks whether what comes first can be evaluated.
func (c *cedarReader) truth(n ast.IsNode, s side) string {
	switch n := n.(type) {
	case ast.NodeTypeAnd:
		return joined(" && ", "true", []string{c.truth(n.Left, s), c.truth(n.Right, s)})
	case ast.NodeTypeOr:
		right := c.truth(n.Right, s)
		if s == least {
			right = both(c.sound(n.Left), right)
		}
		return joined(" || ", "false", []string{c.truth(n.Left, s), right})
	case ast.NodeTypeNot:
		if s == least {
			return both(c.sound(n.Arg), negated(c.truth(n.Arg, most)))
		}
		return negated(c.truth(n.Arg, least))
	case ast.NodeTypeIfThenElse:
		if s == least {
			return joined(" || ", "false", []string{both(c.truth(n.If, least), c.truth(n.Then, least)), both(both(c.sound(n.If), negated(c.truth(n.If, most))), c.truth(n.Else, least))})
		}
		return joined(" && ", "true", []string{joined(" || ", "false", []string{negated(c.truth(n.If, least)), c.truth(n.Then, most)}), joined(" || ", "false", []string{c.truth(n.If, most), c.truth(n.Else, most)})})
	case ast.NodeValue:
		if b, is := n.Value.(types.Boolean); is {
			return fmt.Sprint(bool(b))
		}
	}
	e := c.leaf(n, s)
	return guarded(e.needs, e.text, s)
}

// sound is where an expression certainly evaluates without an error: every leaf that Cedar comes to has what it needs.
func (c *cedarReader) sound(n ast.IsNode) string {
	switch n := n.(type) {
	case ast.NodeTypeAnd:
		return both(c.sound(n.Left), either(negated(c.truth(n.Left, most)), c.sound(n.Right)))
	case ast.NodeTypeOr:
		return both(c.sound(n.Left), either(c.truth(n.Left, least), c.sound(n.Right)))
	case ast.NodeTypeNot:
		return c.sound(n.Arg)
	case ast.NodeTypeIfThenElse:
		return both(c.sound(n.If), either(both(c.truth(n.If, least), c.sound(n.Then)), both(negated(c.truth(n.If, most)), c.sound(n.Else))))
	case ast.NodeValue:
		return "true"
	}
	return guarded(c.leaf(n, least).needs, "true", least)
}

// both and either join two conditions, without what changes nothing.
func both(a, b string) string {
	switch {
	case a == "true":
		return b
	case b == "true":
		return a
	}
	return joined(" && ", "true", []string{a, b})
}

func either(a, b string) string {
	if a == "true" || b == "true" {
		return "true"
	}
	return joined(" || ", "false", []string{a, b})
}

// cedarExpr is an expression: its text, what has to be there so that it can be read, and what is known of its value.
type cedarExpr struct {
	text   string
	needs  []string
	kind   cedarKind
	decode string // ip or decimal: what the value was made of
}

type cedarKind uint8

const (
	cedarPlain  cedarKind = iota // written out, or of a table
	cedarOpen                    // of the call: any type
	cedarEntity                  // the name of an entity
)

func (c *cedarReader) refuse(what string) cedarExpr {
	c.r.foreign(c.file, "write the rule by hand", "%s: %s", c.at, what)
	return cedarExpr{text: "false"}
}

// typed adds the test that a value of the call has a type, where a permit rests on it: Cedar fails for another one.
func typed(e cedarExpr, typ string, s side) []string {
	if e.kind == cedarOpen && s == least {
		return append(slices.Clone(e.needs), "type("+e.text+") == "+typ)
	}
	return e.needs
}

var cedarCompare = map[string]string{"lessThan": "<", "lessThanOrEqual": "<=", "greaterThan": ">", "greaterThanOrEqual": ">="}

// leaf is an expression without connectives that is true or false.
func (c *cedarReader) leaf(n ast.IsNode, s side) cedarExpr {
	order := func(b ast.BinaryNode, op string) cedarExpr {
		l, r := c.value(b.Left), c.value(b.Right)
		return cedarExpr{text: l.text + " " + op + " " + r.text, needs: append(slices.Clone(typed(l, "int", s)), typed(r, "int", s)...)}
	}
	equal := func(b ast.BinaryNode, op string) cedarExpr {
		l, r := c.value(b.Left), c.value(b.Right)
		if l.decode != r.decode && (l.kind == cedarOpen || r.kind == cedarOpen) {
			l, r = c.decoded(l, r.decode, s), c.decoded(r, l.decode, s)
		}
		if (l.kind == cedarEntity) != (r.kind == cedarEntity) {
			return c.refuse("it compares an entity with something else")
		}
		return cedarExpr{text: l.text + " " + op + " " + r.text, needs: append(slices.Clone(l.needs), r.needs...)}
	}
	members := func(b ast.BinaryNode, form string) cedarExpr {
		l, r := c.value(b.Left), c.value(b.Right)
		needs := r.needs
		if strings.Contains(form, "e in") { // the other side is a set as well
			needs = typed(r, "list", s)
		}
		return cedarExpr{text: fmt.Sprintf(form, l.text, r.text), needs: append(slices.Clone(typed(l, "list", s)), needs...)}
	}
	switch n := n.(type) {
	case ast.NodeTypeEquals:
		return equal(n.BinaryNode, "==")
	case ast.NodeTypeNotEquals:
		return equal(n.BinaryNode, "!=")
	case ast.NodeTypeLessThan:
		return order(n.BinaryNode, "<")
	case ast.NodeTypeLessThanOrEqual:
		return order(n.BinaryNode, "<=")
	case ast.NodeTypeGreaterThan:
		return order(n.BinaryNode, ">")
	case ast.NodeTypeGreaterThanOrEqual:
		return order(n.BinaryNode, ">=")
	case ast.NodeTypeContains:
		return members(n.BinaryNode, "%[2]s in %[1]s")
	case ast.NodeTypeContainsAll:
		return members(n.BinaryNode, "%[2]s.all(e, e in %[1]s)")
	case ast.NodeTypeContainsAny:
		return members(n.BinaryNode, "%[2]s.exists(e, e in %[1]s)")
	case ast.NodeTypeIsEmpty:
		x := c.value(n.Arg)
		return cedarExpr{text: x.text + " == []", needs: typed(x, "list", s)}
	case ast.NodeTypeIn:
		a := c.value(n.Left)
		var ways []string
		needs := a.needs
		targets := []ast.IsNode{n.Right}
		if set, is := n.Right.(ast.NodeTypeSet); is {
			targets = set.Elements
		}
		for _, t := range targets {
			b := c.value(t)
			if a.kind != cedarEntity || b.kind != cedarEntity {
				return c.refuse("in of something that is no entity")
			}
			needs = append(slices.Clone(needs), b.needs...)
			ways = append(ways, c.within(a.text, b.text, s))
		}
		return cedarExpr{text: joined(" || ", "false", ways), needs: needs}
	case ast.NodeTypeIs:
		x := c.value(n.Left)
		if x.kind != cedarEntity {
			return c.refuse("is of something that is no entity")
		}
		return cedarExpr{text: x.text + ".startsWith(" + celText(string(n.EntityType)+`::"`) + ")", needs: x.needs}
	case ast.NodeTypeHas:
		x := c.value(n.Arg)
		if x.kind == cedarEntity {
			if _, known := c.attrs[string(n.Value)]; !known {
				if !c.known && s == most {
					return cedarExpr{text: "true"}
				}
				return cedarExpr{text: "false"}
			}
			return cedarExpr{text: x.text + " in data." + c.attribute(string(n.Value)), needs: x.needs}
		}
		field, ok := c.field(x, string(n.Value))
		if !ok {
			return cedarExpr{text: "false"}
		}
		return cedarExpr{text: "has(" + field + ")", needs: x.needs}
	case ast.NodeTypeLike:
		x := c.value(n.Arg)
		return cedarExpr{text: x.text + ".matches(" + celPattern(cedarLike(n.Value)) + ")", needs: typed(x, "string", s)}
	case ast.NodeTypeExtensionCall:
		return c.extension(n, s)
	case ast.NodeTypeAccess, ast.NodeTypeVariable:
		x := c.value(n)
		return cedarExpr{text: x.text + " == true", needs: typed(x, "bool", s)}
	}
	return c.refuse(fmt.Sprintf("%T is no condition here", n))
}

// decoded reads a text of the call as an address or a decimal number.
func (c *cedarReader) decoded(e cedarExpr, as string, s side) cedarExpr {
	if as == "" || e.decode == as {
		return e
	}
	needs := typed(e, "string", s)
	if as == "decimal" && s == least {
		needs = append(slices.Clone(needs), e.text+`.matches(r'\A-?[0-9]+\.[0-9]{1,4}\z')`)
	}
	return cedarExpr{text: map[string]string{"ip": "ip", "decimal": "double"}[as] + "(" + e.text + ")", needs: needs, decode: as}
}

// extension is a call of a method that Cedar's extension types have.
func (c *cedarReader) extension(n ast.NodeTypeExtensionCall, s side) cedarExpr {
	if len(n.Args) == 0 {
		return c.refuse(string(n.Name) + " of nothing")
	}
	if op := cedarCompare[string(n.Name)]; op != "" && len(n.Args) == 2 {
		l, r := c.decoded(c.value(n.Args[0]), "decimal", s), c.decoded(c.value(n.Args[1]), "decimal", s)
		return cedarExpr{text: l.text + " " + op + " " + r.text, needs: append(slices.Clone(l.needs), r.needs...)}
	}
	x := c.decoded(c.value(n.Args[0]), "ip", s)
	switch n.Name {
	case "isIpv4":
		return cedarExpr{text: x.text + ".family() == 4", needs: x.needs}
	case "isIpv6":
		return cedarExpr{text: x.text + ".family() == 6", needs: x.needs}
	case "isLoopback":
		return cedarExpr{text: x.text + ".isLoopback()", needs: x.needs}
	case "isMulticast":
		return cedarExpr{text: fmt.Sprintf("(cidr('224.0.0.0/4').containsIP(%[1]s) || cidr('ff00::/8').containsIP(%[1]s))", x.text), needs: x.needs}
	case "isInRange":
		if lit, is := cedarLiteral(n.Args[1], "ip"); is && len(n.Args) == 2 {
			if strings.Contains(lit, "/") {
				return cedarExpr{text: "cidr(" + celText(lit) + ").containsIP(" + x.text + ")", needs: x.needs}
			}
			return cedarExpr{text: x.text + " == ip(" + celText(lit) + ")", needs: x.needs}
		}
	}
	return c.refuse("the function " + string(n.Name))
}

// cedarLiteral reads ip("…") and decimal("…").
func cedarLiteral(n ast.IsNode, name string) (string, bool) {
	call, is := n.(ast.NodeTypeExtensionCall)
	if !is || string(call.Name) != name || len(call.Args) != 1 {
		return "", false
	}
	v, is := call.Args[0].(ast.NodeValue)
	if !is {
		return "", false
	}
	text, is := v.Value.(types.String)
	return string(text), is
}

// field is a member of a record of the call.
func (c *cedarReader) field(x cedarExpr, name string) (string, bool) {
	if x.text == "args" && c.toolhive {
		name = strings.TrimPrefix(name, "arg_")
	}
	if !fieldName(name) {
		c.r.foreign(c.file, "rename the argument, or write the rule by hand", "%s: conditions cannot name an argument %q", c.at, name)
		return "", false
	}
	return x.text + "." + name, true
}

var cedarName = lazyregexp.New(`[^A-Za-z0-9_]`)

// attribute is the table of an attribute's values.
func (c *cedarReader) attribute(name string) string {
	table := "attribute_" + cedarName.ReplaceAllString(name, "_")
	c.tables[table] = c.attrs[name]
	return table
}

// value is an expression of any type.
func (c *cedarReader) value(n ast.IsNode) cedarExpr {
	switch n := n.(type) {
	case ast.NodeTypeVariable:
		switch n.Name {
		case "context":
			return cedarExpr{text: "args", kind: cedarOpen}
		case "action":
			return cedarExpr{text: `'Action::"' + tool + '"'`, kind: cedarEntity}
		}
		return cedarExpr{text: "session." + string(n.Name), needs: []string{"has(session." + string(n.Name) + ")"}, kind: cedarEntity}
	case ast.NodeTypeAccess:
		x := c.value(n.Arg)
		if x.kind == cedarEntity {
			if _, known := c.attrs[string(n.Value)]; !known {
				return cedarExpr{text: "false", needs: append(slices.Clone(x.needs), "false")} // nobody has it
			}
			table := c.attribute(string(n.Value))
			kind := cedarPlain
			if c.refs[string(n.Value)] {
				kind = cedarEntity
			}
			return cedarExpr{text: "data." + table + "[" + x.text + "]", needs: append(slices.Clone(x.needs), x.text+" in data."+table), kind: kind}
		}
		if x.text == "args" && n.Value == "input" && c.input {
			return x
		}
		field, ok := c.field(x, string(n.Value))
		if !ok {
			return cedarExpr{text: "false"}
		}
		return cedarExpr{text: field, needs: append(slices.Clone(x.needs), "has("+field+")"), kind: cedarOpen}
	case ast.NodeTypeSet:
		var parts, needs []string
		for _, e := range n.Elements {
			x := c.value(e)
			parts, needs = append(parts, x.text), append(needs, x.needs...)
		}
		return cedarExpr{text: "[" + strings.Join(parts, ", ") + "]", needs: needs}
	case ast.NodeTypeAdd:
		return c.arithmetic(n.BinaryNode, "+")
	case ast.NodeTypeSub:
		return c.arithmetic(n.BinaryNode, "-")
	case ast.NodeTypeMult:
		return c.arithmetic(n.BinaryNode, "*")
	case ast.NodeTypeExtensionCall:
		for as, form := range map[string]string{"ip": "ip(%s)", "decimal": "double(%s)"} {
			if lit, is := cedarLiteral(n, as); is {
				return cedarExpr{text: fmt.Sprintf(form, celText(lit)), decode: as}
			}
		}
	case ast.NodeValue:
		switch v := n.Value.(type) {
		case types.String:
			return cedarExpr{text: celText(string(v))}
		case types.Long:
			return cedarExpr{text: fmt.Sprint(int64(v))}
		case types.Boolean:
			return cedarExpr{text: fmt.Sprint(bool(v))}
		case types.EntityUID:
			return cedarExpr{text: celText(cedarUID(string(v.Type), string(v.ID))), kind: cedarEntity}
		}
	}
	return c.refuse(fmt.Sprintf("%T is no value here", n))
}

func (c *cedarReader) arithmetic(b ast.BinaryNode, op string) cedarExpr {
	l, r := c.value(b.Left), c.value(b.Right)
	kind := cedarPlain
	if l.kind == cedarOpen || r.kind == cedarOpen {
		kind = cedarOpen
	}
	return cedarExpr{text: "(" + l.text + " " + op + " " + r.text + ")", needs: append(slices.Clone(l.needs), r.needs...), kind: kind}
}

// cedarLike writes the pattern of like as a regular expression.
func cedarLike(p types.Pattern) string {
	var parts []any
	if b, err := json.Marshal(p); err != nil || json.Unmarshal(b, &parts) != nil {
		return `\z.` // unreachable: a pattern always has a JSON form; matches nothing
	}
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for _, part := range parts {
		if m, isMap := part.(map[string]any); isMap {
			text, _ := m["Literal"].(string)
			b.WriteString(regexp.QuoteMeta(text))
		} else {
			b.WriteString(".*")
		}
	}
	return b.String() + `\z`
}
