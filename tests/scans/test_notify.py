"""Notifications through Apprise's `json://`, received by a real HTTP server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from partywidgets.scans import notify_target
from partywidgets.scans.checks.base import RemediationModel
from partywidgets.scans.maintenance import MaintenanceSettings
from partywidgets.scans.model import CheckResult, Status, utc_now
from partywidgets.scans.notice import Known, compose
from partywidgets.scans.notify_settings import NotifySettings
from partywidgets.scans.service import OpsMonitorService, Selection
from partywidgets.scans.silence import Ack, Silence

from .notify_inbox import SECRET, WAIT, Inbox, chat, taking, telling
from .ops_room import Play, ScriptedCheck, stand

# Apprise's own import of a module that Python 3.13 has dropped; where that is gone it does without.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
REMEDY = RemediationModel(text="restart it")


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    """A service that takes messages."""
    async with taking() as taken:
        yield taken


async def test_a_problem_and_its_recovery_are_told_once_each(inbox: Inbox, play: Play) -> None:
    """Soft looks and repeated ones say nothing; the hard problem and the recovery do."""
    async with telling(inbox, ScriptedCheck(id="shop", title="Shop", attempts=2, remediation=REMEDY)) as service:
        for status in ("ok", "crit", "crit", "crit", "ok", "ok"):
            play.statuses["shop"] = status
            await service.run_scan()
            if status == "crit" and play.looks["shop"] == 3:
                down = await inbox.next()
        over = await inbox.next()
        assert inbox.messages.empty()
    assert (down["title"], down["type"]) == ("CRIT: Shop", "failure")
    assert "it is crit" in down["message"]
    assert "restart it" in down["message"]
    assert (over["title"], over["type"]) == ("OK: Shop", "success")
    assert over["message"].startswith("OK (was crit for ")


async def test_a_message_leads_to_its_row_on_the_page(inbox: Inbox, play: Play) -> None:
    """Where the config says at which address others reach the host; a config that is loaded again may take that back."""
    shop = ScriptedCheck(id="shop", title="Shop")
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", [shop], notify=[chat()], resolve=inbox.resolve, page="https://ops.example/")
        play.statuses["shop"] = "crit"
        await service.run_scan()
        (row,) = service.board.rows.values()
        assert (await inbox.next())["message"].endswith(f"\nhttps://ops.example/#check={row.fingerprint}")
        await service.load_config("a.yaml", [shop], notify=[chat()], resolve=inbox.resolve)
        play.statuses["shop"] = "ok"
        await service.run_scan()
        assert "http" not in (await inbox.next())["message"]


async def test_a_message_that_cannot_be_made_is_told_as_such(
    inbox: Inbox, play: Play, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours keeps nobody asleep: people hear that something changed, without its words, and of what comes later as ever."""
    faulty = True

    def compose_or_fail(*given: Any, **named: Any) -> Any:
        if faulty:
            raise RuntimeError("a fault of ours")
        return compose(*given, **named)

    monkeypatch.setattr(notify_target, "compose", compose_or_fail)
    async with telling(inbox, ScriptedCheck(id="shop", title="Shop")) as service:
        play.statuses["shop"] = "crit"
        await service.run_scan()
        assert (await inbox.next())["title"] == "1 check changed: look at the dashboard"
        faulty, play.statuses["shop"] = False, "ok"
        await service.run_scan()
        assert (await inbox.next())["title"] == "OK: Shop"
    assert "a message could not be made" in caplog.text


