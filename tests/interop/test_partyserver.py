"""One suite of wire cases against our server and the real PartyServer on workerd: what differs stands in docs/topics/partykit.md.

And our PartySocket in the rooms of the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from partywidgets.exceptions import RefusedError
from partywidgets.party import PartyHost
from partywidgets.partysocket import CloseEvent, PartySocket
from partywidgets.transport.server import serve
from tests.node_packages import installed, without

from . import life_cases, limit_cases, storage_cases, wire_cases  # noqa: F401 - registers them
from .conftest import HERE, WAIT
from .rooms import PARTIES, app
from .wire import CASES, ONCE, Wire
from .workerd import listening_port

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

DOCUMENT = HERE.parents[1] / "docs" / "topics" / "partykit.md"
DIFFERENCES = HERE / "differences.json"
PLACE = HERE / "partyserver"
KINDS = {"memory": "memory-room", "hibernating": "sleeping-room"}
RUNS = [(name, kind) for name in CASES for kind in KINDS if kind == "memory" or name not in ONCE]


def documented() -> dict[tuple[str, str], str]:
    """The differences on the page: (case, what) to the reason. What is a kind of room or `both`."""
    text = DOCUMENT.read_text()
    return {(name, kind): why for name, kind, why in re.findall(r"^\| `([a-z0-9-]+)` \| (both|memory|hibernating) \| (.+) \|$", text, re.M)}


@pytest.fixture(scope="session")
def workerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of PartyServer's rooms on workerd, installed from the lock once and kept."""
    place = installed(PLACE, "partyserver", "worker.ts", "worker.capnp", untried="PartyServer", exact=False)
    bundle = ["node_modules/.bin/esbuild", "worker.ts", "--bundle", "--format=esm", "--external:cloudflare:workers", "--outfile=worker.js"]
    subprocess.run(bundle, cwd=place, check=True, capture_output=True, timeout=60)
    binaries = sorted(place.glob("node_modules/@cloudflare/workerd-*/bin/workerd"))
    if not binaries:
        without("npm has no workerd for this machine: PartyServer cannot be tried")
    process = subprocess.Popen(
        [binaries[0], "serve", "worker.capnp", "--control-fd=1", f"--directory-path=state={tmp_path_factory.mktemp('workerd')}"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield listening_port(process)
    finally:
        process.kill()
        process.communicate()


@contextlib.asynccontextmanager
async def ours(storage: Path) -> AsyncIterator[int]:
    """The port of the same rooms of ours."""
    async with PartyHost(PARTIES, storage=storage) as host, serve(app(host), port=0) as server:
        yield server.port


Answers = dict[tuple[str, str], tuple[list[str], list[str]]]


@pytest.fixture(scope="session")
def answers(workerd: int, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What every case got from PartyServer and from us. Each has a room of its own, so all run at once."""
    return asyncio.run(_ask(workerd, tmp_path_factory.mktemp("ours")))


async def _ask(real: int, storage: Path) -> Answers:
    found: Answers = {}

    async def ask(name: str, kind: str, own: int) -> None:
        of_partyserver = await CASES[name](Wire(real, KINDS[kind], patient=False))
        found[name, kind] = of_partyserver, await CASES[name](Wire(own, KINDS[kind]))

    async with ours(storage) as own, asyncio.TaskGroup() as group:
        for name, kind in RUNS:
            group.create_task(ask(name, kind, own))
    return found


@pytest.mark.parametrize(("name", "kind"), RUNS)
def test_wire(answers: Answers, name: str, kind: str) -> None:
    """What comes back is the same, frame by frame, unless the page says that it is not."""
    real, own = answers[name, kind]
    listed = documented()
    if (name, "both") in listed or (name, kind) in listed:
        pinned = json.loads(DIFFERENCES.read_text())[name]
        assert {"partyserver": real, "here": own} == pinned
        assert own != real, f"the page lists {name} as different and it is not"
    else:
        assert own == real


def test_the_page_names_cases_that_there_are() -> None:
    """A difference on the page is of a case that runs."""
    assert {name for name, _ in documented()} == set(json.loads(DIFFERENCES.read_text()))
    assert {name for name, _ in documented()} <= set(CASES)


def joining(port: int, kind: str, room: str, **options: Any) -> PartySocket:
    """Our client, patient with a machine under load and quick to come back."""
    quick: dict[str, Any] = {"min_reconnection_delay": 0.05, "max_reconnection_delay": 0.5, "connection_timeout": WAIT}
    return PartySocket(host=f"127.0.0.1:{port}", party=KINDS[kind], room=room, **quick, **options)


async def told(socket: PartySocket, question: str, *wanted: str) -> list[str]:
    """The answers, one for each of `wanted`; what the room tells of those who left is passed over."""
    answers: list[str] = []
    socket.send(question)
    async with asyncio.timeout(WAIT):
        while len(answers) < max(1, len(wanted)):
            message = await socket.receive()
            assert isinstance(message, str)
            if not message.startswith("left "):
                answers.append(message)
    assert not wanted or answers == list(wanted)
    return answers


@pytest.mark.parametrize("kind", KINDS)
async def test_our_partysocket_talks_with_the_real_partyserver(workerd: int, kind: str) -> None:
    """What was sent before it opened goes first and in order; text and bytes come back as they were; broadcasts reach others."""
    async with joining(workerd, kind, "a room / of Zoë", id="one") as one, joining(workerd, kind, "a room / of Zoë", id="two") as two:
        assert [one.send(f"echo {number}") for number in range(3)] == [False] * 3
        async with asyncio.timeout(WAIT):
            assert [await one.receive() for _ in range(3)] == ["0", "1", "2"]
            await two.opened()
            one.send(b"\x00\xff")
            assert await one.receive() == b"\x00\xff"
        large = "ü" * 100_000
        await told(one, f"echo {large}", large)
        await told(one, "many", *map(str, range(200)))
        async with asyncio.timeout(WAIT):
            assert [await two.receive() for _ in range(200)] == [str(number) for number in range(200)]
        await told(two, "list", "one,two")
        await told(two, "name", "a%20room%20%2F%20of%20Zo%C3%AB")  # PartyServer does not decode it
    assert one.last_close == two.last_close == CloseEvent(1000, "", True)


@pytest.mark.parametrize("kind", KINDS)
async def test_our_partysocket_asks_for_its_query_before_every_attempt(workerd: int, kind: str) -> None:
    """Values and an async function; the room sees them with the id in its URL. The room's tags are those that were asked for."""
    attempts = 0

    async def query() -> dict[str, Any]:
        nonlocal attempts
        attempts += 1
        return {"tags": "red,blue", "attempt": attempts, "a b": "ö&=", "no": None, "yes": True}

    async with joining(workerd, kind, "query", id="me", query=query) as socket:
        (uri,) = await told(socket, "uri")
        assert uri == f"http://127.0.0.1:{workerd}/parties/{KINDS[kind]}/query?_pk=me&tags=red%2Cblue&attempt=1&a+b=%C3%B6%26%3D&yes=true"
        await told(socket, "tags", "me,red,blue")
        socket.reconnect()
        (again,) = await told(socket, "uri")
        assert again == uri.replace("attempt=1", "attempt=2")


@pytest.mark.parametrize("kind", KINDS)
async def test_our_partysocket_comes_back_to_the_real_partyserver(workerd: int, kind: str) -> None:
    """After the room's close, its own and a change of room: the id stays. A room that logs no broadcasts is an ordinary one."""
    closes: list[CloseEvent] = []
    options: dict[str, Any] = {"id": "me", "resume": True, "on_close": closes.append}
    async with joining(workerd, kind, "back", **options) as socket, joining(workerd, kind, "back", id="other") as other:
        await told(socket, "set 1", "1")
        socket.send("close 4000 come back")
        async with asyncio.timeout(WAIT):
            while not closes:
                await asyncio.sleep(0.01)
        assert closes == [CloseEvent(4000, "come back", True)]
        await told(socket, "state", "null")
        assert socket.resumed is None
        async with asyncio.timeout(WAIT):
            await other.opened()
        socket.reconnect(4001, "anew")
        await told(socket, "list", "me,other")
        socket.update_properties(room="elsewhere")
        socket.reconnect()
        await told(socket, "list", "me")
        await told(socket, "name", "elsewhere")
        await told(other, "list", "other")


async def test_our_partysocket_ends_where_the_real_partyserver_refuses(workerd: int) -> None:
    """A before-hook's 401 is final and told as such."""
    async with joining(workerd, "memory", "closed", prefix="hooked", query={"before": "deny"}) as socket:
        with pytest.raises(RefusedError, match="HTTP 401"):
            await socket.opened(WAIT)


@pytest.mark.parametrize("kind", KINDS)
async def test_our_fetch_asks_the_real_partyserver(workerd: int, kind: str) -> None:
    """Method, path, query, headers and body reach the room; its status, headers and text come back, and those of no room."""
    place: dict[str, Any] = {"host": f"127.0.0.1:{workerd}", "party": KINDS[kind], "room": "a room"}
    posted = await PartySocket.fetch(
        **place, path="sub/path", method="POST", query={"x": 1, "y": True}, headers={"X-Probe": "p"}, body="grüße", timeout=WAIT
    )
    assert posted.text == f"POST|a%20room|/parties/{KINDS[kind]}/a%20room/sub/path|?x=1&y=true|grüße|p"
    made = await PartySocket.fetch(**place, query={"what": "status"}, timeout=WAIT)
    assert (made.status, made.header("x-room"), made.text) == (201, "yes", "made")
    turned = await PartySocket.fetch(**place, query={"what": "redirect"}, timeout=WAIT)
    assert (turned.status, turned.header("location")) == (302, "/elsewhere")
    async with joining(workerd, kind, "a room") as socket:
        await told(socket, "echo here", "here")
        assert (await PartySocket.fetch(**place, query={"what": "tell"}, timeout=WAIT)).ok
        async with asyncio.timeout(WAIT):
            assert await socket.receive() == "by request"
    nowhere = await PartySocket.fetch(host=place["host"], party="no-such-party", room="x", timeout=WAIT)
    assert not nowhere.ok
