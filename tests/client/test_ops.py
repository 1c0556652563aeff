"""OpsClient against the real ops room."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from partywidgets.client import ops as ops_module
from partywidgets.client import ops_http
from partywidgets.client.arguments import fingerprint
from partywidgets.client.board import Board
from partywidgets.client.ops import OpsClient
from partywidgets.client.told import Told
from partywidgets.exceptions import ConfigError, ConnectionClosedError, HostError, KeywordError, RefusedError, ScanError
from partywidgets.partysocket import FetchResponse
from partywidgets.scans import backtest, bounds, queries, requests, watchers
from partywidgets.scans.model import CheckResult, Status, utc_now
from partywidgets.scans.recorded import Recorded
from partywidgets.scans.report import ScanReport

from ..running_app import running
from ..scans import ops_room, stored
from ..scans.ops_room import OpsRoom, ScriptedCheck, token_of
from ..slow_line import SlowLine

WAIT = 20.0
FAST: dict[str, Any] = {"min_reconnection_delay": 0.01, "max_reconnection_delay": 0.05}


@pytest.fixture(autouse=True)
def play() -> ops_room.Play:
    """A script for scripted checks, new for each test."""
    ops_room.PLAY = ops_room.Play()
    return ops_room.PLAY


async def until(client: OpsClient, reached: Callable[[], bool]) -> None:
    """Waits for a state of the client."""
    async with asyncio.timeout(WAIT):
        while not reached():
            await client.changed()


@asynccontextmanager
async def loaded(directory: Path, *names: str) -> AsyncIterator[OpsRoom]:
    """An ops room with scripted checks."""
    async with ops_room.ops_room(directory) as room:
        await room.service.load_config("test.yaml", [ScriptedCheck(id=name, labels={"team": name[:3]}) for name in names])
        yield room


def client_of(room: OpsRoom, name: str = "ana-admin", **options: Any) -> OpsClient:
    """A client with somebody's token."""
    return OpsClient(room.url, token=token_of(name), **FAST, **options)


async def test_scan(tmp_path: Path, play: ops_room.Play) -> None:
    """scan() runs the checks in the host and gives the whole report; the rows follow, failing ones first."""
    play.statuses["shop"] = "crit"
    async with loaded(tmp_path, "disk", "shop") as room, client_of(room) as ops:
        assert (ops.state, ops.checks, ops.rows) == ("live", 2, {})
        report = await ops.scan()
        assert {result.check_id: result.status for result in report.results} == {"disk": "ok", "shop": "crit"}
        assert [result.check_id for result in ops.results] == ["shop", "disk"]
        assert (ops.counts["ok"], ops.counts["crit"]) == (1, 1)
        assert ops.running == {}
        assert ops.last_scan is not None
        assert ops.last_scan["scan_id"] == report.scan_id


async def test_a_scan_that_is_over_before_its_reply_is_read() -> None:
    """All its messages may come at once: nothing is under way then."""
    ops = OpsClient("http://127.0.0.1:9")
    over = {"scan_id": "s1", "results": [], "total": 0}
    ops._received(json.dumps({"type": "scan-started", "data": {"scan_id": "s1", "trigger": "manual", "total": 0}}))
    ops._received(json.dumps({"type": "scan-result", "data": over}))
    assert ops._begun({"scan_id": "s1", "total": 0}) == "s1"
    assert ops.running == {}
    assert ops.last_scan == {"scan_id": "s1", "total": 0}
    for number in range(20):
        ops._received(json.dumps({"type": "scan-result", "data": {**over, "scan_id": f"of-others-{number}"}}))
    assert len(ops._finished) == 8, "reports of scans that nobody waits for go"


async def test_how_far_a_scan_was_is_known_behind_a_reconnect() -> None:
    """The snapshot names what is under way, and no numbers."""
    ops = OpsClient("http://127.0.0.1:9")
    ops._received(json.dumps({"type": "scan-started", "data": {"scan_id": "s1", "trigger": "cron", "total": 5}}))
    ops._received(json.dumps({"type": "check-result", "data": {"scan_id": "s1", "results": [], "done": 3, "total": 5}}))
    snapshot = {"part": 1, "of": 1, "scan": None, "checks": 5, "silences": [], "running": ["s1", "s2"], "results": []}
    ops._received(json.dumps({"type": "snapshot", "data": snapshot}))
    assert [(scan.scan_id, scan.done, scan.total) for scan in ops.running.values()] == [("s1", 3, 5), ("s2", 0, 0)]


