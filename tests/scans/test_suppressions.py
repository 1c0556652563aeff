"""Acks and silences whose keeping fails: what is refused is not in force."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from .ops_room import OpsRoom, Play, ScriptedCheck, ops_room

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
