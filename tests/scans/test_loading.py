"""Configs that come, change and go while a service runs, and what becomes of their rows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from partywidgets.exceptions import ConfigError
from partywidgets.scans.model import utc_now
from partywidgets.scans.service import OpsMonitorService
from partywidgets.scans.silence import Ack

from .ops_room import Play, ScriptedCheck, ops_room


async def test_a_bad_config_keeps_the_old_checks(tmp_path: Path, play: Play) -> None:
    """A config whose id belongs to another name is refused whole: the old checks, rows and schedule stay."""
    async with ops_room(tmp_path) as room:
        service = room.service
        await service.load_config("a.yaml", [ScriptedCheck(id="one"), ScriptedCheck(id="two", every=3600)])
        await service.load_config("b.yaml", [ScriptedCheck(id="three")])
        await room.ops.run_scan()
        rows = set(service.board.rows)
        with pytest.raises(ConfigError, match=r"b\.yaml: the check id 'one' belongs to a\.yaml: give this check another id"):
            await service.load_config("b.yaml", [ScriptedCheck(id="four"), ScriptedCheck(id="one")])
        with pytest.raises(ConfigError, match="'five' is used twice"):
            await service.load_config("a.yaml", [ScriptedCheck(id="five"), ScriptedCheck(id="five")])
        assert sorted(service.registry.checks) == ["one", "three", "two"]
        assert set(service.board.rows) == rows
        assert "two" in service.scheduler.schedule
        assert (await room.ops.run_scan()).counts["ok"] == 3


async def test_loading_again_replaces(tmp_path: Path, play: Play) -> None:
    """The checks of a name are replaced: rows of those that are gone leave, everyone is told, states of the others stay."""
    play.statuses["one"] = "crit"
    async with ops_room(tmp_path) as room, room.join() as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one", attempts=3), ScriptedCheck(id="two", every=3600)])
        await person.until("scan-result")
        await room.ops.run_scan()
        await person.until("scan-result")
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one", attempts=3, title="The one")])
        gone = await person.until("check-result")
        assert [(row["check_id"], row["change"], row["status"]) for row in gone["results"]] == [("two", "absent", "skip")]
        assert "two" not in room.service.scheduler.schedule
        report = await room.ops.run_scan()
        assert [(result.title, result.state.attempt, result.change) for result in report.results] == [("The one", 2, "unchanged")]
    async with ops_room(tmp_path) as room:
        assert [row.check_id for row in room.service.board.rows.values()] == ["one"]


async def test_a_check_that_left_its_config_while_nothing_ran(tmp_path: Path) -> None:
    """A row whose check is not in its config any more after a restart leaves when that config is loaded; others' rows stay."""
    async with OpsMonitorService(directory=tmp_path) as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="one"), ScriptedCheck(id="two")])
        await service.load_config("b.yaml", [ScriptedCheck(id="three")])
        await service.run_scan()
    async with OpsMonitorService(directory=tmp_path) as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="two")])
        assert sorted(row.check_id for row in service.board.rows.values()) == ["three", "two"]


async def test_an_ack_goes_with_its_row(tmp_path: Path, play: Play) -> None:
    """An ack of a row that left the board is over: a check that comes back under the same fingerprint, after a restart too, has none."""
    play.statuses["one"] = "crit"
    one = ScriptedCheck(id="one")
    async with OpsMonitorService(directory=tmp_path) as service:
        await service.load_config("a.yaml", [one])
        await service.run_scan()
        await service.suppressions.acknowledge(Ack(one.fingerprint, reason="known", actor="Ana", at=utc_now()))
        assert service.board.rows[one.fingerprint].suppression is not None
        await service.load_config("a.yaml", [ScriptedCheck(id="two")])
        assert (await service.history.restore()).acks == []
    async with OpsMonitorService(directory=tmp_path) as service:
        await service.load_config("a.yaml", [one])
        report = await service.run_scan()
        assert [(row.status, row.suppression) for row in report.results] == [("crit", None)]


async def test_a_check_that_leaves_while_it_is_looked_at(play: Play) -> None:
    """A look that ends after its check was taken out of the config is in its report, and brings no row back."""
    gate, begun = asyncio.Event(), asyncio.Event()

    async def before(check_id: str) -> None:
        if check_id == "two":
            begun.set()
            await gate.wait()

    play.before = before
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="one"), ScriptedCheck(id="two")])
        scan = service.start_scan()
        async with asyncio.timeout(20):
            await begun.wait()
            await service.load_config("a.yaml", [ScriptedCheck(id="one")])
            gate.set()
            report = await scan.wait()
        assert report.total == len(report.results) == 2
        assert [row.check_id for row in service.board.rows.values()] == ["one"]
        assert len((await service.history.restore()).latest) == 1