async def test_a_recovery_is_told_when_it_was_seen_often_enough(inbox: Inbox, play: Play) -> None:
    """Of ok, crit, ok, ok behind a problem that was told only the end is told; an ack lasts until then, and the row is looked at soon."""
    check = ScriptedCheck(id="shop", title="Shop", every=3600.0, retry_delay=600.0, recovery_attempts=2)
    async with telling(inbox, check) as service:

        async def look(status: Status) -> CheckResult:
            play.statuses["shop"] = status
            (row,) = (await service.run_scan()).results
            return row

        row = await look("crit")
        assert (await inbox.next())["title"] == "CRIT: Shop"
        await service.suppressions.acknowledge(Ack(row.fingerprint, "on it", "Ana", utc_now()))
        (target,) = service.notifier.targets
        row = await look("ok")
        assert (row.state.phase, row.state.attempt, row.state.max_attempts) == ("soft", 1, 2)
        due = service.scheduler.next_of("shop", "a.yaml")
        assert due is not None
        assert due - utc_now().timestamp() < 700
        assert (await look("crit")).suppression is not None
        await look("ok")
        assert (target.sent, list(target.waiting), list(service.board.acks)) == (1, [], [row.fingerprint])
        assert (await look("ok")).state.phase == "hard"
        assert (await inbox.next())["title"] == "OK: Shop"
        assert service.board.acks == {}


async def test_who_hears_of_a_recovery_hears_of_what_still_fails(inbox: Inbox, play: Play) -> None:
    """Two of three recover: the message counts the third, is not a success, and the last recovery is."""
    checks = [ScriptedCheck(id=name, title=name, labels={"team": "web"}) for name in "abc"]
    other = ScriptedCheck(id="other", title="other", labels={"team": "data"})
    async with telling(inbox, *checks, other, group_by=["team"], group_wait="2s") as service:
        play.statuses.update(dict.fromkeys(("a", "b", "c", "other"), "crit"))
        await service.run_scan()
        titles = {(await inbox.next())["title"] for _ in range(2)}
        assert titles == {"3 failing (team=web)", "CRIT: other"}
        play.statuses.update(a="ok", b="ok")
        await service.run_scan()
        part = await inbox.next()
        assert (part["title"], part["type"]) == ("2 recovered, 1 still failing (team=web)", "warning")
        play.statuses["c"] = "ok"
        await service.run_scan()
        whole = await inbox.next()
        assert (whole["title"], whole["type"]) == ("OK: c", "success")


async def test_a_group_of_rows_without_the_label_is_called_so(inbox: Inbox, play: Play) -> None:
    """`(team=)` would be read as a fault of the message."""
    play.statuses.update(a="crit", b="crit")
    checks = [ScriptedCheck(id="a", labels={"team": ""}), ScriptedCheck(id="b")]
    async with telling(inbox, *checks, group_by=["team"], group_wait="2s") as service:
        await service.run_scan()
        assert (await inbox.next())["title"] == "2 failing (no team)"


async def test_rows_of_a_group_share_a_message(inbox: Inbox, play: Play) -> None:
    """Ten failing rows of one team are one message, the worst first; those below the asked severity are left out."""
    checks = [ScriptedCheck(id=f"c{number}", severity="high", labels={"team": "web"}) for number in range(10)]
    play.statuses.update({f"c{number}": "warn" for number in range(9)}, c9="crit", quiet="crit")
    options: dict[str, Any] = {"group_by": ["team"], "severity": "medium", "group_wait": "2s"}
    async with telling(inbox, *checks, ScriptedCheck(id="quiet", severity="low"), **options) as service:
        await service.run_scan()
        told = await inbox.next()
    lines = told["message"].splitlines()
    assert told["title"] == "10 failing (team=web)"
    assert lines[0].startswith("CRIT c9")
    assert len(lines) == 11
    assert re.fullmatch(r"the first since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", lines[10])
    assert "quiet" not in told["message"]


async def test_rows_that_fail_while_a_message_is_under_way_share_the_next(inbox: Inbox, play: Play) -> None:
    """A slow service does not undo the grouping: the first row that comes meanwhile waits for others as any first row does."""
    async with telling(inbox, *(ScriptedCheck(id=name, title=name) for name in "abc"), group_wait="3s") as service:
        inbox.answering.clear()
        play.statuses["a"] = "crit"
        await service.run_scan()
        assert (await inbox.next())["title"] == "CRIT: a"
        play.statuses["b"] = "crit"
        await service.run_scan()
        inbox.answering.set()
        (target,) = service.notifier.targets
        async with asyncio.timeout(WAIT):
            while not target.sent:
                await asyncio.sleep(0.01)
        play.statuses["c"] = "crit"
        await service.run_scan()
        both = await inbox.next()
    assert both["title"] == "2 more failing, 3 failing in all"


