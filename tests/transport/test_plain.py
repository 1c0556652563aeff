"""The wire over plain ASGI with servers that misbehave: what is waited for is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from partywidgets.party.wire import Batch, Frame
from partywidgets.transport import plain
from partywidgets.transport.plain import Accept, PlainWire, serve_plain

Message = MutableMapping[str, Any]


class Ended:
    """A receiver that waits for its end."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.end: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def message_received(self, message: str | bytes) -> None:
        self.messages.append(message)

    def close_received(self, code: int, reason: str) -> None:
        raise AssertionError("ASGI tells of an end alone")

    def failed(self, error: Exception) -> None:
        raise AssertionError("ASGI tells of an end alone")

    def lost(self, code: int, reason: str) -> None:
        self.end.set_result((code, reason))


async def silent() -> Message:
    """A server that says nothing."""
    return await asyncio.Event().wait()  # type: ignore[return-value]


async def test_a_server_that_does_not_tell_of_the_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After our Close the socket counts as lost when no disconnect comes."""
    monkeypatch.setattr(plain, "CLOSE_TIMEOUT", 0.05)
    receiver, sent = Ended(), list[str]()

    async def send(message: Message) -> None:
        sent.append(message["type"])

    async def connect(accept: Accept) -> None:
        accept(receiver).close(4000, "out")

    async with asyncio.timeout(20):
        await serve_plain(silent, send, connect)
        assert await receiver.end == (1006, "")
    assert sent == ["websocket.accept", "websocket.close"]


async def test_a_paused_socket_that_is_cut_ends() -> None:
    """A room that wants nothing more for now does not keep the task of a socket that it cut."""
    receiver, wires = Ended(), list[PlainWire]()

    async def send(message: Message) -> None:
        """A server that takes everything."""

    async def connect(accept: Accept) -> None:
        wire = accept(receiver)
        assert isinstance(wire, PlainWire)
        wire.pause()
        asyncio.get_running_loop().call_later(0.01, wire.abort)
        wires.append(wire)

    async with asyncio.timeout(20):
        await serve_plain(silent, send, connect)
        assert await receiver.end == (1006, "")
    wires[0].write(Batch((Frame("late"),)))
    assert wires[0].buffered == 0


async def test_a_server_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One batch that is not taken in time ends the socket, with what waits behind it."""
    monkeypatch.setattr(plain, "SEND_TIMEOUT", 0.05)
    receiver = Ended()

    async def send(message: Message) -> None:
        if message["type"] == "websocket.send":
            await asyncio.Event().wait()

    async def connect(accept: Accept) -> None:
        accept(receiver).write(Batch((Frame("one"), Frame("two"))))

    async with asyncio.timeout(20):
        await serve_plain(silent, send, connect)
        assert await receiver.end == (1006, "")
