"""Rooms in a FastAPI app under our server, and by plain receive and send under those that people have already."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from partywidgets.partysocket import PartySocket

from ..party.serving import received, until
from ..ports import kept_port

APP = "tests.transport.fastapi_app:app"
OURS = """\
import asyncio, signal, socket, sys
from partywidgets.transport.server import serve
from tests.transport.fastapi_app import app
async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(app, sock=socket.socket(fileno=int(sys.argv[1]))):
        await stop.wait()
asyncio.run(main())
"""
SERVERS = {
    "ours": ["-c", OURS, "{fd}"],
    "uvicorn": ["-m", "uvicorn", APP, "--fd", "{fd}"],
    "uvicorn-wsproto": ["-m", "uvicorn", APP, "--fd", "{fd}", "--ws", "wsproto"],
    "uvicorn-sansio": ["-m", "uvicorn", APP, "--fd", "{fd}", "--ws", "websockets-sansio"],
    "hypercorn": ["-m", "hypercorn", APP, "--bind", "fd://{fd}"],
    "granian": ["-m", "granian", "--interface", "asgi", APP, "--host", "127.0.0.1", "--port", "{port}"],
}
TOLD = {
    "ours": {"a": 4001, "c": 1006},
    "uvicorn": {"a": 4001, "c": 1005},
    "uvicorn-wsproto": {"a": 4001, "c": 1005},
    "uvicorn-sansio": {"a": 4001, "c": 1005},
    "hypercorn": {"a": 1006, "c": 1006},
    "granian": {"a": 4001, "c": 1005},
}
"""What each server says of a Close with 4001 and of a drop."""
ROOT = Path(__file__).parents[2]
WAIT = 30.0


class Other:
    """A server process."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, name: str) -> None:
        self.process, self.port, self.name = process, port, name
        self.http = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}"

    async def left(self, room: str, count: int) -> list[Any]:
        """What on_close saw in a room, once it was so many times."""
        async with asyncio.timeout(WAIT), httpx.AsyncClient() as http:
            while len(seen := (await http.get(f"{self.http}/left/{room}")).json()) < count:
                await asyncio.sleep(0.02)
            return list(seen)


def first_answer(url: str, process: subprocess.Popen[bytes]) -> httpx.Response:
    """Of a server that may not listen yet."""
    deadline = time.monotonic() + WAIT
    while True:
        try:
            return httpx.get(url, timeout=WAIT)
        except httpx.ConnectError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@contextlib.contextmanager
