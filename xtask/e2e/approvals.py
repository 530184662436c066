"""One unmodified Python SDK whose calls wait for a person: `approvals.py ERA URL ADMIN TOKEN`, with ERA `legacy` or `modern`.

The person is here too: it looks at the admin API for the call that it knows of, and decides. Prints `ok CHECK` or `FAIL CHECK: why`.
"""

import asyncio
import json
import sys
import time
import traceback
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from importlib.metadata import version

import mcp
from mcp import types
from mcp.client.streamable_http import streamable_http_client

MAJOR = int(version("mcp").split(".")[0])
ERA, URL, ADMIN, TOKEN = sys.argv[1:]

# No check may wait for ever.
PATIENCE = 40


def plain(value):
    """What came over the wire, whichever way this release wraps it."""
    return json.loads(value.model_dump_json(by_alias=True, exclude_none=True))


def api(path, body=None):
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{ADMIN}/api/v1{path}", data, headers), timeout=10) as answer:
        return json.load(answer)


def waiting(arguments):
    """The request for these arguments, once it is there."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for row in api("/approvals?state=pending")["items"]:
            shown = api(f"/approvals/{row['id']}")
            if json.loads(shown["arguments"]) == arguments:
                return shown
        time.sleep(0.02)
    raise AssertionError("it does not wait for approval")


async def decide(arguments, verdict, **body):
    found = await asyncio.to_thread(waiting, arguments)
    await asyncio.to_thread(api, f"/approvals/{found['id']}/{verdict}", body)
    return found["id"]


@asynccontextmanager
async def connect(elicit=None):
    if MAJOR == 1:
        async with streamable_http_client(URL) as (read, write, _):
            async with mcp.ClientSession(read, write, elicitation_callback=elicit) as session:
                await session.initialize()
                yield session
    else:
        mode = "2026-07-28" if ERA == "modern" else ERA
        async with mcp.Client(streamable_http_client(URL), mode=mode, elicitation_callback=elicit) as client:
            yield client


async def call(client, tool, arguments):
    return plain(await client.call_tool(tool, arguments))


def decision(result):
    assert result.get("isError") is True, f"not denied: {result}"
    return result["_meta"]["dev.toolgate/decision"]


def says(result, expected):
    assert not result.get("isError"), result
    assert expected in result["content"][0]["text"], result


def labelled(check):
    """Like no other client's."""
    return {"text": f"{check} of python {version('mcp')} {ERA}"}


async def approve():
    arguments = labelled("approve")
    async with connect() as client:
        result, _ = await asyncio.gather(call(client, "echo", arguments), decide(arguments, "approve"))
        says(result, arguments["text"])


async def deny():
    arguments = labelled("deny")
    async with connect() as client:
        result, _ = await asyncio.gather(call(client, "echo", arguments), decide(arguments, "deny", reason="Not on a Friday."))
        assert decision(result)["code"] == "approval.denied", result
        assert "Not on a Friday." in result["content"][0]["text"], result
        again = await call(client, "echo", arguments)
        assert decision(again)["code"] == "approval.denied", again


async def expire():
    async with connect() as client:
        result = await call(client, "begun", {"wait_for": labelled("expire")["text"]})
        assert decision(result)["code"] == "approval.expired", result


async def ticket():
    """Nobody decides while the call is held: it is repeated after that."""
    arguments = {"steps": 1, **labelled("ticket")}
    async with connect() as client:
        held = decision(await call(client, "progress", arguments))
        assert held["code"] == "approval.required" and held["approval"], held
        decided = await decide(arguments, "approve")
        assert decided == held["approval"], (decided, held)
        result = await call(client, "progress", arguments)
        assert not result.get("isError"), result
        once_more = decision(await call(client, "progress", arguments))
        assert once_more["code"] == "approval.required" and once_more["approval"] != decided, once_more


async def url():
    """A client that can open a page is sent to ours."""
    arguments, seen = labelled("url"), []

    async def elicit(_context, params):
        seen.append(plain(params))
        await decide(arguments, "approve")
        return types.ElicitResult(action="accept")

    async with connect(elicit) as client:
        if ERA == "modern":
            result = await call(client, "echo", arguments)
            shown = seen[0]
        else:
            error_type = mcp.McpError if MAJOR == 1 else mcp.MCPError
            try:
                raise AssertionError(f"not sent to a page: {await call(client, 'echo', arguments)}")
            except error_type as error:
                assert error.error.code == -32042, error.error
                shown = error.error.data["elicitations"][0]
            await decide(arguments, "approve")
            result = await call(client, "echo", arguments)
        assert shown["mode"] == "url" and shown["url"].startswith(f"{ADMIN}/approvals/"), shown
        says(result, arguments["text"])


async def main():
    failed = False
    for check in (approve, deny, expire, ticket, url):
        try:
            await asyncio.wait_for(check(), PATIENCE * 1.5)
            print(f"ok {check.__name__}", flush=True)
        except Exception as error:
            failed = True
            why = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"FAIL {check.__name__}: {why[:500]}", flush=True)
            traceback.print_exc()
    sys.exit(failed)


asyncio.run(main())
