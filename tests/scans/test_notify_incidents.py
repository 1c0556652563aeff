"""Services that open incidents: Apprise's `goalert://`, received by a server that keeps alerts as GoAlert does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from partywidgets.scans.notify_delivery import is_known
from partywidgets.scans.notify_incident import KEYS, keyed
from partywidgets.scans.service import OpsMonitorService

from .notify_inbox import WAIT, chat
from .ops_room import Play, ScriptedCheck

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
UUID = "0a1b2c3d-0000-4000-8000-000000000000"
LONG = "a" * 32


@dataclass
class Pager:
    """The alerts that are open, by their key: the summaries that each was told of, the first one's first. The next `refuse` get 503."""

    port: int = 0
    more: str = ""
    refuse: int = 0
    alerts: dict[str, list[str]] = field(default_factory=dict)
    opened: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def resolve(self, text: str) -> str:
        """What the reference of a target holds."""
        return text.replace("${env:INBOX}", f"goalert://127.0.0.1:{self.port}/{UUID}{self.more}")

    async def until(self, happened: Callable[[], bool]) -> None:
        """Waits for what its alerts become."""
        async with asyncio.timeout(WAIT), self.changed:
            await self.changed.wait_for(happened)

    def first(self) -> list[str]:
        """What each open alert was opened for."""
        return sorted(summaries[0] for summaries in self.alerts.values())


@pytest.fixture
async def pager() -> AsyncIterator[Pager]:
    """A GoAlert."""
    there = Pager()

    async def take(request: web.Request) -> web.Response:
        assert UUID in str(request.headers)
        told: dict[str, Any] = await request.json()
        async with there.changed:
            if there.refuse:
                there.refuse -= 1
                return web.Response(status=503)
            key = told.get("dedup", told["summary"])
            if told.get("action") == "close":
                there.alerts.pop(key, None)
            else:
                there.opened += key not in there.alerts
                there.alerts.setdefault(key, []).append(told["summary"])
            there.changed.notify_all()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/api/v2/generic/incoming", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    there.port = runner.addresses[0][1]
    yield there
    await runner.cleanup()


@asynccontextmanager
async def paging(pager: Pager, names: str, directory: Path | None = None, **options: Any) -> AsyncIterator[OpsMonitorService]:
    """A service of checks called by letters, of which the upper-case ones are of the team web."""
    checks = [ScriptedCheck(id=name.lower(), title=name, labels={"team": "web" if name.isupper() else "data"}) for name in names]
    async with OpsMonitorService(directory=directory) as service:
        await service.load_config("a.yaml", checks, notify=[chat(group_wait="50ms", **options)], resolve=pager.resolve)
        yield service


async def stand(service: OpsMonitorService, play: Play, **statuses: Any) -> None:
    """All checks are looked at, and some stand differently."""
    play.statuses.update(statuses)
    await service.run_scan()


async def kept(service: OpsMonitorService, count: int) -> None:
    """Waits until the history has so many rows as told."""
    async with asyncio.timeout(WAIT):
        while len((await service.history.told()).get("a.yaml#chat", {})) != count:
            await asyncio.sleep(0.01)


async def test_each_row_has_an_incident_of_its_own(pager: Pager, play: Play) -> None:
    """Two that fail together are two incidents; the recovery of one ends that one alone, and a relapse opens another."""
    async with paging(pager, "ab") as service:
        await stand(service, play, a="crit", b="crit")
        await pager.until(lambda: pager.first() == ["CRIT: a", "CRIT: b"])
        await stand(service, play, a="ok")
        await pager.until(lambda: pager.first() == ["CRIT: b"])
        await stand(service, play, a="warn", b="unknown")
        await pager.until(lambda: sorted(map(tuple, pager.alerts.values())) == [("CRIT: b", "UNKNOWN: b"), ("WARN: a",)])
        await stand(service, play, a="ok", b="ok")
        await pager.until(lambda: not pager.alerts)
        assert pager.opened == 3


