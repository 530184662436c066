"""One unmodified Python SDK against real servers: `real.py ERA TARGETS`, with ERA `legacy`, `modern` or `auto`.

TARGETS is a JSON array. Each is a target as `peer.py` wants it, with a `name`, the `checks` to make, and what `real/servers.json` says of
the server. Prints `ok TARGET CHECK` or `FAIL TARGET CHECK: why` for each, and fails if one failed.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack

from peer import complain, connected, plain, text, tools

ERA, TARGETS = sys.argv[1], json.loads(sys.argv[2])

# How many targets are looked at together, and how long connecting and each check may take, in seconds.
TOGETHER, PATIENCE = 4, 60


async def call(client, wanted):
    return plain(await client.call_tool(wanted["tool"], wanted.get("arguments", {})))


async def answered(client, calls):
    for wanted in calls:
        said = text(await call(client, wanted))
        assert wanted["says"] in said, f"{wanted['tool']} says {said}"


async def listed(client, target):
    names = set(await tools(client))
    missing, surplus = set(target["listed"]) - names, set(target["unlisted"]) & names
    assert not missing, f"missing: {missing}"
    # Without a policy in between, everything is there.
    assert surplus == set() if target["policy"] else surplus == set(target["unlisted"]), f"of the unlisted: {surplus}"


async def called(client, target):
    await answered(client, target["calls"])


async def denied(client, target):
    for wanted in target["denied"]:
        result = await call(client, wanted)
        assert result.get("isError") is True, f"not denied: {result}"
        decision = result["_meta"]["dev.toolgate/decision"]
        assert (decision["code"], decision["rule"]) == (wanted["code"], wanted["rule"]), decision


async def unharmed(client, target):
    """What was denied did not happen."""
    await answered(client, target["unharmed"])


CHECKS = {"list": listed, "call": called, "denied": denied, "unharmed": unharmed}


async def look(target, together):
    """Makes the checks of one target, and says whether all passed."""
    failed, name = False, target["name"]
    async with together, AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(PATIENCE):
                client = await stack.enter_async_context(connected(target, ERA))
        except Exception as error:
            complain(f"{name} connect", error)
            return False
        for check in target["checks"]:
            try:
                await asyncio.wait_for(CHECKS[check](client, target), PATIENCE)
                print(f"ok {name} {check}", flush=True)
            except Exception as error:
                failed = True
                complain(f"{name} {check}", error)
    return not failed


async def main():
    together = asyncio.Semaphore(TOGETHER)
    passed = await asyncio.gather(*(look(target, together) for target in TARGETS))
    sys.exit(not all(passed))


asyncio.run(main())
