// Reads a checkpoint with the npm package @huggingface/transformers and prints the ids of conversations, for the test that compares.
// usage: node transformers.mjs NODE_MODULES FOLDER < conversations.json > ids.json
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { basename, dirname, join } from "node:path";

const [modules, folder] = process.argv.slice(2);
const { AutoTokenizer, env } = await import(pathToFileURL(join(modules, "@huggingface/transformers/dist/transformers.node.mjs")));
env.allowRemoteModels = false;
env.localModelPath = dirname(folder) + "/";
const tokenizer = await AutoTokenizer.from_pretrained(basename(folder));
const out = JSON.parse(readFileSync(0, "utf8")).map(({ messages, tools }) => {
  const text = tokenizer.apply_chat_template(messages, { tools, tokenize: false, add_generation_prompt: true });
  return tokenizer.encode(text, { add_special_tokens: false });
});
process.stdout.write(JSON.stringify(out));
