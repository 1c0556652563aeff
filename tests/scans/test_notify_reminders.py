"""Reminders of what still fails: a real service hears of them; how long ago something was told is set back, and nobody waits for hours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from partywidgets.scans.maintenance import MaintenanceSettings
from partywidgets.scans.model import utc_now
from partywidgets.scans.notice import Known
from partywidgets.scans.notify_target import Target
from partywidgets.scans.service import OpsMonitorService, Selection
from partywidgets.scans.silence import Ack, Silence

from .notify_inbox import WAIT, Inbox, chat, taking, telling
from .ops_room import Play, ScriptedCheck

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
AGO = timedelta(hours=5)
EVERY: dict[str, Any] = {"remind_every": "4h"}


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    """A service that takes messages."""
    async with taking() as taken:
        yield taken


async def kept(service: OpsMonitorService, count: int, *, after: datetime | None = None) -> Target:
    """The one target, once it and the history know that so many rows fail, told after that time, and nothing of them waits."""
    (target,) = service.notifier.targets
    async with asyncio.timeout(WAIT):
        while True:
            told = (await service.history.told()).get(target.key, {})
            sure = all(known.sure and (after is None or known.at > after) for known in told.values())
            if not target.waiting and len(told) == count and sure:
                return target
            await asyncio.sleep(0.01)


async def set_back(service: OpsMonitorService, count: int = 1) -> Target:
    """What was told of so many rows was told five hours ago."""
    target = await kept(service, count)
    target.told.update({name: replace(known, at=known.at - AGO) for name, known in target.told.items()})
    await service.history.keep_told(target.key, target.told)
    return target


async def test_what_still_fails_is_told_again_after_its_time(inbox: Inbox, play: Play) -> None:
    """Not with the next look, but with the first one after four hours; then not again for four more."""
    play.statuses["shop"] = "crit"
    async with telling(inbox, ScriptedCheck(id="shop", title="Shop"), **EVERY) as service:
        await service.run_scan()
        assert (await inbox.next())["title"] == "CRIT: Shop"
        await kept(service, 1)
        await service.run_scan()
        target = await set_back(service)
        await service.run_scan()
        again = await inbox.next()
        await kept(service, 1)
        await service.run_scan()
        assert (again["title"], again["type"], target.sent, list(target.waiting)) == ("STILL CRIT: Shop", "failure", 2, [])
        assert again["message"].startswith("STILL CRIT for ")
        play.statuses["shop"] = "ok"
        await service.run_scan()
        assert (await inbox.next())["title"] == "OK: Shop"


async def test_without_a_time_nobody_is_reminded(inbox: Inbox, play: Play) -> None:
    """As it is unless the config says so."""
    play.statuses["shop"] = "crit"
    async with telling(inbox, ScriptedCheck(id="shop")) as service:
        await service.run_scan()
        await inbox.next()
        target = await set_back(service)
        await service.run_scan()
        assert list(target.waiting) == []


async def test_nobody_is_reminded_of_what_somebody_takes_care_of(inbox: Inbox, play: Play) -> None:
    """An ack, a silence, a maintenance, what it depends on: none is reminded of, not even beside others of the group, until that ends."""
    window = MaintenanceSettings.model_validate({"name": "w", "cron": "* * * * *", "duration": "2h", "matchers": {"check_id": "window"}})
    names = ("acked", "silenced", "window", "behind", "router", "free")
    checks = [ScriptedCheck(id=name, depends_on=("router",) if name == "behind" else ()) for name in names]
    play.statuses.update(dict.fromkeys(names, "warn"))
    async with telling(inbox, *checks, **EVERY, limit=1000) as service:
        await service.run_scan()
        await kept(service, 6)
        play.statuses["router"] = "crit"
        await service.run_scan(Selection(checks=("router",)))
        await kept(service, 6)
        await service.load_config("a.yaml", checks, notify=[chat(**EVERY, limit=1000)], maintenance=[window], resolve=inbox.resolve)
        rows, now = {row.check_id: row.fingerprint for row in service.board.rows.values()}, utc_now()
        await service.suppressions.acknowledge(Ack(rows["acked"], "on it", "Ana", now))
        await service.suppressions.silence(Silence({"check_id": "silenced"}, "known", "Ana", now, now + timedelta(hours=1)))
        await set_back(service, 6)
        while not inbox.messages.empty():
            inbox.messages.get_nowait()
        await service.run_scan()
        reminder = await inbox.next()
        await kept(service, 6)
        told = [reminder["message"], *(inbox.messages.get_nowait()["message"] for _ in range(inbox.messages.qsize()))]
        assert {name for name in names if any(f" {name}: " in message for message in told)} == {"router", "free"}
        await service.suppressions.withdraw_ack(rows["acked"], "Ana")
        assert " acked: " in (await inbox.next())["message"]


async def test_a_group_is_reminded_of_as_a_whole(inbox: Inbox, play: Play) -> None:
    """One row is due, the other was told of just now: one message has both, and both begin anew; the other team is left alone."""
    checks = [ScriptedCheck(id=name, title=name, labels={"team": team}) for name, team in (("a", "web"), ("b", "web"), ("c", "data"))]
    play.statuses.update(a="crit", b="crit", c="crit")
    async with telling(inbox, *checks, **EVERY, group_by=["team"], group_wait="1s") as service:
        await service.run_scan()
        assert {(await inbox.next())["title"] for _ in range(2)} == {"2 failing (team=web)", "CRIT: c"}
        target = await kept(service, 3)
        rows = {row.check_id: row.fingerprint for row in service.board.rows.values()}
        target.told[rows["a"]] = Known("crit", utc_now() - AGO)
        await service.run_scan()
        assert (await inbox.next())["title"] == "2 still failing (team=web)"
        await kept(service, 3)
        assert target.told[rows["a"]] == target.told[rows["b"]]
        assert target.told[rows["c"]].at < target.told[rows["a"]].at
        await service.run_scan()
        assert list(target.waiting) == []


async def test_a_restart_neither_repeats_nor_loses_a_reminder(inbox: Inbox, play: Play, tmp_path: Path) -> None:
    """When something was told is kept. A reminder that fell into the host's absence comes with its first look, not before it."""
    play.statuses["shop"] = "crit"
    check = ScriptedCheck(id="shop", title="Shop")
    async with telling(inbox, check, directory=tmp_path, **EVERY) as service:
        await service.run_scan()
        await inbox.next()
        await kept(service, 1)
    async with telling(inbox, check, directory=tmp_path, **EVERY) as service:
        await service.run_scan()
        target = await set_back(service)
        assert target.sent == 0
        before = next(iter(target.told.values())).at
    async with telling(inbox, check, directory=tmp_path, **EVERY) as service:
        (target,) = service.notifier.targets
        row = next(iter(service.board.rows.values()))
        service.board.rows[row.fingerprint] = replace(row, observed_at=row.observed_at - AGO)  # the last look was long ago, too
        await service.load_config("a.yaml", [check], notify=[chat(**EVERY)], resolve=inbox.resolve)
        assert list(target.waiting) == [], "nobody has looked since"
        await service.run_scan()
        assert (await inbox.next())["title"] == "STILL CRIT: Shop"
        # The row was told of before: that the reminder arrived shows in its time alone.
        await kept(service, 1, after=before)
    async with telling(inbox, check, directory=tmp_path, **EVERY) as service:
        await service.run_scan()
        (target,) = service.notifier.targets
        assert (target.sent, list(target.waiting)) == (0, [])
    assert inbox.messages.empty()


