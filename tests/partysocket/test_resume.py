"""Resume (`pw1`) from the client's end: counting, and a real room that logs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from partywidgets.party import Connection, PartyHost, Server
from partywidgets.partysocket import PartySocket
from partywidgets.partysocket.resume import Count
from partywidgets.transport.server import serve
from tests.ports import kept_port

from .conftest import WAIT, peer, soon


class Ticker(Server):
    """A room that logs its broadcasts."""

    resumable = True

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        if message == "others":
            self.broadcast("for others", without=[connection.id])
        else:
            connection.send(f"to you: {message!s}")


VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "resume.json").read_text())


@pytest.mark.parametrize("steps", [pytest.param(case["steps"], id=case["about"]) for case in VECTORS["counts"]])
def test_counting(steps: list[dict[str, Any]]) -> None:
    """The vectors that the page's client counts by as well."""
    count = Count()
    for step in steps:
        if "query" in step:
            assert {name: str(value) for name, value in count.query().items() if value is not None} == step["query"]
            continue
        message = count.take(bytes.fromhex(step["frame_hex"]) if "frame_hex" in step else step["frame"])
        if "frame_hex" in step:
            assert message == bytes.fromhex(step["frame_hex"])
        else:
            assert message == (bytes.fromhex(step["hex"]) if "hex" in step else step.get("text"))
        assert count.recovered is step.get("recovered", count.recovered)
        assert count.lost is step.get("lost", count.lost)


@pytest.mark.parametrize("frame", VECTORS["malformed"])
def test_malformed(frame: str) -> None:
    """A control frame that cannot be read is one sentence."""
    with pytest.raises(ValueError, match="cannot be read"):
        Count().take(frame)


async def test_nothing_is_missed_over_cut_connections(tmp_path: Path, fast: dict[str, Any]) -> None:
    """Cut again and again while the room broadcasts, the client has every broadcast exactly once, in order."""
    verdicts: list[bool] = []
    async with (
        PartyHost({"ticker": Ticker}, storage=tmp_path) as host,
        serve(host, port=0, auth=None) as server,
        PartySocket(host=server.url, party="ticker", room="r", resume=True, on_resumed=verdicts.append, **fast) as socket,
    ):
        await socket.opened(WAIT)
        room = await host.get_server_by_name("ticker", "r")
        expected = [str(number) for number in range(90)]
        seen: list[str | bytes] = []

        async def tell() -> None:
            for message in expected:
                room.broadcast(message)
                await asyncio.sleep(0.002)

        telling = asyncio.ensure_future(tell())
        async with asyncio.timeout(WAIT):
            while len(seen) < len(expected):
                seen.append(await socket.receive())
                if seen[-1] in ("9", "39", "69"):
                    await socket.opened(WAIT)
                    assert socket._socket is not None
                    socket._socket.transport.abort()
        await telling
        assert seen == expected
        assert verdicts
        assert all(verdicts)
        assert socket.resumed


async def test_a_full_inbox_at_a_reconnect_loses_nothing(tmp_path: Path, fast: dict[str, Any]) -> None:
    """A message that has no place yet is not counted: the next connection brings it."""
    async with (
        PartyHost({"ticker": Ticker}, storage=tmp_path) as host,
        serve(host, port=0, auth=None) as server,
        PartySocket(host=server.url, party="ticker", room="r", resume=True, max_inbox=2, **fast) as socket,
        asyncio.timeout(WAIT),
    ):
        await socket.opened()
        socket.send("hello")
        assert await socket.receive() == "to you: hello"
        room = await host.get_server_by_name("ticker", "r")
        expected = [str(number) for number in range(10)]
        for message in expected:
            room.broadcast(message)
        while len(socket._inbox) < 2:
            await socket._changes.next()
        await asyncio.sleep(0.1)  # the third has come by now
        (before,) = room.get_connections()
        socket.reconnect()
        while list(room.get_connections()) in ([], [before]):
            await asyncio.sleep(0.01)
        assert [await socket.receive() for _ in expected] == expected
        assert socket.resumed