@pytest.mark.parametrize(
    ("status", "body", "error", "sentence"),
    [
        (502, b"<h1>Bad gateway</h1>", ScanError, "<h1>Bad gateway</h1>"),
        (403, b'{"error": "only the role admin"}', RefusedError, "only the role admin"),
        (401, b"", RefusedError, "the host refused the report (HTTP 401)"),
        (500, b"[]", ScanError, "the host answered HTTP 500 for the report"),
    ],
)
def test_an_answer_that_is_none(status: int, body: bytes, error: type[Exception], sentence: str) -> None:
    """The host's own words, or a proxy's; who may not is told so whatever was asked."""
    refused = ops_http.refusal(FetchResponse(status, {}, body), ScanError, "the report")
    assert (type(refused), str(refused)) == (error, sentence)


async def test_frames(tmp_path: Path, play: ops_room.Play) -> None:
    """Rows, history, changes and diffs are DataFrames with UTC times and ordered statuses."""
    async with loaded(tmp_path, "disk", "shop") as room, client_of(room) as ops:
        first = await ops.scan()
        play.statuses["shop"] = "crit"
        second = await ops.scan()
        history = await ops.history(check="shop", hours=1)
        changes = await ops.changes()
        diff = await ops.diff(first.scan_id, second.scan_id)
        assert diff.equals(await ops.diff(first, second))
        scans = await ops.scans()
        assert list(history["status"]) == ["ok", "crit"]
        assert isinstance(history["observed_at"].dtype, pd.DatetimeTZDtype)
        assert (history["status"] >= "warn").tolist() == [False, True]
        assert list(changes["check_id"])[-1] == "shop"
        assert list(diff["check_id"]) == ["shop"]
        assert diff["status_b"].iloc[0] == "crit"
        assert list(scans["scan_id"]) == [second.scan_id, first.scan_id]
        assert (await ops.latest()).scan_id == second.scan_id
        assert list(ops.df.loc[ops.df.status >= "warn", "check_id"]) == ["shop"]


async def test_a_large_answer_over_a_slow_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes whole, though it takes longer than a host may be silent; one of which nothing more comes is given up."""
    monkeypatch.setattr(ops_module, "SILENCE", 5.0)
    begin = datetime.now(UTC) - timedelta(minutes=30)
    async with loaded(tmp_path, "shop") as room, SlowLine.before(int(room.url.rstrip("/").rsplit(":", 1)[1]), rate=8_000) as line:
        looks = [stored.result(seq, begin + timedelta(seconds=seq), "ok") for seq in range(1, 501)]
        for look in looks:
            look.summary = f"{look.seq} " + "x" * 80
        await room.service.history.record([Recorded(look, "test.yaml", None, "") for look in looks])
        async with OpsClient(f"http://127.0.0.1:{line.port}", token=token_of("ana-admin"), **FAST) as ops:
            before = line.passed
            frame = await ops.history(hours=1, resolution="raw")
            assert list(frame["summary"]) == [look.summary for look in looks]
            whole = line.passed - before
            assert whole > 8_000 * 6, "it took more than six seconds"
            monkeypatch.setattr(ops_module, "SILENCE", 0.5)
            asking = asyncio.create_task(ops.history(hours=1, resolution="raw"))
            while line.passed < before + whole + 8_000 and not asking.done():
                await asyncio.sleep(0.01)
            line.rate = 1
            with pytest.raises(HostError, match=r"said nothing to GET .* for 0\.5 s"):
                await asking


async def test_a_large_snapshot_over_a_slow_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent, and waited for, as long as it comes; one of which nothing more comes is given up."""
    monkeypatch.setattr(watchers, "STILL", 5.0)
    async with loaded(tmp_path) as room:
        for number in range(700):
            row = CheckResult(f"check-{number}", "tcp", f"db-{number}:5432", "crit", summary="x" * 200, details="y" * 500)
            room.service.board.place(row, owner="test", attempts=1, now=utc_now())
        async with SlowLine.before(int(room.url.rstrip("/").rsplit(":", 1)[1]), rate=120_000) as line:

            def client() -> OpsClient:
                return OpsClient(f"http://127.0.0.1:{line.port}", token=token_of("ana-admin"), timeout=5.0, **FAST)

            async with client() as ops:
                assert len(ops.rows) == 700
                assert ops.socket.heard > 120_000 * 6, "it took more than six seconds"
            ops = client()
            entering = asyncio.create_task(ops.__aenter__())
            while ops.socket.heard < 2000 and not entering.done():
                await asyncio.sleep(0.01)
            line.rate = 1
            with pytest.raises(HostError, match="no snapshot within 5 s"):
                await entering


