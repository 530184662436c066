// One unmodified TypeScript SDK against one server: `client.mjs SDK SERVER ERA URL CALLS`, with SDK `v1` or `v2` and
// ERA `legacy`, `modern` or `auto`.
//
// Prints `ok CHECK` or `FAIL CHECK: why` for every check of the pair, and fails if one failed. What differs between the two SDKs is in
// `connect`.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [SDK, SERVER, ERA, URL_TEXT, CALLS] = process.argv.slice(2);
const installed = createRequire(process.env.MODULES + "/");
const load = (name) => import(pathToFileURL(installed.resolve(name)));

// What a client could leak. None of it may reach a server.
const CREDENTIALS = { Authorization: "Bearer of-the-client", Cookie: "session=of-the-client" };
const ROOT = "file:///srv/of-the-client";
// Of the limits in both policies, in milliseconds.
const WINDOW = 2000;
// How many calls of one client are open at once while two clients run.
const TOGETHER = 8;

const sample = async ({ params }) => {
  const [{ content }] = params.messages;
  const asked = (Array.isArray(content) ? content[0] : content).text;
  return { role: "assistant", content: { type: "text", text: `answer to <${asked}>` }, model: "none" };
};
const elicit = async ({ params }) => {
  const wanted = Object.entries(params.requestedSchema.properties).filter(([, schema]) => schema.type === "string");
  return { action: "accept", content: Object.fromEntries(wanted.map(([name]) => [name, `my ${name}`])) };
};
const roots = async () => ({ roots: [{ uri: ROOT }] });

