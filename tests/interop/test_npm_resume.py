"""The npm `partysocket`, unchanged, made resumable by the `resume.js` that is served to pages: in Node against the bundled server."""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from partywidgets.bundles import STATIC
from partywidgets.party import PartyHost, Server, resume
from partywidgets.transport.server import serve
from tests.node_packages import installed
from tests.node_program import node_process
from tests.ports import kept_port

from .conftest import HERE, VERSIONS, NodeClient
from .proxy import Proxy

pytestmark = pytest.mark.node

Resume = Callable[..., AbstractAsyncContextManager[NodeClient]]


class Ticker(Server):
    """A room that logs its broadcasts."""

    resumable = True


@pytest.fixture
def resume_in_node() -> Resume:
    """`async with resume_in_node("partysocket", port, clients=1, silence=…) as node:`."""
    bundle = STATIC / "resume.js"
    if not bundle.exists():
        pytest.fail("resume.js is not built: ./dev test builds it")
    place = installed(HERE, "interop", "resume.mjs", untried="the npm partysocket")

    @asynccontextmanager
    async def start(version: str, port: int, *, clients: int = 1, quiet: bool = False, **options: Any) -> AsyncIterator[NodeClient]:
        options = {"party": "ticker", "room": "r", "minReconnectionDelay": 10, "maxReconnectionDelay": 50, **options}
        given = {"module": version, "bundle": str(bundle), "host": f"127.0.0.1:{port}", "clients": clients, "quiet": quiet, **options}
        async with node_process("resume.mjs", place, given) as process:
            yield NodeClient(process)

    return start


@asynccontextmanager
async def behind_a_proxy(storage: Path) -> AsyncIterator[tuple[Server, Proxy]]:
    """The room `ticker/r`, and the proxy in front of its server."""
    async with (
        Proxy.before(0) as proxy,
        PartyHost({"ticker": Ticker}, storage=storage) as host,
        serve(host, port=0, auth=None, hosts=[f"127.0.0.1:{proxy.port}"]) as server,
    ):
        proxy.to = server.port
        yield await host.get_server_by_name("ticker", "r"), proxy


async def members(room: Server, count: int) -> None:
    """Waits until so many are in the room."""
    async with asyncio.timeout(30):
        while len(room.get_connections()) != count:
            await asyncio.sleep(0.01)


async def notes(node: NodeClient, room: Server, clients: int) -> list[list[dict[str, Any]]]:
    """What each client noted, once a last broadcast has reached all."""
    room.broadcast("end")
    ended: set[int] = set()
    while len(ended) < clients:
        ended.add((await node.event("end"))["client"])
    await node.tell("report")
    report: list[list[dict[str, Any]]] = (await node.event("report"))["notes"]
    return report


def gaps(seen: list[dict[str, Any]], last: int) -> int:
    """Checks one client's notes: nothing twice, nothing missing but where it was told so. Returns how many gaps it was told of."""
    reached, told, all_told = -1, False, 0
    for note in seen:
        if "recovered" in note:
            told = told or not note["recovered"]
            continue
        assert note["from"] == reached + 1 or (told and note["from"] > reached), f"after {reached} came {note['from']}: {seen}"
        all_told += note["from"] != reached + 1
        reached, told = note["to"], False
    assert reached == last or told
    return all_told


