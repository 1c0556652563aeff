"""PartySocket against a real WebSocket server: messages, buffers, callbacks, what it says of itself."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from partywidgets.exceptions import ConnectionClosedError, HostError
from partywidgets.party.connection import ReadyState
from partywidgets.partysocket import CloseEvent, PartySocket, ReconnectingWebSocket
from tests.ports import kept_port

from .conftest import WAIT, peer, soon


async def test_text_and_binary() -> None:
    """str goes as text, bytes as binary, and both come back as they were."""
    async with peer() as server, PartySocket(host=server.host, party="chat", room="a b", query={"x": 1}) as socket:
        await socket.opened(WAIT)
        assert socket.ready_state.name == "OPEN"
        assert socket.send("text")
        assert socket.send(b"\x00binary")
        assert await soon(socket.receive()) == "text"
        assert await soon(socket.receive()) == b"\x00binary"
        assert server.requests[0].path == f"/parties/chat/a%20b?_pk={socket.id}&x=1"
    assert socket.ready_state.name == "CLOSED"
    assert socket.last_close == CloseEvent(1000, "", True)


async def test_other_types_are_refused() -> None:
    """Anything but text and bytes is a TypeError, not a coercion."""
    socket = PartySocket(host="127.0.0.1:1", room="r", start_closed=True)
    with pytest.raises(TypeError, match="encode it first"):
        socket.send(42)  # type: ignore[arg-type]


async def test_half_of_a_surrogate_pair_goes_as_a_browser_sends_it() -> None:
    """Text that UTF-8 has no bytes for goes with U+FFFD in its place, and what is sent behind it goes too."""
    async with peer() as server, PartySocket(host=server.host, room="r") as socket:
        socket.send("kept \ud83d")
        await socket.opened(WAIT)
        for text in ("\ud83d\ude00 whole", "\udc00\ud83d half", "behind \u00e9"):
            socket.send(text)
        assert [await soon(socket.receive()) for _ in range(4)] == ["kept \ufffd", "\U0001f600 whole", "\ufffd\ufffd half", "behind \u00e9"]


async def test_messages_before_open_are_flushed_in_order() -> None:
    """What is sent before the socket is open is kept, counted, and goes out first (PS10)."""
    opened: list[int] = []
    async with peer() as server, PartySocket(host=server.host, room="r", on_open=lambda: opened.append(1)) as socket:
        assert [socket.send(f"m{n}") for n in range(3)] == [False] * 3
        assert socket.buffered_amount == 6
        assert [await soon(socket.receive()) for _ in range(3)] == ["m0", "m1", "m2"]
        assert opened == [1]
        assert socket.buffered_amount == 0


async def test_on_open_may_ask_and_wait_for_the_answer() -> None:
    """Messages come and go while on_open runs; it begins before any is handed over, and ends with its connection."""
    answers: list[str | bytes] = []

    async def ask() -> None:
        socket.send("who am I?")
        answers.append(await socket.receive())
        await asyncio.Event().wait()

    async with peer() as server:
        socket = PartySocket(host=server.host, room="r", on_open=ask)
        async with asyncio.timeout(WAIT), socket:
            socket.send("and this?")
            assert await socket.receive() == "and this?"
        assert answers == ["who am I?"]


async def test_a_full_buffer_drops_the_newest(caplog: pytest.LogCaptureFixture) -> None:
    """The buffer is bounded; drain_queued_messages empties and returns it (PS25)."""
    socket = PartySocket(host="127.0.0.1:1", room="r", start_closed=True, max_enqueued_messages=2)
    for message in ("a", "b", "c"):
        socket.send(message)
    assert "a message of 1 bytes is dropped" in caplog.text
    assert socket.drain_queued_messages() == ["a", "b"]
    assert socket.drain_queued_messages() == []
    assert socket.buffered_amount == 0


async def test_what_is_kept_is_bounded_in_bytes(fast: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Few large messages are as much as many small ones; a sender that goes on and on gets one line, and at the end how many it lost."""
    async with peer() as server, PartySocket(host=server.host, room="r", start_closed=True, max_buffered=10, **fast) as socket:
        for message in ("12345", "123456", "12345", *["x"] * 1000):
            socket.send(message)
        assert socket.buffered_amount == 10
        assert caplog.text.count("a message of 6 bytes is dropped") == 1
        socket.reconnect()
        assert [await soon(socket.receive()) for _ in range(2)] == ["12345", "12345"]
        assert caplog.text.count("dropped") == 2
        assert "1001 messages in all were dropped" in caplog.text
        socket.send("fits again")
        assert await soon(socket.receive()) == "fits again"