async def test_direct_and_left_out_messages(tmp_path: Path, fast: dict[str, Any]) -> None:
    """Messages to this connection alone are delivered and not counted; broadcasts without it keep the count right."""
    async with (
        PartyHost({"ticker": Ticker}, storage=tmp_path) as host,
        serve(host, port=0, auth=None) as server,
        PartySocket(host=server.url, party="ticker", room="r", resume=True, **fast) as socket,
    ):
        await socket.opened(WAIT)
        room = await host.get_server_by_name("ticker", "r")
        async with asyncio.timeout(WAIT):
            socket.send("hello")
            assert await socket.receive() == "to you: hello"
            socket.send("others")
            socket.send("again")
            assert await socket.receive() == "to you: again"
            assert socket._socket is not None
            socket._socket.transport.abort()
            room.broadcast("missed")
            assert await socket.receive() == "missed"
            assert socket.resumed


async def test_a_new_epoch_says_no(tmp_path: Path, fast: dict[str, Any]) -> None:
    """A host that restarted has another epoch: on_resumed(False)."""
    verdicts: list[bool] = []
    told = asyncio.Event()

    def on_resumed(recovered: bool) -> None:
        verdicts.append(recovered)
        told.set()

    port = kept_port()
    async with PartyHost({"ticker": Ticker}, storage=tmp_path) as host, serve(host, port=port, auth=None):
        socket = PartySocket(host=f"127.0.0.1:{port}", party="ticker", room="r", resume=True, on_resumed=on_resumed, **fast)
        socket.reconnect()
        await socket.opened(WAIT)
        room = await host.get_server_by_name("ticker", "r")
        room.broadcast("one")
        async with asyncio.timeout(WAIT):
            assert await socket.receive() == "one"
    async with PartyHost({"ticker": Ticker}, storage=tmp_path) as host, serve(host, port=port, auth=None):
        await asyncio.wait_for(told.wait(), WAIT)
        assert verdicts == [False]
        await socket.close()


@pytest.mark.parametrize("waits", [False, True])
async def test_on_resumed_that_raises_ends_nothing(
    waits: bool, tmp_path: Path, fast: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """on_resumed may be plain or async; what it raises is in the log, and the connection stays."""
    called = asyncio.Event()

    def on_resumed(recovered: bool) -> None:
        called.set()
        raise RuntimeError("boom")

    async def on_resumed_later(recovered: bool) -> None:
        await asyncio.sleep(0)
        on_resumed(recovered)

    async with (
        PartyHost({"ticker": Ticker}, storage=tmp_path) as host,
        serve(host, auth=None) as server,
        PartySocket(
            host=server.url, party="ticker", room="r", resume=True, on_resumed=on_resumed_later if waits else on_resumed, **fast
        ) as socket,
        asyncio.timeout(WAIT),
    ):
        await socket.opened()
        room = await host.get_server_by_name("ticker", "r")
        room.broadcast("one")
        assert await socket.receive() == "one"
        assert socket._socket is not None
        socket._socket.transport.abort()
        await called.wait()
        again = socket._socket
        room.broadcast("two")
        assert await socket.receive() == "two"
        assert socket._socket is again
    assert "ticker/r: a callback raised" in caplog.text


async def test_a_first_connection_that_was_cut_at_once(fast: dict[str, Any]) -> None:
    """Open, and gone before the room said where it is: whoever loaded the room then is told that something may be missing."""
    verdicts: list[bool] = []

    async def room(connection: ServerConnection) -> None:
        if len(server.requests) == 1:
            connection.transport.abort()
        else:
            await connection.send('\x1e{"type":"resumed","e":"E","o":3,"rec":false,"hb":10}')
            await connection.send("after")
        await connection.wait_closed()

    async with peer(room) as server, PartySocket(host=server.host, room="r", resume=True, on_resumed=verdicts.append, **fast) as socket:
        assert await soon(socket.receive()) == "after"
        assert verdicts == [False]


async def test_an_ordinary_server(fast: dict[str, Any]) -> None:
    """resume=True against a server that knows nothing of it is an ordinary socket."""
    async with peer() as server, PartySocket(host=server.host, room="r", resume=True, **fast) as socket:
        await socket.opened(WAIT)
        socket.send("x")
        assert await socket.receive() == "x"
        assert socket.resumed is None
        assert "_pw=1" in server.requests[0].path
