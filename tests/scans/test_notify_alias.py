"""Opsgenie and Jira Service Management: Apprise's plugins, and a server that keeps alerts by their alias as those two do."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from partywidgets.scans import notify_alias
from partywidgets.scans.service import OpsMonitorService

from .notify_inbox import WAIT, chat
from .ops_room import Play, ScriptedCheck, stand

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
KEY = "a" * 32


@dataclass
class Desk:
    """The open alerts by alias, each with its messages; `notes` of those that were closed. The next `refuse` get 503."""

    scheme: str
    more: str = ""
    refuse: int = 0
    alerts: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    opened: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def resolve(self, text: str) -> str:
        """What the reference of a target holds."""
        return text.replace("${env:INBOX}", f"{self.scheme}://{KEY}/#ops{self.more}")

    async def until(self, happened: Callable[[], bool]) -> None:
        """Waits for what its alerts become."""
        async with asyncio.timeout(WAIT), self.changed:
            await self.changed.wait_for(happened)

    async def take(self, request: web.Request) -> web.Response:
        """Takes a request as the Alert API does: an alert that is open takes one more of its alias, and nobody is paged for that."""
        assert request.headers["Authorization"] == f"GenieKey {KEY}"
        told: dict[str, Any] = await request.json()
        async with self.changed:
            self.changed.notify_all()
            if self.refuse:
                self.refuse -= 1
                return web.Response(status=503)
            if "alias" not in request.match_info:
                alias = told.get("alias", told["message"])
                self.opened += alias not in self.alerts
                self.alerts.setdefault(alias, []).append(told["message"])
            elif request.query.getall("identifierType") == ["alias"] and self.alerts.pop(request.match_info["alias"], []):
                self.notes.append(told["note"])
            return web.json_response({"result": "Request will be processed", "requestId": "43a29c5c"}, status=202)


@pytest.fixture(params=["opsgenie", "jira"])
async def desk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """One of the two services, where Apprise and we look for it."""
    there = Desk(request.param)
    app = web.Application()
    app.router.add_post("/v2/alerts", there.take)
    app.router.add_post("/v2/alerts/{alias}/close", there.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    alerts = f"http://127.0.0.1:{runner.addresses[0][1]}/v2/alerts"
    module = importlib.import_module(f"apprise.plugins.{there.scheme}")
    known = getattr(module, f"{there.scheme.upper()}_API_LOOKUP")
    for region in ("us", "eu"):
        assert known[region] == notify_alias.ALERTS[there.scheme, region], "Apprise looks for the service elsewhere"
        monkeypatch.setitem(known, region, alerts)
        monkeypatch.setitem(notify_alias.ALERTS, (there.scheme, region), alerts)
    yield there
    await runner.cleanup()


@asynccontextmanager
async def paging(desk: Desk, names: str, **options: Any) -> AsyncIterator[OpsMonitorService]:
    """A service of checks called by letters."""
    checks = [ScriptedCheck(id=name, title=name) for name in names]
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", checks, notify=[chat(group_wait="50ms", **options)], resolve=desk.resolve)
        yield service


async def test_a_recovery_closes_the_alert_of_its_row(desk: Desk, play: Play) -> None:
    """Each row has an alert of its own; a recovery closes that one, with what is to be said of it, and a relapse opens another."""
    async with paging(desk, "ab") as service:
        await stand(service, play, a="crit", b="crit")
        await desk.until(lambda: sorted(desk.alerts.values()) == [["CRIT: a"], ["CRIT: b"]])
        await stand(service, play, a="ok")
        await desk.until(lambda: list(desk.alerts.values()) == [["CRIT: b"]])
        assert desk.notes[0].startswith("OK: a\n")
        await stand(service, play, a="crit")
        await desk.until(lambda: desk.opened == 3)
        desk.refuse = 1
        await stand(service, play, a="ok", b="ok")
        await desk.until(lambda: not desk.alerts)


async def test_the_alert_of_a_group_is_closed_with_its_last_row(desk: Desk, play: Play) -> None:
    """One alert for the group."""
    async with paging(desk, "ab", group_by=["team"]) as service:
        await stand(service, play, a="crit", b="crit")
        await desk.until(lambda: desk.opened == 1)
        await stand(service, play, a="ok")
        await desk.until(lambda: [len(told) for told in desk.alerts.values()] == [2])
        assert desk.notes == []
        await stand(service, play, b="ok")
        await desk.until(lambda: not desk.alerts)
        assert desk.opened == 1


async def test_a_close_that_was_refused_is_said_and_tried_again(desk: Desk, play: Play) -> None:
    """The room hears that the service answered 503; the alert is closed by the next attempt."""
    async with paging(desk, "a", retry_delay="50ms") as service:
        await stand(service, play, a="crit")
        await desk.until(lambda: desk.opened == 1)
        desk.refuse = 1
        await stand(service, play, a="ok")
        await desk.until(lambda: desk.refuse == 0)
        await desk.until(lambda: not desk.alerts)
        (target,) = service.notifier.targets
        assert target.failed == 1


async def test_an_alias_of_ones_own_is_one_alert(desk: Desk, play: Play) -> None:
    """A URL that names its alias has that alert; it is closed when all has recovered that shares it."""
    desk.more = "?alias=ours"
    async with paging(desk, "ab") as service:
        await stand(service, play, a="crit", b="crit")
        await desk.until(lambda: desk.alerts == {"ours": ["2 failing"]})
        await stand(service, play, a="ok", b="ok")
        await desk.until(lambda: not desk.alerts)


async def test_who_wants_an_alert_for_each_message_gets_it(desk: Desk, play: Play) -> None:
    """`action=new`: a recovery is an alert, too, and closes nothing."""
    desk.more = "?action=new"
    async with paging(desk, "a") as service:
        await stand(service, play, a="crit")
        await desk.until(lambda: desk.opened == 1)
        await stand(service, play, a="ok")
        await desk.until(lambda: sorted(desk.alerts) == ["CRIT: a", "OK: a"])
