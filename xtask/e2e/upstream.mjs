// What the conformance suite tests as a client: the unmodified TypeScript SDK, at the server that the suite plays, or with Toolgate in between.
//
// The suite starts `upstream.mjs HOW FOLDER URL`, and names the scenario and the revision in its environment. HOW is `direct`; `through`; or
// `bridged`, with a client of the other era. Apart from `direct`, `TOOLGATE` is the program and `POLICY` the policy. Each scenario wants a
// client that does certain things, and those are in `SCENARIOS`.

import { spawn } from "node:child_process";
import { mkdirSync, openSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [HOW, FOLDER, SERVER] = process.argv.slice(2);
const { MCP_CONFORMANCE_SCENARIO: SCENARIO, MCP_CONFORMANCE_PROTOCOL_VERSION: REVISION } = process.env;
const CONTEXT = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");
const MODERN = "2026-07-28";
// In milliseconds. Shorter than the suite's own, which would leave the program running.
const PATIENCE = 25_000;
// What a client of the other era speaks.
const OTHER = REVISION === MODERN ? "2025-11-25" : MODERN;

const installed = createRequire(process.env.MODULES + "/");
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(installed.resolve("@modelcontextprotocol/client")));

const call = (client, name, args = {}) => client.callTool({ name, arguments: args });
const list = async (client) => (await client.listTools()).tools;

// Calls every tool that the client still knows after it has looked at their definitions.
async function callAll(client) {
  for (const { name } of await list(client)) await call(client, name);
}

const SCENARIOS = {
  initialize: list,
  tools_call: async (client) => {
    await list(client);
    await call(client, "add_numbers", { a: 5, b: 3 });
  },
  "elicitation-sep1034-client-defaults": callAll,
  "sse-retry": callAll,
  "request-metadata": async (client) => {
    await list(client);
    await call(client, "any");
  },
  "sep-2322-client-request-state": async (client) => {
    for (const { name } of await list(client)) {
      // This SDK takes a modern result without `resultType` for none. What it must not do is ask again.
      await call(client, name).catch((error) => {
        if (name !== "test_mrtr_no_result_type") throw error;
      });
    }
  },
  "http-standard-headers": async (client) => {
    await callAll(client);
    for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri });
    for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
  },
  "http-custom-headers": async (client) => {
    await list(client);
    for (const { name, arguments: args } of CONTEXT.toolCalls) await call(client, name, args);
  },
  "http-invalid-tool-headers": async (client) => {
    for (const { name } of await list(client)) await call(client, name, { region: "us-west1", value: "a value" });
  },
  "json-schema-ref-no-deref": list,
  "json-schema-2020-12-preservation": async (client) => {
    const { inputSchema } = (await list(client)).find(({ name }) => name === "json_schema_2020_12_tool");
    await call(client, "json_schema_echo", { schema: inputSchema });
  },
};

// Starts the program with this server behind it, and gives the address of its mount.
async function gateway() {
  const folder = join(FOLDER, `${SCENARIO}-${REVISION}-${HOW}`);
  mkdirSync(folder, { recursive: true });
  const [listen, server] = ['[listen]\ndata = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n', "\n[servers.upstream]\n"];
  const settings = Object.entries({ url: SERVER, policy: process.env.POLICY }).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  writeFileSync(join(folder, "toolgate.toml"), listen + server + settings.join(""));
  const log = openSync(join(folder, "toolgate.log"), "w");
  const child = spawn(process.env.TOOLGATE, ["serve", "-c", "toolgate.toml"], { cwd: folder, stdio: ["ignore", "pipe", log] });
  process.on("exit", () => child.kill());
  for await (const line of createInterface({ input: child.stdout })) {
    const ready = /^toolgate ready data=(\S+)/.exec(line);
    if (ready) return `${ready[1]}/mcp/upstream`;
  }
  throw new Error("toolgate did not become ready");
}

async function connect() {
  const revision = HOW === "bridged" ? OTHER : REVISION;
  const era = revision === MODERN ? { versionNegotiation: { mode: { pin: MODERN } } } : { supportedProtocolVersions: [revision] };
  const capabilities = { elicitation: { form: { applyDefaults: true } }, roots: {}, sampling: {} };
  const client = new Client({ name: "conformance", version: "1" }, { capabilities, ...era });
  // With nothing filled in: the defaults are for the SDK to add.
  client.setRequestHandler("elicitation/create", async () => ({ action: "accept", content: {} }));
  await client.connect(new StreamableHTTPClientTransport(new URL(HOW === "direct" ? SERVER : await gateway())));
  return client;
}

setTimeout(() => {
  console.error("took too long");
  process.exit(1);
}, PATIENCE);
const client = await connect();
await SCENARIOS[SCENARIO](client);
await client.close();
process.exit(0);
