"""Running checks: results always come, hung looks end, and no fault of a check spreads."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from partywidgets.scans import judge as judging
from partywidgets.scans.checks import CHECK_TYPES
from partywidgets.scans.checks.base import CheckModel, Probe, ProbeContext
from partywidgets.scans.judge import RunContext, judge, run_check
from partywidgets.scans.model import Evidence, Runner

Act = Callable[[ProbeContext], Awaitable[Probe]]


class Scripted(CheckModel):
    """A check whose probe is what the test says."""

    type: str = "scripted"
    act: ClassVar[Act]

    @property
    def target(self) -> str:
        """Always the same."""
        return "there"

    async def probe(self, context: ProbeContext) -> Probe:
        """Does what the test says."""
        return await type(self).act(context)


def scripted(act: Act, *, ends_itself: bool = False, **given: Any) -> Scripted:
    """A check that acts so."""
    own = {"act": staticmethod(act), "ends_itself": ends_itself, "__module__": __name__}
    model: type[Scripted] = type("Scripted", (Scripted,), own)
    return model.model_validate({"id": "scripted", "timeout": 5, **given})


both_ways = pytest.mark.parametrize("ends_itself", [False, True], ids=["watched", "ends itself"])


def seen(**more: Any) -> Act:
    """A probe that returns at once."""

    async def act(context: ProbeContext) -> Probe:
        return Probe("there", **more)

    return act


async def test_hung() -> None:
    """A look that does not end is cancelled at its time, and what it opened is closed."""
    closed = asyncio.Event()

    async def act(context: ProbeContext) -> Probe:
        try:
            await asyncio.Event().wait()
        finally:
            closed.set()
        raise NotImplementedError

    result = await run_check(scripted(act, timeout=0.1))
    assert result.error is not None
    assert (result.status, result.error.kind, result.summary) == ("crit", "timeout", "no answer within 100ms")
    assert closed.is_set()


async def test_deaf(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A look that ignores its cancellation is abandoned with a line in the log, and the result comes all the same."""
    monkeypatch.setattr(judging, "CLEANUP", 0.1)
    release = asyncio.Event()

    async def act(context: ProbeContext) -> Probe:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Probe("there")

    result = await run_check(scripted(act, timeout=0.1))
    assert result.error is not None
    assert result.error.kind == "timeout"
    assert "check scripted ignores its cancellation and was abandoned" in caplog.text
    release.set()
    while judging._abandoned:
        await asyncio.sleep(0)


@both_ways
async def test_fault(caplog: pytest.LogCaptureFixture, ends_itself: bool) -> None:
    """A fault in a check's code is unknown with class and message, its traceback in the log alone."""

    async def act(context: ProbeContext) -> Probe:
        raise RuntimeError("a bug")

    with caplog.at_level(logging.WARNING):
        result = await run_check(scripted(act, ends_itself=ends_itself))
    assert result.error is not None
    assert (result.status, result.error.kind, result.summary) == ("unknown", "internal", "RuntimeError: a bug")
    assert "Traceback" in caplog.text
    assert "Traceback" not in str(result.to_wire())


@both_ways
async def test_unusable_probe(ends_itself: bool) -> None:
    """A probe that cannot be judged is a fault of its check, too."""

    async def act(context: ProbeContext) -> Probe:
        return None  # type: ignore[return-value]

    result = await run_check(scripted(act, ends_itself=ends_itself))
    assert (result.status, result.summary) == ("unknown", "AttributeError in the check's code; the log has more")


@both_ways
async def test_cancelled_itself(ends_itself: bool) -> None:
    """A check that cancels itself is unknown and cancels nobody else."""

    async def act(context: ProbeContext) -> Probe:
        raise asyncio.CancelledError

    assert (await run_check(scripted(act, ends_itself=ends_itself))).summary == "the check cancelled itself"


@both_ways
async def test_cancelled_by_us(ends_itself: bool) -> None:
    """When the run is cancelled, the look is, and the cancellation goes on."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def act(context: ProbeContext) -> Probe:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise NotImplementedError

    task = asyncio.ensure_future(run_check(scripted(act, ends_itself=ends_itself, timeout=100)))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_retries() -> None:
    """Retries end with the first look that is good; the result is the last one's."""
    looks: list[int] = []

    async def act(context: ProbeContext) -> Probe:
        looks.append(1)
        return Probe("there", error=("refused", "closed") if len(looks) < 3 else None, summary="fine")

    result = await run_check(scripted(act, retries=5, retry_delay="1ms"))
    assert (result.status, len(looks)) == ("ok", 3)
    looks.clear()
    assert (await run_check(scripted(act, retries=1, retry_delay=0))).status == "crit"


