package mcpproxy

// The codes of what the proxy itself refuses.
const (
	CodeMessage = "PV881" // a message that is not one of the protocol, or larger than the limit
	CodeServer  = "PV882" // a server that cannot be reached, has ended, or does not answer in time
	CodePin     = "PV883" // a tool, or instructions, other than those that were approved
	CodeUnseen  = "PV884" // content that no rule sees
	CodeSession = "PV885" // a session that is not named, is not known, or is not the caller's
	CodeCaller  = "PV886" // a caller that is not let in
	CodeTool    = "PV887" // a tool that no server offers, or that two offer
	CodeBusy    = "PV888" // more sessions than the proxy keeps
)

// Sender says who sends a kind of message.
type Sender string

// The senders.
const (
	FromClient Sender = "client"
	FromServer Sender = "server"
)

// Act says what the proxy does with a kind of message.
type Act string

// The acts.
const (
	Decided  Act = "decided"  // goes on as the policy decides: as a call of the tool that Tool names
	Answered Act = "answered" // the proxy answers it itself
	Passed   Act = "passed"   // goes on without its texts: names and numbers only
	Dropped  Act = "dropped"  // goes nowhere, and is counted
)

// Message is a kind of message of the protocol and what the proxy does with it.
type Message struct {
	Method string
	From   Sender
	Act    Act
	// Tool is the name that policies decide the message by; empty: the tool that it calls.
	Tool string
	Doc  string
}

// The names by which policies decide what is no call of a tool: a pack declares a tool of this name and grants it, or the message is denied.
const (
	ToolListResources = "resources/list"
	ToolListTemplates = "resources/templates/list"
	ToolReadResource  = "resources/read"
	ToolSubscribe     = "resources/subscribe"
	ToolListPrompts   = "prompts/list"
	ToolGetPrompt     = "prompts/get"
	ToolComplete      = "completion/complete"
	ToolSample        = "sampling/createMessage"
	ToolElicit        = "elicitation/create"
	ToolRoots         = "roots/list"
)

// Messages lists every kind of message that is not refused, of both generations of the protocol: up to 2025-11-25 and from 2026-07-28 on. What is not listed is answered with "method not found", or dropped where it wants no answer.
var Messages = []Message{
	{"initialize", FromClient, Answered, "", "the servers are connected to, with those abilities of the client that the policy admits"},
	{"server/discover", FromClient, Answered, "", "the same, from 2026-07-28 on"},
	{"ping", FromClient, Answered, "", "no server is asked"},
	{"tools/list", FromClient, Decided, "", "tools that are always denied, or differ from what was approved, are left out; what remains is decided at the point tool_list"},
	{"tools/call", FromClient, Decided, "", "the call is decided on the bytes that are sent, its result before the client sees it"},
	{"resources/list", FromClient, Decided, ToolListResources, "with the list as its result"},
	{"resources/templates/list", FromClient, Decided, ToolListTemplates, "with the list as its result"},
	{"resources/read", FromClient, Decided, ToolReadResource, "with the argument uri, and what is read as its result"},
	{"resources/subscribe", FromClient, Decided, ToolSubscribe, "with the argument uri"},
	{"resources/unsubscribe", FromClient, Answered, "", "the server is told as well"},
	{"subscriptions/listen", FromClient, Decided, ToolSubscribe, "each resource like resources/subscribe; changes of lists are told without being decided"},
	{"prompts/list", FromClient, Decided, ToolListPrompts, "with the list as its result"},
	{"prompts/get", FromClient, Decided, ToolGetPrompt, "with the arguments name and arguments, and the messages as its result"},
	{"completion/complete", FromClient, Decided, ToolComplete, "with the arguments ref and argument, and the values as its result"},
	{"notifications/initialized", FromClient, Answered, "", "ends the handshake"},
	{"notifications/cancelled", FromClient, Passed, "", "the call at the server is cancelled; what it did is recorded"},
	{"notifications/progress", FromClient, Dropped, "", "servers are not told"},
	{"notifications/roots/list_changed", FromClient, Dropped, "", "servers are told that such changes are not announced"},
	{"ping", FromServer, Answered, "", "the client is not asked"},
	{"sampling/createMessage", FromServer, Decided, ToolSample, "with the messages as arguments, and what the model says as its result; tools for the model are refused"},
	{"elicitation/create", FromServer, Decided, ToolElicit, "with message, mode, requestedSchema and url as arguments, and what the user enters as its result"},
	{"roots/list", FromServer, Decided, ToolRoots, "with the roots as its result"},
	{"notifications/tools/list_changed", FromServer, Passed, "", "the list is read and held against the pins first"},
	{"notifications/prompts/list_changed", FromServer, Passed, "", "the list is read first"},
	{"notifications/resources/list_changed", FromServer, Passed, "", "the list is read first"},
	{"notifications/resources/updated", FromServer, Passed, "", "only the URI, and only to who subscribed to it"},
	{"notifications/progress", FromServer, Passed, "", "only the numbers, and only to who waits for the call"},
	{"notifications/cancelled", FromServer, Passed, "", "what the client was asked is cancelled"},
	{"notifications/message", FromServer, Dropped, "", "logs of servers are not shown to clients"},
	{"notifications/subscriptions/acknowledged", FromServer, Answered, "", "an answer to what the proxy itself subscribed to"},
	{"notifications/elicitation/complete", FromServer, Dropped, "", "the client finds out when it asks again"},
}