async def test_a_check_that_is_not_there_is_said(tmp_path: Path, play: ops_room.Play) -> None:
    """An empty frame of a mistyped id warns and names the nearest; a check without a past, and any other answer, do not."""
    async with loaded(tmp_path, "shop") as room, client_of(room) as ops:
        await ops.scan("shop")
        assert list((await ops.history("shop"))["check_id"]) == ["shop"]
        for ask in (ops.history, ops.changes, ops.hours):
            with pytest.warns(UserWarning, match="no check is called 'shpo' here: did you mean 'shop'?"):
                assert (await ask("shpo")).empty
        with pytest.raises(KeywordError, match="one check"):
            await ops.history(["shop"])  # type: ignore[arg-type]
        with pytest.raises(ScanError, match="attempts=0"):
            await ops.backtest("shop", "duration_ms > 5", attempts=0)
        with pytest.raises(KeywordError, match="two reports or scan ids, got DataFrame"):
            await ops.diff(ops.df, "x")  # type: ignore[arg-type]


async def test_a_row_by_its_check(tmp_path: Path, play: ops_room.Play) -> None:
    """A row is named by its check's id as well as by its fingerprint; what nothing has is said."""
    play.statuses["shop"] = "crit"
    async with loaded(tmp_path, "shop") as room, client_of(room) as ops:
        await ops.scan("shop")
        await ops.ack("shop", "known")
        assert (await ops.recheck("shop")).counts["crit"] == 1
        assert list(ops.failing["suppressed_by"]) == ["ack"]
        await ops.withdraw_ack("shop")
        assert (await ops.witnesses("shop")).failure is not None
        assert ops.remedy("shop").fingerprint == ops.df.index[0]
        with pytest.raises(ScanError, match="no row is 'shpo': take its check_id or fingerprint from the table"):
            await ops.ack("shpo", "known")


def test_a_check_with_several_rows() -> None:
    """Its id names none of them."""
    rows = {"a" * 16: {"check_id": "disk"}, "b" * 16: {"check_id": "disk"}}
    with pytest.raises(ScanError, match=r"'disk' has 2 rows: name one by its fingerprint, a{16} or b{16}"):
        fingerprint("disk", rows)
    assert fingerprint("b" * 16, rows) == "b" * 16