async def test_a_group_that_waits_no_more_has_no_time_of_its_own(inbox: Inbox, play: Play) -> None:
    """The only row of a group recovers before it was told: the next one that fails waits for others as any first row does."""
    async with telling(inbox, *(ScriptedCheck(id=name) for name in "ab"), group_wait="1h") as service:
        (target,) = service.notifier.targets
        await stand(service, play, a="crit")
        (first,) = target._due.values()
        await stand(service, play, a="ok")
        async with asyncio.timeout(WAIT):
            while target._due:
                await asyncio.sleep(0.01)
        await stand(service, play, b="crit")
        (second,) = target._due.values()
        assert second > first


async def test_above_the_limit_messages_wait_and_become_one(inbox: Inbox, play: Play) -> None:
    """With one message in a span, what comes meanwhile is told together when the span is over."""
    checks = [ScriptedCheck(id=name, title=name) for name in "abc"]
    async with telling(inbox, *checks, limit=1, per="3s") as service:
        play.statuses["a"] = "crit"
        await service.run_scan()
        assert (await inbox.next())["title"] == "CRIT: a"
        play.statuses["b"] = play.statuses["c"] = "crit"
        await service.run_scan()
        assert (await inbox.next())["title"] == "2 more failing, 3 failing in all"


async def test_nobody_is_told_of_what_somebody_took_in_time(inbox: Inbox, play: Play) -> None:
    """An ack while the message waits takes the row out of it at once, not with its next look; the ack withdrawn, it waits again."""
    play.statuses["shop"] = "crit"
    async with telling(inbox, ScriptedCheck(id="shop"), group_wait="1h") as service:
        (row,) = (await service.run_scan()).results
        (target,) = service.notifier.targets
        assert list(target.waiting) == [row.fingerprint]
        await service.suppressions.acknowledge(Ack(row.fingerprint, "on it", "Ana", utc_now()))
        assert list(target.waiting) == []
        await service.suppressions.withdraw_ack(row.fingerprint, "Ana")
        assert list(target.waiting) == [row.fingerprint]


async def test_a_row_that_was_looked_at_before_what_it_waits_for(inbox: Inbox, play: Play) -> None:
    """The router fails after the shop behind it was found failing: the shop is suppressed then, for who looks on too, and not told."""
    play.statuses.update(shop="crit", router="crit")
    router, shop = ScriptedCheck(id="router"), ScriptedCheck(id="shop", depends_on=("router",))
    async with telling(inbox, router, shop, group_wait="1h") as service:
        told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        service.announcer.broadcast = lambda kind, message: told.put_nowait(message) if kind == "check-result" else None
        (target,) = service.notifier.targets
        await service.run_scan(Selection(checks=("shop",)))
        assert list(target.waiting) == [shop.fingerprint]
        await service.run_scan(Selection(checks=("router",)))
        assert list(target.waiting) == [router.fingerprint]
        async with asyncio.timeout(WAIT):
            row = (await told.get())["results"][0]
        assert (row["check_id"], row["suppression"]["by"], row["suppression"]["id"]) == ("shop", "dependency", "router")
        play.statuses["router"] = "ok"
        await service.run_scan(Selection(checks=("router",)))
        await service.run_scan(Selection(checks=("shop",)))
        assert list(target.waiting) == [shop.fingerprint], "it fails for a reason of its own"


