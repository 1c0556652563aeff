"""A full host puts the rooms in which nobody is to sleep for new ones: a flood of invented names keeps nobody out."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from websockets.asyncio.client import connect

from partywidgets.party import Connection, PartyHost, Server, making_place

from .serving import Running, received, running, until


class Visited(Server):
    """Counts on disk who asked, and tells how its life goes."""

    log: ClassVar[list[Any]] = []
    stopping: ClassVar[asyncio.Event | None] = None

    def on_start(self, props: Any = None) -> None:
        self.log.append(("start", self.name))

    async def on_stop(self) -> None:
        if self.stopping is not None:
            await self.stopping.wait()
        self.log.append(("stop", self.name))

    async def on_request(self, request: Request) -> Response:
        visits = await self.storage.get("visits", 0) + 1
        await self.storage.put("visits", visits)
        return PlainTextResponse(str(visits))

    def on_message(self, connection: Connection, message: str | bytes) -> None:
        connection.send(message)


def at_once(host: PartyHost) -> None:
    """Rooms go without the second of grace."""
    assert host._place is not None
    host._place._settled = 0.0


async def asked(http: httpx.AsyncClient, run: Running, room: str) -> str:
    """The room's answer."""
    answer = await http.get(run.url(room, scheme="http"))
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_flood_of_names_keeps_nobody_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Forty invented names for four rooms: the occupied room and the held one live on, a new one is made, and the log says it once."""

    class Room(Visited):
        log: ClassVar[list[Any]] = []

    async with running(Room, tmp_path, max_rooms=4, hibernate_after=60) as run, httpx.AsyncClient() as http:
        at_once(run.host)
        held = await run.host.get_server_by_name("room", "held")
        async with held.awake(), run.connect("occupied") as socket:
            for number in range(40):
                assert await asked(http, run, f"invented{number}") == "1"
                assert len(run.host._rooms) <= 4
            async with run.connect("new") as newcomer:
                await newcomer.send("in")
                assert await received(newcomer) == "in"
            await socket.send("still here")
            assert await received(socket) == "still here"
            assert await run.host.get_server_by_name("room", "held") is held
            assert ("stop", "occupied") not in Room.log
            # The longest idle first.
            await until(lambda: ("stop", "invented37") in Room.log)
            stops = [name for what, name in Room.log if what == "stop"]
            assert stops[:38] == [f"invented{number}" for number in range(38)]
    assert caplog.text.count("which is its limit") == 1


async def test_a_room_that_made_place_is_as_it_was(tmp_path: Path) -> None:
    """What it stored is there, its alarm rings, and its next instance starts after the last one's on_stop has ended."""
    stopping = asyncio.Event()
    rang = asyncio.Event()

    class Room(Visited):
        log: ClassVar[list[Any]] = []

        async def on_stop(self) -> None:
            if self.name == "first":
                await stopping.wait()
            await super().on_stop()

        def on_alarm(self) -> None:
            rang.set()

    async with running(Room, tmp_path, max_rooms=1, hibernate_after=60) as run, httpx.AsyncClient() as http:
        at_once(run.host)
        assert await asked(http, run, "first") == "1"
        await (await run.host.get_server_by_name("room", "first")).storage.set_alarm(0)
        await asyncio.wait_for(rang.wait(), 20)
        assert await asked(http, run, "second") == "1"
        again = asyncio.create_task(asked(http, run, "first"))
        await until(lambda: ("stop", "second") in Room.log)
        assert not again.done()
        stopping.set()
        assert await again == "2"
    assert [event for event in Room.log if event[1] == "first"] == [("start", "first"), ("stop", "first")] * 2


async def test_an_alarm_rings_in_a_host_full_of_idle_rooms(tmp_path: Path) -> None:
    """It has no need to wait until one of them is forgotten."""
    rang: list[str] = []

    class Room(Server):
        def on_alarm(self) -> None:
            rang.append(self.name)

    async with PartyHost({"room": Room}, storage=tmp_path, max_rooms=1, hibernate_after=60) as host:
        at_once(host)
        await host.get_server_by_name("room", "other")
        assert host._alarms is not None
        await host._alarms.set("room", "due", 0.0)
        await until(lambda: rang == ["due"])


