package hook

import "github.com/proviso-dev/proviso"

// Codex is the hooks of the Codex CLI, after the schemas in its repository (openai/codex, codex-rs/hooks/schema).
var Codex = &Format{
	Name: "codex",
	Doc:  "Codex CLI: SessionStart, UserPromptSubmit, PreToolUse, PostToolUse, Stop. Shell commands are calls of Bash.",
	Limits: []string{
		"Tools that the program runs without its hooks are not seen; which these are depends on its version.",
		"Changed arguments are not passed on; the agent is told to make the call again with them.",
		"What a tool answered is read by the model even where the policy withholds it; the model is told that it must not be used.",
		"Text is decided when the agent stops, after the user may have seen it; a denial makes the agent revise it once.",
	},
	Read: readClaude,
	Answer: func(e *Event, v Verdict) Reply {
		if e.Hook == "PreToolUse" {
			return beforeTool(v, false)
		}
		return afterStep(e, v, "")
	},
	Refuse: stopped,
	Settings: func(command string) (string, proviso.JSON) {
		return ".codex/hooks.json", matched(command, 60, "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop")
	},
}