async def test_a_failing_target_is_tried_again_and_its_url_stays_secret(inbox: Inbox, play: Play, caplog: pytest.LogCaptureFixture) -> None:
    """Two refusals are said in the log, with a status and without the URL; the third attempt arrives, and the counts say so."""
    inbox.refuse, play.statuses["shop"] = 2, "crit"
    with caplog.at_level(logging.DEBUG):
        async with telling(inbox, ScriptedCheck(id="shop")) as service:
            await service.run_scan()
            await inbox.next()
            (target,) = service.notifier.targets
            async with asyncio.timeout(WAIT):
                while target.waiting:
                    await asyncio.sleep(0.01)
    assert (inbox.refused, target.failed, target.sent, target.last_error) == (2, 2, 1, None)
    said = [record.getMessage() for record in caplog.records if record.name == "partywidgets.scans.notify"]
    assert len(said) == 2
    assert "HTTP 503" in said[0]
    own = [record for record in caplog.records if record.name != "aiohttp.access"]  # the receiving service writes its own log
    assert [record.name for record in own if SECRET in record.getMessage()] == []


async def test_who_was_told_and_who_was_not_is_read_afterwards(inbox: Inbox, play: Play) -> None:
    """Every message that arrived is an event with its title, and so is a target that began to take none, once, with the reason."""
    inbox.refuse = 2
    async with telling(inbox, ScriptedCheck(id="shop", title="Shop")) as service:
        for status in ("crit", "ok"):
            play.statuses["shop"] = status
            await service.run_scan()
            await inbox.next()
        async with asyncio.timeout(WAIT):
            while len(events := await service.history.events()) < 3:
                await asyncio.sleep(0.01)
        assert [(event["kind"], event["title"], event["subject"], event["actor"]) for event in events] == [
            ("not-notified", "CRIT: Shop", "chat", None),
            ("notified", "CRIT: Shop", "chat", None),
            ("notified", "OK: Shop", "chat", None),
        ]
        assert events[0]["reason"] == "the service answered HTTP 503"
        assert SECRET not in str(events)