async def cut_under_load(
    tmp_path: Path, start: Resume, *, version: str, clients: int, cuts: int, patient: bool = False
) -> list[list[dict[str, Any]]]:
    """A thousand broadcasts a second while connections are cut one by one, each at whatever byte it is at.

    A `patient` room says no more than it keeps while somebody is away: a busy machine may take seconds to come back.
    """
    chance = random.Random(clients)
    async with (
        behind_a_proxy(tmp_path) as (room, proxy),
        start(version, proxy.port, clients=clients, quiet=True) as node,
    ):
        await members(room, clients)
        number, done, complete = 0, 0, 0
        while done < cuts:
            for _ in range(10):
                room.broadcast(str(number))
                number += 1
            await asyncio.sleep(0.01)
            if len(room.get_connections()) == clients:
                complete = number
            elif patient and number - complete >= resume.MAX_FRAMES // 2:
                await members(room, clients)
            if number % 50 == 0 and proxy.pairs:
                done += len(room.get_connections()) == clients  # those that hit one on its way back come on top
                proxy.cut(chance.choice(proxy.pairs))
        seen = await notes(node, room, clients)
        for one in seen:
            gaps(one, number - 1)
        return seen


@pytest.mark.parametrize("version", VERSIONS)
async def test_nothing_is_missed_over_cut_connections(tmp_path: Path, resume_in_node: Resume, version: str) -> None:
    """Three clients, twenty cuts: each has every broadcast once, in order, and was told so."""
    seen = await cut_under_load(tmp_path, resume_in_node, version=version, clients=3, cuts=20, patient=True)
    verdicts = [note["recovered"] for one in seen for note in one if "recovered" in note]
    assert len(verdicts) >= 10
    assert all(verdicts)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_nothing_is_missed_over_five_hundred_cuts(tmp_path: Path, resume_in_node: Resume) -> None:
    """Fifty clients at a thousand broadcasts a second: none lost and none twice wherever the room said that all follows."""
    seen = await cut_under_load(tmp_path, resume_in_node, version="partysocket", clients=50, cuts=500)
    verdicts = [note["recovered"] for one in seen for note in one if "recovered" in note]
    print(f"{len(verdicts)} reconnects, {verdicts.count(False)} of them with a gap")
    assert any(verdicts)


async def test_a_gap_that_cannot_be_filled_is_told(tmp_path: Path, resume_in_node: Resume) -> None:
    """Away for longer than the room's log: recovered is false, and what comes then is after the gap."""
    async with (
        behind_a_proxy(tmp_path) as (room, proxy),
        resume_in_node("partysocket", proxy.port) as node,
    ):
        await members(room, 1)
        await node.event("open")  # the room has it earlier: a connection that is cut before its client had it is none to resume
        room.broadcast("0")
        proxy.open = False
        proxy.cut(*proxy.pairs)
        await members(room, 0)
        for number in range(1, resume.MAX_FRAMES + 10):
            room.broadcast(str(number))
        proxy.open = True
        assert (await node.event("resumed"))["recovered"] is False
        room.broadcast(str(resume.MAX_FRAMES + 10))
        (seen,) = await notes(node, room, 1)
        assert gaps(seen, resume.MAX_FRAMES + 10) == 1


async def test_a_room_of_another_life_is_told(tmp_path: Path, resume_in_node: Resume) -> None:
    """A host that restarted has another epoch: recovered is false."""
    port = kept_port()
    async with PartyHost({"ticker": Ticker}, storage=tmp_path) as host, serve(host, port=port, auth=None):
        running = resume_in_node("partysocket", port)
        node = await running.__aenter__()
        await node.event("open")
        (await host.get_server_by_name("ticker", "r")).broadcast("0")
    try:
        async with PartyHost({"ticker": Ticker}, storage=tmp_path) as host, serve(host, port=port, auth=None):
            assert (await node.event("resumed"))["recovered"] is False
            room = await host.get_server_by_name("ticker", "r")
            room.broadcast("5")
            (seen,) = await notes(node, room, 1)
            assert [note.get("from", note.get("recovered")) for note in seen] == [0, False, 5]
    finally:
        await running.__aexit__(None, None, None)


