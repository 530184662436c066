// One unmodified TypeScript SDK against many servers: `matrix.mjs SDK ERA TARGETS`, with SDK `v1` or `v2` and ERA `legacy` or `modern`.
//
// TARGETS, the checks and the lines that are printed are as in `matrix.py`.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [SDK, ERA, TARGETS] = process.argv.slice(2);
const installed = createRequire(process.env.MODULES + "/");
const load = (name) => import(pathToFileURL(installed.resolve(name)));

// How many targets are looked at together (see `matrix.py`), and how long connecting and each check may take, in milliseconds.
const TOGETHER = ERA === "modern" ? 1 : 4;
const PATIENCE = 30_000;

const elicit = async ({ params }) => {
  const wanted = Object.keys(params.requestedSchema.properties);
  return { action: "accept", content: Object.fromEntries(wanted.map((name) => [name, `my ${name}`])) };
};

async function transport({ via, at }) {
  if (via === "stdio") {
    const from = SDK === "v1" ? "@modelcontextprotocol/sdk/client/stdio.js" : "@modelcontextprotocol/client/stdio";
    const { StdioClientTransport } = await load(from);
    return new StdioClientTransport({ command: at[0], args: at.slice(1) });
  }
  if (via === "sse") {
    const from = SDK === "v1" ? "@modelcontextprotocol/sdk/client/sse.js" : "@modelcontextprotocol/client";
    const { SSEClientTransport } = await load(from);
    return new SSEClientTransport(new URL(at));
  }
  const from = SDK === "v1" ? "@modelcontextprotocol/sdk/client/streamableHttp.js" : "@modelcontextprotocol/client";
  const { StreamableHTTPClientTransport } = await load(from);
  return new StreamableHTTPClientTransport(new URL(at));
}

async function connect(target, changed) {
  const info = { name: "matrix", version: "1" };
  const capabilities = { elicitation: {} };
  if (SDK === "v1") {
    const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
    const schemas = await load("@modelcontextprotocol/sdk/types.js");
    const client = new Client(info, { capabilities });
    client.setRequestHandler(schemas.ElicitRequestSchema, elicit);
    client.setNotificationHandler(schemas.ToolListChangedNotificationSchema, changed);
    await client.connect(await transport(target));
    return client;
  }
  const { Client } = await load("@modelcontextprotocol/client");
  const mode = ERA === "modern" ? { pin: "2026-07-28" } : ERA;
  const client = new Client(info, { capabilities, versionNegotiation: { mode } });
  client.setRequestHandler("elicitation/create", elicit);
  client.setNotificationHandler("notifications/tools/list_changed", changed);
  await client.connect(await transport(target));
  return client;
}

const label = (what) => `${what}_${SDK}_${ERA}_${process.hrtime.bigint()}`;

function checks(target, client, changes) {
  const call = (tool, args = {}, options = undefined) => {
    const params = { name: target.prefix + tool, arguments: args };
    return SDK === "v1" ? client.callTool(params, undefined, options) : client.callTool(params, options);
  };
  const text = async (tool, args, options) => {
    const result = await call(tool, args, options);
    assert(!result.isError, JSON.stringify(result));
    return result.content.filter((block) => block.type === "text").map((block) => block.text).join("\n");
  };
  const names = async () => {
    const listed = [];
    // The second SDK goes through the pages by itself.
    for (let cursor; ; ) {
      const page = await client.listTools(cursor === undefined ? undefined : { cursor });
      listed.push(...page.tools.map((tool) => tool.name));
      cursor = page.nextCursor;
      if (cursor === undefined) break;
    }
    return listed.filter((name) => name.startsWith(target.prefix)).map((name) => name.slice(target.prefix.length));
  };
  return {
    async list() {
      const listed = await names();
      const missing = ["echo", "add", "slow_progress", "wait", "ask", "grow"].filter((name) => !listed.includes(name));
      assert.deepEqual(missing, [], "missing");
      assert.notEqual(listed.includes("forbidden"), target.policy, `forbidden: ${listed}`);
    },
    async allowed() {
      assert.equal(await text("echo", { text: "grüezi \u2028 {}" }), "grüezi \u2028 {}");
      assert.deepEqual((await call("add", { a: 2, b: 40 })).structuredContent, { sum: 42 });
    },
    async denied() {
      const result = await call("forbidden");
      assert.equal(result.isError, true, `not denied: ${JSON.stringify(result)}`);
      const { code, rule } = result._meta["dev.toolgate/decision"];
      assert.deepEqual([code, rule], ["denied.rule", "/tools/forbidden"]);
      assert.equal(await text("forbidden_calls"), "0", "the server was asked");
    },
    async progress() {
      const [which, seen, more] = [label("progress"), [], []];
      const onprogress = ({ progress, total }) => {
        seen.push([progress, total]);
        if (progress === total) more.push(text("go_on", { label: which }));
      };
      const said = await text("slow_progress", { steps: 4, label: which }, { onprogress });
      assert.deepEqual(seen, [1, 2, 3, 4].map((n) => [n, 4]));
      assert.equal(said, "true", "the reports came with the answer");
      await Promise.all(more);
    },
    async cancel() {
      const which = label("wait");
      const stop = new AbortController();
      const running = call("wait", { label: which }, { signal: stop.signal }).then(
        (result) => assert.fail(`not cancelled: ${JSON.stringify(result)}`),
        () => {},
      );
      assert.equal(await text("has_begun", { label: which }), "true", "it never began");
      stop.abort();
      await running;
      assert.equal(await text("was_cancelled", { label: which }), "true", "the server did not learn of it");
    },
    async elicitation() {
      assert.equal(await text("ask"), "Hello, my name!");
    },
    async change() {
      const subscription = ERA === "modern" ? await client.listen({ toolsListChanged: true }) : undefined;
      const name = label("grown");
      let next = changes.next();
      await text("grow", { name });
      // Others who use the same server make it change as well, so the first word need not be about ours.
      for (;;) {
        await next;
        next = changes.next();
        if ((await names()).includes(name)) break;
      }
      assert.equal(await text(name), `I am ${name}`);
      await subscription?.close();
    },
  };
}

// Says when something happens next.
function bell() {
  let waiting = [];
  return {
    ring() {
      for (const resolve of waiting) resolve();
      waiting = [];
    },
    next: () => new Promise((resolve) => waiting.push(resolve)),
  };
}

const patiently = (promise) =>
  Promise.race([promise, sleep(PATIENCE, undefined, { ref: false }).then(() => Promise.reject(new Error("took too long")))]);

function complain(check, error) {
  const why = String(error?.message ?? error).replace(/\s+/g, " ").slice(0, 500);
  console.log(`FAIL ${check}: ${why}`);
  console.error(check, error);
}

// Makes the checks of one target, and says whether all passed.
async function look(target) {
  let passed = true;
  let client;
  const changes = bell();
  try {
    client = await patiently(connect(target, () => changes.ring()));
  } catch (error) {
    complain(`${target.name} connect`, error);
    return false;
  }
  const all = checks(target, client, changes);
  for (const check of target.checks) {
    try {
      await patiently(all[check]());
      console.log(`ok ${target.name} ${check}`);
    } catch (error) {
      passed = false;
      complain(`${target.name} ${check}`, error);
    }
  }
  await client.close().catch((error) => console.error(target.name, "close", error));
  return passed;
}

const left = JSON.parse(TARGETS);
let passed = true;
const worker = async () => {
  for (let target = left.shift(); target !== undefined; target = left.shift()) passed = (await look(target)) && passed;
};
await Promise.all(Array.from({ length: TOGETHER }, worker));
process.exit(passed ? 0 : 1);