async def test_a_full_open_socket_says_false(caplog: pytest.LogCaptureFixture) -> None:
    """With too many bytes queued to an open socket, send says False and the bytes stay bounded."""
    async with peer() as server, PartySocket(host=server.host, room="r", max_buffered=10) as socket:
        await socket.opened(WAIT)
        assert socket.send("12345678")
        assert not socket.send("12345678")
        assert await soon(socket.receive()) == "12345678"
        assert "is dropped" in caplog.text


async def test_it_comes_back_with_the_same_id(fast: dict[str, Any]) -> None:
    """A server's close, 1000 included, is followed by another connection with the same _pk (PS13)."""
    events: list[CloseEvent] = []
    async with peer() as server, PartySocket(host=server.host, room="r", on_close=events.append, **fast) as socket:
        first = await server.arrival()
        await first.close(1000, "bye")
        second = await server.arrival()
        await socket.opened(WAIT)
        assert events == [CloseEvent(1000, "bye", True)]
        assert server.requests[0].path == server.requests[1].path
        assert second is not first
        assert socket.retry_count == 1


async def test_iteration_goes_over_reconnects(fast: dict[str, Any]) -> None:
    """`async for` yields messages of every connection and ends when the socket is closed."""

    async def greet(connection: ServerConnection) -> None:
        await connection.send("hello")
        await connection.close(1012)

    async with peer(greet) as server, PartySocket(host=server.host, room="r", **fast) as socket:
        seen = []
        async with asyncio.timeout(WAIT):
            async for message in socket:
                seen.append(message)
                if len(seen) == 3:
                    await socket.close()
        assert seen == ["hello"] * 3


async def test_what_arrived_before_a_close_is_delivered(fast: dict[str, Any]) -> None:
    """Messages that the peer sent before its Close are not lost, also while we are sending."""

    async def burst(connection: ServerConnection) -> None:
        for number in range(500):
            await connection.send(str(number))
        await connection.close(4000)

    async with peer(burst) as server, PartySocket(host=server.host, room="r", max_inbox=10, **fast) as socket:
        seen = []
        for _ in range(500):
            socket.send("noise")
            seen.append(await soon(socket.receive()))
        assert seen == [str(number) for number in range(500)]


async def test_a_raising_callback_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What a callback raises is logged with the room, and the socket stays (PS31 mended)."""
    seen: list[str | bytes] = []
    both = asyncio.Event()

    def on_message(message: str | bytes) -> None:
        seen.append(message)
        if message == "bad":
            raise RuntimeError("boom")
        both.set()

    async with peer() as server, PartySocket(host=server.host, party="chat", room="r", on_message=on_message) as socket:
        await socket.opened(WAIT)
        socket.send("bad")
        socket.send("good")
        await soon(both.wait())
        assert seen == ["bad", "good"]
    assert "chat/r: a callback raised" in caplog.text
    with pytest.raises(RuntimeError, match="on_message"):
        await socket.receive()


async def test_close_from_a_callback() -> None:
    """A callback may close its own socket without waiting for itself."""
    ended = asyncio.Event()
    socket: PartySocket

    async def on_message(message: str | bytes) -> None:
        await socket.close(4000, "enough")

    async with peer() as server:
        socket = PartySocket(host=server.host, room="r", on_message=on_message, on_end=ended.set)
        async with socket:
            await socket.opened(WAIT)
            socket.send("x")
            await soon(ended.wait())
            connection = await server.arrival()
            await soon(connection.wait_closed())
            assert (connection.close_code, connection.close_reason) == (4000, "enough")


async def test_an_end_callback_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """As any other callback's: the log names the room, and whoever waits for the socket is not held up."""

    def fails() -> None:
        raise RuntimeError("of its own")

    async with peer() as server, PartySocket(host=server.host, room="r", on_end=fails) as socket:
        await socket.opened(WAIT)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["main/r: a callback raised"]


