"""An unmodified Python SDK, connected to whatever a target names. The same file runs under the 1.x and the 2.x releases of `mcp`.

A target has `via` (`http`, `sse` or `stdio`) and `at` (a URL, or a command for `stdio`, with `env` and `cwd` if it needs them).
"""

import json
import sys
import traceback
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

import mcp

MAJOR = int(version("mcp").split(".")[0])


def plain(value):
    """What came over the wire, whichever way this release wraps it."""
    return json.loads(value.model_dump_json(by_alias=True, exclude_none=True))


def text(result):
    """The text of a tool's result, which must not be an error."""
    assert not result.get("isError"), result
    return "\n".join(block["text"] for block in result["content"] if block["type"] == "text")


@asynccontextmanager
async def transport(target):
    """A pair of streams."""
    at = target["at"]
    async with AsyncExitStack() as stack:
        if target["via"] == "stdio":
            from mcp.client.stdio import StdioServerParameters, stdio_client

            command = StdioServerParameters(command=at[0], args=at[1:], env=target.get("env"), cwd=target.get("cwd"))
            opened = stdio_client(command)
        elif target["via"] == "sse":
            from mcp.client.sse import sse_client

            opened = sse_client(at)
        else:
            from mcp.client.streamable_http import streamable_http_client

            opened = streamable_http_client(at)
        yield (await stack.enter_async_context(opened))[:2]


@asynccontextmanager
async def connected(target, era, **callbacks):
    """A client, with era `legacy`, `modern` or `auto`."""
    if MAJOR == 1:
        async with transport(target) as (read, write):
            async with mcp.ClientSession(read, write, **callbacks) as client:
                await client.initialize()
                yield client
    else:
        mode = "2026-07-28" if era == "modern" else era
        async with mcp.Client(transport(target), mode=mode, **callbacks) as client:
            yield client


async def tools(client):
    """The names of all tools, from however many pages."""
    names, cursor = [], None
    while True:
        page = plain(await client.list_tools(cursor=cursor))
        names += [tool["name"] for tool in page["tools"]]
        cursor = page.get("nextCursor")
        if cursor is None:
            return names


def complain(check, error):
    """One line for the reader of stdout, the whole story for the log."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    why = " ".join(f"{type(error).__name__}: {error}".split())
    print(f"FAIL {check}: {why[:500]}", flush=True)
    print(check, file=sys.stderr)
    traceback.print_exception(error)
