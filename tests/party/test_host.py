"""What a host holds for one person is bounded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from partywidgets.auth import Gate, Identity, Refusal
from partywidgets.config import parse_config
from partywidgets.party import Connection, ConnectionContext, Grant, Lobby, PartyHost, Server
from partywidgets.party.grant import GUEST_ROLES

from ..running_app import running as running_app
from .serving import Running, received, running, until

TOKENS = {"ana": "the-token-of-ana-in-this-test", "bob": "the-token-of-bob-in-this-test"}


class Greeting(Server):
    """Welcomes; a room called `broken` lets nobody in."""

    async def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        if self.name == "broken":
            raise ValueError("not today")
        connection.send("welcome")


class Slow(Greeting):
    """Takes its time to start, until the test says so."""

    go: asyncio.Event

    async def on_start(self, props: Any = None) -> None:
        await self.go.wait()


def gate() -> Gate:
    return Gate(tokens={token: Identity(name, name, GUEST_ROLES) for name, token in TOKENS.items()}, hosts=None)


async def enter(run: Running, name: str, room: str = "lobby") -> ClientConnection:
    return await run.connect(room, additional_headers={"Authorization": f"Bearer {TOKENS[name]}"})


async def assert_refused(socket: ClientConnection, limit: int) -> None:
    with pytest.raises(ConnectionClosed) as closed:
        await received(socket)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
        1013,
        f"you have {limit} sockets open, the maximum: close some",
    )


async def test_a_subjects_sockets_are_bounded(tmp_path: Path) -> None:
    """One too many, in whichever room, is opened, told why and closed with 1013; others come in, and so does the next when one has left."""
    async with running(Greeting, tmp_path, auth=gate(), sockets_per_subject=2) as run:
        first, second = await enter(run, "ana", "a"), await enter(run, "ana", "b")
        assert [await received(socket) for socket in (first, second)] == ["welcome"] * 2
        await assert_refused(await enter(run, "ana", "c"), 2)
        assert run.host.rooms("room") == ["a", "b"]
        other = await enter(run, "bob", "c")
        assert await received(other) == "welcome"
        await first.close()
        await until(lambda: run.host.connection_count() == 2 and not run.host.has_enough("ana"))
        third = await enter(run, "ana", "c")
        assert await received(third) == "welcome"
        await assert_refused(await enter(run, "ana", "d"), 2)
        for socket in (second, third, other):
            await socket.close()
        await until(lambda: not run.host._sockets)


async def test_those_who_come_at_once_are_counted_too(tmp_path: Path) -> None:
    """Ten sockets that wait for one room's start: two come in, eight are refused."""
    Slow.go = asyncio.Event()
    async with running(Slow, tmp_path, auth=gate(), sockets_per_subject=2) as run:
        coming = [asyncio.ensure_future(enter(run, "ana")) for _ in range(10)]
        await until(lambda: "lobby" in [name for _, name in run.host._rooms])
        Slow.go.set()
        sockets = await asyncio.gather(*coming)
        outcomes = await asyncio.gather(*(received(socket) for socket in sockets), return_exceptions=True)
        assert outcomes.count("welcome") == 2
        assert sorted(socket.close_code or 0 for socket in sockets) == [0, 0] + [1013] * 8
        for socket in sockets:
            await socket.close()
        await until(lambda: not run.host._sockets)


async def test_sockets_that_a_room_would_not_have_do_not_count(tmp_path: Path) -> None:
    """Five attempts at a room that fails leave its visitor with none."""
    async with running(Greeting, tmp_path, auth=gate(), sockets_per_subject=2) as run:
        for _ in range(5):
            socket = await enter(run, "ana", "broken")
            assert "error" in await received(socket)
            await socket.close()
        assert not run.host._sockets
        assert await received(await enter(run, "ana")) == "welcome"