async def test_what_comes_and_goes_all_night_pages_a_few_times(inbox: Inbox, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thirty problems too far apart to be flapping four are told, the last with what follows; so is the recovery that lasts."""

    async def looks(service: OpsMonitorService, *statuses: Status) -> None:
        for status in statuses:
            play.statuses["shop"] = status
            await service.run_scan()

    down: tuple[Status, ...] = ("crit",) * 4
    fine: tuple[Status, ...] = ("ok",) * 4
    titles: list[str] = []
    async with telling(inbox, ScriptedCheck(id="shop", title="Shop", attempts=2), limit=1000) as service:
        (target,) = service.notifier.targets
        for _ in range(3):
            for statuses in (down, fine):
                await looks(service, *statuses)
                titles.append((await inbox.next())["title"])
        await looks(service, *down)
        fourth = await inbox.next()
        await looks(service, *(fine + down) * 26, *fine)
        assert titles == ["CRIT: Shop", "OK: Shop"] * 3
        assert fourth["title"] == "CRIT: Shop"
        assert "it comes and goes: a recovery is told when it has lasted 15m" in fourth["message"]
        assert (inbox.messages.empty(), target.sent) == (True, 7)
        assert [row.state.phase for row in service.board.rows.values()] == ["hard"]
        monkeypatch.setattr("partywidgets.scans.notify_calm.CALM", 0.1)
        await looks(service, *down, *fine)
        assert (await inbox.next())["title"] == "OK: Shop"


async def test_looks_while_a_message_is_under_way_tell_nothing_twice(inbox: Inbox, play: Play) -> None:
    """The service takes its time with the recovery; a further good look and the first bad one meanwhile do not tell it again."""
    async with telling(inbox, ScriptedCheck(id="shop", title="Shop", attempts=2)) as service:
        (target,) = service.notifier.targets

        async def look(status: Status) -> None:
            play.statuses["shop"] = status
            await service.run_scan()

        await look("crit")
        await look("crit")
        assert (await inbox.next())["title"] == "CRIT: Shop"
        inbox.answering.clear()
        await look("ok")
        assert (await inbox.next())["title"] == "OK: Shop"
        await look("ok")
        await look("crit")
        inbox.answering.set()
        async with asyncio.timeout(WAIT):
            while target.sent < 2:
                await asyncio.sleep(0.01)
        await look("crit")
        assert (await inbox.next())["title"] == "CRIT: Shop"


async def test_a_worse_status_is_never_held_back(inbox: Inbox, play: Play) -> None:
    """A row that came and went between ok and warn all night is told at once when it is crit."""
    async with telling(inbox, ScriptedCheck(id="shop", title="Shop"), limit=1000) as service:
        turns: tuple[Status, ...] = ("warn", "ok", "warn", "ok", "warn", "ok", "warn")
        last: tuple[Status, ...] = ("ok", "crit")
        for status in turns:
            play.statuses["shop"] = status
            await service.run_scan()
            await inbox.next()
        for status in last:
            play.statuses["shop"] = status
            await service.run_scan()
        assert (await inbox.next())["title"] == "CRIT: Shop"


async def test_a_target_that_hangs_is_given_up_tried_again_and_holds_up_nobody(inbox: Inbox, play: Play) -> None:
    """A service that takes the connection and never answers: counted as failed, tried again, and the other target hears in time."""
    with contextlib.ExitStack() as taken:
        listener = taken.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setblocking(False)
        port = listener.getsockname()[1]

        def resolve(text: str) -> str:
            return inbox.resolve(text).replace("${env:HUNG}", f"json://127.0.0.1:{port}/{SECRET}?rto=0.2")

        hung = NotifySettings.model_validate({**chat().model_dump(), "name": "hung", "url": "${env:HUNG}"})
        async with OpsMonitorService() as service:
            await service.load_config("a.yaml", [ScriptedCheck(id="shop")], notify=[hung, chat()], resolve=resolve)
            play.statuses["shop"] = "crit"
            await service.run_scan()
            assert (await inbox.next())["title"] == "CRIT: shop"
            async with asyncio.timeout(WAIT):
                for _ in range(3):
                    connection, _ = await asyncio.get_running_loop().sock_accept(listener)
                    taken.enter_context(connection)
            target = next(one for one in service.notifier.targets if one.settings.name == "hung")
            assert (target.sent, len(target.waiting)) == (0, 1)
            assert target.failed >= 2
            assert target.last_error is not None
            assert SECRET not in target.last_error


async def test_what_is_suppressed_is_told_when_that_ends_and_a_recovery_always(inbox: Inbox, play: Play) -> None:
    """An acked change and a silenced problem say nothing; the recovery of what was told does; an ended silence lets a problem through."""
    async with telling(inbox, ScriptedCheck(id="told"), ScriptedCheck(id="silenced", labels={"team": "db"})) as service:
        now = utc_now()
        await service.suppressions.silence(Silence({"team": "db"}, "moving it", "Ana", now, now + timedelta(hours=1)))
        play.statuses.update(told="warn", silenced="crit")
        await service.run_scan()
        assert (await inbox.next())["title"].startswith("WARN")
        row = next(row for row in service.board.rows.values() if row.check_id == "told")
        await service.suppressions.acknowledge(Ack(row.fingerprint, "on it", "Ana", now))
        play.statuses["told"] = "crit"
        await service.run_scan()
        play.statuses["told"] = "ok"
        await service.run_scan()
        assert (await inbox.next())["title"].startswith("OK")
        await service.suppressions.lift_silence({"team": "db"}, "Ana")
        await service.run_scan()
        assert (await inbox.next())["title"].startswith("CRIT")
        said = [row["kind"] for row in await service.history.events()]
        assert [kind for kind in said if kind != "notified"] == ["silence", "ack", "ack-ended", "silence-lifted"]


async def test_a_restart_repeats_nothing(inbox: Inbox, play: Play, tmp_path: Path) -> None:
    """What a target was told is kept: after a restart only the recovery is told."""
    play.statuses["shop"] = "crit"
    async with telling(inbox, ScriptedCheck(id="shop"), directory=tmp_path) as service:
        await service.run_scan()
        await inbox.next()
        async with asyncio.timeout(WAIT):
            while not any(known.sure for told in (await service.history.told()).values() for known in told.values()):
                await asyncio.sleep(0.01)
    async with telling(inbox, ScriptedCheck(id="shop"), directory=tmp_path) as service:
        await service.run_scan()
        play.statuses["shop"] = "ok"
        await service.run_scan()
        assert (await inbox.next())["title"].startswith("OK")


async def test_of_rows_that_nobody_looks_at_nobody_is_told(inbox: Inbox, play: Play, tmp_path: Path) -> None:
    """A row of a config that was not loaded again says nothing: not as it was, not when it turns unknown, not to a target that is new."""
    play.statuses["old"] = "crit"
    async with OpsMonitorService(directory=tmp_path) as service:
        await service.load_config("old.yaml", [ScriptedCheck(id="old")])
        await service.run_scan()
    async with telling(inbox, ScriptedCheck(id="shop"), directory=tmp_path) as service:
        await service.orphans.disown_configs()
        assert {row.status for row in service.board.rows.values()} == {"unknown"}
        both = [chat(), chat(name="new", matchers={"check_id": "old"})]
        await service.load_config("a.yaml", [ScriptedCheck(id="shop")], notify=both, resolve=inbox.resolve)
        play.statuses["shop"] = "crit"
        await service.run_scan()
        assert (await inbox.next())["title"] == "CRIT: shop"
        await service.load_config("old.yaml", [ScriptedCheck(id="old")])
        await service.run_scan()
        titles = [(await inbox.next())["title"] for _ in range(2)]
        assert all(title.startswith("CRIT: old") for title in titles), titles
        assert inbox.messages.empty()


async def test_who_was_told_of_a_problem_hears_that_its_check_is_gone(inbox: Inbox, play: Play) -> None:
    """Nobody waits for the end of a problem that nobody looks at any more; of a check that was well nothing is said."""
    checks = [ScriptedCheck(id=name, title=name) for name in ("shop", "cart", "wiki")]
    async with telling(inbox, *checks) as service:
        play.statuses["shop"] = "crit"
        await service.run_scan()
        assert (await inbox.next())["title"] == "CRIT: shop"
        (target,) = service.notifier.targets
        async with asyncio.timeout(WAIT):
            while not target.told:
                await asyncio.sleep(0.01)
        await service.load_config("a.yaml", checks[2:], notify=[target.settings], resolve=inbox.resolve)
        told = await inbox.next()
        assert told["title"] == "GONE: shop"
        assert told["message"].startswith("GONE (was crit) shop: its check was taken out of a.yaml")
        async with asyncio.timeout(WAIT):
            while target.told or (await service.history.told()).get(target.key):
                await asyncio.sleep(0.01)
        assert (inbox.messages.empty(), target.waiting) == (True, {})


async def test_a_check_that_goes_while_its_message_is_noted(inbox: Inbox, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a message's arrival and the note of it the check is taken out: that it is gone is told all the same."""
    noting, noted = asyncio.Event(), asyncio.Event()
    check = ScriptedCheck(id="shop", title="shop")
    play.statuses["shop"] = "crit"
    async with telling(inbox, check) as service:
        (target,) = service.notifier.targets
        keep = target.ledger._keep

        async def slow(key: str, told: Mapping[str, Known | None]) -> None:
            if all(known is not None and known.sure for known in told.values()):
                noting.set()
                await noted.wait()
            await keep(key, told)

        monkeypatch.setattr(target.ledger, "_keep", slow)
        await service.run_scan()
        assert (await inbox.next())["title"] == "CRIT: shop"
        async with asyncio.timeout(WAIT):
            await noting.wait()
            await service.load_config("a.yaml", [], notify=[target.settings], resolve=inbox.resolve)
        noted.set()
        assert (await inbox.next())["title"] == "GONE: shop"


async def test_a_check_that_goes_while_its_first_message_is_under_way(inbox: Inbox, play: Play) -> None:
    """Nobody knows yet whether the service takes it: it does, and hears that nobody looks any more."""
    inbox.answering.clear()
    play.statuses["shop"] = "crit"
    async with telling(inbox, ScriptedCheck(id="shop", title="shop", labels={"team": "web"}), group_by=["team"]) as service:
        (target,) = service.notifier.targets
        await service.run_scan()
        assert (await inbox.next())["title"] == "CRIT: shop"
        await service.load_config("a.yaml", [], notify=[target.settings], resolve=inbox.resolve)
        inbox.answering.set()
        assert (await inbox.next())["title"] == "GONE: shop"
        async with asyncio.timeout(WAIT):
            while target.told or (await service.history.told()).get(target.key):
                await asyncio.sleep(0.01)
        assert (inbox.messages.empty(), target.waiting) == (True, {})


async def test_what_a_chat_refused_and_is_over_is_not_told(inbox: Inbox, play: Play) -> None:
    """A problem that came and went, or whose check went, while a target took nothing: of neither its end nor the check is anything said."""
    checks = [ScriptedCheck(id=name, title=name) for name in ("shop", "cart", "wiki")]
    inbox.refuse = 1
    async with telling(inbox, *checks, retry_delay="1h") as service:
        (target,) = service.notifier.targets
        play.statuses.update(shop="crit", cart="crit")
        await service.run_scan()
        async with asyncio.timeout(WAIT):
            while target.last_error is None or target.told or await service.history.told():
                await asyncio.sleep(0.01)
        assert len(target.waiting) == 2
        play.statuses["shop"] = "ok"
        await service.run_scan()
        await service.load_config("a.yaml", [checks[0], checks[2]], notify=[target.settings], resolve=inbox.resolve)
        assert (target.waiting, inbox.messages.empty()) == ({}, True)


async def test_a_recovery_that_nobody_is_told_of_is_kept_as_one(inbox: Inbox, play: Play, tmp_path: Path) -> None:
    """Without `recovery` the history forgets, too: a host that starts in the next problem does not take it for the old one."""
    async with telling(inbox, ScriptedCheck(id="shop", title="shop"), directory=tmp_path, recovery=False) as service:
        play.statuses["shop"] = "crit"
        await service.run_scan()
        assert (await inbox.next())["title"] == "CRIT: shop"
        async with asyncio.timeout(WAIT):
            while not await service.history.told():
                await asyncio.sleep(0.01)
            play.statuses["shop"] = "ok"
            await service.run_scan()
            while await service.history.told():
                await asyncio.sleep(0.01)


async def test_maintenance_suppresses_and_is_an_event(inbox: Inbox, play: Play) -> None:
    """While a window is open its rows say so and nobody is told; its beginning stands in the history."""
    window = MaintenanceSettings.model_validate(
        {"name": "always", "cron": "* * * * *", "duration": "2h", "matchers": {"team": "db"}, "reason": "patching"}
    )
    play.statuses.update(db="crit", web="crit")
    async with telling(inbox, ScriptedCheck(id="db", labels={"team": "db"}), ScriptedCheck(id="web"), maintenance=[window]) as service:
        await service.run_scan()
        told = await inbox.next()
        rows = {row.check_id: row for row in service.board.rows.values()}
        assert rows["db"].suppression is not None
        assert (rows["db"].suppression.by, rows["db"].suppression.reason) == ("maintenance", "patching")
        assert rows["web"].suppression is None
        # That web was notified of is an event, too, as soon as the sender knows that the message arrived.
        events = [(row["kind"], row["subject"]) for row in await service.history.events() if row["kind"] != "notified"]
        assert events == [("maintenance-began", "always")]
    assert told["title"] == "CRIT: web"
