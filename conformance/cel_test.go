package conformance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
	"cel.dev/expr"
	_ "cel.dev/expr/conformance/proto2" // the messages that tests of protobuf name, so that their files can be read
	_ "cel.dev/expr/conformance/proto3"
	celtest "cel.dev/expr/conformance/test"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// celFilesLeftOut are the files of the suite that say nothing about conditions over JSON, and why.
var celFilesLeftOut = map[string]string{
	"proto2":     "protobuf messages",
	"proto2_ext": "protobuf messages",
	"proto3":     "protobuf messages",
	"enums":      "protobuf enums",
	"wrappers":   "protobuf wrappers",
	"dynamic":    "protobuf wrappers, Any and Struct messages",
	"block_ext":  "macros that the file itself calls test-only: they write what an optimiser makes of an expression",
}

// celMessage recognises the names of protobuf messages in an expression.
var celMessage = regexp.MustCompile(`TestAllTypes|NestedTestAllTypes|google\.protobuf\.|TestRequired|proto\.(has|get)Ext`)

// celCase is one test of the suite as a pack: a tool whose arguments are the variables that JSON can hold, lets for those that it cannot, and the expression as a condition.
type celCase struct {
	name string // file/section/test
	test *celtest.SimpleTest
	args map[string]any
	lets map[string]string

	literals, schema map[string]any // literals that became arguments, and their schemas
	lifts            *tally         // counts the tests that were asked with their literals as arguments; nil where none are
}

// celLeftOut says why a test of a file that is run cannot be asked of a condition; empty where it can.
func celLeftOut(t *celtest.SimpleTest) string {
	if celMessage.MatchString(t.Expr) {
		return "a protobuf message in the expression"
	}
	for _, d := range t.TypeEnv {
		if d.GetFunction() != nil {
			return "functions that the test declares"
		}
		if celMessage.MatchString(prototext.Format(d)) {
			return "a variable that is a protobuf message"
		}
	}
	for name, b := range t.Bindings {
		for other := range t.Bindings {
			if strings.HasPrefix(other, name+".") {
				return "one variable's name is the beginning of another's: a pack has no names with dots"
			}
		}
		if _, err := celLiteral(b.GetValue()); err != nil {
			return "a variable that is a protobuf message"
		}
	}
	if v := t.GetValue(); v != nil {
		if _, err := celLiteral(v); err != nil {
			return "a result that is a protobuf message"
		}
	}
	if t.Container != "" {
		return "names that are looked up in a container: a condition has none"
	}
	return ""
}

var errMessage = errors.New("a protobuf message")

// celLiteral writes a value as an expression.
func celLiteral(v *expr.Value) (string, error) {
	switch k := v.GetKind().(type) {
	case *expr.Value_NullValue:
		return "null", nil
	case *expr.Value_BoolValue:
		return strconv.FormatBool(k.BoolValue), nil
	case *expr.Value_Int64Value:
		return strconv.FormatInt(k.Int64Value, 10), nil
	case *expr.Value_Uint64Value:
		return strconv.FormatUint(k.Uint64Value, 10) + "u", nil
	case *expr.Value_DoubleValue:
		f := k.DoubleValue
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Sprintf("double('%v')", f), nil
		}
		return fmt.Sprintf("double('%s')", strconv.FormatFloat(f, 'g', -1, 64)), nil
	case *expr.Value_StringValue:
		return strconv.Quote(k.StringValue), nil
	case *expr.Value_BytesValue:
		var b strings.Builder
		for _, c := range k.BytesValue {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
		return `b"` + b.String() + `"`, nil
	case *expr.Value_TypeValue:
		return k.TypeValue, nil
	case *expr.Value_ListValue:
		var out []string
		for _, m := range k.ListValue.GetValues() {
			s, err := celLiteral(m)
			if err != nil {
				return "", err
			}
			out = append(out, s)
		}
		return "[" + strings.Join(out, ", ") + "]", nil
	case *expr.Value_MapValue:
		var out []string
		for _, e := range k.MapValue.GetEntries() {
			key, err := celLiteral(e.GetKey())
			if err != nil {
				return "", err
			}
			val, err := celLiteral(e.GetValue())
			if err != nil {
				return "", err
			}
			out = append(out, key+": "+val)
		}
		return "{" + strings.Join(out, ", ") + "}", nil
	case *expr.Value_ObjectValue:
		m, err := k.ObjectValue.UnmarshalNew()
		if err != nil {
			return "", err
		}
		switch m := m.(type) {
		case *durationpb.Duration:
			return fmt.Sprintf("duration('%ds') + duration('%dns')", m.GetSeconds(), m.GetNanos()), nil
		case *timestamppb.Timestamp:
			return fmt.Sprintf("timestamp('%s')", m.AsTime().Format("2006-01-02T15:04:05.999999999Z")), nil
		}
	}
	return "", errMessage
}

