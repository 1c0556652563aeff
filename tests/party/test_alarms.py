"""A room's alarm: at least once, found again, tried again, and not all at the same moment."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from partywidgets.party import PartyHost, Server, alarm
from partywidgets.party.alarm import AT_ONCE, Alarms
from partywidgets.party.storage_thread import StorageThread

from .serving import running, until


def make_overdue(storage: Path, far: float) -> None:
    """Moves alarms that were set behind `far` to a time that is past, in their order."""
    with sqlite3.connect(storage / "host.sqlite3") as database:
        database.execute("UPDATE alarms SET due = due - ?", (far,))
    database.close()


async def test_an_alarm_fires_once_and_may_set_the_next(tmp_path: Path) -> None:
    """A past time fires at once; inside on_alarm there is none set; on_alarm may set another."""
    seen: list[Any] = []

    class Room(Server):
        async def on_alarm(self) -> None:
            seen.append(await self.storage.get_alarm())
            if len(seen) < 3:
                await self.storage.set_alarm(datetime.now(UTC))

    async with running(Room, tmp_path) as run:
        room = await run.host.get_server_by_name("room", "lobby")
        with pytest.raises(ValueError, match="aware"):
            await room.storage.set_alarm(datetime.now())
        await room.storage.set_alarm(time.time() - 100)
        await until(lambda: len(seen) == 3)
        assert await room.storage.get_alarm() is None
    assert seen == [None, None, None]


async def test_on_alarm_may_delete_everything_and_set_the_next(tmp_path: Path) -> None:
    """The alarm set behind a delete_alarm or a delete_all is another one than that which rings: it is there, and it fires."""
    seen: list[bool] = []

    class Room(Server):
        async def on_alarm(self) -> None:
            if len(seen) < 2:
                await (self.storage.delete_all() if seen else self.storage.delete_alarm())
                await self.storage.set_alarm(time.time())
            seen.append(await self.storage.get_alarm() is not None)

    async with running(Room, tmp_path) as run:
        await (await run.host.get_server_by_name("room", "lobby")).storage.set_alarm(time.time())
        await until(lambda: len(seen) == 3)
    assert seen == [True, True, False]


async def test_an_alarm_that_no_hook_hears_is_told_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As PartyServer's default hook does; it counts as rung."""

    class Deaf(Server):
        pass

    async with running(Deaf, tmp_path) as run:
        room = await run.host.get_server_by_name("room", "lobby")
        await room.storage.set_alarm(time.time() - 100)
        await until(lambda: "its alarm rang" in caplog.text)
        while await room.storage.get_alarm() is not None:
            await asyncio.sleep(0.005)
    assert "room room/lobby: its alarm rang and nobody heard it: give Deaf an on_alarm" in caplog.text


async def test_an_alarm_is_found_after_a_restart(tmp_path: Path) -> None:
    """Set by one host, due while none runs, fired by the next without anyone connecting."""
    fired = asyncio.Event()

    class Room(Server):
        def on_alarm(self) -> None:
            assert self.name == "lobby"
            fired.set()

    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        storage = (await host.get_server_by_name("room", "lobby")).storage
        await storage.set_alarm(datetime.now(UTC) + timedelta(hours=1))
        assert not fired.is_set()
    with sqlite3.connect(tmp_path / "host.sqlite3") as database:
        database.execute("UPDATE alarms SET due = ?", (time.time() - 1,))
    database.close()
    async with PartyHost({"room": Room}, storage=tmp_path):
        async with asyncio.timeout(20):
            await fired.wait()


async def test_an_alarm_survives_kill_9(tmp_path: Path) -> None:
    """What set_alarm and put returned for is there after the process was killed."""
    script = """
import asyncio, os, signal, sys, time
from partywidgets.party import PartyHost, Server
async def main():
    async with PartyHost({"room": Server}, storage=sys.argv[1]) as host:
        storage = (await host.get_server_by_name("room", "lobby")).storage
        await storage.put("x", 1)
        await storage.set_alarm(time.time() + 0.2)
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(tmp_path))
    async with asyncio.timeout(30):
        assert await killed.wait() == -9
    values: list[Any] = []

    class Room(Server):
        async def on_alarm(self) -> None:
            values.append(await self.storage.get("x"))

    async with PartyHost({"room": Room}, storage=tmp_path):
        await until(lambda: values == [1])


async def test_a_failing_alarm_is_tried_seven_times(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first attempt and six more, each after twice the time, then it is given up and gone."""
    tries = 0
    thread = StorageThread()

    async def ring(party: str, room: str) -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("not today")

    alarms = Alarms(tmp_path / "host.sqlite3", thread, ring, parties=["room"], retry_base=0.001)
    await alarms.open()
    await alarms.set("room", "lobby", 0.0)
    async with asyncio.timeout(20):
        while await alarms.get("room", "lobby") is not None or tries < 7:
            await asyncio.sleep(0.005)
    assert tries == 7
    said = [record.getMessage().rpartition("again in ")[2] for record in caplog.records if "again in" in record.getMessage()]
    assert said == ["0.001 s", "0.002 s", "0.004 s", "0.008 s", "0.016 s", "0.032 s"]
    await alarms.close()
    await thread.stop()