async def test_an_incident_is_ended_by_a_host_that_did_not_open_it(pager: Pager, play: Play, tmp_path: Path) -> None:
    """Which incident a row was told in outlives the host, also where the config groups otherwise by then."""
    async with paging(pager, "ABc", tmp_path, group_by=["team"]) as service:
        await stand(service, play, a="crit", b="crit", c="crit")
        await pager.until(lambda: pager.first() == ["2 failing (team=web)", "CRIT: c"])
        await kept(service, 3)
    async with paging(pager, "ABc", tmp_path) as service:
        await stand(service, play, a="ok", c="ok")
        await pager.until(lambda: [len(told) for told in pager.alerts.values()] == [2])
        await stand(service, play, b="ok")
        await pager.until(lambda: not pager.alerts)


async def test_rows_that_the_config_groups_share_an_incident(pager: Pager, play: Play) -> None:
    """One for each group, which a row that fails later joins, and which ends when nothing of it fails any more."""
    async with paging(pager, "ABc", group_by=["team"]) as service:
        await stand(service, play, a="crit", c="crit")
        await pager.until(lambda: pager.first() == ["CRIT: A", "CRIT: c"])
        await stand(service, play, b="crit", c="ok")
        await pager.until(lambda: list(pager.alerts.values()) == [["CRIT: A", "CRIT: B (1 more still failing)"]])
        await stand(service, play, a="ok")
        await pager.until(lambda: next(iter(pager.alerts.values()))[2:] == ["OK: A (1 more still failing)"])
        await stand(service, play, b="ok")
        await pager.until(lambda: not pager.alerts)
        assert pager.opened == 2


async def test_beyond_the_limit_new_problems_share_an_incident_and_no_recovery_waits(pager: Pager, play: Play) -> None:
    """Of five, two are told each for itself and three in one, which ends with the last of them; recoveries come while the limit holds new
    ones back."""
    async with paging(pager, "abcde", limit=3, per=3600) as service:
        await stand(service, play, **dict.fromkeys("abcde", "crit"))
        await pager.until(lambda: pager.first() == ["3 failing", "CRIT: a", "CRIT: b"])
        await stand(service, play, a="ok", c="ok", d="ok")
        await pager.until(lambda: pager.first() == ["3 failing", "CRIT: b"] and max(map(len, pager.alerts.values())) == 2)
        await stand(service, play, e="ok")
        await pager.until(lambda: pager.first() == ["CRIT: b"])
        await stand(service, play, a="crit", b="ok")
        await pager.until(lambda: not pager.alerts)
        await kept(service, 0)
        (target,) = service.notifier.targets
        assert (len(target.waiting), pager.opened) == (1, 3)


async def test_an_incident_ends_with_its_check(pager: Pager, play: Play) -> None:
    """A failing check that is taken out of its config leaves no incident open, and those of the others stay."""
    async with paging(pager, "ab") as service:
        await stand(service, play, a="crit", b="crit")
        await pager.until(lambda: pager.first() == ["CRIT: a", "CRIT: b"])
        await kept(service, 2)
        settings = [target.settings for target in service.notifier.targets]
        await service.load_config(
            "a.yaml", [ScriptedCheck(id="b", title="b", labels={"team": "data"})], notify=settings, resolve=pager.resolve
        )
        await pager.until(lambda: pager.first() == ["CRIT: b"])
        await kept(service, 1)
        await service.load_config("a.yaml", [])
        await pager.until(lambda: not pager.alerts)


async def test_a_target_that_left_ends_no_incident_of_what_still_fails(pager: Pager, play: Play) -> None:
    """Whoever takes a target out tells nobody that the problem is over."""
    async with paging(pager, "a") as service:
        await stand(service, play, a="crit")
        await pager.until(lambda: pager.first() == ["CRIT: a"])
        await kept(service, 1)
        (owned,) = [one for group in service.notifier._targets.values() for one in group.values()]
        await service.load_config("a.yaml", [ScriptedCheck(id="a", title="a", labels={"team": "data"})])
        assert owned.task is not None
        await asyncio.wait({owned.task}, timeout=WAIT)
        assert (owned.task.cancelled(), pager.first()) == (True, ["CRIT: a"])


