package hook

import (
	"strings"

	"github.com/proviso-dev/proviso"
)

// ClaudeCode is the hooks of Claude Code, after its hooks reference (code.claude.com/docs/en/hooks).
var ClaudeCode = &Format{
	Name: "claude-code",
	Doc:  "Claude Code: SessionStart, UserPromptSubmit, PreToolUse, PostToolUse, PostToolUseFailure, Stop, SessionEnd. MCP tools are named mcp__SERVER__TOOL.",
	Limits: []string{
		"What a tool answered is read by the model even where the policy withholds it, except for MCP tools; the model is told that it must not be used.",
		"Text is decided when the agent stops, after the user may have seen it; a denial makes the agent revise it once.",
	},
	Read: readClaude,
	Answer: func(e *Event, v Verdict) Reply {
		if e.Hook == "PreToolUse" {
			return beforeTool(v, true)
		}
		return afterStep(e, v, "updatedMCPToolOutput")
	},
	Refuse: stopped,
	Settings: func(command string) (string, proviso.JSON) {
		return ".claude/settings.json", matched(command, 60, "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure", "Stop", "SessionEnd")
	},
}

// readClaude reads the inputs that Claude Code and programs after its example give.
func readClaude(input []byte) (*Event, error) {
	f, e, err := read(input)
	if err != nil {
		return nil, err
	}
	switch e.Hook {
	case "SessionStart":
		e.Point, e.Body = proviso.SessionStart, &proviso.Lifecycle{Kind: "start"}
	case "SessionEnd":
		e.Point, e.Body, e.Ended = proviso.SessionEnd, &proviso.Lifecycle{Kind: "end"}, true
	case "UserPromptSubmit":
		e.Point, e.Body = proviso.Input, &proviso.Message{Role: proviso.User, Text: f.text("prompt")}
	case "PreToolUse":
		var c *proviso.ToolCall
		if c, err = f.call(); err == nil {
			e.Point, e.Body = proviso.ToolCallPoint, c
		}
	case "PostToolUse", "PostToolUseFailure":
		answer, failed := f["tool_response"], e.Hook == "PostToolUseFailure"
		if failed {
			answer = f["error"]
		}
		var r *proviso.ToolResult
		if r, err = f.result(answer, failed); err == nil {
			e.Point, e.Body, e.Ended = proviso.ToolResultPoint, r, true
		}
	case "Stop":
		e.Last = f.flag("stop_hook_active")
		if t := f.text("last_assistant_message"); t != "" {
			e.Point, e.Body = proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: t}
		}
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// beforeTool answers a PreToolUse hook. Without a word the program goes on as it would: it asks its user where its own settings say so.
// Changed arguments need a word; asks says whether the program can show them to its user, else the agent is told to make the call again with them.
func beforeTool(v Verdict, asks bool) Reply {
	out := map[string]any{"hookEventName": "PreToolUse"}
	call, changed := v.Forward.(*proviso.ToolCall)
	switch {
	case !v.Allowed:
		out["permissionDecision"], out["permissionDecisionReason"] = "deny", v.Reason
	case changed && !asks:
		out["permissionDecision"], out["permissionDecisionReason"] = "deny", "The policy allows this call with other arguments; make it again with exactly these: "+string(call.Args)
	case changed:
		args, err := proviso.DecodeJSON(call.Args)
		if err != nil {
			return stopped("the changed arguments are no JSON: " + err.Error())
		}
		out["permissionDecision"], out["updatedInput"], out["permissionDecisionReason"] = "ask", args, "The policy has changed the arguments. "+v.Reason
		if v.Approve {
			out["permissionDecision"] = "allow"
		}
	case v.Approve && asks:
		out["permissionDecision"], out["permissionDecisionReason"] = "allow", "The policy allows it. "+v.Reason
	default:
		return Reply{}
	}
	return printed(map[string]any{"hookSpecificOutput": out})
}

// afterStep answers the other hooks. replace is the name under which the program takes another result of an MCP tool; empty: under none.
func afterStep(e *Event, v Verdict, replace string) Reply {
	changed := v.Forward != nil
	switch {
	case e.Hook == "SessionStart" && !v.Allowed:
		return printed(map[string]any{"continue": false, "stopReason": v.Reason})
	case v.Allowed && !changed, e.Ended && e.Point != proviso.ToolResultPoint, e.Point == proviso.Output && e.Last, e.Point == proviso.SessionStart:
		return Reply{}
	case e.Point != proviso.ToolResultPoint:
		reason := v.Reason
		if m, ok := v.Forward.(*proviso.Message); ok && v.Allowed {
			reason = "The policy changes this text; say it like this: " + m.Text
		}
		return printed(map[string]any{"decision": "block", "reason": reason})
	}
	out := map[string]any{"hookEventName": e.Hook}
	reason := v.Reason
	if r, ok := v.Forward.(*proviso.ToolResult); ok && v.Allowed {
		reason = "The policy shows this result as follows, and what was left out must not be used: " + text(r)
		out[replace] = text(r)
	} else {
		out[replace] = "[withheld] " + v.Reason
	}
	if replace == "" || e.Hook != "PostToolUse" {
		out = map[string]any{"hookEventName": e.Hook}
	}
	return printed(map[string]any{"decision": "block", "reason": reason, "hookSpecificOutput": out})
}

// matched is the settings of Claude Code and programs after its example; the timeout is in seconds.
func matched(command string, timeout int, names ...string) proviso.JSON {
	hooks := map[string]any{}
	for _, name := range names {
		h := map[string]any{"hooks": []any{map[string]any{"type": "command", "command": command, "timeout": int64(timeout)}}}
		if strings.Contains(name, "ToolUse") {
			h["matcher"] = "*"
		}
		hooks[name] = []any{h}
	}
	return proviso.CanonicalJSON(map[string]any{"hooks": hooks})
}
