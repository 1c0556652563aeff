"""Hard times: no more files, a network that swallows everything, a full disk, the end with a peer that does not read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from partywidgets.exceptions import StorageError
from partywidgets.party import Connection, PartyHost, Server

from ..party.serving import received, running
from .lit import WAIT, Watch, lit


@pytest.mark.timeout(180)
async def test_no_more_files(tmp_path: Path) -> None:
    """A hundred and eighty come to a server that may open 128 files: who was there misses nothing, and when some leave others come in."""
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("wb"))
        # Twenty numbers a second to each: two and a half thousand for the one process that reads for all who came.
        beacon = await stack.enter_async_context(lit(tmp_path / "storage", "--files", "128", "--period", "0.05", log=log))
        watches = [Watch(await stack.enter_async_context(beacon.connect(f"early{number}"))) for number in range(5)]

        async def come(number: int) -> Watch | None:
            with contextlib.suppress(WebSocketException, OSError, TimeoutError):
                return Watch(await beacon.connect(f"late{number}", open_timeout=3.0))
            return None

        came: list[Watch] = []
        for first in range(0, 180, 30):  # no more at once than a quarter of the files
            some = await asyncio.gather(*(come(number) for number in range(first, first + 30)))
            came += [watch for watch in some if watch is not None]
        assert 50 < len(came) < 128, "the limit of files was not met"
        await asyncio.gather(*(watch.reach(20) for watch in watches))
        assert b"no connection can be taken (Too many open files)" in (tmp_path / "log").read_bytes()
        for watch in came:
            watch.client.transport.abort()
        await asyncio.gather(*(watch.task for watch in came))
        async with asyncio.timeout(WAIT):
            while True:
                try:
                    again = await beacon.connect("again", open_timeout=3.0)
                    break
                except (WebSocketException, OSError, TimeoutError):
                    continue
        await stack.enter_async_context(again)
        await asyncio.gather(*(watch.reach(20) for watch in (Watch(again), *watches)))


async def test_the_end_with_a_peer_that_does_not_read(tmp_path: Path) -> None:
    """SIGTERM: the others get 1012, and the process ends although one takes nothing."""
    async with lit(tmp_path) as beacon, beacon.connect("fine") as fine, beacon.connect("stalled", max_queue=1) as stalled:
        await received(fine)
        await stalled.send("flood")
        stalled.transport.pause_reading()
        beacon.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(ConnectionClosed):
            while True:
                await received(fine)
        assert fine.close_code == 1012
        async with asyncio.timeout(WAIT):
            assert await beacon.process.wait() == 0
        stalled.transport.abort()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """8 MiB of tmpfs."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here, so a full disk is not tried: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_host_that_starts_on_a_full_disk(small_disk: Path) -> None:
    """One sentence with the remedy; with room again it starts."""
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    with pytest.raises(StorageError, match="make room on its disk"):
        async with PartyHost({"room": Server}, storage=small_disk / "rooms"):
            pass
    filler.unlink()
    async with PartyHost({"room": Server}, storage=small_disk / "rooms") as host:
        await (await host.get_server_by_name("room", "lobby")).storage.put("x", 1)


async def test_a_full_disk(small_disk: Path) -> None:
    """What cannot be kept is a StorageError in the room's own code; broadcasts go on; with room again it keeps, without a restart."""

    class Room(Server):
        async def on_message(self, connection: Connection, message: str | bytes) -> None:
            try:
                await self.storage.put(str(message), "x" * 200_000)
                await self.storage.set_alarm(4e9)
            except StorageError as error:
                self.broadcast(f"{message!s} not kept: {error}")
            else:
                self.broadcast(f"{message!s} kept")

    async with running(Room, small_disk) as run, run.connect() as client:
        await client.send("first")
        assert await received(client) == "first kept"
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        for number in range(3):
            await client.send(f"full{number}")
            said = str(await received(client))
            assert said.startswith(f"full{number} not kept: the database {small_disk}")
            assert said.endswith("cannot be used (database or disk is full): make room on its disk")
        filler.unlink()
        await client.send("again")
        assert await received(client) == "again kept"
        room = await run.host.get_server_by_name("room", "lobby")
        assert sorted(await room.storage.list()) == ["again", "first"]
        assert await room.storage.get_alarm() == 4e9
    async with running(Room, small_disk) as run:
        room = await run.host.get_server_by_name("room", "lobby")
        assert sorted(await room.storage.list()) == ["again", "first"]


