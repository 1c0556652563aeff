"""The comm relay between a page's messages and a real host."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from websockets.utils import accept_key

from partywidgets.auth import Gate, Identity
from partywidgets.exceptions import RoomNameError
from partywidgets.party import Connection, ConnectionContext, PartyHost, Server
from partywidgets.party.grant import OWNER_ROLES
from partywidgets.transport import comm_socket
from partywidgets.transport.comm import MAX_SOCKETS, CommRelay, room_url
from partywidgets.transport.comm_socket import WINDOW
from partywidgets.transport.server import serve

SECRET = "the-kernels-own-secret"


class Echo(Server):
    """Says everything back; `flood` sends three megabytes, `bye` closes."""

    subprotocols = ("partywidgets.v1",)

    def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        connection.send(f"hello {ctx.grant.display_name}")

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        if message == "flood":
            for _ in range(48):
                connection.send(b"x" * 65536)
        elif message == "many":
            for number in range(500):
                connection.send(str(number))
        elif message == "bye":
            connection.close(4000, "you asked")
        else:
            connection.send(message)


class Page:
    """A page's end of the comm: keeps what the kernel sends."""

    def __init__(self) -> None:
        self.messages: list[tuple[dict[str, Any], list[bytes], float]] = []
        self.changed = asyncio.Event()

    def take(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        self.messages.append((content, buffers, asyncio.get_running_loop().time()))
        self.changed.set()

    async def until(self, condition: Any) -> Any:
        async with asyncio.timeout(60):
            while not (found := condition()):
                self.changed.clear()
                await self.changed.wait()
            return found

    def of(self, operation: str, socket: str = "s1") -> list[tuple[dict[str, Any], list[bytes]]]:
        return [(content, buffers) for content, buffers, _ in self.messages if content["op"] == operation and content["socket"] == socket]

    def frames(self, socket: str = "s1") -> list[bytes]:
        return [buffer for _, buffers in self.of("frames", socket) for buffer in buffers]

    def size(self, socket: str = "s1") -> int:
        return sum(map(len, self.frames(socket)))


class Numbering(CommRelay):
    """Numbers what a page sends for each socket, as a page does."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.said: Counter[Any] = Counter()

    def receive(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> bool:
        socket = message.get("socket")
        self.said[socket] += 1
        return super().receive({"n": self.said[socket] - 1, **message}, buffers)


@pytest.fixture
async def root(tmp_path: Any) -> AsyncIterator[str]:
    gate = Gate(tokens={SECRET: Identity("owner", "kernel", OWNER_ROLES)})
    async with PartyHost({"echo": Echo}, storage=tmp_path) as host, serve(host, port=0, auth=gate) as server:
        yield server.url


@pytest.fixture
async def page() -> Page:
    return Page()


@pytest.fixture
async def relay(root: str, page: Page) -> AsyncIterator[Numbering]:
    made = Numbering(root, SECRET, page.take)
    yield made
    await made.close()


async def open_socket(relay: Numbering, page: Page, name: str = "s1", path: str = "parties/echo/lobby") -> None:
    assert relay.receive({"op": "open", "socket": name, "path": path, "protocols": ["partywidgets.v1"]}, [])
    await page.until(lambda: page.frames(name))


async def test_frames_go_both_ways(relay: Numbering, page: Page) -> None:
    """A socket opens with the kernel's credential, text stays text and bytes stay bytes, and what was taken is acknowledged."""
    await open_socket(relay, page)
    assert page.of("opened")[0][0]["protocol"] == "partywidgets.v1"
    assert page.frames() == [b"hello kernel"]
    relay.receive({"op": "frames", "socket": "s1", "kinds": "tb"}, ["grüße".encode(), memoryview(b"\x00\xff")])
    await page.until(lambda: len(page.frames()) == 3)
    kinds = "".join(content["kinds"] for content, _ in page.of("frames"))
    assert (kinds, page.frames()[1:]) == ("ttb", ["grüße".encode(), b"\x00\xff"])
    await page.until(lambda: sum(content["bytes"] for content, _ in page.of("consumed")) == len("grüße".encode()) + 2)


@pytest.mark.parametrize("protocols", [5, "partywidgets.v1", ["a, b"], ["a\r\nX-Own: 1"], ["grüße"], [None]])
async def test_protocols_that_are_none_are_told_to_the_page(relay: Numbering, page: Page, protocols: Any) -> None:
    """The socket is closed with a sentence; it opened no connection, and is not kept for good."""
    relay.receive({"op": "open", "socket": "s1", "path": "parties/echo/lobby", "protocols": protocols}, [])
    ((closed, _),) = page.of("closed")
    assert (closed["code"], closed["reason"]) == (4400, "protocols is a list of subprotocols, each without blanks and commas")
    assert relay.sockets == 0


async def test_a_page_that_takes_nothing_gets_one_mebibyte(relay: Numbering, page: Page) -> None:
    """No more than 1 MiB is under way unconsumed; it goes on when the page says what it took."""
    await open_socket(relay, page)
    relay.receive({"op": "frames", "socket": "s1", "kinds": "t"}, [b"flood"])
    await page.until(lambda: page.size() > WINDOW - 65536 - 100)
    await open_socket(relay, page, "s2")  # a round trip on another socket: the first had its chance to send more
    assert page.size() <= WINDOW
    told = 0
    expected = len(b"hello kernel") + 48 * 65536
    while page.size() < expected:
        reached = page.size()
        relay.receive({"op": "consumed", "socket": "s1", "bytes": reached - told}, [])
        told = reached
        await page.until(lambda reached=reached: page.size() > reached)
        assert page.size() - told <= WINDOW
    assert page.size() == expected


async def test_a_burst_is_coalesced(relay: Numbering, page: Page) -> None:
    """Five hundred small frames go in order and in few messages, at most fifty a second."""
    await open_socket(relay, page)
    relay.receive({"op": "frames", "socket": "s1", "kinds": "t"}, [b"many"])
    await page.until(lambda: len(page.frames()) == 501)
    assert page.frames()[1:] == [str(number).encode() for number in range(500)]
    times = [at for content, _, at in page.messages if content["op"] == "frames"]
    span = times[-1] - times[0]
    assert len(times) <= span / 0.02 + 2


async def test_closing_from_either_side(relay: Numbering, page: Page) -> None:
    """The room's code reaches the page, and the page's Close the room; each socket ends with one `closed`."""
    await open_socket(relay, page)
    relay.receive({"op": "frames", "socket": "s1", "kinds": "t"}, [b"bye"])
    await page.until(lambda: page.of("closed"))
    closed = page.of("closed")[0][0]
    assert (closed["code"], closed["reason"], closed["was_clean"]) == (4000, "you asked", True)
    await open_socket(relay, page, "s2")
    relay.receive({"op": "close", "socket": "s2", "code": 4001, "reason": "done"}, [])
    await page.until(lambda: page.of("closed", "s2"))
    assert page.of("closed", "s2")[0][0]["code"] == 4001
    assert relay.sockets == 0


async def test_a_refusal_tells_the_page_to_stop(root: str, page: Page) -> None:
    """A credential that the host refuses closes with 4401, an unknown party with 4400."""
    relay = CommRelay(root, "not-the-right-secret", page.take)
    relay.receive({"op": "open", "socket": "s1", "path": "/parties/echo/lobby", "protocols": []}, [])
    await page.until(lambda: page.of("closed"))
    assert page.of("closed")[0][0]["code"] == 4401
    await relay.close()


async def test_the_kernels_own_grant_ends_here_too(tmp_path: Any, page: Page) -> None:
    """The page's socket closes with 4401, what it says after that reaches nobody, and it gets no other: the kernel's secret is refused."""
    gate = Gate(tokens={SECRET: Identity("owner", "kernel", OWNER_ROLES)})
    async with PartyHost({"echo": Echo}, storage=tmp_path) as host, serve(host, port=0, auth=gate) as server:
        relay = Numbering(server.url, SECRET, page.take)
        try:
            await open_socket(relay, page)
            [grant_id] = [held[1] for held in gate._tokens.values()]
            gate.revoke(grant_id)
            assert host.revoke(grant_id) == 1
            relay.receive({"op": "frames", "socket": "s1", "kinds": "t"}, [b"too late"])
            await page.until(lambda: page.of("closed"))
            assert page.of("closed")[0][0]["code"] == 4401
            assert page.frames() == [b"hello kernel"]
            relay.receive({"op": "open", "socket": "s2", "path": "parties/echo/lobby", "protocols": []}, [])
            await page.until(lambda: page.of("closed", "s2"))
            assert page.of("closed", "s2")[0][0]["code"] == 4401
            assert host.connection_count() == 0
        finally:
            await relay.close()


async def test_a_host_that_is_gone_is_1006(page: Page) -> None:
    """A host that does not answer is what a browser would see: 1006, so that the page tries again."""
    relay = CommRelay("http://127.0.0.1:1/", SECRET, page.take)
    relay.receive({"op": "open", "socket": "s1", "path": "parties/echo/lobby", "protocols": []}, [])
    await page.until(lambda: page.of("closed"))
    assert (page.of("closed")[0][0]["code"], page.of("closed")[0][0]["was_clean"]) == (1006, False)
    await relay.close()


@pytest.mark.parametrize(
    "path",
    [
        "tickets",
        "/metrics",
        "parties/echo",
        "parties/echo/../../tickets",
        "parties/echo/%2e%2e/x",
        "//evil.example/parties/a/b",
        "http://evil.example/parties/a/b",
        "parties/echo/lobby#x",
        "parties/echo/lob\nby",
        "api/ops/scans",
        "api/workers/w/other",
        "",
    ],
)
async def test_only_rooms_can_be_reached(path: str, page: Page) -> None:
    """A path that is not a room's never reaches the host."""
    with pytest.raises(RoomNameError, match="is not a room's path"):
        room_url("http://127.0.0.1:1/", path)
    relay = CommRelay("http://127.0.0.1:1/", SECRET, page.take)
    relay.receive({"op": "open", "socket": "s1", "path": path, "protocols": []}, [])
    assert page.of("closed")[0][0]["code"] == 4400
    assert relay.sockets == 0


async def test_paths_keep_their_encoding() -> None:
    """The room's name and the query go to the host as the page wrote them, below the host's root."""
    assert (
        room_url("https://x.example/user/ana/partywidgets/", "/parties/a/b%20c?_pk=1")
        == "wss://x.example/user/ana/partywidgets/parties/a/b%20c?_pk=1"
    )
    assert room_url("http://127.0.0.1:5/", "api/ops/broadcast") == "ws://127.0.0.1:5/api/ops/broadcast"


async def test_closing_the_relay_leaves_the_room(relay: Numbering, page: Page) -> None:
    """When the widget is closed its sockets end."""
    await open_socket(relay, page)
    await relay.close()
    assert relay.sockets == 0
    assert page.of("closed")[0][0]["code"] == 1001


async def test_malformed_frames_end_the_socket(relay: Numbering, page: Page) -> None:
    """Kinds that do not fit the buffers close with 1002 instead of guessing."""
    await open_socket(relay, page)
    relay.receive({"op": "frames", "socket": "s1", "kinds": "tt"}, [b"one"])
    await page.until(lambda: page.of("closed"))
    assert page.of("closed")[0][0]["code"] == 1002


async def test_a_million_empty_frames_are_not_nothing(relay: Numbering, page: Page) -> None:
    """What waits for the host is bounded in number too: past it 1009, and what the page sends behind that is dropped."""
    await open_socket(relay, page)
    relay.receive({"op": "frames", "socket": "s1", "kinds": "b" * 1000}, [b""] * 1000)
    await page.until(lambda: len(page.frames()) == 1001)
    relay.receive({"op": "frames", "socket": "s1", "kinds": "b" * 70_000}, [b""] * 70_000)
    relay.receive({"op": "frames", "socket": "s1", "kinds": "t"}, [b"behind"])
    await page.until(lambda: page.of("closed"))
    assert page.of("closed")[0][0]["code"] == 1009
    assert b"behind" not in page.frames()


async def test_a_page_that_was_reloaded_often_still_opens(relay: Numbering, page: Page) -> None:
    """Past the limit the socket that was silent longest is closed, not the newest refused."""
    for number in range(MAX_SOCKETS + 1):
        await open_socket(relay, page, f"s{number}")
        relay.receive({"op": "consumed", "socket": "s0", "bytes": 12}, [])
    await page.until(lambda: page.of("closed", "s1"))
    assert page.of("closed", "s1")[0][0]["code"] == 1001
    assert not page.of("closed", "s0")
    assert relay.sockets == MAX_SOCKETS


async def test_a_relay_that_closes_in_the_middle_of_a_sockets_end(root: str) -> None:
    """In whichever turn of it: the socket is closed, and its page is told."""
    for turns in range(20):
        page = Page()
        relay = Numbering(root, SECRET, page.take)
        await open_socket(relay, page)
        relay.receive({"op": "close", "socket": "s1", "code": 1000, "reason": ""}, [])
        for _ in range(turns):
            await asyncio.sleep(0)
        await relay.close()
        assert (relay.sockets, len(page.of("closed"))) == (0, 1), turns


async def test_a_closed_relay_opens_nothing(relay: Numbering, page: Page) -> None:
    """What a page sent while its widget was closed comes too late: its socket would be nobody's."""
    await relay.close()
    assert relay.receive({"op": "open", "socket": "s1", "path": "parties/echo/lobby"}, [])
    assert page.of("closed")
    assert (relay.sockets, relay._tasks) == (0, set())


async def test_unknown_operations_are_left_to_the_widget(relay: Numbering) -> None:
    """The relay takes its own four operations only."""
    assert not relay.receive({"op": "ticket", "id": "1"}, [])
    assert relay.receive({"op": "frames", "socket": "nobody", "kinds": ""}, [])


async def test_what_the_page_sent_and_was_lost_ends_the_socket(relay: Numbering, page: Page) -> None:
    """The next message shows the gap: it is not given to the room, whose socket is closed with the reason; so is the page told."""
    await open_socket(relay, page)
    relay.said["s1"] += 1
    relay.receive({"op": "frames", "socket": "s1", "kinds": "t"}, [b"behind the gap"])
    await page.until(lambda: page.of("closed"))
    closed = page.of("closed")[0][0]
    assert (closed["code"], closed["reason"]) == (4000, "some of what this page sent did not reach the kernel")
    assert page.frames() == [b"hello kernel"]


@contextlib.asynccontextmanager
async def silent_host() -> AsyncIterator[str]:
    """The root of one that opens a socket and then neither reads nor says anything."""
    opened: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split()[1] for line in head.splitlines() if line.lower().startswith("sec-websocket-key:"))
        lines = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept_key(key)}"]
        writer.write("\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode())

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    server = await asyncio.start_server(answer, sock=listening)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        for writer in opened:
            writer.transport.abort()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"op": "frames", "n": 7, "kinds": ""}, (4000, "some of what this page sent did not reach the kernel")),
        ({"op": "frames", "n": 1, "kinds": "tt"}, (1002, "kinds needs one letter, t or b, for each buffer")),
        ({"op": "close", "n": 1, "code": 4001, "reason": "bye"}, (1006, "")),
    ],
)
async def test_a_host_that_answers_no_close(
    message: dict[str, Any], told: tuple[int, str], page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page still hears why its socket was ended; when it closed it itself, 1006, as of a browser's socket."""
    monkeypatch.setattr(comm_socket, "CLOSE_TIMEOUT", 0.2)
    async with silent_host() as root:
        relay = CommRelay(root, SECRET, page.take)
        try:
            relay.receive({"op": "open", "socket": "s1", "path": "parties/echo/lobby", "protocols": []}, [])
            await page.until(lambda: page.of("opened"))
            relay.receive({"socket": "s1", **message}, [])
            await page.until(lambda: page.of("closed"))
            closed = page.of("closed")[0][0]
            assert (closed["code"], closed["reason"], closed["was_clean"]) == (*told, False)
        finally:
            await relay.close()


async def test_a_host_that_takes_nothing_ends_too(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that goes on sending is told 1009, although the Close never gets through what waits; nothing is left of the socket."""
    monkeypatch.setattr(comm_socket, "CLOSE_TIMEOUT", 0.2)
    monkeypatch.setattr(comm_socket, "LAST_TIMEOUT", 0.2)
    async with silent_host() as root:
        relay = Numbering(root, SECRET, page.take)
        try:
            relay.receive({"op": "open", "socket": "s1", "path": "parties/echo/lobby", "protocols": []}, [])
            await page.until(lambda: page.of("opened"))
            while relay.sockets and not relay._sockets["s1"]._closing.is_set():
                relay.receive({"op": "frames", "socket": "s1", "kinds": "b"}, [b"x" * 262_144])
                await asyncio.sleep(0)
            await page.until(lambda: page.of("closed"))
            closed = page.of("closed")[0][0]
            assert (closed["code"], closed["reason"]) == (1009, "the room takes input more slowly than it is sent")
            assert relay.sockets == 0
            async with asyncio.timeout(20):
                while relay._tasks:
                    await asyncio.sleep(0.01)
        finally:
            await relay.close()


async def test_counts_are_compared_at_hello(relay: Numbering, page: Page) -> None:
    """Sockets that got all are told their count, one that is no more is missing in it, and one that got less is closed."""
    await open_socket(relay, page)
    await open_socket(relay, page, "s2")
    relay.receive({"op": "frames", "socket": "s1", "kinds": "t"}, [b"x"])
    await page.until(lambda: page.of("consumed"))
    said = {"s1": 2, "s2": 1, "s3": 1}
    relay.compare(said)
    assert relay.counts(said) == {name: sum(content["socket"] == name for content, _, _ in page.messages) for name in ("s1", "s2")}
    relay.compare({"s1": 2, "s2": 2})
    await page.until(lambda: page.of("closed", "s2"))
    assert relay.counts(said).keys() == {"s1"}
    relay.compare("nonsense")
    assert relay.counts(None) == {}


async def test_a_page_whose_closed_was_lost_is_told_again(relay: Numbering, page: Page) -> None:
    """What it sends to a socket that is no more is answered with `closed`."""
    relay.receive({"op": "frames", "socket": "s1", "kinds": "t"}, [b"x"])
    assert [(content["code"], content["was_clean"]) for content, _ in page.of("closed")] == [(1006, False)]
