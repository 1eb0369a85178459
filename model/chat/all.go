package chat

// Families are the forms of conversation that are known.
var Families = []*Family{
	ChatML,
	Llama3,
	Llama31,
	Llama32,
	Qwen2,
	Qwen25,
	Qwen3,
	Qwen3Instruct,
}
