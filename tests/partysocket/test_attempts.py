"""Attempts at a connection: when another follows, when none does, and what each of them asks for."""

from __future__ import annotations

import asyncio
import socket as socket_module
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from partywidgets.exceptions import ConnectionClosedError, HostError, RefusedError
from partywidgets.party.connection import ReadyState
from partywidgets.partysocket import CloseEvent, PartySocket, ReconnectingWebSocket
from partywidgets.partysocket.dial import dial
from tests.ports import kept_port

from .conftest import WAIT, peer, soon


async def closer(connection: ServerConnection) -> None:
    """Closes every connection at once, with the code and reason that its query names."""
    assert connection.request is not None
    query = dict(pair.split("=") for pair in connection.request.path.partition("?")[2].split("&"))
    await connection.close(int(query.get("code", 1000)), query.get("reason", ""))


@pytest.mark.parametrize("code", [4401, 4403, 4409])
async def test_it_stops_when_refused(code: int, fast: dict[str, Any]) -> None:
    """4401, 4403 and 4409 end it; whoever waits learns why."""
    async with peer(closer) as server, PartySocket(host=server.host, room="r", query={"code": code, "reason": "no"}, **fast) as socket:
        with pytest.raises(RefusedError, match=f"close code {code} \\(no\\)") as refusal:
            await soon(socket.receive())
        assert refusal.value.status == code
        assert not socket.should_reconnect
        assert len(server.requests) == 1
        with pytest.raises(RefusedError):
            await socket.opened(WAIT)


async def test_the_sentence_of_an_answer_in_json(fast: dict[str, Any]) -> None:
    """What a host answers in JSON is said without its braces."""

    async def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(404, '{"error": "there is no room at this path"}\n')

    closes: asyncio.Queue[CloseEvent] = asyncio.Queue()
    async with peer(process_request=refuse) as server, PartySocket(host=server.host, room="r", on_close=closes.put_nowait, **fast):
        event = await soon(closes.get())
        assert event.reason == "the upgrade was answered with HTTP 404 (there is no room at this path)"


async def test_an_http_refusal_stops_it(fast: dict[str, Any]) -> None:
    """HTTP 401 on the upgrade ends it, with an error before the close event."""
    events: list[object] = []

    async def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(401, "a credential is needed\n")

    async with (
        peer(process_request=refuse) as server,
        PartySocket(host=server.host, room="r", on_error=lambda error: events.append("error"), on_close=events.append, **fast) as socket,
    ):
        with pytest.raises(RefusedError, match="HTTP 401"):
            await socket.opened(WAIT)
        assert events == ["error", CloseEvent(1006, "the upgrade was answered with HTTP 401 (a credential is needed)", False, 401)]