async def test_a_reminder_that_was_not_delivered_outlasts_a_restart(inbox: Inbox, play: Play, tmp_path: Path) -> None:
    """The service refuses it until the host ends; the next start tells it, and once."""
    play.statuses["shop"] = "crit"
    check = ScriptedCheck(id="shop", title="Shop")
    async with telling(inbox, check, directory=tmp_path, **EVERY) as service:
        await service.run_scan()
        await inbox.next()
        target = await set_back(service)
        inbox.refuse = 1_000_000
        await service.run_scan()
        async with asyncio.timeout(WAIT):
            while not target.failed:
                await asyncio.sleep(0.01)
    inbox.refuse = 0
    async with telling(inbox, check, directory=tmp_path, **EVERY) as service:
        assert (await inbox.next())["title"] == "STILL CRIT: Shop"
        await kept(service, 1)
        await service.run_scan()
        assert [one.sent for one in service.notifier.targets] == [1]


async def test_reminders_are_of_what_the_target_wants_and_within_its_limit(inbox: Inbox, play: Play) -> None:
    """A target of crit hears that it is only a warning by now, and is not reminded of that; behind the limit a reminder waits."""
    play.statuses["shop"] = "crit"
    async with telling(inbox, ScriptedCheck(id="shop", title="Shop"), on=["crit"], limit=2, per="1h", **EVERY) as service:
        await service.run_scan()
        await inbox.next()
        await kept(service, 1)
        play.statuses["shop"] = "warn"
        await service.run_scan()
        assert (await inbox.next())["title"] == "WARN: Shop"
        target = await set_back(service)
        await service.run_scan()
        assert list(target.waiting) == []
        target.settings = replace_on(target.settings)
        await service.run_scan()
        assert (len(target.waiting), target.sent) == (1, 2)


def replace_on(settings: Any) -> Any:
    """The same target, which wants warnings too."""
    return settings.model_copy(update={"on": ("warn", "crit")})


async def test_a_clock_that_was_set_back_puts_no_reminder_off(inbox: Inbox, play: Play) -> None:
    """What seems to have been told in a year counts as told now."""
    play.statuses["shop"] = "crit"
    async with telling(inbox, ScriptedCheck(id="shop"), remind_every="1ms") as service:
        await service.run_scan()
        await inbox.next()
        target = await kept(service, 1)
        name = next(iter(target.told))
        target.told[name] = Known("crit", utc_now() + timedelta(days=365))
        target.seen(replace(service.board.rows[name], observed_at=utc_now() + timedelta(seconds=1)))
        assert list(target.waiting) == [name]
