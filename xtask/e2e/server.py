"""One unmodified Python SDK as a server: `server.py stdio`, `server.py http` or `server.py sse`.

Under a 1.x release of `mcp` it is a legacy server. Under a 2.x release it is a modern one and nothing else: who comes with
`initialize` is told so. What differs between the two is in `legacy` and `modern`; the tools are the same. Over HTTP it takes any
free port and says which: `server ready URL`.
"""

import asyncio
import json
import socket
import sys
from contextlib import asynccontextmanager
from importlib.metadata import version

from mcp import types

MAJOR = int(version("mcp").split(".")[0])
TRANSPORT = sys.argv[1]

# How long a question about the past waits for it to happen, in seconds.
PATIENCE = 10

NAME_WANTED = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
STATE = "the name was asked for"


class Happened:
    """Labels of what happened, and a way to wait for one."""

    def __init__(self):
        self.labels, self.more = [], asyncio.Condition()

    async def note(self, label):
        async with self.more:
            self.labels.append(label)
            self.more.notify_all()

    async def did(self, label):
        async def wait():
            async with self.more:
                await self.more.wait_for(lambda: label in self.labels)

        try:
            await asyncio.wait_for(wait(), PATIENCE)
        except TimeoutError:
            pass
        return label in self.labels


began, cancelled, let_on, grown, reached = Happened(), Happened(), Happened(), [], []


def schema(**members):
    """An object whose members are all required, each of the JSON type that is given."""
    return {"type": "object", "properties": {name: {"type": kind} for name, kind in members.items()}, "required": list(members)}


def definitions():
    fixed = [
        ("echo", "Answers with its text", schema(text="string")),
        ("add", "Adds two integers", schema(a="integer", b="integer")),
        ("forbidden", "Nobody may call this", schema()),
        ("forbidden_calls", "How often `forbidden` was called", schema()),
        ("slow_progress", "Reports `steps` steps of progress, and answers after `go_on`", schema(steps="integer", label="string")),
        ("go_on", "Lets the `slow_progress` of this label answer", schema(label="string")),
        ("wait", "Never answers unless cancelled", schema(label="string")),
        ("has_begun", "Whether `wait` was called with this label", schema(label="string")),
        ("was_cancelled", "Whether the `wait` of this label was cancelled", schema(label="string")),
        ("ask", "Asks the user for a name", schema()),
        ("grow", "Adds a tool of this name, and says that the list changed", schema(name="string")),
    ]
    tools = [{"name": name, "description": text, "inputSchema": shape} for name, text, shape in fixed]
    tools += [{"name": name, "description": "Grown", "inputSchema": schema()} for name in grown]
    tools[1]["outputSchema"] = schema(sum="integer")
    return [types.Tool.model_validate(tool) for tool in tools]


def said(text, **more):
    return types.CallToolResult.model_validate({"content": [{"type": "text", "text": text}], **more})


async def called(name, arguments, peer):
    """The answer of a tool. `peer` is the side that differs: it can `report`, `ask` and `tell`."""
    if name == "echo":
        return said(arguments["text"])
    if name == "add":
        total = {"sum": arguments["a"] + arguments["b"]}
        return said(json.dumps(total), structuredContent=total)
    if name == "forbidden":
        reached.append(name)
        return said("nobody stopped you")
    if name == "forbidden_calls":
        return said(str(len(reached)))
    if name == "slow_progress":
        for step in range(1, arguments["steps"] + 1):
            await peer.report(step, arguments["steps"])
        # Whoever keeps the reports back until the answer waits for ever, and so does an SDK that drops a late report.
        return said(json.dumps(await let_on.did(arguments["label"])))
    if name == "go_on":
        await let_on.note(arguments["label"])
        return said("gone on")
    if name == "wait":
        await began.note(arguments["label"])
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            # A task of its own, since this one may not wait any more.
            asyncio.get_running_loop().create_task(cancelled.note(arguments["label"]))
            raise
    if name == "has_begun":
        return said(json.dumps(await began.did(arguments["label"])))
    if name == "was_cancelled":
        return said(json.dumps(await cancelled.did(arguments["label"])))
    if name == "ask":
        return await peer.ask()
    if name == "grow":
        grown.append(arguments["name"])
        await peer.tell()
        return said(f"grew {arguments['name']}")
    if name in grown:
        return said(f"I am {name}")
    return said(f"no tool `{name}`", isError=True)