async def test_it_leaves_no_connection_when_it_is_cancelled_as_one_is_made(fast: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled in the very moment in which its connection stands, before it knows of it, it closes that connection."""

    async def dialled(*given: Any, **options: Any) -> ClientConnection:
        connection = await dial(*given, **options)
        assert socket._runner is not None
        asyncio.get_running_loop().call_soon(socket._runner.cancel)
        return connection

    monkeypatch.setattr("partywidgets.partysocket.reconnecting.dial", dialled)
    async with peer() as server, PartySocket(host=server.host, room="r", **fast) as socket:
        arrived = await server.arrival()
        await soon(arrived.wait_closed())
        assert not socket.should_reconnect
        assert arrived.close_code == 1000


@pytest.mark.parametrize("late", [False, True])
async def test_it_leaves_no_connection_when_a_function_takes_its_end_for_its_own_affair(late: bool) -> None:
    """Closed while a token is made, by a function that goes on when it is cancelled: what comes of it then is closed."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def token() -> str:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await go.wait()
        return "t" * 20

    async with peer() as server:
        socket = PartySocket(host=server.host, room="r", token=token, close_timeout=0.05 if late else WAIT)
        async with socket:
            await soon(asked.wait())
            closing = asyncio.create_task(socket.close())
            if late:
                await soon(closing)
            else:
                await asyncio.sleep(0)
            go.set()
            await soon((await server.arrival()).wait_closed())
            await soon(closing)


@pytest.mark.parametrize("turns", range(12))
async def test_it_leaves_nothing_when_it_is_cancelled_as_one_ends(turns: int) -> None:
    """Cancelled in whichever turn of a closing handshake that its peer does not answer, it leaves neither that connection nor a task."""

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.wait_closed()

    async with peer(deaf) as server:
        before = asyncio.all_tasks()
        socket = PartySocket(host=server.host, room="r")
        async with socket:
            arrived = await server.arrival()
            await socket.opened(WAIT)
            connection = socket._socket
            assert connection is not None
            assert socket._runner is not None
            runner = socket._runner
            socket.reconnect(4000, "again")
            for _ in range(turns):
                await asyncio.sleep(0)
            runner.cancel()
            await soon(asyncio.wait({runner}))
            await soon(connection.wait_closed())
        arrived.transport.abort()
        await soon(arrived.wait_closed())
        async with asyncio.timeout(WAIT):
            while asyncio.all_tasks() - before:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
@pytest.mark.parametrize("name", ["on_open", "on_close", "should_reconnect_on_close", "token"])
async def test_a_callback_that_awaits_what_was_cancelled_is_one_that_raised(
    name: str, plain: bool, fast: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody cancelled the socket: it goes on, and what failed is told. A plain one raises the same by asking a future for its result."""
    failed = asyncio.Event()

    async def stumbles(*given: Any) -> Any:
        if not failed.is_set():
            failed.set()
            other = asyncio.ensure_future(asyncio.sleep(600))
            other.cancel()
            await other
        return "t" * 20 if name == "token" else True

    def stumbles_at_once(*given: Any) -> Any:
        if not failed.is_set():
            failed.set()
            other = asyncio.get_running_loop().create_future()
            other.cancel()
            other.result()
        return "t" * 20 if name == "token" else True

    errors: list[Exception] = []
    async with (
        peer() as server,
        PartySocket(
            host=server.host,
            room="r",
            on_error=errors.append,
            **{name: stumbles_at_once if plain else stumbles},  # type: ignore[arg-type]
            **fast,
        ) as socket,
    ):
        await (await server.arrival()).close(1012)
        await server.arrival()
        await socket.opened(WAIT)
        assert failed.is_set()
        assert "awaited a task that was cancelled" in caplog.text + str(errors)


@pytest.mark.parametrize(("length", "said"), [(250, "x" * 250), (5000, "x" * 299 + "…")])
async def test_an_answer_that_refused_is_said_whole_up_to_a_bound(length: int, said: str, fast: dict[str, Any]) -> None:
    """A sentence of a host's own with its remedy is not cut; a proxy's page is, and shows it."""

    async def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(403, "x" * length + "\n")

    async with peer(process_request=refuse) as server, PartySocket(host=server.host, room="r", **fast) as socket:
        with pytest.raises(RefusedError) as refusal:
            await socket.opened(WAIT)
        assert f"HTTP 403 ({said})" in str(refusal.value)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_nobody_there_is_said_in_words(name: str, fast: dict[str, Any]) -> None:
    """Where nothing listens the reason is a sentence, not asyncio's call and address."""
    closes: asyncio.Queue[CloseEvent] = asyncio.Queue()
    with socket_module.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, and never listening
        async with PartySocket(host=f"{name}:{reserved.getsockname()[1]}", room="r", on_close=closes.put_nowait, **fast):
            closed = await asyncio.wait_for(closes.get(), WAIT)
    assert closed.reason == "connection refused: is the host running there?"


async def test_other_answers_are_retried(fast: dict[str, Any]) -> None:
    """HTTP 503 is tried again until the server is back."""
    answers = iter([503, 502])

    async def busy(connection: ServerConnection, request: Request) -> Response | None:
        status = next(answers, None)
        return None if status is None else connection.respond(status, "later\n")

    async with peer(process_request=busy) as server, PartySocket(host=server.host, room="r", **fast) as socket:
        await socket.opened(WAIT)
        assert socket.retry_count == 2


async def test_redirects_are_not_followed(fast: dict[str, Any]) -> None:
    """A redirect on the upgrade is a failed attempt: the token is never shown to where it points."""

    async with peer() as elsewhere:

        async def redirect(connection: ServerConnection, request: Request) -> Response:
            response = connection.respond(302, "")
            response.headers["Location"] = f"ws://{elsewhere.host}/"
            return response

        async with (
            peer(process_request=redirect) as server,
            PartySocket(host=server.host, room="r", token="t" * 20, max_retries=1, **fast) as socket,
        ):
            with pytest.raises(HostError, match="HTTP 302"):
                await socket.opened(WAIT)
            assert elsewhere.requests == []


async def test_max_retries(fast: dict[str, Any]) -> None:
    """One attempt and max_retries more, then HostError; reconnect() grants as many again (PS21)."""
    attempts: list[Exception] = []
    host = f"127.0.0.1:{kept_port()}"
    async with PartySocket(host=host, room="r", max_retries=2, on_error=attempts.append, **fast) as socket:
        with pytest.raises(HostError, match="retries used up"):
            await socket.opened(WAIT)
        assert len(attempts) == 3
        assert socket.ready_state is ReadyState.CLOSED
        socket.reconnect()
        with pytest.raises(HostError):
            await socket.opened(WAIT)
        assert len(attempts) == 6


async def test_reconnect_shortens_a_wait() -> None:
    """reconnect() during a wait connects now (npm's does not: PS35)."""
    port = kept_port()
    failed = asyncio.Event()
    async with PartySocket(
        host=f"127.0.0.1:{port}", room="r", min_reconnection_delay=600, max_reconnection_delay=600, on_close=lambda _: failed.set()
    ) as socket:
        await soon(failed.wait())
        async with peer(port=port):
            socket.reconnect()
            await socket.opened(WAIT)


async def test_close_ends_a_wait() -> None:
    """close() during a wait returns at once, and nothing follows (PS36)."""
    host = f"127.0.0.1:{kept_port()}"
    failed = asyncio.Event()
    socket = PartySocket(host=host, room="r", min_reconnection_delay=600, max_reconnection_delay=600, on_close=lambda _: failed.set())
    async with socket:
        await soon(failed.wait())
        await soon(socket.close())
        assert not socket.should_reconnect
        with pytest.raises(ConnectionClosedError):
            await socket.receive()


async def test_reconnect_with_a_code() -> None:
    """reconnect(4005) on an open socket closes it with that code and connects again without a delay (PS23)."""
    async with peer() as server, PartySocket(host=server.host, room="r", min_reconnection_delay=600) as socket:
        await socket.opened(WAIT)
        first = await server.arrival()
        socket.reconnect(4005, "again")
        assert socket.ready_state is ReadyState.CLOSING
        assert not socket.send("kept for the next one")
        await socket.opened(WAIT)
        assert await soon(socket.receive()) == "kept for the next one"
        assert (first.close_code, first.close_reason) == (4005, "again")


async def test_everything_is_evaluated_at_each_attempt(fast: dict[str, Any]) -> None:
    """query, protocols, headers and token may be functions, plain or async, called before each attempt (PS29)."""
    counter = iter(range(100))

    async def query() -> dict[str, int]:
        return {"n": next(counter)}

    async def token() -> str:
        return f"token-{next(counter)}"

    async with (
        peer(subprotocols=["two"]) as server,
        PartySocket(
            host=server.host,
            room="r",
            query=query,
            token=token,
            protocols=lambda: ["one", "two"],
            headers=lambda: {"X-Place": "here"},
            **fast,
        ) as socket,
    ):
        await (await server.arrival()).close(1012)
        await server.arrival()
        await socket.opened(WAIT)
        assert [request.path.partition("&")[2] for request in server.requests] == ["n=0", "n=2"]
        assert [request.headers["Authorization"] for request in server.requests] == ["Bearer token-1", "Bearer token-3"]
        assert server.requests[1].headers["X-Place"] == "here"
        assert socket.protocol == "two"


async def test_a_failing_function_is_a_failed_attempt(fast: dict[str, Any]) -> None:
    """A query function that raises costs one attempt, no more."""
    tries = iter([RuntimeError("no ticket yet"), None])

    def query() -> dict[str, str]:
        if (error := next(tries)) is not None:
            raise error
        return {}

    errors: list[Exception] = []
    async with peer() as server, PartySocket(host=server.host, room="r", query=query, on_error=errors.append, **fast) as socket:
        await socket.opened(WAIT)
        assert [str(error) for error in errors] == ["no ticket yet"]


async def test_should_reconnect_on_close(fast: dict[str, Any]) -> None:
    """The caller decides which close ends it; its own verdict is not a refusal (PS22)."""

    async def decide(event: CloseEvent) -> bool:
        return event.code != 4000

    async with peer() as server, PartySocket(host=server.host, room="r", should_reconnect_on_close=decide, **fast) as socket:
        await (await server.arrival()).close(4001)
        await (await server.arrival()).close(4000)
        with pytest.raises(ConnectionClosedError):
            await soon(socket.receive())
        assert socket.failure is None


async def test_delays_grow_and_are_capped() -> None:
    """min · grow^(n-1), at most max, within the jitter (PS18)."""
    retries = ReconnectingWebSocket("ws://127.0.0.1:1/", start_closed=True, jitter=0.0)._retries
    assert [round(retries.delay(), 2) for _ in range(7) if retries.take()] == [3.0, 3.9, 5.07, 6.59, 8.57, 10.0, 10.0]
    retries.afresh()
    retries.jitter = 0.2
    assert retries.take()
    assert all(2.4 <= retries.delay() <= 3.6 for _ in range(200))


async def test_min_uptime_resets_the_count(fast: dict[str, Any]) -> None:
    """A connection that lasted for min_uptime starts the count of retries afresh, a shorter one does not (PS20)."""
    counts: list[int] = []
    async with peer() as server, PartySocket(host=server.host, room="r", min_uptime=3600, **fast) as socket:
        socket.on_close = lambda event: counts.append(socket.retry_count)
        for _ in range(2):
            await (await server.arrival()).close(1012)
        last = await server.arrival()
        await socket.opened(WAIT)
        socket._retries.min_uptime = 0.0
        await last.close(1012)
        await server.arrival()
    assert counts[:3] == [0, 1, 0]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_url_may_be_a_function(asynchronous: bool, fast: dict[str, Any]) -> None:
    """It is called before every attempt, so that servers can take turns (PS33)."""
    async with peer() as one, peer() as other:
        turns = iter([f"ws://{one.host}/a", f"ws://{other.host}/b", f"ws://{one.host}/c"])

        async def later() -> str:
            return next(turns)

        async with ReconnectingWebSocket(later if asynchronous else lambda: next(turns), **fast) as socket:
            for server in (one, other):
                await (await server.arrival()).close(1012)
            await one.arrival()
            await socket.opened(WAIT)
            assert socket.url == f"ws://{one.host}/c"
        assert [request.path for request in (*one.requests, *other.requests)] == ["/a", "/c", "/b"]
