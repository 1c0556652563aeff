"""An app with rooms under Starlette's TestClient, as people test theirs: a life of the app in each test, each on a loop of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocketDisconnect

from partywidgets.auth import Refusal
from partywidgets.exceptions import HostError
from partywidgets.party import Connection, ConnectionContext, Grant, Lobby, PartyHost, Server
from partywidgets.transport.asgi import PartyMiddleware


class Chat(Server):
    """Counts over restarts, and tells everyone."""

    async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        count = await self.storage.get("count", 0) + 1
        await self.storage.put("count", count)
        connection.send(f"number {count}")

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        if message == "out":
            connection.close(4000, "out")
        self.broadcast(message, without=[connection.id])

    async def on_request(self, request: Request) -> Response:
        return JSONResponse([self.name, (await request.body()).decode()])


def auth(request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
    """Fails for one."""
    if request.query_params.get("as") == "trouble":
        raise RuntimeError("of the authoriser")
    return Grant("me", "Me", frozenset())


@pytest.mark.filterwarnings("ignore:Using `httpx`")
def test_an_app_lives_twice(tmp_path: Path) -> None:
    """Messages, closes, requests and failures in both lives of one app and its host; what the first stored the second has."""
    from starlette.testclient import TestClient

    host = PartyHost({"Chat": Chat}, storage=tmp_path)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with host:
            yield

    app = Starlette(lifespan=lifespan)
    app.add_middleware(PartyMiddleware, host=host, auth=auth)
    for life in (1, 2):
        with TestClient(app) as client:
            assert client.post("/parties/chat/lobby", content=b"x").json() == ["lobby", "x"]
            with (
                client.websocket_connect("/parties/chat/lobby?_pk=a") as a,
                client.websocket_connect("/parties/chat/lobby?_pk=b") as b,
            ):
                assert [a.receive_text(), b.receive_text()] == [f"number {2 * life - 1}", f"number {2 * life}"]
                a.send_bytes(b"\x00\xff")
                assert b.receive_bytes() == b"\x00\xff"
                a.send_text("out")
                with pytest.raises(WebSocketDisconnect) as closed:
                    a.receive_text()
                assert (closed.value.code, closed.value.reason) == (4000, "out")
            assert client.get("/parties/chat/lobby?as=trouble").status_code == 500
    assert host.storage_path == tmp_path


async def test_a_host_is_entered_once_at_a_time(tmp_path: Path) -> None:
    """A second `async with` on one that is open is refused in a sentence, and the first goes on."""
    async with PartyHost({"Chat": Chat}, storage=tmp_path) as host:
        with pytest.raises(HostError, match="open already"):
            await host.__aenter__()
        assert (await host.get_server_by_name(Chat, "lobby")).name == "lobby"
