"""Acks and silences whose keeping fails: what is refused is not in force."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

from partywidgets.scans.model import utc_now, wire_time
from partywidgets.scans.registry import Selection
from partywidgets.scans.service import OpsMonitorService
from partywidgets.scans.silence import Ack, Silence

from .ops_room import WAIT, OpsRoom, Play, ScriptedCheck, ops_room

REFUSED = "database or disk is full"


async def full(room: OpsRoom, *, is_full: bool) -> None:
    """Has SQLite refuse what is written to, and removed from, acks and silences."""

    def set_triggers(database: sqlite3.Connection) -> None:
        for table in ("acks", "silences"):
            for when in ("INSERT", "DELETE"):
                database.execute(f"DROP TRIGGER IF EXISTS full_{table}_{when}")
                if is_full:
                    refusal = f"SELECT RAISE(ABORT, '{REFUSED}')"
                    database.execute(f"CREATE TRIGGER full_{table}_{when} BEFORE {when} ON {table} BEGIN {refusal}; END")

    await room.service.history.change(set_triggers)


async def suppressed_by(room: OpsRoom) -> list[tuple[str, str] | None]:
    """Kind and reason of each row's suppression after the next scan."""
    report = await room.ops.run_scan()
    found = [result.suppression for result in report.results]
    return [None if one is None else (one.by, one.reason) for one in found]


async def test_an_ack_that_is_refused_is_not_in_force(tmp_path: Path, play: Play) -> None:
    """One that cannot be kept leaves the row as it was, an earlier ack included; a withdrawal that cannot be kept ends nothing."""
    play.statuses["db"] = "crit"
    async with ops_room(tmp_path) as room, room.join("rob-responder") as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="db")])
        fingerprint = (await room.ops.run_scan()).results[0].fingerprint
        await full(room, is_full=True)
        refused = await person.ask("ack", fingerprint=fingerprint, reason="first", until=None)
        assert (refused["ok"], REFUSED in refused["error"]) == (False, True)
        assert await suppressed_by(room) == [None]
        await full(room, is_full=False)
        assert (await person.ask("ack", fingerprint=fingerprint, reason="kept", until=None))["ok"] is True
        await full(room, is_full=True)
        assert (await person.ask("ack", fingerprint=fingerprint, reason="second", until=None))["ok"] is False
        assert await suppressed_by(room) == [("ack", "kept")]
        assert (await person.ask("ack", fingerprint=fingerprint, reason=None))["ok"] is False
        assert await suppressed_by(room) == [("ack", "kept")]
        await full(room, is_full=False)
        assert (await person.ask("ack", fingerprint=fingerprint, reason=None))["ok"] is True
        assert await suppressed_by(room) == [None]


async def test_a_silence_that_is_refused_is_not_in_force(tmp_path: Path, play: Play) -> None:
    """One that cannot be kept suppresses nothing, and one whose end cannot be kept goes on."""
    play.statuses["db"] = "crit"
    silence = {"matchers": {"team": "db"}, "until": "2099-01-01T00:00:00Z", "reason": "moving house"}
    async with ops_room(tmp_path) as room, room.join("rob-responder") as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="db", labels={"team": "db"})])
        await room.ops.run_scan()
        await full(room, is_full=True)
        refused = await person.ask("silence", **silence)
        assert (refused["ok"], REFUSED in refused["error"]) == (False, True)
        assert await suppressed_by(room) == [None]
        await full(room, is_full=False)
        assert (await person.ask("silence", **silence))["ok"] is True
        await full(room, is_full=True)
        assert (await person.ask("silence", matchers=silence["matchers"], until=None))["ok"] is False
        assert await suppressed_by(room) == [("silence", "moving house")]
        await full(room, is_full=False)
        assert (await person.ask("silence", matchers=silence["matchers"], until=None))["result"] == {"lifted": 1}
        assert await suppressed_by(room) == [None]


async def test_the_end_of_an_ack_and_the_silence_by_its_labels_are_in_events(play: Play) -> None:
    """An ack that a recovery ends has a line of its own; a silence is called by its matchers, when it begins and when it is over."""
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="shop")])
        play.statuses["shop"] = "crit"
        (row,) = (await service.run_scan()).results
        now = utc_now()
        await service.suppressions.acknowledge(Ack(row.fingerprint, "on it", "Ada", now))
        await service.suppressions.silence(Silence({"team": "web"}, "deploy", "Ada", now, now + timedelta(seconds=0.01)))
        play.statuses["shop"] = "ok"
        await service.run_scan()
        async with asyncio.timeout(10):
            while len(events := await service.history.events()) < 4:
                await service.suppressions.refresh(only_ended=True)
        assert {event["kind"]: event["title"] for event in events} == {
            "ack": None,
            "silence": "team=web",
            "silence-ended": "team=web",
            "ack-ended": None,
        }
        assert {event["kind"]: event["actor"] for event in events if event["kind"].endswith("-ended")} == {
            "ack-ended": None,
            "silence-ended": None,
        }
        assert next(event for event in events if event["kind"] == "ack-ended")["subject"] == row.fingerprint


