"""One unmodified Python SDK against many servers: `matrix.py ERA TARGETS`, with ERA `legacy` or `modern`.

TARGETS is a JSON array of targets: `name`; `via` (`http`, `sse` or `stdio`); `at` (a URL, or a command for `stdio`); `prefix` of
the tools' names; `policy`, whether a policy stands in between; and the `checks` to make. Prints `ok TARGET CHECK` or
`FAIL TARGET CHECK: why` for each, and fails if one failed. The servers are those of `server.py`.
"""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager

from mcp import types

import peer
from peer import MAJOR, complain, plain

ERA, TARGETS = sys.argv[1], json.loads(sys.argv[2])

# How many targets are looked at together, and how long connecting and each check may take, in seconds. Modern clients of one machine are
# one agent as long as nobody says who they are, and a legacy program's question that may belong to two open calls goes to neither.
TOGETHER, PATIENCE = 1 if ERA == "modern" else 4, 30


async def elicit(_context, params):
    wanted = plain(params)["requestedSchema"]["properties"]
    return types.ElicitResult(action="accept", content={name: f"my {name}" for name in wanted})


class Target:
    """A connected client, and the checks."""

    def __init__(self, target):
        self.target, self.prefix, self.changed = target, target["prefix"], asyncio.Event()

    @asynccontextmanager
    async def connected(self):
        callbacks = {"elicitation_callback": elicit, "message_handler": self.noticed}
        async with peer.connected(self.target, ERA, **callbacks) as self.client:
            yield

    async def noticed(self, message):
        if getattr(getattr(message, "root", message), "method", None) == "notifications/tools/list_changed":
            self.changed.set()

    async def call(self, tool, arguments=None, **options):
        return plain(await self.client.call_tool(self.prefix + tool, arguments or {}, **options))

    async def text(self, tool, arguments=None, **options):
        return peer.text(await self.call(tool, arguments, **options))

    async def names(self):
        names = await peer.tools(self.client)
        return [name.removeprefix(self.prefix) for name in names if name.startswith(self.prefix)]

    async def list(self):
        names = await self.names()
        missing = {"echo", "add", "slow_progress", "wait", "ask", "grow"} - set(names)
        assert not missing, f"missing: {missing}"
        assert ("forbidden" in names) != self.target["policy"], f"forbidden: {names}"

    async def allowed(self):
        text = "grüezi \u2028 {}"
        said = await self.text("echo", {"text": text})
        assert said == text, said
        result = await self.call("add", {"a": 2, "b": 40})
        assert result["structuredContent"] == {"sum": 42}, result

    async def denied(self):
        result = await self.call("forbidden")
        assert result.get("isError") is True, f"not denied: {result}"
        decision = result["_meta"]["dev.toolgate/decision"]
        assert (decision["code"], decision["rule"]) == ("denied.rule", "/tools/forbidden"), decision
        said = await self.text("forbidden_calls")
        assert said == "0", f"the server was asked {said} times"

    async def progress(self):
        label, seen, tasks = self.label("progress"), [], []

        async def note(done, total, _message):
            seen.append((done, total))
            if done == total:
                # Beside the callback, which would keep this release from reading on.
                tasks.append(asyncio.create_task(self.text("go_on", {"label": label})))

        said = await self.text("slow_progress", {"steps": 4, "label": label}, progress_callback=note)
        assert seen == [(n, 4) for n in range(1, 5)], seen
        assert said == "true", "the reports came with the answer"
        await asyncio.gather(*tasks)

    def label(self, what):
        return f"{what}_{MAJOR}_{ERA}_{time.time_ns()}"

    async def cancel(self):
        label = self.label("wait")
        request = None if MAJOR > 1 else self.client._request_id
        running = asyncio.create_task(self.call("wait", {"label": label}))
        # It takes its number before anything else does.
        await asyncio.sleep(0)
        said = await self.text("has_begun", {"label": label})
        assert said == "true", "it never began"
        if MAJOR == 1:
            # This release drops a cancelled call without a word to the server, so we say the word.
            word = types.CancelledNotification(params=types.CancelledNotificationParams(requestId=request))
            await self.client.send_notification(types.ClientNotification(word))
        running.cancel()
        said = await self.text("was_cancelled", {"label": label})
        assert said == "true", "the server did not learn of it"

    async def elicitation(self):
        said = await self.text("ask")
        assert said == "Hello, my name!", said

    async def change(self):
        async with AsyncExitStack() as stack:
            if ERA == "modern":
                events = await stack.enter_async_context(self.client.listen(tools_list_changed=True))
            self.changed.clear()
            name = self.label("grown")
            await self.text("grow", {"name": name})
            # Others who use the same server make it change as well, so the first word need not be about ours.
            while True:
                await (anext(events) if ERA == "modern" else self.changed.wait())
                self.changed.clear()
                if name in await self.names():
                    break
            assert await self.text(name) == f"I am {name}"


async def look(target, together):
    """Makes the checks of one target, and says whether all passed."""
    failed, name = False, target["name"]
    async with together:
        side = Target(target)
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(PATIENCE):
                    await stack.enter_async_context(side.connected())
                for check in target["checks"]:
                    try:
                        await asyncio.wait_for(getattr(side, check)(), PATIENCE)
                        print(f"ok {name} {check}", flush=True)
                    except Exception as error:
                        failed = True
                        complain(f"{name} {check}", error)
        except Exception as error:
            failed = True
            complain(f"{name} connect", error)
    return not failed


async def main():
    together = asyncio.Semaphore(TOGETHER)
    passed = await asyncio.gather(*(look(target, together) for target in TARGETS))
    sys.exit(not all(passed))


asyncio.run(main())