// celJSON is a value as JSON; ok is false where JSON has no such value.
func celJSON(v *expr.Value) (j any, ok bool) {
	switch k := v.GetKind().(type) {
	case *expr.Value_BoolValue:
		return k.BoolValue, true
	case *expr.Value_Int64Value:
		return k.Int64Value, true
	case *expr.Value_StringValue:
		return k.StringValue, true
	case *expr.Value_ListValue:
		list := []any{}
		for _, m := range k.ListValue.GetValues() {
			j, ok := celJSON(m)
			if !ok {
				return nil, false
			}
			list = append(list, j)
		}
		return list, true
	case *expr.Value_MapValue:
		object := map[string]any{}
		for _, e := range k.MapValue.GetEntries() {
			j, ok := celJSON(e.GetValue())
			key, text := e.GetKey().GetKind().(*expr.Value_StringValue)
			if !ok || !text {
				return nil, false
			}
			object[key.StringValue] = j
		}
		return object, true
	}
	return nil, false
}

// celSchema is the JSON Schema of a declared type; a type that has none is any value.
func celSchema(t *expr.Type) map[string]any {
	switch t.GetPrimitive() {
	case expr.Type_BOOL:
		return map[string]any{"type": "boolean"}
	case expr.Type_INT64:
		return map[string]any{"type": "integer"}
	case expr.Type_DOUBLE:
		return map[string]any{"type": "number"}
	case expr.Type_STRING:
		return map[string]any{"type": "string"}
	}
	if l := t.GetListType(); l != nil {
		return map[string]any{"type": "array", "items": celSchema(l.GetElemType())}
	}
	if m := t.GetMapType(); m != nil && m.GetKeyType().GetPrimitive() == expr.Type_STRING {
		return map[string]any{"type": "object", "additionalProperties": celSchema(m.GetValueType())}
	}
	return map[string]any{}
}

// celWords are what no variable of a pack can be called; the tests that bind them want the word to mean what it always does.
var celWords = map[string]bool{"true": true, "false": true, "null": true}

// variables gives the test its variables: what JSON can hold as arguments of the call, the rest as lets. A name with dots becomes objects in objects.
func (c *celCase) variables() (schema map[string]any) {
	types := map[string]*expr.Type{}
	for _, d := range c.test.TypeEnv {
		types[d.GetName()] = d.GetIdent().GetType()
	}
	schema, c.args, c.lets = map[string]any{}, map[string]any{}, map[string]string{}
	for name, b := range c.test.Bindings {
		if celWords[name] {
			continue
		}
		j, ok := celJSON(b.GetValue())
		if !ok {
			c.lets[name], _ = celLiteral(b.GetValue())
			continue
		}
		path, typ := strings.Split(name, "."), celSchema(types[name])
		for _, field := range slices.Backward(path[1:]) {
			j, typ = map[string]any{field: j}, map[string]any{"type": "object", "properties": map[string]any{field: typ}, "required": []any{field}}
		}
		schema[path[0]], c.args[path[0]], c.lets[path[0]] = typ, j, "args."+path[0]
	}
	maps.Copy(schema, c.schema)
	maps.Copy(c.args, c.literals)
	return schema
}

