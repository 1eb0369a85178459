// Drives the gateway with the vendors' JavaScript clients and prints what each ends up with, one JSON line per client: its text and its calls.
import OpenAI from "openai";
import Anthropic from "@anthropic-ai/sdk";

const [chat, responses, messages, chatHard, responsesHard, messagesHard] = process.argv.slice(2);
const print = (name, text, calls) => console.log(JSON.stringify({ name, text, calls }));

const openai = (url) => new OpenAI({ baseURL: url + "/v1", apiKey: "k", maxRetries: 0 });
const said = [{ role: "user", content: "hello" }];
const forbidden = [{ role: "user", content: "plutonium" }];

// failed prints what an error tells that a client raises.
const failed = async (name, ask) => {
  try {
    await ask();
    print(name, "no error", []);
  } catch (e) {
    print(name, e.message, [String(e.status)]);
  }
};

{
  const c = openai(chat);
  const read = (name, m) => print(name, m.content ?? "", (m.tool_calls ?? []).map((t) => t.function.name + t.function.arguments));
  read("chat", (await c.chat.completions.create({ model: "m", messages: said })).choices[0].message);
  const stream = c.chat.completions.stream({ model: "m", messages: said });
  read("chat stream", (await stream.finalChatCompletion()).choices[0].message);
  const refused = await c.chat.completions.create({ model: "m", messages: [{ role: "user", content: "plutonium" }] });
  print("chat refused", refused.choices[0].message.refusal, [refused.choices[0].finish_reason]);
  const late = (await c.chat.completions.stream({ model: "m", messages: forbidden }).finalChatCompletion()).choices[0];
  print("chat stream refused", late.message.refusal, [late.finish_reason]);
  const hard = openai(chatHard);
  await failed("chat error", () => hard.chat.completions.create({ model: "m", messages: forbidden }));
  await failed("chat stream error", () => hard.chat.completions.stream({ model: "m", messages: forbidden }).finalChatCompletion());
}
{
  const c = openai(responses);
  const read = (name, r) => print(name, r.output.filter((o) => o.type === "message").flatMap((o) => o.content).map((p) => p.text).join("\n"),
    r.output.filter((o) => o.type === "function_call").map((o) => o.name + o.arguments));
  read("responses", await c.responses.create({ model: "m", input: "hello" }));
  const stream = c.responses.stream({ model: "m", input: "hello" });
  read("responses stream", await stream.finalResponse());
  const parts = (r) => r.output.flatMap((o) => o.content ?? []);
  const refusal = (name, r) => print(name, parts(r).map((p) => p.refusal).join(""), [parts(r)[0].type]);
  refusal("responses refused", await c.responses.create({ model: "m", input: "plutonium" }));
  refusal("responses stream refused", await c.responses.stream({ model: "m", input: "plutonium" }).finalResponse());
  const hard = openai(responsesHard);
  await failed("responses error", () => hard.responses.create({ model: "m", input: "plutonium" }));
  await failed("responses stream error", () => hard.responses.stream({ model: "m", input: "plutonium" }).finalResponse());
}
{
  const c = new Anthropic({ baseURL: messages, apiKey: "k", maxRetries: 0 });
  const read = (name, m) => print(name, m.content.filter((b) => b.type === "text").map((b) => b.text).join("\n"),
    m.content.filter((b) => b.type === "tool_use").map((b) => b.name + JSON.stringify(b.input)));
  const ask = { model: "m", max_tokens: 100, messages: said };
  read("messages", await c.messages.create(ask));
  read("messages stream", await c.messages.stream(ask).finalMessage());
  const refused = await c.messages.create({ ...ask, messages: [{ role: "user", content: "plutonium" }] });
  print("messages refused", refused.content[0].text, [refused.stop_reason]);
  const late = await c.messages.stream({ ...ask, messages: forbidden }).finalMessage();
  print("messages stream refused", late.content[0].text, [late.stop_reason]);
  const hard = new Anthropic({ baseURL: messagesHard, apiKey: "k", maxRetries: 0 });
  await failed("messages error", () => hard.messages.create({ ...ask, messages: forbidden }));
  await failed("messages stream error", () => hard.messages.stream({ ...ask, messages: forbidden }).finalMessage());
}