async def test_an_async_end_callback_has_run_when_the_socket_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """close() waits for it, also when the socket ended by itself; one that does not end is cancelled, and one may close the socket."""
    said: list[str] = []

    async def says() -> None:
        await asyncio.sleep(0)
        await socket.close()
        said.append(str(socket.failure))

    async with peer() as server:
        async with PartySocket(host=server.host, room="r", on_end=says) as socket:
            await socket.opened(WAIT)
        assert said == ["None"]
        socket = PartySocket(host=server.host, room="r", on_end=says, should_reconnect_on_close=lambda event: False)
        async with socket:
            await (await server.arrival()).close()
            connection = await server.arrival()
            await connection.close()
            while socket.should_reconnect:
                await asyncio.sleep(0.005)
        assert said == ["None", "None"]
        async with PartySocket(host=server.host, room="r", on_end=asyncio.Event().wait, close_timeout=0.05) as socket:
            await socket.opened(WAIT)
    assert "main/r: on_end took longer than 0.05 s and was cancelled" in caplog.text


async def test_a_callback_that_does_not_end_holds_up_no_reconnect(fast: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A callback that goes on after it was cancelled is left behind with a line in the log; the socket connects anew."""
    entered, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def on_open() -> None:
        if not entered.is_set():
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                await release.wait()
                ended.set()

    async with (
        peer() as server,
        PartySocket(host=server.host, room="r", on_open=on_open, close_timeout=0.1, **fast) as socket,
    ):
        first = await server.arrival()
        await soon(entered.wait())
        await first.close(1012, "restart")
        await server.arrival()
        socket.send("again")
        assert await soon(socket.receive()) == "again"
        assert any("did not end" in record.message for record in caplog.records)
        release.set()
        await soon(ended.wait())


async def test_oversize_messages_close_with_1009(fast: dict[str, Any]) -> None:
    """A message over max_message is not taken into memory; the peer gets 1009."""

    async def large(connection: ServerConnection) -> None:
        await connection.send("x" * 2000)
        await connection.wait_closed()

    async with peer(large) as server, PartySocket(host=server.host, room="r", max_message=1000, **fast):
        first = await server.arrival()
        await soon(first.wait_closed())
        assert first.close_code == 1009


async def test_update_properties(fast: dict[str, Any]) -> None:
    """Properties change for the next attempt and nothing else is forgotten, the id included (PS28 mended)."""
    async with peer() as server, PartySocket(host=server.host, party="chat", room="r", path="sub", query={"a": "1"}, **fast) as socket:
        await server.arrival()
        before = socket.id
        socket.update_properties(room="other")
        socket.update_properties(query={"b": "2"})
        socket.reconnect()
        await server.arrival()
        assert server.requests[1].path == f"/parties/chat/other/sub?_pk={before}&b=2"
        with pytest.raises(TypeError, match="rooom"):
            socket.update_properties(rooom="x")
        with pytest.raises(ValueError, match="leave it out"):
            socket.update_properties(path="/x")
        assert socket.path == "sub"


async def test_every_option_can_change(fast: dict[str, Any]) -> None:
    """As with the npm client: what decides about attempts, too, and what each of them offers."""

    async def leave(connection: ServerConnection) -> None:
        await connection.close(1013)

    async with peer(leave) as server, PartySocket(host=server.host, room="r", max_retries=0, **fast) as socket:
        with pytest.raises(HostError, match="used up"):
            await soon(socket.receive())
        socket.update_properties(protocols=lambda: ["chat.v2"], headers={"X-Key": "k"}, token="t", max_retries=2)
        socket.reconnect()
        with pytest.raises(HostError, match="used up"):
            await soon(socket.receive())
        names = ("Sec-WebSocket-Protocol", "X-Key", "Authorization")
        seen = [[request.headers.get(name) for name in names] for request in server.requests]
        assert seen == [[None, None, None]] + [["chat.v2", "k", "Bearer t"]] * 3
        asked: list[CloseEvent] = []
        socket.update_properties(should_reconnect_on_close=asked.append, max_enqueued_messages=1)
        socket.reconnect()
        with pytest.raises(ConnectionClosedError):
            await soon(socket.receive())
        assert [event.code for event in asked] == [1013]
        assert [socket.send("kept"), socket.send("dropped"), socket.drain_queued_messages()] == [False, False, ["kept"]]


def test_the_options_that_can_change_are_those_of_the_constructor() -> None:
    """All but the two that say how it begins; each has its place."""
    socket = PartySocket(host="127.0.0.1:1", room="r")
    taken = {name for kind in (PartySocket, ReconnectingWebSocket) for name in inspect.signature(kind.__init__).parameters}
    can = taken - {"self", "url", "options", "start_closed", "resume"}
    with pytest.raises(TypeError, match="update_properties got nothing, resume: it takes ") as refusal:
        socket.update_properties(nothing=1, resume=True)
    assert set(str(refusal.value).partition(" takes ")[2].split(", ")) == can
    before = {name: getattr(*place) for name, place in socket._places().items()}
    socket.update_properties(**before)
    with pytest.raises(ValueError, match="leave it out"):
        socket.update_properties(max_retries=3, path="/x")
    assert {name: getattr(*place) for name, place in socket._places().items()} == before


async def test_what_is_sent_to_one_that_has_ended_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody hears it unless reconnect() is called: one line for each end, as the npm client says, and none before it began."""
    async with peer() as server:
        socket = PartySocket(host=server.host, room="r", start_closed=True)
        socket.send("kept")
        assert caplog.text == ""
        for _ in range(2):
            socket.reconnect()
            await socket.opened(WAIT)
            await socket.close()
            caplog.clear()
            assert [socket.send("late"), socket.send("later"), socket.drain_queued_messages()] == [False, False, ["late", "later"]]
            assert [record.getMessage() for record in caplog.records] == [
                "main/r: send() on a socket that has ended: the message is kept, and goes out when reconnect() is called"
            ]


async def test_what_it_says_of_itself() -> None:
    """Before it connects, while it is open, and after the close."""
    async with peer() as server:
        options: dict[str, Any] = {"party": "chat", "room": "a b", "path": "x", "query": {"q": 1}}
        socket = PartySocket(host=server.host, start_closed=True, **options)
        here = f"ws://{server.host}/parties/chat/a%20b/x"
        assert (socket.url, socket.protocol, socket.retry_count, socket.ready_state) == ("", "", 0, ReadyState.CLOSED)
        assert (socket.room_url, socket.name, socket.room, socket.should_reconnect, len(socket.id)) == (here, "chat", "a b", False, 36)
        async with socket:
            assert socket.should_reconnect is False
            socket.reconnect()
            await socket.opened(WAIT)
            assert (socket.url, socket.ready_state, socket.should_reconnect) == (f"{here}?_pk={socket.id}&q=1", ReadyState.OPEN, True)
        assert (socket.ready_state, socket.should_reconnect, socket.buffered_amount) == (ReadyState.CLOSED, False, 0)
        assert PartySocket(host=server.host, start_closed=True, **options).id != socket.id


async def test_a_plain_token_to_elsewhere_is_warned_about(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, fast: dict[str, Any]
) -> None:
    """A bearer token over ws to another machine leaves a line in the log, without the token."""
    for name in ("ws_proxy", "http_proxy", "https_proxy", "socks_proxy"):  # a closed port here: nothing leaves this machine
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    caplog.set_level(logging.WARNING)
    socket = ReconnectingWebSocket("ws://host.example:9/", token="very-secret-token", connection_timeout=0.05, max_retries=0, **fast)
    async with socket:
        with pytest.raises(HostError):
            await socket.opened(WAIT)
    assert "without TLS" in caplog.text
    assert "very-secret-token" not in caplog.text


async def test_no_credential_in_logs(caplog: pytest.LogCaptureFixture, fast: dict[str, Any]) -> None:
    """Not even at debug level does a log line of ours hold the token."""
    caplog.set_level(logging.DEBUG)
    async with peer() as server, PartySocket(host=server.host, room="r", token="very-secret-token", **fast) as socket:
        await socket.opened(WAIT)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("partywidgets")]
    assert not any("very-secret-token" in line for line in ours)


async def test_fetch() -> None:
    """fetch uses the same rules for its URL, without _pk, and reads the answer whole."""
    paths: list[str] = []

    async def answer(connection: ServerConnection, request: Request) -> Response:
        paths.append(request.path)
        return connection.respond(200, '{"ok": true}')

    async with peer(process_request=answer) as server:
        response = await PartySocket.fetch(host=server.host, party="chat", room="a b", path="x", query={"q": "1", "n": None})
        assert (response.status, response.json(), paths) == (200, {"ok": True}, ["/parties/chat/a%20b/x?q=1"])


async def test_fetch_without_a_server() -> None:
    """No server is one sentence."""
    host = f"127.0.0.1:{kept_port()}"
    with pytest.raises(HostError, match=r"cannot be reached: connection refused: is the host running there"):
        await PartySocket.fetch(host=host, room="r", timeout=20)


async def test_fetch_ends_where_its_token_does_not_come() -> None:
    """`timeout` bounds the functions that are asked before the host is, too."""

    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    with pytest.raises(HostError, match="headers or token gave nothing within"):
        await soon(PartySocket.fetch(host="127.0.0.1:9", room="r", token=never, timeout=0.05))
