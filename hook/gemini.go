package hook

import "github.com/proviso-dev/proviso"

// Gemini is the hooks of the Gemini CLI, after its hooks reference (google-gemini/gemini-cli, docs/hooks/reference.md).
var Gemini = &Format{
	Name: "gemini",
	Doc:  "Gemini CLI: SessionStart, BeforeAgent, BeforeTool, AfterTool, AfterAgent, SessionEnd. MCP tools are named mcp__SERVER__TOOL.",
	Limits: []string{
		"Two calls of one tool with the same arguments at the same time are told apart by nothing; the second is denied while the first runs.",
		"Text is decided when the agent stops, after the user may have seen it; a denial makes the agent revise it once.",
		"The program does not wait for the end of a session.",
	},
	Read:     readGemini,
	Answer:   answerGemini,
	Refuse:   stopped,
	Settings: settingsGemini,
}

func readGemini(input []byte) (*Event, error) {
	f, e, err := read(input)
	if err != nil {
		return nil, err
	}
	switch e.Hook {
	case "SessionStart":
		e.Point, e.Body = proviso.SessionStart, &proviso.Lifecycle{Kind: "start"}
	case "SessionEnd":
		e.Point, e.Body, e.Ended = proviso.SessionEnd, &proviso.Lifecycle{Kind: "end"}, true
	case "BeforeAgent":
		e.Point, e.Body = proviso.Input, &proviso.Message{Role: proviso.User, Text: f.text("prompt")}
	case "BeforeTool":
		var c *proviso.ToolCall
		if c, err = f.call(); err == nil {
			e.Point, e.Body = proviso.ToolCallPoint, c
		}
	case "AfterTool":
		answer := f["tool_response"]
		failed := false
		if m, ok := answer.(map[string]any); ok {
			failed = m["error"] != nil
			if content, ok := m["llmContent"]; ok && !failed {
				answer = content
			}
		}
		var r *proviso.ToolResult
		if r, err = f.result(answer, failed); err == nil {
			e.Point, e.Body = proviso.ToolResultPoint, r
		}
	case "AfterAgent":
		e.Last = f.flag("stop_hook_active")
		if t := f.text("prompt_response"); t != "" {
			e.Point, e.Body = proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: t}
		}
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

func answerGemini(e *Event, v Verdict) Reply {
	deny := func(reason string) Reply { return printed(map[string]any{"decision": "deny", "reason": reason}) }
	specific := func(key string, value any) Reply {
		return printed(map[string]any{"hookSpecificOutput": map[string]any{"hookEventName": e.Hook, key: value}})
	}
	switch {
	case e.Point == proviso.Output && e.Last, e.Point == proviso.SessionStart, e.Ended:
		return printed(map[string]any{}) // nothing can be stopped here
	case !v.Allowed:
		return deny(v.Reason)
	}
	switch b := v.Forward.(type) {
	case *proviso.ToolCall:
		args, err := proviso.DecodeJSON(b.Args)
		if err != nil {
			return stopped("the changed arguments are no JSON: " + err.Error())
		}
		return specific("tool_input", args)
	case *proviso.ToolResult:
		// The reason of a denial takes the place of the result in every version of the program.
		return deny(text(b))
	case *proviso.Message:
		return deny("The policy changes this text; say it like this: " + b.Text)
	}
	return printed(map[string]any{})
}

func settingsGemini(command string) (string, proviso.JSON) {
	hooks := map[string]any{}
	for _, name := range []string{"SessionStart", "BeforeAgent", "BeforeTool", "AfterTool", "AfterAgent", "SessionEnd"} {
		h := map[string]any{"hooks": []any{map[string]any{"type": "command", "name": "proviso", "command": command, "timeout": int64(60000)}}}
		if name == "BeforeTool" || name == "AfterTool" {
			h["matcher"] = ".*"
		}
		hooks[name] = []any{h}
	}
	return ".gemini/settings.json", proviso.CanonicalJSON(map[string]any{"hooks": hooks})
}