async def test_a_silent_network_is_noticed(tmp_path: Path, resume_in_node: Resume, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes and nothing closes: the client leaves after its `silence`, and gets by another way what it missed."""
    monkeypatch.setattr(resume, "HEARTBEAT", 0.05)
    async with (
        behind_a_proxy(tmp_path) as (room, proxy),
        resume_in_node("partysocket", proxy.port, silence=3000) as node,
    ):
        await members(room, 1)
        await node.event("open")
        room.broadcast("0")
        proxy.silence()
        room.broadcast("1")
        gone = await node.event("close")
        assert (gone["code"], gone["reason"]) == (4000, "the room was silent")
        assert (await node.event("resumed"))["recovered"] is True
        assert proxy.arrivals == 2
        (seen,) = await notes(node, room, 1)
        assert [note for note in seen if "recovered" in note] == [{"recovered": True}]
        proxy.cut(*proxy.pairs)


async def test_a_room_that_does_not_log(tmp_path: Path, resume_in_node: Resume) -> None:
    """An ordinary room: no verdict, no heartbeats to wait for, the messages as they are."""

    class Plain(Ticker):
        resumable = False

    async with (
        PartyHost({"ticker": Plain}, storage=tmp_path) as host,
        serve(host, port=0, auth=None) as server,
        resume_in_node("partysocket", server.port, silence=100) as node,
    ):
        room = await host.get_server_by_name("ticker", "r")
        await members(room, 1)
        assert "_pw=1" in (await node.event("open"))["url"]
        room.broadcast("0")
        await notes(node, room, 1)
        room.get_connections()[0].wire.abort()
        await node.event("open")
        room.broadcast("1")
        (seen,) = await notes(node, room, 1)
        assert seen == [{"from": 0, "to": 1}]


AROUND = """\
import WebSocket from "ws";
Object.assign(globalThis, { WebSocket, location: { host: process.env.HOST }, loadTheRoomAfresh: () => console.log("afresh") });
"""
"""What a page has and Node has not."""


@asynccontextmanager
async def page_in_node(folder: Path, port: int) -> AsyncIterator[asyncio.StreamReader]:
    """Runs page.mjs; what it prints."""
    process = await asyncio.create_subprocess_exec(
        "node", "--import", "./around.mjs", "page.mjs", cwd=folder,
        env={**os.environ, "HOST": f"127.0.0.1:{port}"}, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_example_of_the_docs(tmp_path: Path) -> None:
    """The page's own lines, run as they stand: silent when what was missed follows, afresh when the room began anew."""
    place = installed(HERE, "interop", untried="the npm partysocket")
    page = (HERE.parents[1] / "docs/topics/partykit.md").read_text()
    found = re.search(r"^```js\n(.*?)^```$", page, re.M | re.S)
    assert found is not None
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "node_modules").symlink_to(place / "node_modules")
    (folder / "resume.js").write_text((STATIC / "resume.js").read_text())
    (folder / "around.mjs").write_text(AROUND)
    (folder / "page.mjs").write_text(found[1] + 'socket.addEventListener("message", ({ data }) => console.log(data));\n')

    async with Proxy.before(0) as proxy, AsyncExitStack() as stack:

        @asynccontextmanager
        async def host() -> AsyncIterator[Server]:
            async with (
                PartyHost({"chat": Ticker}, storage=tmp_path / "storage") as rooms,
                serve(rooms, port=0, auth=None, hosts=[f"127.0.0.1:{proxy.port}"]) as server,
            ):
                proxy.to = server.port
                yield await rooms.get_server_by_name("chat", "lobby")

        async with host() as room:
            said = await stack.enter_async_context(page_in_node(folder, proxy.port))
            await members(room, 1)
            room.broadcast("first")
            assert await said.readline() == b"first\n"
            proxy.cut(*proxy.pairs)
            await members(room, 0)
            room.broadcast("missed")
            await members(room, 1)
            room.broadcast("second")
            assert [await said.readline() for _ in range(2)] == [b"missed\n", b"second\n"]
        async with host() as room:
            await members(room, 1)
            room.broadcast("third")
            assert [await said.readline() for _ in range(2)] == [b"afresh\n", b"third\n"]
