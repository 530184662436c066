"""One unmodified Python SDK against one server: `client.py SERVER ERA URL CALLS`, with ERA `legacy`, `modern` or `auto`.

Prints `ok CHECK` or `FAIL CHECK: why` for every check of the pair, and fails if one failed. The same file runs under the 1.x and
the 2.x releases of `mcp`; what differs between them is in `connect` and `plain`.
"""

import asyncio
import json
import sys
import time
import traceback
from contextlib import asynccontextmanager
from importlib.metadata import version

import mcp
from mcp import types

MAJOR = int(version("mcp").split(".")[0])
SERVER, ERA, URL, CALLS = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])

# What a client could leak. None of it may reach a server.
CREDENTIALS = {"Authorization": "Bearer of-the-client", "Cookie": "session=of-the-client"}

ROOT = "file:///srv/of-the-client"

# Of the limits in both policies, in seconds.
WINDOW = 2


def plain(value):
    """What came over the wire, whichever way this release wraps it."""
    return json.loads(value.model_dump_json(by_alias=True, exclude_none=True))


async def sample(_context, params):
    asked = plain(params)["messages"][0]["content"]["text"]
    content = types.TextContent(type="text", text=f"answer to <{asked}>")
    return types.CreateMessageResult(role="assistant", content=content, model="none")


async def elicit(_context, params):
    wanted = plain(params)["requestedSchema"]["properties"]
    content = {name: f"my {name}" for name, schema in wanted.items() if schema.get("type") == "string"}
    return types.ElicitResult(action="accept", content=content)


async def roots(_context):
    return types.ListRootsResult(roots=[types.Root(uri=ROOT)])


@asynccontextmanager
async def connect():
    callbacks = {"sampling_callback": sample, "elicitation_callback": elicit, "list_roots_callback": roots}
    from mcp.client.streamable_http import streamable_http_client

    if MAJOR == 1:
        import httpx

        async with httpx.AsyncClient(headers=CREDENTIALS, timeout=60) as http:
            async with streamable_http_client(URL, http_client=http) as (read, write, _):
                async with mcp.ClientSession(read, write, **callbacks) as session:
                    await session.initialize()
                    yield session
    else:
        import httpx2

        mode = "2026-07-28" if ERA == "modern" else ERA
        async with httpx2.AsyncClient(headers=CREDENTIALS, timeout=60) as http:
            transport = streamable_http_client(URL, http_client=http)
            async with mcp.Client(transport, mode=mode, **callbacks) as client:
                yield client


async def call(client, tool, arguments=None, **options):
    return plain(await client.call_tool(tool, arguments or {}, **options))


def text(result):
    assert not result.get("isError"), result
    return "\n".join(block["text"] for block in result["content"] if block["type"] == "text")


def decision(result):
    assert result.get("isError") is True, f"not denied: {result}"
    return result["_meta"]["dev.toolgate/decision"]


async def names(client):
    return [tool["name"] for tool in plain(await client.list_tools())["tools"]]


async def refused(operation):
    """The JSON-RPC error of an operation that must fail with one."""
    error_type = mcp.McpError if MAJOR == 1 else mcp.MCPError
    try:
        result = await operation
    except error_type as error:
        return error.error
    raise AssertionError(f"not refused: {result}")


async def listing(client, present, absent):
    listed = await names(client)
    assert set(present) <= set(listed), f"missing: {set(present) - set(listed)}"
    assert not set(absent) & set(listed), f"listed: {set(absent) & set(listed)}"


async def denied(client, tool, code, rule, reason):
    result = await call(client, tool)
    seen = decision(result)
    assert (seen["code"], seen["rule"]) == (code, rule), seen
    assert reason in result["content"][0]["text"], result["content"]


async def hidden(client, tool):
    error = await refused(client.call_tool(tool, {}))
    assert (error.code, error.message) == (-32602, f"Unknown tool: {tool}"), error


async def limited(client, tool, most):
    """Calls until the limit, sees that it holds, waits as long as told, and may call again."""
    while True:
        passed, began = 0, time.monotonic()
        while not (result := await call(client, tool)).get("isError"):
            passed += 1
            assert passed <= most or time.monotonic() - began > WINDOW, f"{passed} calls passed, {most} may"
        if time.monotonic() - began < WINDOW:
            break
        # Too slow: these calls fell into more than one window, and say nothing.
        await asyncio.sleep(WINDOW)
    # A session has its own count. Modern calls share the address's, so earlier calls may still weigh.
    assert passed == most or ERA != "legacy", f"{passed} calls passed, {most} may"
    seen = decision(result)
    assert seen["code"] == "limited" and seen["retry_after_ms"] > 0, seen
    while (result := await call(client, tool)).get("isError"):
        await asyncio.sleep(decision(result)["retry_after_ms"] / 1000)
    text(result)


async def progress(client, tool, arguments, steps):
    seen = []

    async def note(done, total, _message):
        seen.append((done, total))

    text(await call(client, tool, arguments, progress_callback=note))
    assert seen == [(n, steps) for n in range(1, steps + 1)], seen


async def says(client, tool, arguments, *expected):
    said = text(await call(client, tool, arguments))
    assert all(part in said for part in expected), said


async def cancel(client):
    label = f"python {MAJOR} {ERA}"
    running = asyncio.create_task(client.call_tool("slow", {"label": label}))
    await says(client, "begun", {"wait_for": label}, label)
    running.cancel()
    await says(client, "cancelled", {"wait_for": label}, label)


async def credentials(client):
    headers = json.loads(text(await call(client, "whoami")))
    assert "of-the-client" not in json.dumps(headers), headers