async function connect() {
  const info = { name: "e2e", version: "1" };
  const capabilities = { sampling: {}, elicitation: {}, roots: {} };
  const options = { requestInit: { headers: CREDENTIALS } };
  if (SDK === "v1") {
    const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = await load("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const schemas = await load("@modelcontextprotocol/sdk/types.js");
    const client = new Client(info, { capabilities });
    client.setRequestHandler(schemas.CreateMessageRequestSchema, sample);
    client.setRequestHandler(schemas.ElicitRequestSchema, elicit);
    client.setRequestHandler(schemas.ListRootsRequestSchema, roots);
    await client.connect(new StreamableHTTPClientTransport(new URL(URL_TEXT), options));
    return client;
  }
  const { Client, StreamableHTTPClientTransport } = await load("@modelcontextprotocol/client");
  const mode = ERA === "modern" ? { pin: "2026-07-28" } : ERA;
  const client = new Client(info, { capabilities, versionNegotiation: { mode } });
  client.setRequestHandler("sampling/createMessage", sample);
  client.setRequestHandler("elicitation/create", elicit);
  client.setRequestHandler("roots/list", roots);
  await client.connect(new StreamableHTTPClientTransport(new URL(URL_TEXT), options));
  return client;
}

const call = (client, name, args = {}, options = undefined) =>
  SDK === "v1" ? client.callTool({ name, arguments: args }, undefined, options) : client.callTool({ name, arguments: args }, options);

function text(result) {
  assert(!result.isError, JSON.stringify(result));
  return result.content.filter((block) => block.type === "text").map((block) => block.text).join("\n");
}

function decision(result) {
  assert.equal(result.isError, true, `not denied: ${JSON.stringify(result)}`);
  return result._meta["dev.toolgate/decision"];
}

const names = async (client) => (await client.listTools()).tools.map((tool) => tool.name);

async function listing(client, present, absent) {
  const listed = await names(client);
  assert.deepEqual(present.filter((name) => !listed.includes(name)), [], "missing");
  assert.deepEqual(absent.filter((name) => listed.includes(name)), [], "listed");
}

async function denied(client, tool, code, rule, reason) {
  const result = await call(client, tool);
  const seen = decision(result);
  assert.deepEqual([seen.code, seen.rule], [code, rule]);
  assert(result.content[0].text.includes(reason), result.content[0].text);
}

async function hidden(client, tool) {
  const error = await call(client, tool).then(
    (result) => assert.fail(`not refused: ${JSON.stringify(result)}`),
    (error) => error,
  );
  assert.equal(error.code, -32602, String(error));
  assert(error.message.endsWith(`Unknown tool: ${tool}`), error.message);
}

// Calls until the limit, sees that it holds, waits as long as told, and may call again.
async function limited(client, tool, most) {
  let passed, began, result;
  const took = () => performance.now() - began;
  for (;;) {
    [passed, began] = [0, performance.now()];
    for (result = await call(client, tool); !result.isError; result = await call(client, tool)) {
      passed += 1;
      assert(passed <= most || took() > WINDOW, `${passed} calls passed, ${most} may`);
    }
    if (took() < WINDOW) break;
    // Too slow: these calls fell into more than one window, and say nothing.
    await sleep(WINDOW);
  }
  // A session has its own count. Modern calls share the address's, so earlier calls may still weigh.
  assert(passed === most || ERA !== "legacy", `${passed} calls passed, ${most} may`);
  const seen = decision(result);
  assert(seen.code === "limited" && seen.retry_after_ms > 0, JSON.stringify(seen));
  for (result = await call(client, tool); result.isError; result = await call(client, tool)) {
    await sleep(decision(result).retry_after_ms);
  }
}

async function progress(client, tool, args, steps) {
  const seen = [];
  text(await call(client, tool, args, { onprogress: ({ progress, total }) => seen.push([progress, total]) }));
  assert.deepEqual(seen, Array.from({ length: steps }, (_, n) => [n + 1, steps]));
}

async function says(client, tool, args, ...expected) {
  const said = text(await call(client, tool, args));
  assert(expected.every((part) => said.includes(part)), said);
}

async function cancel(client) {
  const label = `${SDK} ${ERA} ${process.pid}`;
  const stop = new AbortController();
  const running = call(client, "slow", { label }, { signal: stop.signal }).then(
    (result) => assert.fail(`not cancelled: ${JSON.stringify(result)}`),
    () => {},
  );
  await says(client, "begun", { wait_for: label }, label);
  stop.abort();
  await running;
  await says(client, "cancelled", { wait_for: label }, label);
}

async function credentials(client) {
  const headers = text(await call(client, "whoami"));
  assert(!headers.includes("of-the-client"), headers);
}

const fails = (promise) => promise.then((result) => assert.fail(`not refused: ${JSON.stringify(result)}`), () => {});

async function resources(client, allowed, forbidden) {
  const listed = (await client.listResources()).resources.map((resource) => resource.uri);
  assert(listed.includes(allowed) && !listed.includes(forbidden), String(listed));
  assert.equal((await client.readResource({ uri: allowed })).contents[0].uri, allowed);
  await fails(client.readResource({ uri: forbidden }));
}

async function prompts(client, allowed, forbidden) {
  const listed = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
  assert(listed.includes(allowed) && !listed.includes(forbidden), String(listed));
  assert((await client.getPrompt({ name: allowed })).messages.length > 0);
  await fails(client.getPrompt({ name: forbidden }));
}

// Two clients count their request ids alike. Each must get its own answers.
async function crossing(first) {
  const second = await connect();
  const work = async (client, who) => {
    let next = 0;
    const worker = async () => {
      for (let n = next++; n < CALLS / 2; n = next++) {
        const said = JSON.parse(text(await call(client, "echo", { who, n })));
        assert.deepEqual(said, { who, n });
      }
    };
    await Promise.all(Array.from({ length: TOGETHER }, worker));
  };
  await Promise.all([work(first, "first"), work(second, "second")]);
  await second.close();
}

// The server adds some tools only after it has seen what the client can do.
async function appears(client, tool) {
  while (!(await names(client)).includes(tool)) await sleep(50);
}

function fixture(client) {
  const asked = "test_input_required_result";
  const reverse = {
    legacy: {
      sampling: () => says(client, "test_sampling", { prompt: "2+2" }, "LLM response: answer to <2+2>"),
      elicitation: () => says(client, "test_elicitation", { message: "who?" }, "accept", "my username"),
      roots: () => says(client, "roots", {}, ROOT),
    },
    modern: {
      sampling: () => says(client, `${asked}_sampling`, {}, "answer to <What is the capital of France?>"),
      elicitation: () => says(client, `${asked}_elicitation`, {}, "Hello, my name!"),
      roots: () => says(client, `${asked}_list_roots`, {}, ROOT),
      rounds: () => says(client, `${asked}_multi_round`, {}, "my name likes my color"),
    },
  }[ERA];
  return {
    list: () => listing(client, ["echo", "whoami", "test_simple_text"], ["test_error_handling", "test_image_content", "greet"]),
    call: () => says(client, "echo", { text: "grüezi \u2028 {}" }, "grüezi \u2028 {}"),
    denied: () => denied(client, "test_error_handling", "denied.rule", "/tools/test_error_handling", "always fails"),
    unlisted: () => denied(client, "greet", "denied.default", "(default deny)", "denied"),
    hidden: () => hidden(client, "test_image_content"),
    limit: () => limited(client, "test_simple_text", 3),
    progress: () => progress(client, "progress", { steps: 4 }, 4),
    ...reverse,
    cancel: () => cancel(client),
    credentials: () => credentials(client),
    resources: () => resources(client, "test://static-text", "test://static-binary"),
    prompts: () => prompts(client, "test_simple_prompt", "test_prompt_with_image"),
    crossing: () => crossing(client),
  };
}

function everything(client) {
  return {
    appear: () => appears(client, "trigger-elicitation-request"),
    list: () => listing(client, ["echo", "get-sum"], ["get-env", "gzip-file-as-resource", "toggle-simulated-logging"]),
    call: () => says(client, "echo", { message: "grüezi" }, "Echo: grüezi"),
    denied: () => denied(client, "get-env", "denied.rule", "/tools/get-env", "secrets"),
    unlisted: () => denied(client, "toggle-simulated-logging", "denied.default", "(default deny)", "denied"),
    hidden: () => hidden(client, "gzip-file-as-resource"),
    limit: () => limited(client, "get-tiny-image", 3),
    progress: () => progress(client, "trigger-long-running-operation", { duration: 0.2, steps: 4 }, 4),
    sampling: () => says(client, "trigger-sampling-request", { prompt: "2+2" }, "answer to <"),
    elicitation: () => says(client, "trigger-elicitation-request", {}, "accept", "my name"),
    roots: () => says(client, "get-roots-list", {}, ROOT),
    prompts: () => prompts(client, "simple-prompt", "completable-prompt"),
  };
}

// What the emulated service has at its start.
const JOB = "ftjob-0a1b2c3d4e5f60718293a4b5c6d7e8f9";

// A JSON string in one block of text, as people know it from mcp-foundry.
async function status(client) {
  const job = JSON.parse(text(await call(client, "fetch_finetuning_status", { job_id: JOB })));
  assert.deepEqual([job.job_id, job.status], [JOB, "succeeded"]);
}

async function pathAsId(client) {
  const result = await call(client, "fetch_finetuning_status", { job_id: "../../files/file-x/content" });
  assert.equal(decision(result).code, "denied.condition");
}

function finetuning(client) {
  return {
    list: () => listing(client, ["fetch_finetuning_status"], ["create_finetuning_job", "delete_file"]),
    call: () => status(client),
    denied: () => denied(client, "create_finetuning_job", "denied.rule", "/tools/create_finetuning_job", "costs money"),
    condition: () => pathAsId(client),
  };
}

let failed = 0;
const client = await connect();
for (const [name, check] of Object.entries({ fixture, everything, finetuning }[SERVER](client))) {
  const patience = AbortSignal.timeout(name === "crossing" ? 1_800_000 : 60_000);
  const late = new Promise((_, reject) => patience.addEventListener("abort", () => reject(new Error("took too long"))));
  try {
    await Promise.race([check(), late]);
    console.log(`ok ${name}`);
  } catch (error) {
    failed = 1;
    console.log(`FAIL ${name}: ${String(error?.message ?? error).replace(/\s+/g, " ").slice(0, 500)}`);
    console.error(error);
  }
}
await client.close();
process.exit(failed);
