// One unmodified TypeScript SDK whose calls wait for a person: `approvals.mjs SDK ERA URL ADMIN TOKEN`, with SDK `v1` or `v2` and ERA
// `legacy` or `modern`.
//
// The person is here too: it looks at the admin API for the call that it knows of, and decides. Prints `ok CHECK` or `FAIL CHECK: why`.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [SDK, ERA, URL_TEXT, ADMIN, TOKEN] = process.argv.slice(2);
const installed = createRequire(process.env.MODULES + "/");
const load = (name) => import(pathToFileURL(installed.resolve(name)));

// No check may wait for ever.
const PATIENCE = 40_000;

async function api(path, body = undefined) {
  const headers = { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" };
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(`${ADMIN}/api/v1${path}`, { headers, ...init });
  assert(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}

// The request for these arguments, once it is there; and what is to become of it.
async function decide(args, verdict, body = {}) {
  for (const end = performance.now() + PATIENCE; performance.now() < end; await sleep(20)) {
    for (const row of (await api("/approvals?state=pending")).items) {
      const shown = await api(`/approvals/${row.id}`);
      if (isDeepStrictEqual(JSON.parse(shown.arguments), args)) {
        await api(`/approvals/${row.id}/${verdict}`, body);
        return row.id;
      }
    }
  }
  assert.fail("it does not wait for approval");
}

async function connect(elicit = undefined) {
  const info = { name: "e2e", version: "1" };
  const capabilities = elicit ? { elicitation: { form: {}, url: {} } } : {};
  if (SDK === "v1") {
    const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = await load("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const schemas = await load("@modelcontextprotocol/sdk/types.js");
    const client = new Client(info, { capabilities });
    if (elicit) client.setRequestHandler(schemas.ElicitRequestSchema, elicit);
    await client.connect(new StreamableHTTPClientTransport(new URL(URL_TEXT)));
    return client;
  }
  const { Client, StreamableHTTPClientTransport } = await load("@modelcontextprotocol/client");
  const mode = ERA === "modern" ? { pin: "2026-07-28" } : ERA;
  const client = new Client(info, { capabilities, versionNegotiation: { mode } });
  if (elicit) client.setRequestHandler("elicitation/create", elicit);
  await client.connect(new StreamableHTTPClientTransport(new URL(URL_TEXT)));
  return client;
}

const call = (client, name, args) =>
  SDK === "v1" ? client.callTool({ name, arguments: args }) : client.callTool({ name, arguments: args });

function decision(result) {
  assert.equal(result.isError, true, `not denied: ${JSON.stringify(result)}`);
  return result._meta["dev.toolgate/decision"];
}

function says(result, expected) {
  assert(!result.isError, JSON.stringify(result));
  assert(result.content[0].text.includes(expected), result.content[0].text);
}

// Like no other client's.
const labelled = (check) => ({ text: `${check} of ${SDK} ${ERA}` });

async function approve() {
  const client = await connect();
  const args = labelled("approve");
  const [result] = await Promise.all([call(client, "echo", args), decide(args, "approve")]);
  says(result, args.text);
  await client.close();
}

async function deny() {
  const client = await connect();
  const args = labelled("deny");
  const [result] = await Promise.all([call(client, "echo", args), decide(args, "deny", { reason: "Not on a Friday." })]);
  assert.equal(decision(result).code, "approval.denied");
  assert(result.content[0].text.includes("Not on a Friday."), result.content[0].text);
  assert.equal(decision(await call(client, "echo", args)).code, "approval.denied");
  await client.close();
}

async function expire() {
  const client = await connect();
  const result = await call(client, "begun", { wait_for: labelled("expire").text });
  assert.equal(decision(result).code, "approval.expired");
  await client.close();
}

// Nobody decides while the call is held: it is repeated after that.
async function ticket() {
  const client = await connect();
  const args = { steps: 1, ...labelled("ticket") };
  const held = decision(await call(client, "progress", args));
  assert(held.code === "approval.required" && held.approval, JSON.stringify(held));
  assert.equal(await decide(args, "approve"), held.approval);
  const result = await call(client, "progress", args);
  assert(!result.isError, JSON.stringify(result));
  const onceMore = decision(await call(client, "progress", args));
  assert(onceMore.code === "approval.required" && onceMore.approval !== held.approval, JSON.stringify(onceMore));
  await client.close();
}

// A client that can open a page is sent to ours.
async function url() {
  const args = labelled("url");
  let shown;
  const client = await connect(async ({ params }) => {
    shown = params;
    await decide(args, "approve");
    return { action: "accept" };
  });
  let result;
  if (ERA === "modern") {
    result = await call(client, "echo", args);
  } else {
    const error = await call(client, "echo", args).then(
      (answer) => assert.fail(`not sent to a page: ${JSON.stringify(answer)}`),
      (error) => error,
    );
    assert.equal(error.code, -32042, String(error));
    [shown] = error.data?.elicitations ?? error.elicitations;
    await decide(args, "approve");
    result = await call(client, "echo", args);
  }
  assert(shown.mode === "url" && shown.url.startsWith(`${ADMIN}/approvals/`), JSON.stringify(shown));
  says(result, args.text);
  await client.close();
}

let failed = 0;
for (const check of [approve, deny, expire, ticket, url]) {
  const late = sleep(1.5 * PATIENCE, undefined, { ref: false }).then(() => assert.fail("took too long"));
  try {
    await Promise.race([check(), late]);
    console.log(`ok ${check.name}`);
  } catch (error) {
    failed = 1;
    console.log(`FAIL ${check.name}: ${String(error?.message ?? error).replace(/\s+/g, " ").slice(0, 500)}`);
    console.error(error);
  }
}
process.exit(failed);