_NUMBER = os.getpid() % 16384 * 4  # of four addresses: two runs of the tests on one machine have cables of their own
SERVER_ADDRESS, CLIENT_ADDRESS = (f"10.213.{_NUMBER >> 8}.{(_NUMBER & 255) + end}" for end in (1, 2))


def root(*command: str) -> None:
    """Runs a command of the network's; skips the test where that is not allowed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"`{' '.join(command)}` is not allowed here, so a half-open connection is not tried: {done.stderr.strip()}")


@pytest.fixture
def network() -> Iterator[list[str]]:
    """A network namespace with one cable to it; the command that runs something in it."""
    if shutil.which("ip") is None or shutil.which("iptables") is None:
        pytest.skip("ip and iptables are not installed, so a half-open connection is not tried: apt-get install iproute2 iptables")
    name, near, far = f"pw{os.getpid()}", f"pwa{os.getpid()}"[:15], f"pwb{os.getpid()}"[:15]
    try:
        root("ip", "netns", "add", name)
        root("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        root("ip", "addr", "add", f"{CLIENT_ADDRESS}/30", "dev", near)
        root("ip", "link", "set", near, "up")
        inside = ["ip", "netns", "exec", name]
        root(*inside, "ip", "addr", "add", f"{SERVER_ADDRESS}/30", "dev", far)
        root(*inside, "ip", "link", "set", far, "up")
        root(*inside, "ip", "link", "set", "lo", "up")
        yield inside
    finally:
        subprocess.run(["ip", "link", "del", near], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def swallow(network: list[str], client: ClientConnection) -> None:
    """From now on no packet of this connection passes, either way."""
    for chain, end in (("INPUT", "--sport"), ("OUTPUT", "--dport")):
        root(*network, "iptables", "-A", chain, "-p", "tcp", end, str(client.local_address[1]), "-j", "DROP")


async def test_a_network_that_swallows_everything(tmp_path: Path, network: list[str]) -> None:
    """No packet of one connection passes any more: its peer is pinged and let go, and its successor with the same id misses nothing."""
    async with (
        lit(tmp_path, "--ping", "3", within=network, address=SERVER_ADDRESS) as beacon,
        beacon.connect("me") as gone,
        beacon.connect("other") as other,
    ):
        await received(gone)
        swallow(network, gone)
        async with beacon.connect("me") as successor:
            watches = [Watch(successor), Watch(other)]
            assert sorted((await beacon.look())["ids"]) == ["me", "me", "other"]
            for watch in watches:
                await watch.reach()
            await beacon.until(["me", "other"])
            for watch in watches:
                await watch.reach()
        gone.transport.abort()


async def test_a_network_that_swallows_everything_of_a_paused_socket(tmp_path: Path, network: list[str]) -> None:
    """Its room hangs in one of its messages and reads no more of it: the kernel tells that nobody is there."""
    async with (
        lit(tmp_path, "--ping", "2", "--user-timeout", "1", "--period", "3600", within=network, address=SERVER_ADDRESS) as beacon,
        beacon.connect("me") as gone,
        beacon.connect("other") as other,
    ):
        for _ in range(200):
            await gone.send("hang")
        async with asyncio.timeout(WAIT):
            while (await beacon.look())["paused"] != ["me"]:
                await asyncio.sleep(0.05)
        swallow(network, gone)
        await beacon.until(["other"])
        await (await other.ping())
        gone.transport.abort()
