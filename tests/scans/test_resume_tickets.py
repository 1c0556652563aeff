"""A page comes back to the ops room by the ticket that the room gave it, without asking anybody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from partywidgets.auth import TICKET_SUBPROTOCOL

from ..party.serving import until
from ..running_app import Running, running

PARTY = "ops-monitor-broadcast"


@asynccontextmanager
async def page(app: Running, ticket: str) -> AsyncIterator[ClientConnection]:
    """A page's socket: the dialect, and a ticket beside it."""
    offers = [Subprotocol("partywidgets.v1"), Subprotocol(TICKET_SUBPROTOCOL + ticket)]
    async with connect(f"{app.ws}/parties/{PARTY}/main", subprotocols=offers, proxy=None) as socket:
        yield socket


async def ask(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The reply to a request."""
    await socket.send(json.dumps({"type": kind, "data": {"id": "q1"}}))
    async with asyncio.timeout(20):
        while True:
            message = json.loads(await socket.recv())
            if message["type"] == "reply":
                return dict(message["data"])


async def given(socket: ClientConnection) -> str:
    """A resume ticket."""
    reply = await ask(socket, "ticket")
    assert (reply["ok"], reply["result"]["expires_in"]) == (True, 600.0)
    return str(reply["result"]["ticket"])


async def role_with(app: Running, ticket: str) -> str:
    """Who comes by a ticket; the reason of the refusal where it opens nothing."""
    async with page(app, ticket) as socket:
        try:
            return str(json.loads(await socket.recv())["data"]["role"])
        except ConnectionClosed:
            return f"closed with {socket.close_code}"


async def test_a_page_comes_back_by_the_rooms_ticket(tmp_path: Path) -> None:
    """Once, as who it was, beside its open socket or after it; the ticket before it, and one for another room, open nothing."""
    async with running(tmp_path) as app:
        async with page(app, await app.ticket(PARTY, "main", token=app.guest)) as socket:
            first, second = await given(socket), await given(socket)
            assert await role_with(app, first) == "closed with 4401"
            assert await role_with(app, second) == "viewer"
            last = await given(socket)
        async with page(app, last) as socket:
            assert json.loads(await socket.recv())["data"]["role"] == "viewer"
            again = await given(socket)
        assert await role_with(app, last) == "closed with 4401"
        async with connect(f"{app.ws}/parties/{PARTY}/other?ticket={again}", proxy=None) as elsewhere:
            with pytest.raises(ConnectionClosed):
                await elsewhere.recv()
            assert elsewhere.close_code == 4401


async def test_its_time_begins_when_the_socket_closes(tmp_path: Path) -> None:
    """Also where the room has slept meanwhile; before that no clock runs."""
    async with running(tmp_path) as app:
        book, now = app.app.gate.tickets, 0.0
        book._clock = lambda: now
        app.app.host.hibernate_after = 0.05
        async with page(app, await app.ticket(PARTY, "main")) as socket:
            ticket = await given(socket)
            await until(lambda: "main" not in app.app.host.instances(PARTY))
            now = 10_000.0
        await until(lambda: app.app.host.connection_count() == 0)
        now += 599
        assert await role_with(app, ticket) == "admin"
        async with page(app, await app.ticket(PARTY, "main")) as socket:
            ticket = await given(socket)
        await until(lambda: app.app.host.connection_count() == 0)
        now += 601
        assert await role_with(app, ticket) == "closed with 4401"


async def test_it_ends_with_the_grant(tmp_path: Path) -> None:
    """Whose token was ended does not come back by a ticket."""
    async with running(tmp_path) as app:
        async with page(app, await app.ticket(PARTY, "main")) as socket:
            ticket = await given(socket)
            room = await app.app.host.get_server_by_name(PARTY, "main")
            [connection] = room.get_connections()
            assert app.app.revoke(connection.grant.grant_id) == 1
        assert await role_with(app, ticket) == "closed with 4401"
