package mcpproxy

import (
	"encoding/json"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
)

// RPCDenied is the JSON-RPC error code of what the policy denies and is no call of a tool; a denied call is a result with isError.
const RPCDenied = -32090

// MetaDecision is the key of _meta under which a denial tells programs what was decided.
const MetaDecision = "proviso.dev/decision"

// deniedCall is the result of a call that is not allowed, or whose result is withheld.
func deniedCall(r *proviso.Record) *mcp.CallToolResult {
	res := failedCall(guard.Explain(r))
	res.Meta = mcp.Meta{MetaDecision: guard.Detail(r)}
	return res
}

// failedCall is a result that tells the model an error.
func failedCall(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{IsError: true, Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

// deniedRequest is the error of a request that is not allowed and is no call of a tool.
func deniedRequest(r *proviso.Record) error {
	data, err := json.Marshal(guard.Detail(r))
	if err != nil {
		// unreachable: texts and lists of texts have a JSON form.
		data = nil
	}
	return &jsonrpc.Error{Code: RPCDenied, Message: guard.Explain(r), Data: data}
}

// refusal is the error of a request that the proxy refuses itself.
func refusal(code, format string, args ...any) error {
	return &jsonrpc.Error{Code: RPCDenied, Message: fmt.Sprintf(format, args...) + " [" + code + "]"}
}