@pytest.mark.parametrize(
    ("probe", "given", "status", "summary"),
    [
        ({"summary": "fine"}, {}, "ok", "fine"),
        ({}, {}, "ok", "ok"),
        ({"error": ("dns", "no such name")}, {}, "crit", "no such name"),
        ({"error": ("internal", "a bug")}, {}, "unknown", "a bug"),
        ({"error": ("dns", "x")}, {"conditions": ["error == 'dns'"]}, "ok", "x"),
        ({"error": ("dns", "x")}, {"warn": "error == 'dns'"}, "warn", "error == 'dns': got dns"),
        ({"values": {"a": 1}}, {"conditions": ["a == 1", "a == 2", "a == 3"]}, "crit", "a == 2: got 1; a == 3: got 1"),
        ({"values": {"a": 1}}, {"conditions": ["b == 1"]}, "crit", "b == 1: got missing"),
        ({"values": {"a": 1}}, {"warn": "a > 0"}, "warn", "a > 0: got 1"),
        ({"values": {"a": 1}}, {"warn": "a > 0", "crit": "a > 0"}, "crit", "a > 0: got 1"),
        ({"values": {"a": 1}}, {"warn": "b > 0"}, "unknown", "b > 0: b is missing"),
        ({"values": {"a": 1}}, {"warn": "b > 0", "crit": "a > 0"}, "crit", "a > 0: got 1; b > 0: b is missing"),
        ({"status": "warn", "summary": "w"}, {}, "warn", "w"),
        ({"status": "crit", "values": {"a": 1}, "summary": "own"}, {"warn": "a > 0"}, "crit", "own"),
        ({"status": "unknown", "values": {"a": 1}}, {"warn": "a > 0"}, "warn", "a > 0: got 1"),
        ({"status": "skip", "summary": "not today"}, {}, "skip", "not today"),
    ],
)
async def test_judgement(probe: dict[str, Any], given: dict[str, Any], status: str, summary: str) -> None:
    """Errors, conditions, thresholds and a check's own status, in their order."""
    judgement = judge(scripted(seen(), **given), Probe("there", **probe))
    assert (judgement.status, judgement.summary) == (status, summary)


async def test_thresholds_are_shown() -> None:
    """A threshold stands among the conditions as what it is, good while it is not reached."""
    judgement = judge(scripted(seen(), warn="a > 5", crit="a > 9"), Probe("there", values={"a": 7}))
    assert [(c.expr, c.ok, c.actual) for c in judgement.conditions] == [("crit if a > 9", True, "7"), ("warn if a > 5", False, "7")]


async def test_what_a_result_is_told() -> None:
    """The result carries what the check and the run say: labels, remediation, runner, scan, staleness, fingerprint."""
    check = scripted(
        seen(evidence=[Evidence("text", "t", "the password is s3cret")], details="s3cret", summary="s3cret"),
        title="Shop",
        severity="high",
        labels={"team": "web", "zone": "eu"},
        identity=["zone"],
        every="1m",
        attempts=3,
        remediation={"text": "Restart", "command": "restart shop", "sandbox": "web"},
        runbook="runbooks/shop.ipynb",
    )
    scheduled = datetime(2026, 11, 23, tzinfo=UTC)
    runner = Runner("sre-1", "1.0", "eu")
    context = RunContext("scan-1", scheduled, runner, redact=lambda text: text.replace("s3cret", "***"))
    result = await run_check(check, context)
    assert (result.scan_id, result.scheduled_at, result.runner, result.title, result.severity) == (
        "scan-1",
        scheduled,
        runner,
        "Shop",
        "high",
    )
    assert (result.state.max_attempts, result.ttl_s) == (3, 185.0)
    assert result.remediation is not None
    assert (result.remediation.runbook, result.remediation.command, result.remediation.confirm) == (
        "runbooks/shop.ipynb",
        "restart shop",
        True,
    )
    assert (result.summary, result.details, result.evidence[0].value, result.evidence[0].redacted) == (
        "***",
        "***",
        "the password is ***",
        True,
    )
    assert result.fingerprint == check.fingerprint
    assert scripted(seen(), labels={"team": "db", "zone": "eu"}, identity=["zone"]).fingerprint == check.fingerprint
    assert scripted(seen(), labels={"zone": "us"}, identity=["zone"]).fingerprint != check.fingerprint
    assert result.started_at <= result.observed_at