// compile makes a pack of one rule for each condition, named by its number.
func (c *celCase) compile(t testing.TB, conditions ...string) (*policy.Policy, proviso.Diagnostics) {
	schema := c.variables()
	rules := []any{}
	for i, cond := range conditions {
		rules = append(rules, map[string]any{"id": "r" + strconv.Itoa(i), "tools": []any{"probe"}, "require": cond})
	}
	pk, ds := pack.Load(fstest.MapFS{
		"p/proviso.yaml": {Data: []byte(`{"name": "p", "version": "1"}`)},
		"p/tools.json": {Data: encode(t, []any{map[string]any{"name": "probe", "parameters": map[string]any{
			"type": "object", "properties": schema, "required": append([]string{}, slices.Sorted(maps.Keys(schema))...)}}})},
		"p/rules.yaml": {Data: bytes.ReplaceAll(encode(t, map[string]any{"let": c.lets, "grants": []any{map[string]any{"tools": []any{"probe"}}}, "rules": rules}), []byte("\x7f"), []byte(`\u007f`))},
	}, "p")
	if ds.Worst(proviso.Error) {
		return nil, ds
	}
	return policy.Compile(pk)
}

// decide tells which rules fired, and which of them could not be evaluated.
func (c *celCase) decide(t testing.TB, p *policy.Policy) (fired, failed string) {
	d := decideCall(p, "probe", encode(t, c.args))
	var f, e []string
	for _, r := range d.Reasons {
		f = append(f, r.Rule)
	}
	for _, r := range d.Errors {
		e = append(e, r.Rule)
	}
	slices.Sort(f)
	slices.Sort(e)
	return strings.Join(slices.Compact(f), " "), strings.Join(slices.Compact(e), " ")
}

// asCEL writes a condition so that CEL's own evaluator takes it as one: a comprehension is one atom, which no closure of ours stands for.
func asCEL(condition string) string { return "[" + condition + "].all(it, it)" }

// run asks the test of the engine; the answer is empty where it is right.
// A condition with the right value has to be silent and its negation has to fire, both where our connectives and closures evaluate it and where CEL does.
func (c *celCase) run(t testing.TB) string {
	if c.test.GetEvalError() != nil {
		return c.runError(t)
	}
	if c.test.CheckOnly {
		return c.runType(t)
	}
	value := c.test.GetValue()
	if typed := c.test.GetTypedResult(); typed != nil {
		if value = typed.GetResult(); value == nil {
			return c.runType(t)
		}
		if wrong := c.runType(t); wrong != "" {
			return wrong
		}
	}
	var forms []string
	switch lit, err := celLiteral(value); {
	case value == nil:
		forms = []string{c.test.Expr, "dyn(" + c.test.Expr + ") == true"}
	case err != nil:
		return err.Error()
	case lit == "true":
		forms = []string{c.test.Expr, "dyn(" + c.test.Expr + ") == true"}
	case lit == "false":
		forms = []string{"!(" + c.test.Expr + ")", "dyn(" + c.test.Expr + ") == false"}
	case lit == "double('NaN')":
		forms = []string{"(" + c.test.Expr + ") != (" + c.test.Expr + ")"}
	default:
		same := "type(" + c.test.Expr + ") == type(" + lit + ") && "
		forms = []string{same + "(" + c.test.Expr + ") == " + lit, same + "dyn(" + c.test.Expr + ") == " + lit}
	}
	var why string
	for _, form := range forms {
		p, ds := c.compile(t, form, "!("+form+")", asCEL(form), asCEL("!("+form+")"))
		if ds.Worst(proviso.Error) {
			if why == "" {
				why = "does not compile: " + firstError(ds)
			}
			continue
		}
		if fired, failed := c.decide(t, p); fired != "r1 r3" || failed != "" {
			return fmt.Sprintf("%s: fired %q, want \"r1 r3\", errors %q", form, fired, failed)
		}
		if c.lifts == nil {
			return ""
		}
		return c.runLifted(t, form)
	}
	return why
}

// celPlain reads expressions without expanding macros, so that they can be written again.
var celPlain, celPlainErr = parser.NewParser(parser.EnableOptionalSyntax(true), parser.EnableIdentEscapeSyntax(true))