async def test_a_clock_that_is_set_back_holds_up_no_second_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes after its seconds, not an hour later; an alarm that has not failed is due by the clock, whatever that says."""
    ahead, real = 0.0, time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    tries: list[str] = []

    class Room(Server):
        def on_alarm(self) -> None:
            tries.append(self.name)
            if len(tries) == 1:
                raise RuntimeError("not today")

    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        later = (await host.get_server_by_name("room", "later")).storage
        due = real() + 600
        await later.set_alarm(due)
        fails = (await host.get_server_by_name("room", "fails")).storage
        await fails.set_alarm(real())
        await until(lambda: bool(tries))
        async with asyncio.timeout(20):
            while await fails.get_alarm() is None:  # until its second attempt has a time
                await asyncio.sleep(0.005)
        ahead = -3600.0
        await until(lambda: tries == ["fails", "fails"])
        assert await later.get_alarm() == due


async def test_a_clock_that_is_set_back_holds_up_no_alarm_that_waits_for_its_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host was full when it was due: it is tried again after its seconds. One that was set anew meanwhile stays where it was set."""
    behind, real = 0.0, time.time
    monkeypatch.setattr(time, "time", lambda: real() - behind)
    rang: list[str] = []

    class Room(Server):
        def on_alarm(self) -> None:
            rang.append(self.name)

    async with PartyHost({"room": Room}, storage=tmp_path, max_rooms=1, hibernate_after=60) as host:
        alarms = host._alarms
        assert alarms is not None
        async with (await host.get_server_by_name("room", "other")).awake():
            for name in ("waits", "again"):
                await alarms.set("room", name, real() - 60)
            await until(lambda: len(alarms._put_off) == 2)
            due = real() + 30
            await alarms.set("room", "again", due)
            behind = 3600.0
            async with asyncio.timeout(20):
                while (moved := await alarms.get("room", "waits")) is not None and moved > time.time() + 120:
                    await asyncio.sleep(0.01)
            assert await alarms.get("room", "again") == due


async def test_a_clock_that_is_set_back_while_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The next look is in 5 s as after any other error, not at once and again and again."""
    behind, real = 0.0, time.time
    monkeypatch.setattr(time, "time", lambda: real() - behind)
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        alarms = host._alarms
        assert alarms is not None
        await alarms.set("room", "later", real() + 3600)
        await alarms._call(lambda: alarms._open().execute("PRAGMA query_only=ON"))
        behind = 3600.0
        await until(lambda: "another look in 5 s" in caplog.text)
        await asyncio.sleep(1.0)
        assert caplog.text.count("another look in 5 s") < 10
        await alarms._call(lambda: alarms._open().execute("PRAGMA query_only=OFF"))
        alarms._changed.set()
        await until(lambda: alarms._ahead < time.time() - time.monotonic() + 60)


async def test_a_failed_alarm_is_tried_soon_after_a_start(tmp_path: Path) -> None:
    """Its next try was to come in seconds: also where the clock was set back an hour while no host ran. Others are due by the clock."""
    far, rang = time.time() + 3600, asyncio.Event()

    class Room(Server):
        def on_alarm(self) -> None:
            rang.set()

    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        for name in ("failed", "later"):
            await (await host.get_server_by_name("room", name)).storage.set_alarm(far)
    with contextlib.closing(sqlite3.connect(tmp_path / "host.sqlite3")) as database, database:
        database.execute("UPDATE alarms SET failures = 2 WHERE room = 'failed'")
    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        assert host._alarms is not None
        soon = await host._alarms.get("room", "failed")
        assert soon is not None
        assert soon <= time.time() + 64
        assert await host._alarms.get("room", "later") == far
        assert not rang.is_set()


async def test_an_alarm_is_due_by_the_clock_on_the_wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that jumps, as after a suspended night, is noticed long before the timer of the alarm would end."""
    fired = asyncio.Event()

    class Room(Server):
        def on_alarm(self) -> None:
            fired.set()

    ahead = 0.0
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    async with running(Room, tmp_path) as run, asyncio.timeout(20):
        room = await run.host.get_server_by_name("room", "lobby")
        await room.storage.set_alarm(real() + 3600)
        await asyncio.sleep(0.1)
        assert not fired.is_set()
        ahead = 3601.0
        await fired.wait()


async def test_a_deleted_alarm_does_not_fire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """delete_alarm, and setting again moves it."""
    fired: list[str] = []
    ahead, real = 0.0, time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)

    class Room(Server):
        def on_alarm(self) -> None:
            fired.append(self.name)

    async with running(Room, tmp_path) as run:
        first = (await run.host.get_server_by_name("room", "first")).storage
        second = (await run.host.get_server_by_name("room", "second")).storage
        begin = real()
        await first.set_alarm(begin + 3600)
        await first.delete_alarm()
        await second.set_alarm(begin + 7200)
        assert await second.get_alarm() == begin + 7200
        await second.set_alarm(begin + 3601)
        ahead = 3602.0
        await until(lambda: bool(fired))
    assert fired == ["second"]