class LegacyPeer:
    def __init__(self, context):
        self.context = context

    async def report(self, step, total):
        token = self.context.meta.progressToken if self.context.meta else None
        if token is not None:
            await self.context.session.send_progress_notification(token, step, total, related_request_id=str(self.context.request_id))

    async def ask(self):
        answer = await self.context.session.elicit_form("What is your name?", NAME_WANTED, related_request_id=self.context.request_id)
        return said(f"Hello, {answer.content['name']}!" if answer.action == "accept" else answer.action)

    async def tell(self):
        await self.context.session.send_tool_list_changed()


def legacy():
    from mcp.server.lowlevel import NotificationOptions, Server

    server = Server("matrix", version="1")

    @server.list_tools()
    async def list_tools():
        return definitions()

    @server.call_tool()
    async def call_tool(name, arguments):
        return await called(name, arguments, LegacyPeer(server.request_context))

    return server, server.create_initialization_options(NotificationOptions(tools_changed=True))


class ModernPeer:
    def __init__(self, bus, context, params):
        self.bus, self.context, self.params = bus, context, params

    async def report(self, step, total):
        await self.context.session.report_progress(step, total)

    async def ask(self):
        if self.params.request_state is None:
            wanted = {"mode": "form", "message": "What is your name?", "requestedSchema": NAME_WANTED}
            asked = {"name": {"method": "elicitation/create", "params": wanted}}
            return types.InputRequiredResult.model_validate({"inputRequests": asked, "requestState": STATE})
        assert self.params.request_state == STATE, f"changed on the way: {self.params.request_state}"
        answer = self.params.input_responses["name"]
        return said(f"Hello, {answer.content['name']}!" if answer.action == "accept" else answer.action)

    async def tell(self):
        from mcp.server.subscriptions import ToolsListChanged

        await self.bus.publish(ToolsListChanged())


def modern():
    from mcp import MCPError
    from mcp.server import Server
    from mcp.server.lowlevel import NotificationOptions
    from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler

    bus = InMemorySubscriptionBus()

    async def list_tools(_context, _params):
        return types.ListToolsResult(tools=definitions(), ttl_ms=0, cache_scope="private")

    async def call_tool(context, params):
        return await called(params.name, params.arguments or {}, ModernPeer(bus, context, params))

    async def only_modern(context, next_one):
        if context.method == "initialize":
            asked = (context.params or {}).get("protocolVersion", "")
            told = {"supported": ["2026-07-28"], "requested": asked}
            raise MCPError(types.UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", told)
        return await next_one(context)

    server = Server(
        "matrix", version="1", on_list_tools=list_tools, on_call_tool=call_tool, on_subscriptions_listen=ListenHandler(bus)
    )
    server.middleware.append(only_modern)
    return server, server.create_initialization_options(NotificationOptions(tools_changed=True))


async def stdio(server, options):
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (read, write):
        await server.run(read, write, options)


def http(server, options):
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from starlette.applications import Starlette
    from starlette.routing import Route

    manager = StreamableHTTPSessionManager(server)
    # The manager asks for options of its own, and would not say that the list changes.
    server.create_initialization_options = lambda: options

    class Endpoint:
        async def __call__(self, scope, receive, send):
            await manager.handle_request(scope, receive, send)

    @asynccontextmanager
    async def lifespan(_app):
        async with manager.run():
            yield

    return Starlette(routes=[Route("/mcp", Endpoint())], lifespan=lifespan), "/mcp"


def sse(server, options):
    from mcp.server.sse import SseServerTransport
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Mount, Route

    transport = SseServerTransport("/messages/")

    async def connected(request):
        async with transport.connect_sse(request.scope, request.receive, request._send) as (read, write):
            await server.run(read, write, options)
        return Response()

    return Starlette(routes=[Route("/sse", connected), Mount("/messages/", app=transport.handle_post_message)]), "/sse"


async def main():
    server, options = legacy() if MAJOR == 1 else modern()
    if TRANSPORT == "stdio":
        return await stdio(server, options)
    import uvicorn

    app, path = {"http": http, "sse": sse}[TRANSPORT](server, options)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"server ready http://127.0.0.1:{listener.getsockname()[1]}{path}", flush=True)
    await uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)).serve(sockets=[listener])


asyncio.run(main())
