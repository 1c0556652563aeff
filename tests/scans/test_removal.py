"""Rows that leave the board: what everyone is told, and what is found afterwards."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from partywidgets.scans import housekeeping, removal
from partywidgets.scans.lapse import Lapse
from partywidgets.scans.model import CheckResult, utc_now
from partywidgets.scans.service import OpsMonitorService, Selection
from partywidgets.scans.stream import ResultStream

from .ops_room import Play, ScriptedCheck

Told = list[tuple[str, dict[str, Any]]]


def heard(service: OpsMonitorService) -> Told:
    """What everyone in the room is told from now on."""
    told: Told = []

    async def tell(kind: str, message: dict[str, Any]) -> None:
        told.append((kind, message))

    service.announcer.broadcast = tell
    return told


async def past(service: OpsMonitorService) -> list[tuple[Any, ...]]:
    """The removals among the events."""
    return [
        (event["title"], event["actor"], event["reason"]) for event in await service.history.events() if event["kind"] == "check-removed"
    ]


async def test_a_check_that_is_taken_out_is_told_and_found_afterwards(play: Play) -> None:
    """By whom, why, and in `changes()` as the end of how it stood; the room hears of it once, and the row goes."""
    checks = [ScriptedCheck(id=name, title=name.upper()) for name in ("shop", "cart", "wiki")]
    async with OpsMonitorService() as service:
        await service.load_config("/etc/a.yaml", checks)
        play.statuses["shop"] = "crit"
        await service.run_scan()
        told = heard(service)
        await service.load_config("/etc/a.yaml", checks[2:], actor="Ana")
        reason = "its check was taken out of a.yaml"
        assert await past(service) == [("SHOP", "Ana", reason), ("CART", "Ana", reason)]
        changes = [(row["check_id"], row["from_status"], row["to_status"], row["summary"]) for row in await service.history.changes()]
        assert changes[-2:] == [("shop", "crit", "skip", reason), ("cart", "ok", "skip", reason)]
        (removed,) = [message for kind, message in told if kind == "removed"]
        assert removed.pop("at") is not None
        assert removed == {"count": 2, "replaced": 0, "titles": ["SHOP", "CART"], "actor": "Ana", "reason": reason}
        joined = service.snapshot_head()["removed"]
        assert 0 <= joined.pop("ago_s") < removal.FRESH
        assert joined.pop("at") is not None
        assert joined == removed
        assert service.removal is not None
        assert removal.Removal(service.removal.told, service.removal.at - removal.FRESH).to_wire() is None
        assert {row.check_id for row in service.board.rows.values()} == {"wiki"}
        await service.load_config("/etc/a.yaml", checks[2:])
        assert len(await past(service)) == 2, "nothing went"


async def test_a_row_that_left_while_a_scan_ran_does_not_come_back_with_its_end(play: Play) -> None:
    """Of checks that are taken out after and while they are looked at the report has the results; `scan-result`, from which every dashboard
    takes rows, has none of them, and says where the whole is."""
    shop, cart, wiki = (ScriptedCheck(id=name) for name in ("shop", "cart", "wiki"))
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(check_id: str) -> None:
        if check_id == "cart":
            begun.set()
            await go_on.wait()

    play.before, play.statuses["shop"] = wait, "crit"
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [shop, cart, wiki])
        told = heard(service)
        scan = service.start_scan(broadcast=service.announcer.broadcast)
        async with asyncio.timeout(20):
            await begun.wait()
            while shop.fingerprint not in service.board.rows:
                await asyncio.sleep(0.01)
            await service.load_config("a.yaml", [wiki])
            go_on.set()
            report = await scan.task
        assert sorted(result.check_id for result in report.results) == ["cart", "shop", "wiki"]
        (ended,) = [message for kind, message in told if kind == "scan-result"]
        assert [result["check_id"] for result in ended["results"]] == ["wiki"]
        assert (ended["total"], ended["more"]) == (3, f"/api/ops/scans/{report.scan_id}")


async def test_a_row_that_left_between_its_look_and_the_disk_stays_away(play: Play) -> None:
    """What was looked at waits up to 100 ms for the others: a row that is taken out in that time is neither told of afterwards nor written
    behind its end, from where the next host would have it back."""
    told: list[str] = []

    async def emit(kind: str, /, *messages: Any) -> None:
        told.extend(row.check_id for message in messages if kind == "check-result" for row in message.results)

    async with OpsMonitorService() as service:
        stream = ResultStream("scan", 2, board=service.board, history=service.history, lapse=Lapse(nobody), emit=emit)
        for name in ("shop", "wiki"):
            row = CheckResult(name, "scripted", name, "crit")
            stream.add(service.board.place(row, owner="a.yaml", attempts=1, now=utc_now()))
        (shop,) = service.board.of_check("shop")
        await removal.remove(service, {shop.fingerprint: "it was taken out"})
        stream.finish()
        await stream.run()
        assert told == ["wiki"]
        assert [item.result.check_id for item in (await service.history.restore()).latest] == ["wiki"]


async def nobody() -> None:
    """Is told of nothing."""


async def test_a_check_that_looks_at_something_else_by_now_says_so(play: Play) -> None:
    """Its row is another one from then on; nobody took the check out, and a file that is read again has no actor."""
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [ScriptedCheck(id="shop", labels={"zone": "a"}, identity=("zone",))])
        await service.run_scan()
        told = heard(service)
        await service.load_config("a.yaml", [ScriptedCheck(id="shop", labels={"zone": "b"}, identity=("zone",))])
        (removed,) = [message for kind, message in told if kind == "removed"]
        assert (removed["count"], removed["replaced"]) == (1, 1)
        ((title, actor, reason),) = await past(service)
        assert (title, actor) == ("shop", None)
        assert reason == "a.yaml looks at something else under this id: its target or its identity labels are others now"


async def test_a_check_that_is_disabled_is_as_one_that_is_taken_out(play: Play) -> None:
    """Its row does not fail for ever and holds nothing back; a scan that names it looks at it, and enabled again it is as it was."""
    router = ScriptedCheck(id="router", every=3600)
    shop = ScriptedCheck(id="shop", depends_on=("router",))
    off = router.model_copy(update={"enabled": False})
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [router, shop])
        play.statuses.update(router="crit", shop="crit")
        await service.run_scan()
        await service.run_scan(Selection(checks=("shop",)))
        assert service.board.rows[shop.fingerprint].suppression is not None
        await service.load_config("a.yaml", [off, shop], actor="Ana")
        assert await past(service) == [("router", "Ana", "its check is disabled in a.yaml")]
        assert service.board.rows.keys() == {shop.fingerprint}
        await service.run_scan()
        assert service.board.rows[shop.fingerprint].suppression is None
        await service.run_scan(Selection(checks=("router",)))
        assert service.board.rows[router.fingerprint].status == "crit", "whoever names it has it looked at"
        await service.load_config("a.yaml", [router, shop])
        assert service.board.rows.keys() == {router.fingerprint, shop.fingerprint}


async def test_a_disabled_check_that_was_asked_for_shows_its_row_for_a_time(play: Play) -> None:
    """Nobody looks again: the row goes when it would be stale, and after ten minutes at most; it holds nothing back from then on."""
    often = ScriptedCheck(id="often", every=60, enabled=False)
    seldom = ScriptedCheck(id="seldom", every=86_400, enabled=False)
    asked = ScriptedCheck(id="asked", enabled=False)
    here = ScriptedCheck(id="here", every=60)
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [often, seldom, asked, here])
        await service.run_scan(Selection(checks=("often", "seldom", "asked", "here")))
        ttl, at = service.board.rows[often.fingerprint].ttl_s, service.board.rows[often.fingerprint].observed_at
        assert ttl is not None
        assert ttl < housekeeping.ASKED_FOR_STAYS
        await housekeeping._drop_disabled(service, at + timedelta(seconds=ttl - 5))
        assert len(service.board.rows) == 4
        await housekeeping._drop_disabled(service, at + timedelta(seconds=ttl + 5))
        assert await past(service) == [("often", None, "its check is disabled in a.yaml, and was looked at when somebody asked")]
        await housekeeping._drop_disabled(service, at + timedelta(seconds=housekeeping.ASKED_FOR_STAYS + 5))
        assert {row.check_id for row in service.board.rows.values()} == {"here"}
        assert service.removal is not None
        assert service.removal.told["replaced"] == 0


async def test_a_check_that_is_disabled_while_it_is_looked_at(play: Play) -> None:
    """The look that was under way leaves no row behind that nobody looks at."""
    looking, ended = asyncio.Event(), asyncio.Event()

    async def before(check_id: str) -> None:
        looking.set()
        await ended.wait()

    play.before = before
    play.statuses["shop"] = "crit"
    check = ScriptedCheck(id="shop", timeout=60)
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [check])
        scan = service.start_scan()
        await looking.wait()
        await service.load_config("a.yaml", [check.model_copy(update={"enabled": False})])
        ended.set()
        await scan.wait()
        assert service.board.rows == {}


async def test_what_nobody_looks_at_goes_with_an_event_too(play: Play, tmp_path: Path) -> None:
    """A config that no host loaded again: its rows go when they are old, and a restart that lacks a check is no silent end of it."""
    async with OpsMonitorService(directory=tmp_path) as service:
        await service.load_config("/srv/gone.yaml", [ScriptedCheck(id="old")])
        await service.load_config("/srv/here.yaml", [ScriptedCheck(id="stays"), ScriptedCheck(id="left")])
        await service.run_scan()
    async with OpsMonitorService(directory=tmp_path) as service:
        await service.load_config("/srv/here.yaml", [ScriptedCheck(id="stays")])
        assert await past(service) == [("left", None, "its check was taken out of here.yaml")]
        await housekeeping._drop_orphans(service, utc_now() + timedelta(seconds=1))
        assert (await past(service))[1:] == [("old", None, "gone.yaml was not loaded again, and nobody looked any more")]
        assert {row.check_id for row in service.board.rows.values()} == {"stays"}