LOG = {"type": "log", "path": "/log", "pattern": "E"}
OWN_RULES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"type": "docker", "container": "c", "warn": "restarts > 3"}, {"status": "exited", "health": "none", "restarts": 0}, "crit"),
    ({"type": "docker", "container": "c", "warn": "restarts > 3"}, {"status": "running", "health": "unhealthy", "restarts": 0}, "crit"),
    ({"type": "docker", "container": "c", "warn": "health == 'unhealthy'"}, {"status": "running", "health": "unhealthy"}, "warn"),
    ({"type": "docker", "container": "c", "crit": "exit_code != 0"}, {"status": "exited", "health": "none", "exit_code": 0}, "ok"),
    ({"type": "systemd", "unit": "u", "warn": "restarts > 3"}, {"active_state": "failed", "restarts": 0}, "crit"),
    ({"type": "systemd", "unit": "u", "warn": "active_state != 'active'"}, {"active_state": "failed"}, "warn"),
    (
        {"type": "kubernetes", "kinds": ["nodes", "events"], "warn": "warnings > 20"},
        {"nodes_not_ready": 1, "nodes_under_pressure": 0, "warnings": 1},
        "crit",
    ),
    (
        {"type": "kubernetes", "kinds": ["pods"], "warn": "pods_not_ready > 0", "crit": "pods_not_ready > 2"},
        {"pods": [{}], "pods_not_ready": 1},
        "warn",
    ),
    ({"type": "host", "process": "p", "warn": "rss_bytes > 9"}, {"count": 0, "rss_bytes": 0}, "crit"),
    ({"type": "host", "port": 9, "warn": "size(addresses) > 1"}, {"listening": False, "addresses": []}, "ok"),
    ({**LOG, "warn": "age_s > 60"}, {"exists": True, "count": 2, "age_s": 1}, "crit"),
    ({**LOG, "warn": "count > 0"}, {"exists": True, "count": 2}, "warn"),
    ({**LOG, "warn": "count > 0"}, {"exists": False, "count": 0}, "crit"),
    ({"type": "promql", "url": "http://p", "query": "up", "warn": "more"}, {"count": 0, "more": False}, "crit"),
    ({"type": "promql", "url": "http://p", "query": "up", "warn": "size(series) > 3"}, {"count": 0, "series": []}, "ok"),
    ({"type": "promql", "url": "http://p", "query": "up", "conditions": ["count == 0"]}, {"count": 0}, "ok"),
]


@pytest.mark.parametrize(("given", "values", "status"), OWN_RULES, ids=[" ".join(map(str, given.values())) for given, _, _ in OWN_RULES])
def test_a_threshold_takes_the_place_of_no_other_rule(given: dict[str, Any], values: dict[str, Any], status: str) -> None:
    """Who adds a `warn` about restarts still hears that nothing runs; only the rule that the expression itself is about gives way."""
    check = CHECK_TYPES[given["type"]].model_validate({"id": "x", **given})
    assert judge(check, Probe("t", values=values)).status == status


def test_why_an_expression_has_no_answer() -> None:
    """A target that gave nothing is told as that, not as a comparison with null."""
    check = CHECK_TYPES["promql"].model_validate({"id": "x", "url": "http://p", "query": "up", "crit": "value < 1.0"})
    judgement = judge(check, Probe("t", values={"value": None, "count": 0}, nothing="the query finds no series"))
    assert (judgement.status, judgement.summary) == ("unknown", "the query finds no series, so value < 1.0 has no answer")


def test_types() -> None:
    """Each kind of check is found by its `type`."""
    assert {name: model.model_fields["type"].default for name, model in CHECK_TYPES.items()} == {name: name for name in CHECK_TYPES}
    assert list(CHECK_TYPES)[:8] == ["http", "tcp", "dns", "tls", "host", "exec", "function", "heartbeat"]
    assert set(CHECK_TYPES) > {"icmp", "file", "log", "systemd", "sql", "promql", "docker", "kubernetes"}


def test_light_import() -> None:
    """The kinds of checks are known without importing what their probes need."""
    heavy = ["dns", "cryptography", "psutil", "httptools", "celpy", "pandas", "numpy", "aiohttp", "aiodocker", "kubernetes_asyncio", "re2"]
    code = f"import sys, partywidgets.scans.checks, partywidgets.scans.judge; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