async def test_an_incident_that_could_not_be_told_is_told_again(pager: Pager, play: Play) -> None:
    """The service refuses the second of two: the first is not told twice, and both are open in the end, each once."""
    async with paging(pager, "ab") as service:
        pager.refuse = 1
        await stand(service, play, a="crit", b="crit")
        await pager.until(lambda: pager.first() == ["CRIT: a", "CRIT: b"])
        await stand(service, play, a="ok", b="ok")
        await pager.until(lambda: not pager.alerts)
        assert (pager.opened, service.notifier.targets[0].failed) == (2, 1)


async def test_a_key_of_ones_own_counts(pager: Pager, play: Play) -> None:
    """A URL that names its incident has that one, and rows share messages as with any service."""
    pager.more = "?dedup=ours"
    async with paging(pager, "ab") as service:
        await stand(service, play, a="crit", b="crit")
        await pager.until(lambda: pager.alerts == {"ours": ["2 failing"]})
        await stand(service, play, a="ok", b="ok")
        await pager.until(lambda: not pager.alerts)


URLS = {
    "firehydrant": f"firehydrant://{LONG}@{LONG}",
    "goalert": f"goalert://alerts.example/{UUID}?+X-Proxy=a%20b",
    "goalerts": f"goalerts://alerts.example:8443/on/call/{UUID}",
    "ilert": f"ilert://{LONG}",
    "incidentio": f"incidentio://01ABCDEF/{LONG}",
    "pagerduty": f"pagerduty://{LONG}@none/source/component?region=eu",
    "pagertree": "pagertree://int_0123456789",
    "signl4": "signl4://abcdefghij",
    "splunk": f"splunk://team@{UUID}?:warning=CRITICAL",
    "squadcast": f"squadcast://{LONG}",
    "victorops": f"victorops://team@{UUID}",
}


@pytest.mark.parametrize("service", KEYS)
def test_every_service_takes_the_key(service: str) -> None:
    """Apprise knows the URL with it, says the same key and action of it, and keeps what the URL said; one that
    has a key or an action is left as it is."""
    import apprise

    url = URLS[service]
    assert is_known(url), url
    with_key = keyed(url, "partywidgets-0123")
    assert with_key is not None
    assert with_key.startswith(url)
    plugin = apprise.Apprise.instantiate(with_key)
    assert plugin is not None
    attribute = {"pagertree": "thirdparty", "signl4": "external_id"}.get(service, KEYS[service])
    assert (getattr(plugin, attribute), getattr(plugin, "action", "")) == ("partywidgets-0123", "map")
    joint = "&" if "?" in url else "?"
    assert keyed(f"{url}{joint}{KEYS[service]}=ours", "key") is None
    assert keyed(f"{url}{joint}action=resolve", "key") is None


@pytest.mark.parametrize(
    ("url", "begins"),
    [
        (f"https://api.squadcast.com/v2/incidents/api/{LONG}", f"squadcast://{LONG}/?"),
        (f"https://alert.victorops.com/integrations/generic/20131114/alert/{UUID}/team", f"splunk://team@{UUID}/"),
    ],
)
def test_an_address_of_the_services_own_takes_the_key_too(url: str, begins: str) -> None:
    """What people copy out of the service's page."""
    with_key = keyed(url, "partywidgets-0123")
    assert with_key is not None
    assert with_key.startswith(begins)
    assert with_key.endswith("=partywidgets-0123")
    assert is_known(with_key)


@pytest.mark.parametrize(
    "url", ["json://127.0.0.1/x", "https://discord.com/api/webhooks/1/2", "opsgenie://key", "", "no url", f"splunk://t@{UUID}/ours"]
)
def test_no_other_service_gets_a_key(url: str) -> None:
    """Nor one whose incident Apprise could not end by it."""
    assert keyed(url, "key") is None