async def resources(client, allowed, forbidden):
    listed = [resource["uri"] for resource in plain(await client.list_resources())["resources"]]
    assert allowed in listed and forbidden not in listed, listed
    read = plain(await client.read_resource(allowed))
    assert read["contents"][0]["uri"] == allowed, read
    await refused(client.read_resource(forbidden))


async def prompts(client, allowed, forbidden):
    listed = [prompt["name"] for prompt in plain(await client.list_prompts())["prompts"]]
    assert allowed in listed and forbidden not in listed, listed
    assert plain(await client.get_prompt(allowed))["messages"]
    await refused(client.get_prompt(forbidden))


async def crossing(first):
    """Two clients count their request ids alike. Each must get its own answers."""

    async def work(client, who):
        for n in range(CALLS // 2):
            said = json.loads(text(await call(client, "echo", {"who": who, "n": n})))
            assert said == {"who": who, "n": n}, f"{who} asked {n} and got {said}"

    async with connect() as second:
        await asyncio.gather(work(first, "first"), work(second, "second"))


async def appears(client, tool):
    """The server adds some tools only after it has seen what the client can do."""
    while tool not in await names(client):
        await asyncio.sleep(0.05)


def fixture(client):
    yield "list", listing(client, ["echo", "whoami", "test_simple_text"], ["test_error_handling", "test_image_content", "greet"])
    yield "call", says(client, "echo", {"text": "grüezi \u2028 {}"}, "grüezi \u2028 {}")
    yield "denied", denied(client, "test_error_handling", "denied.rule", "/tools/test_error_handling", "always fails")
    yield "unlisted", denied(client, "greet", "denied.default", "(default deny)", "denied")
    yield "hidden", hidden(client, "test_image_content")
    yield "limit", limited(client, "test_simple_text", 3)
    yield "progress", progress(client, "progress", {"steps": 4}, 4)
    if ERA == "legacy":
        yield "sampling", says(client, "test_sampling", {"prompt": "2+2"}, "LLM response: answer to <2+2>")
        yield "elicitation", says(client, "test_elicitation", {"message": "who?"}, "accept", "my username")
        yield "roots", says(client, "roots", {}, ROOT)
    else:
        prefix = "test_input_required_result"
        yield "sampling", says(client, f"{prefix}_sampling", {}, "answer to <What is the capital of France?>")
        yield "elicitation", says(client, f"{prefix}_elicitation", {}, "Hello, my name!")
        yield "roots", says(client, f"{prefix}_list_roots", {}, ROOT)
        yield "rounds", says(client, f"{prefix}_multi_round", {}, "my name likes my color")
    if MAJOR > 1:
        # The 1.x releases drop a cancelled call without a word to the server.
        yield "cancel", cancel(client)
    yield "credentials", credentials(client)
    yield "resources", resources(client, "test://static-text", "test://static-binary")
    yield "prompts", prompts(client, "test_simple_prompt", "test_prompt_with_image")
    yield "crossing", crossing(client)


def everything(client):
    yield "appear", appears(client, "trigger-elicitation-request")
    yield "list", listing(client, ["echo", "get-sum"], ["get-env", "gzip-file-as-resource", "toggle-simulated-logging"])
    yield "call", says(client, "echo", {"message": "grüezi"}, "Echo: grüezi")
    yield "denied", denied(client, "get-env", "denied.rule", "/tools/get-env", "secrets")
    yield "unlisted", denied(client, "toggle-simulated-logging", "denied.default", "(default deny)", "denied")
    yield "hidden", hidden(client, "gzip-file-as-resource")
    yield "limit", limited(client, "get-tiny-image", 3)
    yield "progress", progress(client, "trigger-long-running-operation", {"duration": 0.2, "steps": 4}, 4)
    yield "sampling", says(client, "trigger-sampling-request", {"prompt": "2+2"}, "answer to <")
    yield "elicitation", says(client, "trigger-elicitation-request", {}, "accept", "my name")
    yield "roots", says(client, "get-roots-list", {}, ROOT)
    yield "prompts", prompts(client, "simple-prompt", "completable-prompt")


# What the emulated service has at its start.
JOB = "ftjob-0a1b2c3d4e5f60718293a4b5c6d7e8f9"


async def status(client):
    """A JSON string in one block of text, as people know it from mcp-foundry."""
    job = json.loads(text(await call(client, "fetch_finetuning_status", {"job_id": JOB})))
    assert (job["job_id"], job["status"]) == (JOB, "succeeded"), job


async def path_as_id(client):
    result = await call(client, "fetch_finetuning_status", {"job_id": "../../files/file-x/content"})
    assert decision(result)["code"] == "denied.condition", result


def finetuning(client):
    yield "list", listing(client, ["fetch_finetuning_status"], ["create_finetuning_job", "delete_file"])
    yield "call", status(client)
    yield "denied", denied(client, "create_finetuning_job", "denied.rule", "/tools/create_finetuning_job", "costs money")
    yield "condition", path_as_id(client)


async def main():
    failed = False
    async with connect() as client:
        for name, check in {"fixture": fixture, "everything": everything, "finetuning": finetuning}[SERVER](client):
            try:
                await asyncio.wait_for(check, 1800 if name == "crossing" else 60)
                print(f"ok {name}", flush=True)
            except Exception as error:
                failed = True
                why = " ".join(f"{type(error).__name__}: {error}".split())
                print(f"FAIL {name}: {why[:500]}", flush=True)
                traceback.print_exc()
    sys.exit(failed)


asyncio.run(main())
