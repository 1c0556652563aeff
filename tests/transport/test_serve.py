"""serve(): where it binds, whom it lets in by itself, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode

from partywidgets.exceptions import ConfigError, HostError, PortInUseError
from partywidgets.party import PartyHost
from partywidgets.transport.server import serve

from ..party.serving import Flooding, Raw, received, running, until
from .echo import Echo


async def test_the_server_ends_with_a_stalled_peer(tmp_path: Path) -> None:
    """Everyone gets 1012; whoever does not take it is cut within the limit; on_close comes for all."""
    log: list[Any] = []

    class Room(Flooding):
        """Of this test alone."""

    Room.log = log
    async with contextlib.AsyncExitStack() as clients:
        async with asyncio.timeout(30):
            async with running(Room, tmp_path) as run:
                raw = await clients.enter_async_context(Raw.to(run, "/parties/room/lobby?_pk=stalled"))
                raw.send(Opcode.TEXT, b"go")
                fine = await clients.enter_async_context(run.connect(id="fine"))
                connection = run.host._rooms["room", "lobby"].occupants.newest("stalled")
                assert connection is not None
                await until(lambda: connection.buffered > 100_000)
        with pytest.raises(ConnectionClosed):
            await received(fine)
        assert fine.close_code == 1012
    assert sorted(entry[1:3] for entry in log) == [("fine", 1012), ("stalled", 1006)]


async def test_a_server_whose_end_is_not_waited_for_ends_all_the_same(tmp_path: Path) -> None:
    """Cancelled in the wait for it: nobody new comes in, and who is there is told 1012."""
    leave = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def use(host: PartyHost) -> None:
        async with serve(host, port=0, auth=None) as server:
            port.set_result(server.port)
            await leave.wait()

    async with PartyHost({"echo": Echo}, storage=tmp_path) as host:
        using = asyncio.create_task(use(host))
        async with asyncio.timeout(30), connect(f"ws://127.0.0.1:{await port}/parties/echo/lobby", proxy=None) as client:
            leave.set()
            for _ in range(3):
                await asyncio.sleep(0)
            assert not using.done()
            using.cancel()
            await asyncio.wait({using})
            [serving] = [task for task in asyncio.all_tasks() if task.get_name() == "partywidgets server"]
            await client.wait_closed()
            assert client.close_code == 1012
            await serving


async def test_a_unix_socket_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """It has no port, and no name that a Host could have."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(ConfigError, match="takes a listening TCP socket, got AF_UNIX"):
            async with serve(PartyHost({}, storage=tmp_path), sock=listening):
                pass


async def test_an_occupied_port_is_one_sentence(tmp_path: Path) -> None:
    """PortInUseError names the port and the remedy; an address of another machine is a HostError."""
    async with running(Echo, tmp_path) as run, PartyHost({"room": Echo}, storage=tmp_path) as host:
        with pytest.raises(PortInUseError, match=f"{run.server.port} on 127.0.0.1 is taken"):
            async with serve(host, port=run.server.port, auth=None):
                pass
        with pytest.raises(HostError):
            async with serve(host, bind="192.0.2.1", port=0):
                pass


async def test_without_auth_only_loopback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """auth=None is refused elsewhere, says what it opens, and still checks Host and Origin."""
    async with PartyHost({"room": Echo}, storage=tmp_path) as host:
        with pytest.raises(ConfigError, match="loopback"):
            async with serve(host, bind="0.0.0.0", port=0, auth=None):
                pass
    async with running(Echo, tmp_path) as run, httpx.AsyncClient() as http:
        assert "are open" in capsys.readouterr().err
        url = run.url(scheme="http")
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            assert (await http.get(url, headers=headers)).status_code == 403
            target: dict[str, Any] = {
                "host": "127.0.0.1",
                "port": run.server.port,
                "additional_headers": {"Origin": headers.get("Origin", "")},
            }
            if "Host" in headers:
                target.pop("additional_headers")
            with pytest.raises(InvalidStatus) as refused:
                await connect(run.url().replace("127.0.0.1", headers.get("Host", "127.0.0.1")), **target)
            assert refused.value.response.status_code == 403
        assert run.host.rooms("room") == []


async def test_a_token_is_made_and_printed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """auth left out: the printed token opens the rooms, nothing else does, and no room is created for who has none."""
    async with PartyHost({"room": Echo}, storage=tmp_path) as host, serve(host, port=0) as server:
        token = server.token
        assert token is not None
        assert capsys.readouterr().err.count(token) == 1
        url = f"{server.url}parties/room/lobby"
        async with httpx.AsyncClient() as http:
            assert (await http.get(url)).status_code == 401
            with pytest.raises(InvalidStatus) as refused:
                await connect(url.replace("http", "ws"))
            assert refused.value.response.status_code == 401
            assert host.rooms("room") == []
            headers = {"Authorization": f"Bearer {token}"}
            assert (await http.get(url, headers=headers)).status_code == 200
            async with connect(url.replace("http", "ws"), additional_headers=headers) as client:
                await client.send("x")
                assert await received(client) == "x"


async def test_uvloop(tmp_path: Path) -> None:
    """The same on uvloop, whose transports are of another class."""
    import sys

    script = """
import asyncio, sys, uvloop
from websockets.asyncio.client import connect
from partywidgets.party import PartyHost, Server
from partywidgets.transport.server import serve

class Echo(Server):
    def on_message(self, connection, message):
        self.broadcast(message)

async def main():
    async with PartyHost({"room": Echo}, storage=sys.argv[1]) as host, serve(host, port=0, auth=None) as server:
        async with connect(server.url.replace("http", "ws") + "parties/room/lobby") as client:
            await client.send("x" * 300000)
            assert await client.recv() == "x" * 300000
    print("fine")

uvloop.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(tmp_path), stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    assert out == b"fine\n"