async def test_what_was_over_while_no_host_ran_ends_as_ever(tmp_path: Path, play: Play) -> None:
    """An ack and a silence whose time passed between two hosts leave the event of their end, at that time, and are in force nowhere."""
    play.statuses.update(dict.fromkeys(("db", "web"), "crit"))
    checks = [ScriptedCheck(id="db"), ScriptedCheck(id="web")]
    async with OpsMonitorService(directory=tmp_path) as service:
        await service.load_config("a.yaml", checks)
        (db, web) = (await service.run_scan()).results
        began = utc_now() - timedelta(hours=2)
        over = (began + timedelta(hours=1)).replace(microsecond=0)
        ack, silence = Ack(db.fingerprint, "on it", "Ana", began, over), Silence({"check_id": "web"}, "deploy", "Ben", began, over)
        for row, suppression in ((db, ack.suppression()), (web, silence.suppression())):
            row.suppression = suppression
        await service.history.keep_ack(db.fingerprint, ack)
        await service.history.keep_silence(silence.id, silence)
        await service.history.keep_bodies([db, web])
    async with OpsMonitorService(directory=tmp_path) as service, asyncio.timeout(20):
        while len(events := await service.history.events()) < 2:
            await asyncio.sleep(0.01)
        assert {(event["kind"], event["reason"], event["at"]) for event in events} == {
            ("ack-ended", "on it", wire_time(over)),
            ("silence-ended", "deploy", wire_time(over)),
        }
        assert [row.suppression for row in service.board.rows.values()] == [None, None]
        restored = await service.history.restore()
        assert (restored.acks, restored.silences) == ([], [])


async def test_what_waits_goes_on_waiting_when_something_else_that_kept_it_quiet_ends(play: Play) -> None:
    """A silence and an ack over a row that waits for another: when they end it waits as before, for it failed all the time."""
    play.statuses.update(router="crit", shop="crit")
    router, shop = ScriptedCheck(id="router"), ScriptedCheck(id="shop", depends_on=("router",))
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [router, shop])
        await service.run_scan()
        now = utc_now()

        def quiet_by() -> str | None:
            suppression = service.board.rows[shop.fingerprint].suppression
            return None if suppression is None else suppression.by

        await service.suppressions.silence(Silence({"check_id": "shop"}, "moving house", "Ana", now, now + timedelta(hours=1)))
        await service.suppressions.acknowledge(Ack(shop.fingerprint, "on it", "Ana", now))
        assert quiet_by() == "ack"
        await service.suppressions.withdraw_ack(shop.fingerprint, "Ana")
        assert quiet_by() == "silence"
        await service.suppressions.lift_silence({"check_id": "shop"}, "Ana")
        assert quiet_by() == "dependency"


async def test_who_waits_for_nothing_any_more_is_not_quiet(play: Play) -> None:
    """A config in which a check depends on nothing, or on what is there no more, ends what its row waited for, without another look."""
    play.statuses.update(router="crit", shop="crit", wiki="crit")
    router, shop, wiki = (ScriptedCheck(id=name, depends_on=() if name == "router" else ("router",)) for name in ("router", "shop", "wiki"))
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [router, shop, wiki])
        await service.run_scan()
        await service.load_config("a.yaml", [router, ScriptedCheck(id="shop"), wiki])
        rows = service.board.rows
        assert [rows[one.fingerprint].suppression is None for one in (shop, wiki)] == [True, False]
        await service.load_config("a.yaml", [shop, wiki])
        assert [rows[one.fingerprint].suppression is None for one in (shop, wiki)] == [True, True]
    assert play.looks == {"router": 1, "shop": 1, "wiki": 1}


async def test_what_waited_is_looked_at_when_what_it_waited_for_is_better(play: Play) -> None:
    """The router recovers, and the shop, which is looked at once a day, fails for a reason of its own: that is seen now, and told."""
    play.statuses.update(router="crit", shop="crit")
    router, shop = ScriptedCheck(id="router"), ScriptedCheck(id="shop", every=86400.0, retry_delay=0.5, depends_on=("router",))
    async with OpsMonitorService() as service:
        ended: asyncio.Queue[str] = asyncio.Queue()
        service.announcer.broadcast = lambda kind, message: (
            ended.put_nowait(message["results"][0]["check_id"]) if kind == "scan-result" else None
        )
        await service.load_config("a.yaml", [router, shop])
        async with asyncio.timeout(WAIT):
            assert await ended.get() == "shop"
            await service.run_scan(Selection(checks=("router",)))
            waits = service.board.rows[shop.fingerprint].suppression
            assert waits is not None
            assert waits.id == "router"
            play.statuses["router"] = "ok"
            await service.run_scan(Selection(checks=("router",)))
            assert await ended.get() == "shop"
        assert service.board.rows[shop.fingerprint].suppression is None
