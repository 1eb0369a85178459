// Encodes texts with the npm package @huggingface/tokenizers, for the tests that compare.
// usage: node encode.mjs NODE_MODULES TOKENIZER.json < texts.json > ids.json
// texts.json is a list of texts; ids.json has, for each text, its ids without special tokens and what they decode to.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [modules, file] = process.argv.slice(2);
const { Tokenizer } = await import(pathToFileURL(join(modules, "@huggingface/tokenizers/dist/tokenizers.mjs")));
const tokenizer = new Tokenizer(JSON.parse(readFileSync(file, "utf8")), { clean_up_tokenization_spaces: false });
const out = JSON.parse(readFileSync(0, "utf8")).map((text) => {
  const { ids } = tokenizer.encode(text, { add_special_tokens: false });
  return { ids, text: ids.length ? tokenizer.decode(ids, { skip_special_tokens: false, clean_up_tokenization_spaces: false }) : "" };
});
process.stdout.write(JSON.stringify(out));