// lift puts arguments of the call in the place of literals that JSON has, since constants are computed when a pack is compiled and closures read arguments.
// ok is false where the expression has none, and where it cannot be written again because it has names in backticks.
func lift(t testing.TB, text string) (lifted string, args, schema map[string]any, ok bool) {
	must(t, celPlainErr)
	if strings.Contains(text, "`") {
		return "", nil, nil, false
	}
	tree, errs := celPlain.Parse(common.NewTextSource(text))
	if len(errs.GetErrors()) > 0 {
		t.Fatalf("%s: %v", text, errs.GetErrors())
	}
	args, schema = map[string]any{}, map[string]any{}
	kept := map[int64]bool{} // the names of fields behind .?
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.OptSelect {
			kept[e.AsCall().Args()[1].ID()] = true
		}
		if e.Kind() != ast.LiteralKind || kept[e.ID()] {
			return
		}
		kinds := map[string]string{"bool": "boolean", "int": "integer", "double": "number", "string": "string"}
		kind, has := kinds[e.AsLiteral().Type().TypeName()]
		if f, isDouble := e.AsLiteral().Value().(float64); !has || isDouble && math.Abs(f) >= 1<<53 { // JSON's whole numbers are exact with us, or refused
			return
		}
		name := "lifted" + strconv.Itoa(len(args))
		args[name], schema[name] = e.AsLiteral().Value(), map[string]any{"type": kind}
		f := ast.NewExprFactory()
		e.SetKindCase(f.NewSelect(e.ID(), f.NewIdent(e.ID(), "args"), name))
	}))
	lifted, err := parser.Unparse(tree.Expr(), tree.SourceInfo())
	must(t, err)
	return lifted, args, schema, len(args) > 0
}

// runLifted asks the same of the condition with its literals as arguments.
func (c *celCase) runLifted(t testing.TB, form string) string {
	lifted, args, schema, ok := lift(t, form)
	if !ok {
		return ""
	}
	d := &celCase{name: c.name, test: c.test, literals: args, schema: schema}
	p, ds := d.compile(t, lifted, "!("+lifted+")", asCEL(lifted), asCEL("!("+lifted+")"))
	if mixed := firstError(ds); strings.HasPrefix(mixed, "PV103 found no matching overload") && strings.Contains(mixed, "int") && strings.Contains(mixed, "double") {
		return "" // an integer literal beside a number is meant as a number; an argument is not
	} else if mixed != "" {
		return "lifted: does not compile: " + mixed + "\n\t" + lifted
	}
	c.lifts.add(true)
	if fired, failed := d.decide(t, p); fired != "r1 r3" || failed != "" {
		return fmt.Sprintf("lifted: %s: fired %q, want \"r1 r3\", errors %q", lifted, fired, failed)
	}
	return ""
}

// runError wants an error: the pack is refused, or the rule fires because its condition could not be evaluated.
func (c *celCase) runError(t testing.TB) string {
	p, ds := c.compile(t, c.test.Expr, "!("+c.test.Expr+")", "["+c.test.Expr+"].all(it, true)")
	if ds.Worst(proviso.Error) {
		if p, ds = c.compile(t, "dyn("+c.test.Expr+") == 'nothing'", "dyn("+c.test.Expr+") != 'nothing'", "["+c.test.Expr+"].all(it, true)"); ds.Worst(proviso.Error) {
			if celInvalid.MatchString(firstError(ds)) {
				return ""
			}
			return "an error of the expression is wanted: " + firstError(ds)
		}
	}
	if fired, failed := c.decide(t, p); fired != "r0 r1 r2" || failed != "r0 r1 r2" {
		return fmt.Sprintf("an error is wanted: fired %q, errors %q", fired, failed)
	}
	return ""
}

// runType wants a type of the checker, which a condition that is not true or false is refused with.
func (c *celCase) runType(t testing.TB) string {
	want, err := types.ProtoAsType(c.test.GetTypedResult().GetDeducedType())
	if err != nil {
		return err.Error()
	}
	probe, wanted := c.test.Expr, " this is "+want.String()+" "
	switch want.Kind() {
	case types.BoolKind:
		wanted = ""
	case types.DynKind: // only what is dynamic compares with everything
		probe, wanted = fmt.Sprintf("(%s) == 1 && (%s) == 'a'", probe, probe), ""
	}
	_, ds := c.compile(t, probe)
	if got := firstError(ds); got == "" && wanted == "" || wanted != "" && strings.Contains(got, wanted) {
		return ""
	} else {
		return fmt.Sprintf("type %s is wanted: %s", want, got)
	}
}

func firstError(ds proviso.Diagnostics) string {
	for _, d := range ds {
		if d.Severity == proviso.Error {
			return d.Code + " " + d.Msg
		}
	}
	return ""
}

