"""A client that comes with tokens of a real authorization server: `oidc.py ISSUER GATEWAY`, where GATEWAY has the mounts `one` and `two`.

The official Python SDK is told nothing but the mount's URL and its own secret: it must find the authorization server by what the
gateway says. Prints `ok CHECK` or `FAIL CHECK: why`, and fails if one failed.
"""

import asyncio
import sys
import traceback

import httpx2
import mcp
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client

ISSUER, GATEWAY = sys.argv[1], sys.argv[2]
ONE, TWO = f"{GATEWAY}/mcp/one", f"{GATEWAY}/mcp/two"
ROBOT = ("robot", "the-secret-of-the-robot")
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
LINES = {"Accept": "application/json, text/event-stream"}


class Memory:
    """Where the SDK keeps what it was given."""

    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def tools(url, memory):
    auth = ClientCredentialsOAuthProvider(url, memory, *ROBOT, issuer=ISSUER)
    async with httpx2.AsyncClient(auth=auth, timeout=60) as http:
        async with streamable_http_client(url, http_client=http) as (read, write):
            async with mcp.ClientSession(read, write) as session:
                await session.initialize()
                names = [tool.name for tool in (await session.list_tools()).tools]
                called = await session.call_tool("test_simple_text", {})
                assert not called.is_error, called
                return names


async def token(resource, scope):
    form = {"grant_type": "client_credentials", "resource": resource, "scope": scope}
    async with httpx2.AsyncClient() as http:
        answer = await http.post(f"{ISSUER}/token", data=form, auth=ROBOT)
        return answer.json()["access_token"]


async def shown(url, bearer):
    lines = {**LINES, "Authorization": f"Bearer {bearer}"} if bearer else LINES
    async with httpx2.AsyncClient(timeout=60) as http:
        answer = await http.post(url, json=PING, headers=lines)
        return answer.status_code, answer.headers.get("www-authenticate", "")


async def says_where_to_get_a_token():
    status, challenge = await shown(ONE, None)
    assert status == 401 and f'resource_metadata="{GATEWAY}/.well-known/oauth-protected-resource/mcp/one"' in challenge, challenge
    assert 'scope="tools:read"' in challenge, challenge


async def the_sdk_finds_its_way():
    memory = Memory()
    assert "test_simple_text" in await tools(ONE, memory)
    assert memory.tokens.scope == "tools:read", memory.tokens


async def a_token_opens_one_mount():
    for_one = await token(ONE, "tools:read")
    # A request of a legacy session that there is none of: it was let in.
    assert (await shown(ONE, for_one))[0] == 400
    status, challenge = await shown(TWO, for_one)
    assert status == 401 and 'error="invalid_token"' in challenge, (status, challenge)


async def a_weak_token_is_told_so():
    status, challenge = await shown(ONE, await token(ONE, "tools:call"))
    assert status == 403 and 'error="insufficient_scope"' in challenge, (status, challenge)


async def new_keys_are_found():
    async with httpx2.AsyncClient() as http:
        assert (await http.post(f"{ISSUER}/rotate")).status_code == 204
    assert "test_simple_text" in await tools(ONE, Memory())


async def main():
    failed = 0
    for check in (says_where_to_get_a_token, the_sdk_finds_its_way, a_token_opens_one_mount, a_weak_token_is_told_so, new_keys_are_found):
        try:
            await check()
            print("ok", check.__name__)
        except BaseException as error:
            failed += 1
            traceback.print_exc()
            print("FAIL", f"{check.__name__}: {error!r}")
    return failed


sys.exit(1 if asyncio.run(main()) else 0)
