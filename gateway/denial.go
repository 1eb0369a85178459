package gateway

import (
	"net/http"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/llm/wire"
)

// The codes of what a gateway itself refuses.
const (
	CodeCaller   = "PV861" // a caller that is not let in
	CodeBusy     = "PV862" // a server that has enough to do
	CodeForeign  = "PV863" // a part of a request or an answer that no rule sees
	CodeUpstream = "PV864" // an upstream that failed or answered otherwise than its API has it
	CodeNoRoute  = "PV865" // a path or a model that no upstream is configured for
	CodeTooLarge = "PV866" // a request or an answer that is larger than the limit
	CodeStateful = "PV867" // a call that the past decides, in a session that nobody named
	CodeHosted   = "PV868" // a tool that the provider would run before it can be decided
	CodeCut      = "PV869" // an answer that did not end
	CodeRepeated = "PV870" // the same denial again and again
	CodeOverlay  = "PV871" // an overlay that cannot be attached
	CodeRan      = "PV872" // a call that the provider ran before anybody could decide
	CodeBroken   = "PV874" // a request that made the server fail
)

// decisionID names a decision.
func decisionID(r *proviso.Record) string { return guard.ID(r) }

// denialOf tells a denial: to a person in words, with the clause quoted, and to a program as an object.
func denialOf(r *proviso.Record) wire.Denial {
	return wire.Denial{Status: http.StatusForbidden, Code: wire.CodeDenied, Text: guard.Explain(r), Detail: detailOf(r)}
}

// refusalBy is a denial that the gateway decides itself.
func refusalBy(status int, code, msg string) wire.Denial {
	return wire.Denial{Status: status, Code: wire.CodeDenied, Text: msg + " [" + code + "]", Detail: llm.Raw(map[string]any{"outcome": "deny", "code": code})}
}

// detailOf is a decision for programs.
func detailOf(r *proviso.Record) proviso.JSON {
	b, err := proviso.AppendJSON(nil, guard.Detail(r))
	if err != nil {
		// unreachable: texts and lists of texts have a JSON form.
		return nil
	}
	return b
}

// withheldText stands in place of something that the model must not see.
func withheldText(r *proviso.Record) string {
	return "[withheld] " + guard.Explain(r)
}
