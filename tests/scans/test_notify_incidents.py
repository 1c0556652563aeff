"""Services that open incidents: Apprise's `goalert://`, received by a server that keeps alerts as GoAlert does."""

from __future__ import annotations

import asyncio
import os
import sys
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
from .ops_room import Play, ScriptedCheck, stand

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
UUID = "0a1b2c3d-0000-4000-8000-000000000000"
LONG = "a" * 32


@dataclass
class Pager:
    """The alerts that are open, by their key: the summaries that each was told of, the first one's first. The next `refuse` get 503; what
    is taken is answered while `answering`."""

    port: int = 0
    more: str = ""
    refuse: int = 0
    alerts: dict[str, list[str]] = field(default_factory=dict)
    opened: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"goalert://127.0.0.1:{self.port}/{UUID}{self.more}"

    def resolve(self, text: str) -> str:
        """What the reference of a target holds."""
        return text.replace("${env:INBOX}", self.url)

    async def until(self, happened: Callable[[], bool], *, wait: float = WAIT) -> None:
        """Waits for what its alerts become."""
        async with asyncio.timeout(wait), self.changed:
            await self.changed.wait_for(happened)

    def first(self) -> list[str]:
        """What each open alert was opened for."""
        return sorted(summaries[0] for summaries in self.alerts.values())


@pytest.fixture
async def pager() -> AsyncIterator[Pager]:
    """A GoAlert."""
    there = Pager()
    there.answering.set()

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
        await there.answering.wait()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/api/v2/generic/incoming", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    there.port = runner.addresses[0][1]
    yield there
    there.answering.set()
    await runner.cleanup()


@asynccontextmanager
async def paging(pager: Pager, names: str, directory: Path | None = None, **options: Any) -> AsyncIterator[OpsMonitorService]:
    """A service of checks called by letters, of which the upper-case ones are of the team web."""
    checks = [ScriptedCheck(id=name.lower(), title=name, labels={"team": "web" if name.isupper() else "data"}) for name in names]
    async with OpsMonitorService(directory=directory) as service:
        await service.load_config("a.yaml", checks, notify=[chat(group_wait="50ms", **options)], resolve=pager.resolve)
        yield service


async def kept(service: OpsMonitorService, count: int) -> None:
    """Waits until the history has so many rows as told, and none of which that is in doubt."""
    async with asyncio.timeout(WAIT):
        while [known.sure for known in (await service.history.told()).get("a.yaml#chat", {}).values()] != [True] * count:
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


HOST = """
import asyncio, sys
from pathlib import Path
from partywidgets.scans.service import OpsMonitorService
from tests.scans.notify_inbox import chat
from tests.scans.ops_room import PLAY, ScriptedCheck

async def main(directory, url, status):
    PLAY.statuses["a"] = status
    async with OpsMonitorService(directory=Path(directory)) as service:
        check = ScriptedCheck(id="a", title="a", labels={"team": "data"})
        await service.load_config("a.yaml", [check], notify=[chat()], resolve=lambda text: text.replace("${env:INBOX}", url))
        await service.run_scan()
        await asyncio.sleep(3600)

asyncio.run(main(*sys.argv[1:]))
"""


async def kill_over(pager: Pager, directory: Path, status: str, happened: Callable[[], bool]) -> None:
    """A host sees a status and tells it; as soon as the service has taken that, and before it answers, the host is killed."""
    root = Path(__file__).parents[2]
    pager.answering.clear()
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, str(directory), pager.url, status, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    try:
        await pager.until(happened, wait=90.0)  # an interpreter that starts on a machine that does much else
    finally:
        host.kill()
        await host.wait()
        pager.answering.set()


async def test_a_host_that_is_killed_over_a_problem_leaves_no_incident_open(pager: Pager, play: Play, tmp_path: Path) -> None:
    """The service took it, the history knows of no answer, and the next host finds the row well: it ends what may be open."""
    await kill_over(pager, tmp_path, "crit", lambda: pager.opened == 1)
    assert pager.first() == ["CRIT: a"]
    async with paging(pager, "a", tmp_path) as service:
        await stand(service, play, a="ok")
        await pager.until(lambda: not pager.alerts)
        await kept(service, 0)


