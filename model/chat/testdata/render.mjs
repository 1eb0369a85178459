// Renders chat templates with the npm package @huggingface/jinja, for the tests that compare.
// usage: node render.mjs NODE_MODULES < requests.json > texts.json
// requests.json is a list of {template, context}; texts.json has a text for each, or {error}.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const { Template } = await import(pathToFileURL(join(process.argv[2], "@huggingface/jinja/dist/index.js")));
const out = JSON.parse(readFileSync(0, "utf8")).map(({ template, context }) => {
  try {
    return new Template(template).render(context);
  } catch (e) {
    return { error: String(e.message) };
  }
});
process.stdout.write(JSON.stringify(out));
