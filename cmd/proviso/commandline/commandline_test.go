package commandline

import (
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/alecthomas/kong"
)

type shared struct {
	Quiet bool `help:"Say nothing."`
}

type grammar struct {
	Buy struct {
		What string `arg:"" help:"What."`
	} `cmd:"" help:"Buy something."`
	Sell struct{} `cmd:"" help:"Sell something."`
	URLs struct{} `cmd:"" name:"urls" help:"Show addresses."`
	shared
}

// names are the commands that a parser was told of.
func names(t *testing.T, args []string, wholes ...string) (out []string) {
	t.Helper()
	var g grammar
	k, err := kong.New(&g, Only(reflect.TypeFor[grammar](), args, wholes...))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range k.Model.Children {
		out = append(out, c.Name)
	}
	return out
}

func TestOnlyTheCommandThatIsNamed(t *testing.T) {
	all := []string{"buy", "sell", "urls"}
	for _, c := range []struct {
		args, wholes, want []string
	}{
		{[]string{"buy", "bread"}, nil, []string{"buy"}},
		{[]string{"urls"}, nil, []string{"urls"}},
		{[]string{"sell", "--help"}, nil, []string{"sell"}},
		{nil, nil, all},
		{[]string{"--help"}, nil, all},
		{[]string{"--quiet", "buy"}, nil, all},
		{[]string{"bye"}, nil, all},
		{[]string{"shared"}, nil, all},
		{[]string{"sell"}, []string{"sell"}, all},
	} {
		if got := names(t, c.args, c.wholes...); !slices.Equal(got, c.want) {
			t.Errorf("%q: the parser knows %q, want %q", c.args, got, c.want)
		}
	}
}

// The flags that all commands share are there in either case.
func TestSharedFlagsStay(t *testing.T) {
	var g grammar
	k, err := kong.New(&g, Only(reflect.TypeFor[grammar](), []string{"buy"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Parse([]string{"buy", "bread", "--quiet"}); err != nil || !g.Quiet || g.Buy.What != "bread" {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestForgetEmpty(t *testing.T) {
	t.Setenv("COMMANDLINE_TEST_EMPTY", "")
	t.Setenv("COMMANDLINE_TEST_FULL", "1")
	t.Setenv("OTHER_TEST_EMPTY", "")
	ForgetEmpty("COMMANDLINE_TEST_")
	for name, want := range map[string]bool{"COMMANDLINE_TEST_EMPTY": false, "COMMANDLINE_TEST_FULL": true, "OTHER_TEST_EMPTY": true} {
		if _, is := os.LookupEnv(name); is != want {
			t.Errorf("%s is set: %v, want %v", name, is, want)
		}
	}
}
