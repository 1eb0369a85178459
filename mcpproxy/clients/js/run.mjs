// Drives the proxy with the official JavaScript client, over HTTP and over pipes, and prints what it ends up with, one JSON line per step.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const [url, command] = process.argv.slice(2);

async function drive(over, transport) {
  const print = (step, text, isError) => console.log(JSON.stringify({ step: over + " " + step, text, isError: !!isError }));
  const client = new Client({ name: "js", version: "1" }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, async () => ({ action: "accept", content: { answer: "fine" } }));
  await client.connect(transport);
  print("instructions", client.getInstructions());
  print("tools", (await client.listTools()).tools.map((t) => t.name).join(" "));
  const call = async (step, name, args) => {
    const r = await client.callTool({ name, arguments: args });
    print(step, r.content.map((c) => c.text).join("\n"), r.isError);
  };
  await call("allowed", "mail", { to: "ann@example.com", body: "x" });
  await call("denied", "mail", { to: "bob@evil.org", body: "x" });
  await call("asked", "ask", { what: "user" });
  const read = await client.readResource({ uri: "file:///pub/a.txt" });
  print("resource", read.contents[0].text);
  await client.readResource({ uri: "file:///etc/passwd" }).catch((e) => print("resource denied", e.message, true));
  let progress = 0;
  await client.callTool({ name: "slow", arguments: {} }, undefined, { onprogress: (p) => (progress = p.progress) });
  print("progress", String(progress));
  await client.close();
}

await drive("http", new StreamableHTTPClientTransport(new URL(url)));
await drive("pipes", new StdioClientTransport({ command, args: [], env: { ...process.env, MISBEHAVE: "proxy" } }));