async def test_overdue_alarms_ring_a_few_at_a_time_in_the_order_of_their_time(tmp_path: Path) -> None:
    """After a restart, rooms start for no more alarms than AT_ONCE; the one that was due first is first; none is left out."""
    order: list[str] = []
    at_work = most = 0
    full = asyncio.Event()

    class Room(Server):
        async def on_start(self, props: Any = None) -> None:
            nonlocal at_work, most
            order.append(self.name)
            at_work += 1
            most = max(most, at_work)
            if at_work == AT_ONCE:
                full.set()

        async def on_alarm(self) -> None:
            nonlocal at_work
            await full.wait()  # none of the first ends before as many ring as may
            await asyncio.sleep(0.002)
            at_work -= 1

    far = 4e9
    names = [f"r{(number * 37) % 100}" for number in range(100)]
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        for number, name in enumerate(names):
            await (await host.get_server_by_name("room", name)).storage.set_alarm(far + number)
    make_overdue(tmp_path, far)
    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        await until(lambda: len(order) == 100 and at_work == 0)
        assert order == names
        assert most == AT_ONCE
        assert host._alarms is not None
        for name in names:
            assert await host._alarms.get("room", name) is None


async def test_alarms_that_hang_hold_up_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as may ring at once never return: after their time the others ring all the same, and theirs are kept."""
    monkeypatch.setattr(alarm, "TURN_TIME", 0.05)
    rang: list[str] = []

    class Room(Server):
        async def on_alarm(self) -> None:
            rang.append(self.name)
            if self.name.startswith("hangs"):
                await asyncio.Event().wait()

    far = 4e9
    hanging = [f"hangs{number}" for number in range(AT_ONCE)]
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        for number, name in enumerate([*hanging, "behind"]):
            await (await host.get_server_by_name("room", name)).storage.set_alarm(far + number)
    make_overdue(tmp_path, far)
    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        await until(lambda: rang == [*hanging, "behind"])
        # Its row goes after its on_alarm; an end of the host in between would keep it.
        await until(lambda: host._alarms is not None and ("room", "behind") not in host._alarms._ringing)
    with sqlite3.connect(tmp_path / "host.sqlite3") as database:
        assert sorted(row[0] for row in database.execute("SELECT room FROM alarms")) == sorted(hanging)
    database.close()


async def test_alarms_of_a_party_that_is_not_there_wait_for_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Kept and told of once, with the way out; they ring when the party is back, and can be removed when it never will be."""
    rang: list[str] = []

    class Room(Server):
        def on_alarm(self) -> None:
            rang.append(f"{self.party}/{self.name}")

    far = 4e9
    async with PartyHost({"old": Server, "gone": Server}, storage=tmp_path) as host:
        for party, room in (("old", "a"), ("old", "b"), ("gone", "c")):
            await (await host.get_server_by_name(party, room)).storage.set_alarm(far)
    make_overdue(tmp_path, far)
    async with PartyHost({"new": Room}, storage=tmp_path) as host:
        await (await host.get_server_by_name("new", "d")).storage.set_alarm(time.time() - 1)
        await until(lambda: rang == ["new/d"])
    said = [record.getMessage() for record in caplog.records if "this host has no party" in record.getMessage()]
    assert [text.partition(" in ")[0] for text in said] == [
        "this host has no party 'gone', whose alarms (1",
        "this host has no party 'old', whose alarms (2",
    ]
    assert "`await host.delete_alarms('gone')`" in said[0]
    assert "failed" not in caplog.text
    async with PartyHost({"old": Room}, storage=tmp_path) as host:
        await until(lambda: sorted(rang) == ["new/d", "old/a", "old/b"])
        assert await host.delete_alarms("gone") == 1
    caplog.clear()
    async with PartyHost({"old": Room}, storage=tmp_path):
        pass
    assert caplog.records == []


async def test_many_alarms_of_a_full_host_are_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Forty that cannot ring for want of a room: all are kept, and the log says it once, not forty times."""
    async with PartyHost({"room": Server}, storage=tmp_path, max_rooms=1, hibernate_after=60) as host:
        alarms = host._alarms
        assert alarms is not None
        async with (await host.get_server_by_name("room", "other")).awake():
            for number in range(40):
                await alarms.set("room", f"r{number}", 0.0)
            await until(lambda: alarms._postponed == 39 and not alarms._ringing)
            for number in range(40):
                due = await alarms.get("room", f"r{number}")
                assert due is not None
                assert due > time.time()
    assert caplog.text.count("its alarm has to wait") == 1


async def test_milliseconds_are_refused(tmp_path: Path) -> None:
    """What JavaScript's `Date.now() + 1000` becomes would ring in some fifty thousand years, and nobody would be told."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = (await host.get_server_by_name("room", "lobby")).storage
        for wrong in (time.time() * 1000 + 1000, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="not milliseconds"):
                await storage.set_alarm(wrong)
        assert await storage.get_alarm() is None