async def test_a_room_that_did_something_just_now_stays(tmp_path: Path) -> None:
    """Somebody may have it in hand: for a second a further one is refused in its place, and then comes in."""
    async with running(Visited, tmp_path, max_rooms=1, hibernate_after=60) as run, httpx.AsyncClient() as http:
        assert run.host._place is not None
        run.host._place._settled = 3600.0
        await run.host.get_server_by_name("room", "just-now")
        assert (await http.get(run.url("other", scheme="http"))).status_code == 503
        run.host._place._settled = 0.0
        async with asyncio.timeout(20):
            while (await http.get(run.url("other", scheme="http"))).status_code != 200:
                await asyncio.sleep(0.05)


async def test_a_room_to_resume_from_goes_last(tmp_path: Path) -> None:
    """Who lost its socket can still come back; where no other is left its room goes too, and whoever comes back is told of the gap."""

    class Log(Server):
        resumable = True

        def on_message(self, connection: Connection, message: str | bytes) -> None:
            self.broadcast(message)

    def control(frame: Any) -> dict[str, Any]:
        assert frame[0] == "\x1e"
        answer: dict[str, Any] = json.loads(frame[1:])
        return answer

    async with running(Log, tmp_path, max_rooms=2, hibernate_after=60) as run:
        at_once(run.host)
        async with connect(run.url("logged", query="_pw=1")) as socket:
            told = control(await received(socket))
            await socket.send("one")
            assert await received(socket) == "one"
        await until(lambda: run.host.connection_count() == 0)
        await run.host.get_server_by_name("room", "later")
        await run.host.get_server_by_name("room", "newest")
        assert run.host.rooms("room") == ["logged", "newest"]
        async with connect(run.url("logged", query=f"_pw=1&_e={told['e']}&_o=0")) as socket:
            assert control(await received(socket))["rec"] is True
            assert await received(socket) == "one"
        await until(lambda: run.host.connection_count() == 0)
        await run.host.get_server_by_name("room", "third")
        async with run.connect("third"):
            await run.host.get_server_by_name("room", "fourth")
            assert run.host.rooms("room") == ["third", "fourth"]
            async with connect(run.url("logged", query=f"_pw=1&_e={told['e']}&_o=1")) as socket:
                again = control(await received(socket))
                assert (again["rec"], again["e"] == told["e"]) == (False, False)


async def test_a_full_host_is_not_searched_for_each_who_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all rooms are in use the next look is a while later, however many come meanwhile."""
    monkeypatch.setattr(making_place, "PAUSE", 3600.0)
    looks = 0

    class Watched(dict[Any, Any]):
        def values(self) -> Any:
            nonlocal looks
            for room in super().values():
                looks += 1
                yield room

    async with running(Server, tmp_path, max_rooms=1) as run, run.connect("one"), httpx.AsyncClient() as http:
        run.host._rooms = Watched(run.host._rooms)
        for number in range(5):
            assert (await http.get(run.url(f"r{number}", scheme="http"))).status_code == 503
        assert looks == 1


@pytest.mark.parametrize("how", ["idle", "made place"])
async def test_the_end_of_a_host_waits_for_rooms_that_are_stopping(tmp_path: Path, how: str) -> None:
    """An on_stop that began before is not cut off."""
    may_end, began = asyncio.Event(), asyncio.Event()
    log: list[str] = []

    class Room(Server):
        async def on_stop(self) -> None:
            if self.name != "stopping":
                return
            began.set()
            await may_end.wait()
            await self.storage.put("stopped", True)
            log.append("stopped")

    async with contextlib.AsyncExitStack() as stack:
        host = await stack.enter_async_context(
            PartyHost({"room": Room}, storage=tmp_path, max_rooms=1, hibernate_after=0.05 if how == "idle" else 60)
        )
        at_once(host)
        await host.get_server_by_name("room", "stopping")
        if how == "made place":
            await host.get_server_by_name("room", "other")
        await asyncio.wait_for(began.wait(), 20)
        asyncio.get_running_loop().call_later(0.2, may_end.set)
    assert log == ["stopped"]


async def test_a_room_that_could_not_start_closes_its_file_when_it_goes(tmp_path: Path) -> None:
    """Its on_start opened it and raised: nothing else would close it."""

    class Room(Server):
        async def on_start(self, props: Any = None) -> None:
            await self.storage.put("x", 1)
            raise RuntimeError("not today")

    async with running(Room, tmp_path, hibernate_after=0.05) as run, httpx.AsyncClient() as http:
        assert (await http.get(run.url("broken", scheme="http"))).status_code == 500
        storage = run.host._known["room", "broken"].storage
        await until(lambda: run.host._rooms == {})
        assert not storage.is_open
