package anthropic

import "testing"

// A toolset of a server stands for the tools that it switches on, whatever they are called: a name such as "description" is not taken for a member of a tool that nobody reads.
func TestToolset(t *testing.T) {
	q, err := Messages.Request([]byte(`{"model":"m","messages":[],"mcp_servers":[{"type":"url","name":"mail"}],"tools":[{"type":"mcp_toolset","mcp_server_name":"mail","default_config":{"enabled":false},
		"configs":{"description":{"enabled":true},"parameters":{"enabled":true},"search":{"enabled":true},"send":{"enabled":false}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"mail.description", "mail.parameters", "mail.search"}
	for i, at := range []string{"/tools/0", "/mcp_servers/0"} {
		for j, name := range want {
			if n := i*len(want) + j; n >= len(q.Tools) || q.Tools[n].Name != name || q.Tools[n].At != at || !q.Tools[n].Hosted {
				t.Fatalf("%+v, want %s at %s", q.Tools, name, at)
			}
		}
	}
}