@pytest.mark.parametrize("waits", [False, True])
async def test_an_id_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: bool) -> None:
    """409 where another subject has the id, also when both came while the room started; one's own second tab comes in."""
    monkeypatch.setattr(Slow, "go", asyncio.Event(), raising=False)
    came: list[str] = []
    door = gate()

    def auth(request: HTTPConnection, lobby: Lobby | None) -> Grant | Refusal:
        decision = door(request, lobby)
        assert isinstance(decision, Grant)
        came.append(decision.subject)
        return decision

    async def come(name: str) -> ClientConnection:
        return await run.connect(id="me", additional_headers={"Authorization": f"Bearer {TOKENS[name]}"})

    async with running(Slow, tmp_path, auth=auth) as run, asyncio.timeout(20):
        if not waits:
            Slow.go.set()
        first = asyncio.ensure_future(come("ana"))
        await until(lambda: came == ["ana"])
        if not waits:
            await first
        second = asyncio.ensure_future(come("bob"))
        await until(lambda: came == ["ana", "bob"])
        Slow.go.set()
        with pytest.raises(InvalidStatus) as refused:
            await second
        assert (refused.value.response.status_code, bytes(refused.value.response.body or b"")) == (
            409,
            b"the connection id 'me' is in use by somebody else: leave _pk out or choose another",
        )
        async with await first as one, await come("ana") as two:
            assert [await received(one), await received(two)] == ["welcome"] * 2
        assert run.host.rooms("room") == ["lobby"]


async def test_hibernating_sockets_count(tmp_path: Path) -> None:
    """A room that sleeps gives nobody more sockets, and they are let go one by one."""

    class Sleeping(Greeting):
        hibernate = True

    async with running(Sleeping, tmp_path, auth=gate(), sockets_per_subject=1, hibernate_after=0.05) as run:
        socket = await enter(run, "ana")
        assert await received(socket) == "welcome"
        await until(lambda: all(room.instance is None for room in run.host._rooms.values()))
        await assert_refused(await enter(run, "ana"), 1)
        await socket.close()
        await until(lambda: not run.host._sockets)


async def test_the_config_says_how_many(tmp_path: Path) -> None:
    """`auth.sockets_per_subject` holds in the app, 256 without it."""
    async with running_app(tmp_path / "a", config=parse_config("auth: {sockets_per_subject: 1}")) as app:
        assert app.app.host.sockets_per_subject == 1
    async with running_app(tmp_path / "b") as app:
        assert app.app.host.sockets_per_subject == 256


async def test_a_host_that_is_cancelled_as_it_starts_leaves_no_file_open(tmp_path: Path) -> None:
    """In whichever turn: its database is closed, and another host has the directory."""

    async def enter(host: PartyHost) -> None:
        async with host:
            await asyncio.Event().wait()

    for turns in range(1, 12):
        host = PartyHost({"room": Server}, storage=tmp_path)
        entering = asyncio.create_task(enter(host))
        for _ in range(turns):
            await asyncio.sleep(0)
        entering.cancel()
        await asyncio.wait({entering})
        assert host._alarms is not None
        assert host._alarms._database is None
        assert host.storage_path == tmp_path


async def test_a_handshake_that_fails_after_on_connect_is_a_lost_connection(tmp_path: Path) -> None:
    """A room that counts who came counts who left: on_close comes once, and nobody is left in it."""
    log: list[str] = []

    class Counts(Server):
        def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
            log.append("came")

        def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
            log.append(f"left {code}")

    def accept(receiver: Any) -> Any:
        raise RuntimeError("the other loop has ended")

    scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": [], "scheme": "ws", "server": ("x", 80)}
    async with PartyHost({"room": Counts}, storage=tmp_path) as host:
        with pytest.raises(RuntimeError, match="other loop"):
            await host.connect("room", "r", request=HTTPConnection(scope), grant=Grant("ada", "ada", GUEST_ROLES), accept=accept)
        assert (log, host.connection_count(), host._sockets) == (["came", "left 1006"], 0, {})