async def test_backtest(tmp_path: Path, play: ops_room.Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A condition is evaluated over what the room keeps; one that asks for what is not kept, and a check without a past, are told so."""
    async with loaded(tmp_path, "shop") as room, client_of(room) as ops:
        for status in ("ok", "crit", "ok"):
            play.statuses["shop"] = status
            await ops.scan()
        found = await ops.backtest("shop", "duration_ms >= 0", attempts=2)
        assert (len(found), list(found["looks"]), list(found["failed"]), list(found["ended"].isna())) == (1, [3], [1], [True])
        assert found.attrs == {"summary": found.summary, "looks": 3, "unanswered": 0, "cut": False}
        said = "duration_ms >= 0 on shop, held at 2 looks in a row, would have fired once in the last 24 h, for at least "
        assert found.summary.startswith(said)
        assert "There was a problem then as things were, too. Looked at: 3 looks since 20" in found.summary
        assert (repr(found).splitlines()[0], type(found[found["looks"] > 2])) == (found.summary, pd.DataFrame)
        assert f"<p>{found.summary.replace('>', '&gt;')}</p>" in found._repr_html_()
        never = await ops.backtest("shop", "duration_ms < 0")
        assert (len(never), repr(never)) == (0, never.summary)
        assert never.summary.startswith("duration_ms < 0 on shop would never have fired in the last 24 h. Looked at: 3 looks since 20")
        assert "<table" not in never._repr_html_()
        with pytest.raises(ScanError, match="the history keeps duration_ms, error, metrics"):
            await ops.backtest("shop", "body.depth > 5")
        with pytest.raises(ScanError, match="no result of the check 'shpo'"):
            await ops.backtest("shpo", "duration_ms > 5")
        with pytest.raises(ConfigError):
            await ops.backtest("shop", "duration_ms >")
        monkeypatch.setattr(backtest, "LOOKS", 2)
        with pytest.warns(UserWarning, match="the oldest are left out"):
            assert (await ops.backtest("shop", "duration_ms >= 0")).attrs["looks"] == 2


async def test_witnesses(tmp_path: Path, play: ops_room.Play) -> None:
    """What a row looked like when it was last ok, and when it last was not, comes whole; its details get the other of the two."""
    async with loaded(tmp_path, "shop") as room, client_of(room) as ops, room.join() as person:
        await person.snapshot()
        name = ScriptedCheck(id="shop").fingerprint
        assert await ops.witnesses(name) == (None, None)
        turns: tuple[tuple[Status, Status | None], ...] = (("ok", None), ("crit", "ok"), ("crit", "ok"), ("ok", "crit"))
        for status, other in turns:
            play.statuses["shop"] = status
            report = await ops.scan()
            past = (await person.ask("past", fingerprint=name))["result"]
            assert (past["witness"] and past["witness"]["status"]) == other
        success, failure = await ops.witnesses(name)
        assert success is not None
        assert failure is not None
        assert (success.scan_id, failure.status, failure.summary) == (report.scan_id, "crit", "it is crit")
        assert success.observed_at >= failure.observed_at


async def test_what_is_left_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than an answer holds: the newest come, with a warning; exactly as many come without one."""
    async with loaded(tmp_path, "shop") as room, client_of(room) as ops:
        for _ in range(3):
            last = await ops.scan()
        monkeypatch.setattr(queries, "PAST", 3)
        assert (await ops.history()).attrs == {"resolution": "raw", "cut": False}
        assert (await ops.changes()).attrs == {"cut": False}
        monkeypatch.setattr(queries, "PAST", 1)
        await room.service.load_config("other.yaml", [ScriptedCheck(id="disk")])
        last = await ops.scan(["disk"])
        with pytest.warns(UserWarning, match=r"hours\(\): there are more rows .*history\(resolution='day'\) has the figures of more"):
            assert len(await ops.hours()) == 1
        monkeypatch.setattr(queries, "PAST", 2)
        with pytest.warns(UserWarning, match=r"history\(\): there are more rows in the last 24 hours than one answer holds"):
            history = await ops.history(resolution="raw")
        assert (len(history), history["scan_id"].iloc[-1]) == (2, last.scan_id)
        assert history.attrs == {"resolution": "raw", "cut": True}


async def test_more_results_than_fit_come_as_figures(tmp_path: Path, play: ops_room.Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole is there, by the minute or coarser, with a status and a duration as results have them; one that is asked for comes."""
    async with loaded(tmp_path, "disk", "shop") as room, client_of(room) as ops:
        for status in ("ok", "warn", "ok"):
            play.statuses["shop"] = status
            await ops.scan()
        monkeypatch.setattr(queries, "PAST", 5)
        history = await ops.history()
        assert history.attrs["resolution"] in ("minute", "hour", "day"), "never cut where figures have the whole"
        assert (history["looks"].sum(), history["warn"].sum(), history.attrs["cut"]) == (6, 1, False)
        assert set(history.loc[history["status"] >= "warn", "check_id"]) == {"shop"}
        assert (history["duration_ms"] == history["p50_ms"]).all()
        assert (history.index.name, str(history.index.dtype)) == ("time", "datetime64[ms, UTC]")
        shop = await ops.history(check="shop", resolution="day")
        assert (set(shop["check_id"]), shop["looks"].sum(), shop.attrs["resolution"]) == ({"shop"}, 3, "day")
        with pytest.raises(ScanError, match="`resolution` must be auto or one of raw, minute, hour, day, got 'weekly'"):
            await ops.history(resolution="weekly")  # type: ignore[arg-type]


async def test_hours(tmp_path: Path) -> None:
    """Figures of ended hours come as a frame, of all checks or of one."""
    async with loaded(tmp_path, "disk", "shop") as room, client_of(room) as ops:
        for _ in range(2):
            await ops.scan()
        assert (await ops.hours(check="disk"))["looks"].sum() == 2, "the hour under way is in it"
        await room.service.history.roll_up(datetime.now(UTC) + timedelta(hours=1))
        hours = await ops.hours(check="disk", hours=2)
        # Two rows where an hour ended between the scans.
        assert (set(hours["check_id"]), hours["looks"].sum(), set(hours["uptime"])) == ({"disk"}, 2, {1.0})
        assert isinstance(hours["hour"].dtype, pd.DatetimeTZDtype)
        assert set((await ops.hours(hours=2))["check_id"]) == {"disk", "shop"}


async def test_empty_frames_have_their_columns(tmp_path: Path) -> None:
    """A room without scans gives empty frames that can be asked by column, and no latest report."""
    async with loaded(tmp_path, "disk") as room, client_of(room) as ops:
        assert list((await ops.hours())["uptime"]) == []
        assert list((await ops.history())["status"]) == []
        assert list((await ops.changes())["at"]) == []
        assert list((await ops.events())["kind"]) == []
        assert list((await ops.scans())["scan_id"]) == []
        with pytest.raises(ScanError, match="no scan has finished"):
            await ops.latest()


async def test_a_selection(tmp_path: Path) -> None:
    """Checks are chosen by id or label; an unknown id is one sentence with a hint."""
    async with loaded(tmp_path, "disk", "shop") as room, client_of(room) as ops:
        assert [result.check_id for result in (await ops.scan(["disk"])).results] == ["disk"]
        assert [result.check_id for result in (await ops.scan(labels={"team": "sho"})).results] == ["shop"]
        with pytest.raises(ScanError, match="did you mean 'shop'"):
            await ops.scan(["shpo"])


async def test_a_truncated_report_is_fetched_whole(tmp_path: Path) -> None:
    """A report too large for one frame is completed over HTTP."""
    async with loaded(tmp_path, *(f"check-{number:04}" for number in range(600))) as room, client_of(room) as ops:
        report = await ops.scan()
        assert len(report.results) == report.total == 600
        assert len(ops.rows) == 600


async def test_a_snapshot_in_parts(tmp_path: Path) -> None:
    """A client that joins late has all rows, however many parts they came in."""
    async with loaded(tmp_path, *(f"check-{number:04}" for number in range(600))) as room:
        await room.ops.run_scan()
        async with client_of(room, "val-viewer") as ops:
            assert len(ops.rows) == 600


async def test_before_the_first_look_no_check_is_strange(tmp_path: Path) -> None:
    """Where no row is, a past is empty without a word: the check may be one to come."""
    async with loaded(tmp_path, "disk") as room, client_of(room) as ops:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert (await ops.history("disk")).empty


async def test_a_scan_survives_a_lost_connection(tmp_path: Path, play: ops_room.Play) -> None:
    """The socket is cut while a scan runs; the report still comes."""
    looking, go_on = asyncio.Event(), asyncio.Event()

    async def hold(check_id: str) -> None:
        looking.set()
        await go_on.wait()

    play.before = hold
    async with loaded(tmp_path, "disk") as room, client_of(room) as ops:
        scan = asyncio.ensure_future(ops.scan(timeout=WAIT))
        await asyncio.wait_for(looking.wait(), WAIT)
        await until(ops, lambda: bool(ops.running))
        assert ops.socket._socket is not None
        ops.socket._socket.transport.abort()
        await until(ops, lambda: ops.state == "lost")
        go_on.set()
        report = await scan
        assert [result.status for result in report.results] == ["ok"]


async def test_a_scan_that_outlasts_ones_patience_says_how_far_it_is(tmp_path: Path, play: ops_room.Play) -> None:
    """Which scan, how many checks, and how one waits on; while the connection is lost, that it is."""
    go_on = asyncio.Event()

    async def hold(check_id: str) -> None:
        await go_on.wait()

    play.before = hold
    async with loaded(tmp_path, "disk") as room, client_of(room) as ops:
        scan_id = await ops.start_scan()
        with pytest.raises(TimeoutError, match=rf"scan {scan_id} has not ended within 0\.05 s \(0 of 1 checks are done\): .*ops\.report"):
            await ops.report(scan_id, timeout=0.05)
        assert ops.socket._socket is not None
        ops.socket._socket.transport.abort()
        await until(ops, lambda: ops.state == "lost")
        with pytest.raises(TimeoutError, match=r"0 of 1 checks were done when the connection was lost"):
            await ops.report(scan_id, timeout=0)
        go_on.set()
        assert (await ops.report(scan_id, timeout=WAIT)).counts["ok"] == 1


async def test_a_scan_is_cancelled(tmp_path: Path, play: ops_room.Play) -> None:
    """Who stops waiting ends the scan in the host; everyone gets what there is, its checks are not looked at further."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def before(check_id: str) -> None:
        if check_id == "slow":
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    play.before = before
    async with loaded(tmp_path, "disk", "slow") as room, client_of(room) as ops, client_of(room, "val-viewer") as other:
        scanning = asyncio.create_task(ops.scan())
        async with asyncio.timeout(WAIT):
            await begun.wait()
            await until(other, lambda: bool(other.running) and "disk" in {row["check_id"] for row in other.rows.values()})
            (scan_id,) = other.running
            with pytest.raises(ScanError, match="cancel needs the role admin, you are viewer"):
                await other.cancel_scan(scan_id)
            scanning.cancel()
            with pytest.raises(asyncio.CancelledError):
                await scanning
            await ended.wait()
            report = await other.report(scan_id)
        assert [result.check_id for result in report.results] == ["disk"]
        assert (report.total, room.service.running()) == (2, [])
        with pytest.raises(ScanError, match="is under way: it has ended"):
            await ops.cancel_scan(scan_id)


async def test_roles(tmp_path: Path) -> None:
    """What a role may not do is refused with the room's own sentence."""
    async with loaded(tmp_path, "disk") as room, client_of(room, "val-viewer") as ops:
        with pytest.raises(ScanError, match="scan needs the role admin"):
            await ops.scan()
        with pytest.raises(RefusedError, match="publishing a report needs the role runner"):
            await ops.publish(ScanReport())


async def test_a_wrong_token(tmp_path: Path) -> None:
    """A token that the host does not know ends the client at once."""
    async with loaded(tmp_path, "disk") as room:
        ops = OpsClient(room.url, token="not-a-token-of-this-host")
        with pytest.raises(RefusedError, match="HTTP 401"):
            async with ops:
                pass
        assert ops.state == "refused"


async def test_a_request_whose_connection_is_lost(tmp_path: Path) -> None:
    """It fails at once: nobody will answer it any more."""
    async with loaded(tmp_path, "disk") as room, client_of(room) as ops:
        _, answer = ops._requests.open()
        ops.socket.reconnect()
        async with asyncio.timeout(WAIT):
            with pytest.raises(HostError, match=r"the connection was lost .* before the answer came"):
                await answer
        await until(ops, lambda: ops.state == "live")


async def test_acks_and_silences(tmp_path: Path, play: ops_room.Play) -> None:
    """An ack and a silence are seen in the rows of everybody."""
    play.statuses["shop"] = "crit"
    async with loaded(tmp_path, "shop") as room, client_of(room, "rob-responder") as ops, client_of(room) as ana:
        await ana.scan()
        (name,) = ana.rows
        await until(ops, lambda: name in ops.rows)
        await ops.ack(name, "on it")
        await until(ana, lambda: (ana.rows[name]["suppression"] or {}).get("by") == "ack")
        await ops.withdraw_ack(name)
        await until(ana, lambda: ana.rows[name]["suppression"] is None)
        await ops.silence({"team": "sho"}, datetime.now(UTC) + timedelta(hours=1), "deploy")
        await until(ana, lambda: len(ana.silences) == 1 and ana.rows[name]["suppression"] is not None)
        await ops.lift_silence({"team": "sho"})
        await until(ana, lambda: not ana.silences)
        said = await ana.events(hours=1)
        assert list(zip(said["kind"], said["title"], said["actor"], said["reason"], strict=True)) == [
            ("ack", "shop", "Rob", "on it"),
            ("ack-withdrawn", "shop", "Rob", None),
            ("silence", "team=sho", "Rob", "deploy"),
            ("silence-lifted", "team=sho", "Rob", "deploy"),
        ]
        assert (said["until"] > said["at"]).tolist() == [False, False, True, False]
        assert said["subject"].tolist()[::2] == [name, '{"team": "sho"}']
        with pytest.raises(KeywordError, match="no time zone"):
            await ops.silence({}, datetime(2030, 1, 1), "x")


async def test_a_silence_of_nothing_says_so(tmp_path: Path) -> None:
    """Whoever mistypes a label is told that nothing is quiet by it; what matches a row, or half of whose matchers do, is another thing."""
    async with loaded(tmp_path, "shop") as room, client_of(room, "rob-responder") as ops:
        await room.ops.run_scan()
        with pytest.warns(UserWarning, match=r"no row has team=sho, check_id=shpo now, so nothing is quiet by it yet; lift_silence\(\)"):
            await ops.silence({"team": "sho", "check_id": "shpo"}, "1h", "deploy")
        await ops.silence({"team": "sho", "check_id": "shop"}, "1h", "deploy")
        await ops.lift_silence({"team": "sho", "check_id": "shpo"})
        with pytest.raises(ScanError, match="exactly these matchers"):
            await ops.lift_silence({"team": "sho", "check_id": "shpo"})


async def test_recheck(tmp_path: Path, play: ops_room.Play) -> None:
    """A responder looks again at one row."""
    play.statuses["shop"] = "crit"
    async with loaded(tmp_path, "disk", "shop") as room, client_of(room, "rob-responder") as ops:
        await room.ops.run_scan()
        await until(ops, lambda: len(ops.rows) == 2)
        play.statuses["shop"] = "ok"
        failing = [name for name, row in ops.rows.items() if row["status"] == "crit"]
        report = await ops.recheck(failing, timeout=WAIT)
        assert [(result.check_id, result.status) for result in report.results] == [("shop", "ok")]
        assert ops.counts["ok"] == 2


async def test_publish(tmp_path: Path) -> None:
    """A report made elsewhere appears in the room like a scan of its own."""
    report = ScanReport(results=[CheckResult("cert", "tls", "shop:443", "warn")])
    async with loaded(tmp_path) as room, client_of(room, "val-viewer") as val, client_of(room, "kim-runner") as kim:
        await kim.publish(report)
        await until(val, lambda: val.counts["warn"] == 1)
        assert [row["check_id"] for row in val.rows.values()] == ["cert"]


async def test_a_report_over_the_limit_is_not_sent(tmp_path: Path) -> None:
    """A report larger than what a host takes is one sentence with what to do; one just below it is taken."""
    assert ops_http.PUBLISH_LIMIT == requests.BODY_BYTES

    def report(count: int) -> ScanReport:
        return ScanReport(results=[CheckResult(f"check-{n}", "tcp", "t", "ok", details="x" * bounds.DETAILS_BYTES) for n in range(count)])

    async with loaded(tmp_path) as room, client_of(room, "kim-runner") as kim:
        with pytest.raises(ScanError, match=r"600 results has \d+\.\d MiB, a host takes 8 at once: scan and publish the checks in parts"):
            await kim.publish(report(600))
        await kim.publish(report(480))
        await until(kim, lambda: kim.counts["ok"] == 480)


async def test_rows_of_removed_checks_go(tmp_path: Path) -> None:
    """Loading a config without a check takes its row away everywhere."""
    async with loaded(tmp_path, "disk", "shop") as room, client_of(room) as ops:
        await ops.scan()
        await room.service.load_config("test.yaml", [ScriptedCheck(id="disk")])
        await until(ops, lambda: len(ops.rows) == 1)


async def test_on_message(tmp_path: Path) -> None:
    """Every message of the room is passed on after it was applied."""
    seen: list[str] = []
    async with loaded(tmp_path, "disk") as room, client_of(room, on_message=lambda kind, content: seen.append(kind)) as ops:
        await ops.scan()
    assert {"snapshot", "scan-started", "check-result", "scan-result", "reply"} <= set(seen)


async def test_load_config(tmp_path: Path) -> None:
    """A config file goes into the host under its path; a mistake names file, line and column."""
    config = tmp_path / "partywidgets.yaml"
    config.write_text("checks:\n  - {id: root-disk, type: host, disk: /}\n")
    async with running(tmp_path / "state") as app, OpsClient(app.url, token=app.owner) as ops:
        assert (await ops.load_config(config))["checks"] == ["root-disk"]
        report = await ops.scan()
        assert [result.check_id for result in report.results] == ["root-disk"]
        config.write_text("checks:\n  - {id: root-disk, type: hots}\n")
        with pytest.raises(ConfigError, match=r"partywidgets\.yaml:2:.*hots"):
            await ops.load_config(config)
        with pytest.raises(ConfigError, match="no such file"):
            await ops.load_config(tmp_path / "missing.yaml")
        with pytest.raises(ConfigError, match="the config cannot be read: Is a directory"):
            await ops.load_config(tmp_path)
        config.write_text("#" * (ops_module.CONFIG_LIMIT + 1))
        with pytest.raises(ConfigError, match="has more than 1048576 bytes: split it"):
            await ops.load_config(config)
    async with running(tmp_path / "other") as app, OpsClient(app.url, token=app.guest) as ops:
        config.write_text("checks: []\n")
        with pytest.raises(RefusedError, match="only the role admin"):
            await ops.load_config(config)


async def test_a_closed_client() -> None:
    """A client that was closed says so to whoever still waits, and one whose host is away names the reason."""
    ops = OpsClient("http://127.0.0.1:9", timeout=0.2)
    ops.start()
    with pytest.raises(HostError, match="no snapshot within"):
        await ops.ready(0.2)
    await ops.close()
    with pytest.raises(ConnectionClosedError):
        await ops.changed()


def test_board_keeps_the_newest() -> None:
    """An older result changes nothing; an absent one takes its row off, and a late snapshot part does not bring it back."""
    board = Board()
    board.put([{"fingerprint": "a", "seq": 5, "status": "crit"}, {"fingerprint": "b", "seq": 2, "status": "ok"}])
    board.put([{"fingerprint": "a", "seq": 4, "status": "ok"}])
    assert board.rows["a"]["status"] == "crit"
    board.put([{"fingerprint": "b", "seq": 6, "status": "skip", "change": "absent"}])
    board.put([{"fingerprint": "b", "seq": 2, "status": "ok"}])
    assert list(board.rows) == ["a"]
    assert board.seq == 6
    board.begin()
    assert board.rows == {}
    board.put([{"fingerprint": "b", "seq": 1, "status": "ok"}])
    assert list(board.rows) == ["b"], "the snapshot of a host that counts anew names what is there"


async def test_what_the_bar_tells(tmp_path: Path) -> None:
    """Targets that take no messages, a history that is not written, a config that is refused, and rows that left: by the snapshot and as
    they come."""
    async with loaded(tmp_path, "disk", "shop") as room, client_of(room) as ops:
        assert (ops.failing_targets, ops.unkept, ops.config_refused, ops.removed) == ([], None, None, None)
        await ops.scan()
        await room.service.refuse_config("shop.yaml:3:5: unknown key 'ur'")
        await until(ops, lambda: ops.config_refused == "shop.yaml:3:5: unknown key 'ur'")
        await room.service.load_config("test.yaml", [ScriptedCheck(id="disk", labels={"team": "dis"})])
        await until(ops, lambda: ops.removed is not None)
        async with client_of(room) as late:
            assert late.config_refused == ops.config_refused
            assert late.removed == ops.removed
            assert late.removed is not None
            assert (late.removed["count"], late.removed["titles"]) == (1, ["shop"])
        failing = [{"target": "mail", "error": "the service refused the message"}]
        await room.ops.broadcast("notify", {"failing": failing})
        await room.ops.broadcast("unkept", {"reason": "database or disk is full"})
        await until(ops, lambda: (ops.failing_targets, ops.unkept) == (failing, "database or disk is full"))
        await room.service.refuse_config(None)
        await until(ops, lambda: ops.config_refused is None)


async def test_messages_are_iterated(tmp_path: Path, play: ops_room.Play) -> None:
    """`async for kind, data in ops` has what the room tells, each after it was applied, of types that this client does not know too, until
    the client is closed."""
    heard: list[str] = []
    async with loaded(tmp_path, "shop") as room:
        ops = client_of(room)

        async def follow() -> None:
            async for kind, data in ops:
                heard.append(kind)
                if kind == "state-change":
                    assert ops.rows[data["fingerprint"]]["status"] == data["to"] == "crit"
                if kind == "of-tomorrow":
                    await ops.close()

        async with ops, asyncio.timeout(WAIT):
            play.statuses["shop"] = "crit"
            following = asyncio.ensure_future(follow())
            await ops.scan()
            await room.ops.broadcast("of-tomorrow", {})
            await following
    assert heard == ["scan-started", "check-result", "state-change", "scan-result", "of-tomorrow"]


def test_who_iterates_too_slowly_is_told() -> None:
    """What waits beyond the bound is dropped for its sum, which grows; what comes then follows it."""
    told = Told(limit=100)
    for at in ("T2", "T1", "T3"):
        told.give("state-change", {"at": at}, 40)
    told.give("ack", {"at": "T4"}, 40)
    told.give("notify", {"failing": []}, 70)
    told.give("unkept", {"reason": None}, 40)
    assert told.take() == [("skipped", {"changes": 3, "acks": 1, "since": "T1"}), ("unkept", {"reason": None})]
    assert told.take() == []
    told.give("scan-result", {}, 1_000)
    assert told.take() == [("scan-result", {})], "one that is larger than the bound is told"