// celFiles reads the suite's archive.
func celFiles(t *testing.T) map[string]*celtest.SimpleTestFile {
	f, err := os.Open(testkit.Data(t, "engines/cel_simple_tests.tar.gz"))
	must(t, err)
	defer f.Close()
	gz, err := gzip.NewReader(f)
	must(t, err)
	files := map[string]*celtest.SimpleTestFile{}
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		must(t, err)
		name, ok := strings.CutSuffix(path.Base(h.Name), ".textproto")
		if !ok {
			continue
		}
		b, err := io.ReadAll(r)
		must(t, err)
		var file celtest.SimpleTestFile
		if err := prototext.Unmarshal(b, &file); err != nil {
			t.Fatalf("%s: %v", h.Name, err)
		}
		files[name] = &file
	}
}

// Every test of the suite that a condition over JSON can express gives its value, its error or its type, whether our connectives and closures evaluate it or CEL does,
// and whether its literals are constants or arguments of the call, of every fourth test, or with -long of all.
func TestCEL(t *testing.T) {
	var all, lifted tally
	left := map[string]int{}
	files := celFiles(t)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := files[name]
		t.Run(name, func(t *testing.T) {
			var here tally
			for _, s := range file.GetSection() {
				for _, test := range s.GetTest() {
					why, out := celFilesLeftOut[name]
					if !out {
						why = celLeftOut(test)
					}
					c := &celCase{name: name + "/" + s.GetName() + "/" + test.GetName(), test: test}
					if *long || here.n%4 == 0 {
						c.lifts = &lifted
					}
					if why != "" {
						left[why]++
						if !out {
							t.Logf("left out: %s: %s", c.name, why)
						}
						continue
					}
					wrong := c.run(t)
					if test.GetDisableCheck() && celRefused.MatchString(wrong) {
						why = "an expression that only runs unchecked: conditions are always checked, and the pack is refused"
						left[why]++
						t.Logf("left out: %s: %s", c.name, why)
						continue
					}
					if reason, known := celDiffers[c.name]; known {
						if wrong == "" {
							t.Errorf("%s agrees; it is listed as differing because %s", c.name, reason)
						}
						t.Logf("differs: %s: %s", c.name, reason)
					} else if wrong != "" {
						t.Errorf("%s: %s\n\t%s", c.name, test.GetExpr(), wrong)
					}
					here.add(wrong == "")
				}
			}
			if here.n > 0 {
				t.Logf("%v of %d pass", here.sum, here.n)
			}
			all.join(here)
		})
	}
	for _, why := range slices.Sorted(maps.Keys(left)) {
		t.Logf("left out: %d tests: %s", left[why], why)
	}
	t.Logf("%d tests were asked with their literals as arguments, too", lifted.n)
	exactly("cel.simple", all)
}

// celRefused recognises what the checker refuses for its names or types.
var celRefused = regexp.MustCompile(`^does not compile: PV10[23] `)

// celInvalid recognises what makes an expression invalid: its syntax, names, types, a pattern, or a literal that is never valid.
var celInvalid = regexp.MustCompile(`^PV1(01|02|03|08|11) `)

// celDiffers are the tests that a condition answers differently, and why.
var celDiffers = map[string]string{
	"fields/map_fields/map_bad_key_type_or_true":                                           "a constant that can never be evaluated makes the pack invalid, before a connective could absorb it",
	"fields/map_fields/map_bad_key_type_and_false":                                         "a constant that can never be evaluated makes the pack invalid, before a connective could absorb it",
	"network_ext/ipv4/ipv4_equals_ipv6":                                                    "cel-go refuses IPv4 addresses written as IPv6",
	"network_ext/ipv4/ipv4_not_equals_ipv6":                                                "cel-go refuses IPv4 addresses written as IPv6",
	"optionals/optionals/map_null_entry_no_such_key":                                       "cel-go takes a field of what has none for absent behind .?, not for an error",
	"optionals/optionals/map_present_key_invalid_field":                                    "cel-go takes a field of what has none for absent behind [?], not for an error",
	"string_ext/value_errors/indexof_out_of_range":                                         "cel-go finds nothing behind the end of a text: -1, not an error",
	"string_ext/value_errors/lastindexof_out_of_range":                                     "cel-go finds nothing behind the end of a text: -1, not an error",
	"type_deduction/legacy_nullable_types/null_assignable_to_abstract_parameter_candidate": "cel-go's checker gives the list of an optional and null the type of null",
}