def running(name: str, folder: Path, *options: str) -> Iterator[Other]:
    """The FastAPI app under a server, once it answers: on a socket that listens already, or on a port where it takes no other."""
    takes_port = "{port}" in SERVERS[name]
    with contextlib.ExitStack() as stack:
        listening = None if takes_port else stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        log = stack.enter_context((folder / "log").open("wb"))
        port = kept_port() if listening is None else listening.getsockname()[1]
        fd = -1 if listening is None else listening.fileno()
        process = subprocess.Popen(
            [sys.executable, *(part.format(fd=fd, port=port) for part in SERVERS[name]), *options],
            cwd=ROOT, env={**os.environ, "CHAT_STORAGE": str(folder / "storage")}, pass_fds=[] if listening is None else [fd],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            server = Other(process, port, name)
            assert first_answer(f"{server.http}/left/any", process).json() == []
            yield server
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with hypercorn's workers, which would outlive it
            process.wait()
            print((folder / "log").read_text())


@pytest.fixture(scope="module", params=SERVERS)
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Other]:
    """Each server, for all tests here, of which each has a room of its own."""
    with running(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


async def test_requests(other: Other) -> None:
    """The app's own routes, a room's with a body, an alias, CORS on each answer of a room, and what is no room."""
    async with httpx.AsyncClient(timeout=WAIT) as http:
        answer = await http.post(other.http + "/parties/chat/a%20b/deeper", content=b"x" * 300_000)
        assert answer.json() == ["a b", "POST", 300_000, []]
        assert answer.headers["access-control-allow-origin"] == "*"
        assert (await http.get(other.http + "/talk/x")).json()[0] == "x"
        assert (await http.options(other.http + "/parties/chat/x")).status_code == 200
        refused = await http.get(other.http + "/parties/chat/x?as=nobody")
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (418, "*")
        assert (await http.get(other.http + "/parties/nothing/x")).status_code == 400
        assert (await http.get(other.http + "/elsewhere")).json() == {"detail": "Not Found"}


async def test_upgrades_that_are_refused(other: Other) -> None:
    """Denials have their status, and a close code where the authoriser wants one; the app's own WebSocket works beside the rooms."""
    for path, status in (("/parties/chat/full", 409), ("/parties/chat/x?as=nobody", 418), ("/parties/nothing/x", 400)):
        with pytest.raises(InvalidStatus) as refused:
            await connect(other.ws + path)
        assert refused.value.response.status_code == status
    async with connect(other.ws + "/parties/chat/x?as=later") as client:
        with pytest.raises(ConnectionClosed):
            await received(client)
        assert client.close_code == 4401
    async with connect(other.ws + "/own") as client:
        await client.send("hi")
        assert await received(client) == "you said hi"


async def test_messages_and_closes(other: Other) -> None:
    """Text, bytes, large ones and a burst reach all in order; codes and reasons go both ways; on_close comes once for each."""
    url = other.ws + "/parties/chat/talk?_pk="
    async with connect(url + "a", subprotocols=[Subprotocol("chat.v1")]) as a, connect(url + "b") as b, connect(url + "c") as c:
        assert a.subprotocol == "chat.v1"
        assert [await received(client) for client in (a, b, c)] == [f"hello {name} ours be kind" for name in "abc"]
        for message in ("é", b"\x00\xff", "x" * 100_000):
            await a.send(message)
            assert [await received(client) for client in (a, b, c)] == [message] * 3
        await c.send("burst")
        for client in (a, b, c):
            assert [await received(client) for _ in range(500)] == [str(number) for number in range(500)]
        await b.send("kick me")
        with pytest.raises(ConnectionClosed):
            await received(b)
        assert (b.close_code, b.close_reason) == (4000, "out")
        await a.close(4001, "bye")
        c.transport.abort()
        seen = await other.left("talk", 3)
    assert sorted(entry[0] for entry in seen) == ["a", "b", "c"]
    assert {entry[0]: entry[1] for entry in seen if entry[0] != "b"} == TOLD[other.name]
    async with httpx.AsyncClient() as http:
        assert (await http.get(other.http + "/parties/chat/talk")).json()[3] == []


async def test_a_peer_that_does_not_read(other: Other) -> None:
    """It is cut, and the others get everything."""
    async with (
        connect(other.ws + "/parties/chat/stall?_pk=stalled", max_queue=1, compression=None) as stalled,
        connect(other.ws + "/parties/chat/stall?_pk=fine", compression=None) as fine,
    ):
        assert await received(fine) == "hello fine ours be kind"
        stalled.transport.pause_reading()
        message = "x" * 64 * 1024
        async with asyncio.timeout(40):
            while not (left := await other.left("stall", 0)):
                for _ in range(64):
                    await fine.send(message)
                    assert await received(fine) == message
        assert left[0][:2] == ["stalled", 1006]
        stalled.transport.abort()


async def test_resume(other: Other) -> None:
    """A client that counts misses nothing over a cut connection."""
    verdicts: list[bool] = []
    async with (
        PartySocket(
            host=other.http, party="chat", room="r", resume=True, on_resumed=verdicts.append, min_reconnection_delay=0.01
        ) as socket,
        connect(other.ws + "/parties/chat/r") as another,
        asyncio.timeout(WAIT),
    ):
        assert (await socket.receive()).startswith("hello")  # type: ignore[arg-type]
        await received(another)
        assert socket._socket is not None
        socket._socket.transport.abort()
        await another.send("missed")
        assert await socket.receive() == "missed"
        assert verdicts == [True]


@pytest.mark.parametrize("name", ["uvicorn", "hypercorn", "granian"])
async def test_a_second_worker_is_told(name: str, tmp_path: Path) -> None:
    """Its log says that rooms live in one process, and what to write."""
    with running(name, tmp_path, "--workers", "2"):
        await until(lambda: "that is another worker of this server" in (tmp_path / "log").read_text())


@pytest.mark.parametrize("name", SERVERS)
async def test_the_end(name: str, tmp_path: Path) -> None:
    """SIGTERM: whoever is there is told, one that does not read holds nothing up for long, and the process ends."""
    with running(name, tmp_path) as other:
        await ends(other)


async def ends(other: Other) -> None:
    """Sends SIGTERM to a server with two clients."""
    async with (
        connect(other.ws + "/parties/chat/x?_pk=fine") as fine,
        connect(other.ws + "/parties/chat/x?_pk=stalled", max_queue=1, compression=None) as stalled,
    ):
        await received(fine)
        stalled.transport.pause_reading()
        other.process.send_signal(signal.SIGTERM)
        if other.name == "hypercorn" and sys.version_info >= (3, 12):  # tells nobody: Server.wait_closed waits for connections since 3.12
            await fine.close()
        with contextlib.suppress(ConnectionClosed):
            while True:
                await received(fine)
        if other.name == "granian":
            assert fine.close_code == 1006
        elif other.name != "hypercorn":
            assert fine.close_code == 1012
        elif sys.version_info < (3, 12):  # it cancels the app after its graceful time
            assert fine.close_code in (1011, 1006)
        stalled.transport.abort()
        assert await asyncio.to_thread(other.process.wait, WAIT) in (0, -signal.SIGTERM)