async def test_a_host_that_is_killed_over_a_recovery_opens_the_next_incident(pager: Pager, play: Play, tmp_path: Path) -> None:
    """The service ended the incident, the history knows of no answer, and the next host finds the row failing: people are told."""
    async with paging(pager, "a", tmp_path) as service:
        await stand(service, play, a="crit")
        await pager.until(lambda: pager.opened == 1)
        await kept(service, 1)
    await kill_over(pager, tmp_path, "ok", lambda: not pager.alerts)
    async with paging(pager, "a", tmp_path) as service:
        await stand(service, play, a="crit")
        await pager.until(lambda: pager.opened == 2)
        assert pager.first() == ["CRIT: a"]


async def test_a_service_that_takes_a_problem_and_gives_no_answer(pager: Pager, play: Play) -> None:
    """It counts as not told, and is over before it is told again: the incident that the service may have opened is ended."""
    pager.more = "?rto=0.5"
    pager.answering.clear()
    async with paging(pager, "a") as service:
        (target,) = service.notifier.targets
        await stand(service, play, a="crit")
        await pager.until(lambda: pager.opened == 1)
        async with asyncio.timeout(WAIT):
            while not target.failed:
                await asyncio.sleep(0.01)
        await stand(service, play, a="ok")
        pager.answering.set()
        await pager.until(lambda: not pager.alerts)
        await kept(service, 0)


async def test_a_check_that_is_taken_out_while_no_host_runs(pager: Pager, play: Play, tmp_path: Path) -> None:
    """The host that finds it gone ends its incident."""
    async with paging(pager, "a", tmp_path) as service:
        await stand(service, play, a="crit")
        await pager.until(lambda: pager.opened == 1)
        await kept(service, 1)
    async with paging(pager, "", tmp_path) as service:
        await pager.until(lambda: not pager.alerts)
        await kept(service, 0)


async def test_that_a_check_is_gone_is_told_by_the_next_host(pager: Pager, play: Play, tmp_path: Path) -> None:
    """The service takes nothing when the check goes, and the host ends: the next one, which has no such row any more, ends the incident."""
    async with paging(pager, "a", tmp_path) as service:
        (target,) = service.notifier.targets
        await stand(service, play, a="crit")
        await pager.until(lambda: pager.opened == 1)
        await kept(service, 1)
        pager.refuse = 1000
        await service.load_config("a.yaml", [], notify=[target.settings], resolve=pager.resolve)
        async with asyncio.timeout(WAIT):
            while not target.failed:
                await asyncio.sleep(0.01)
    pager.refuse = 0
    async with paging(pager, "", tmp_path) as service:
        await pager.until(lambda: not pager.alerts)
        await kept(service, 0)


async def test_an_incident_that_is_over_while_its_target_is_away(pager: Pager, play: Play) -> None:
    """A target that leaves its config, and comes back under its name, ends what it opened: also where no host ended in between."""
    async with paging(pager, "a") as service:
        (target,) = service.notifier.targets
        await stand(service, play, a="crit")
        await pager.until(lambda: pager.opened == 1)
        await kept(service, 1)
        check = ScriptedCheck(id="a", title="a", labels={"team": "data"})
        await service.load_config("a.yaml", [check])
        await stand(service, play, a="ok")
        await service.load_config("a.yaml", [check], notify=[target.settings], resolve=pager.resolve)
        await pager.until(lambda: not pager.alerts)


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
    "jira": f"jira://{LONG}/#ops?priority=high",
    "opsgenie": f"opsgenie://{LONG}/@ana/#ops?region=eu&entity=shop",
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
    "url",
    ["json://127.0.0.1/x", "https://discord.com/api/webhooks/1/2", "opsgenie://key?alias=ours", "", "no url", f"splunk://t@{UUID}/ours"],
)
def test_no_other_service_gets_a_key(url: str) -> None:
    """Nor one whose incident Apprise could not end by it."""
    assert keyed(url, "key") is None
