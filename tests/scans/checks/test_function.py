"""`@check` functions: what they return, raise, block and ignore."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from partywidgets.exceptions import CheckError
from partywidgets.scans.calls import Calls, OverdueError, StillRunningError, shared_calls
from partywidgets.scans.check_decorator import check, forget, on_registration, registered, registered_checks
from partywidgets.scans.checks.function import FunctionCheck, Result
from partywidgets.scans.model import CheckResult, Metric

from .plain_assert import queue_is_short
from .servers import look


@pytest.fixture(autouse=True)
def _clean_registry() -> Iterator[None]:
    """Each test defines its own functions."""
    before = {entry.check.function for entry in registered_checks()}
    yield
    for entry in registered_checks():
        if entry.check.function not in before:
            forget(entry.check.function)


async def outcome(function: Callable[[], Any], **options: Any) -> CheckResult:
    """The result of a function as a check."""
    check(**{"timeout": 5, **options})(function)
    return await look(registered_checks()[-1].check)


@pytest.mark.parametrize(
    ("returned", "status", "summary"),
    [
        (None, "ok", "ok"),
        (True, "ok", "ok"),
        (False, "crit", "returned False"),
        (np.bool_(True), "ok", "ok"),
        (np.bool_(False), "crit", "returned False"),
        (7, "ok", "value 7"),
        (np.float64(2.5), "ok", "value 2.5"),
        (np.int64(3), "ok", "value 3"),
        (Decimal("1.5"), "ok", "value 1.5"),
        (float("nan"), "unknown", "returned nan, which is not a number to judge"),
        ("fine", "unknown", "returned str; a check returns None, True, False, a number or pw.Result"),
        ([], "unknown", "returned list; a check returns None, True, False, a number or pw.Result"),
    ],
)
async def test_returned(returned: object, status: str, summary: str) -> None:
    """What a plain and an async function return means the same."""

    def plain() -> object:
        return returned

    async def asynchronous() -> object:
        return returned

    for function in (plain, asynchronous):
        result = await outcome(function)
        assert (result.status, result.summary) == (status, summary)


@pytest.mark.parametrize(
    ("value", "status", "summary"),
    [(5, "ok", "value 5"), (15, "warn", "value > 10: got 15"), (25.5, "crit", "value > 20: got 25.5")],
)
async def test_number(value: float, status: str, summary: str) -> None:
    """A number is a metric that the thresholds judge, a bare one meaning more than it."""
    result = await outcome(lambda: value, warn=10, crit="> 20")
    assert (result.status, result.summary) == (status, summary)
    assert result.metrics[0] == Metric("value", float(value))


async def test_raised(caplog: pytest.LogCaptureFixture) -> None:
    """An exception is unknown, with class and message for everyone and the traceback in the log alone."""

    async def broken() -> None:
        raise KeyError("queue")

    with caplog.at_level(logging.WARNING):
        result = await outcome(broken)
    assert result.error is not None
    assert (result.status, result.error.kind, result.summary) == ("unknown", "internal", "KeyError: 'queue'")
    assert "Traceback" not in str(result.to_wire())
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("error", "summary"),
    [
        (SystemExit(2), "SystemExit: 2: a check does not exit, it returns a pw.Result"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (asyncio.CancelledError("gone"), "CancelledError: gone"),
    ],
)
async def test_left(error: BaseException, summary: str) -> None:
    """What ends a loop, such as sys.exit(), is a result as every error is: it once ended the loop of all rooms."""

    def plain() -> None:
        raise error

    async def asynchronous() -> None:
        raise error

    for function in (plain, asynchronous):
        result = await outcome(function)
        assert (result.status, result.summary) == ("unknown", summary)


async def test_stop_iteration() -> None:
    """A StopIteration, which no future takes, is told at once."""

    def empty() -> object:
        return next(iter(()))

    result = await outcome(empty)
    assert (result.status, result.summary) == ("unknown", "StopIteration")


async def test_assertion() -> None:
    """A failed assertion is crit with its message, or with its line when it has none."""

    def with_message() -> None:
        raise AssertionError("the queue is full")

    result = await outcome(with_message)
    assert (result.status, result.summary) == ("crit", "the queue is full")
    result = await outcome(queue_is_short)
    assert (result.status, result.summary) == ("crit", "assert depth < 100")


async def test_result() -> None:
    """`Result` says all; its values can be judged, its numbers are metrics."""

    def full() -> Result:
        return Result(
            "ok", "fine", details="long", values={"lag": 7.0, "zone": "eu"}, evidence={"query": "select 1"}, links=["https://x.example/"]
        )

    result = await outcome(full, warn="lag > 5.0 && zone == 'eu'")
    assert (result.status, result.summary, result.details) == ("warn", "lag > 5.0 && zone == 'eu': got lag=7, zone=eu", "long")
    assert result.metrics[0] == Metric("lag", 7.0)
    assert (result.evidence[0].name, result.evidence[0].value, result.links) == ("query", "select 1", ["https://x.example/"])
    assert (await outcome(lambda: Result("skip", "not today"))).status == "skip"
    with pytest.raises(ValueError, match="one of ok, warn, crit, unknown, skip, got 'bad'"):
        Result("bad")  # type: ignore[arg-type]


async def test_metrics_of_a_result() -> None:
    """Metrics are a mapping of numbers or a list of `Metric`; anything else is refused where it is written, with what to write."""
    plain = await outcome(lambda: Result("ok", metrics={"lag": 7, "share": np.float64(0.5), "none": math.nan}))
    assert plain.metrics[:2] == [Metric("lag", 7.0), Metric("share", 0.5)]
    assert [metric.name for metric in plain.metrics] == ["lag", "share", "duration_ms"]
    listed = await outcome(lambda: Result("ok", metrics=[Metric("lag", 7.0, "s")], values={"depth": 3}))
    assert listed.metrics[:2] == [Metric("lag", 7.0, "s"), Metric("depth", 3.0)]
    for wrong, words in (({"metrics": {"lag": "7"}}, "metrics= maps names to numbers"), ({"metrics": [7.0]}, "or lists Metric"),
                         ({"values": [7.0]}, "values= is a mapping"), ({"evidence": "log"}, "evidence= is a mapping"),
                         ({"links": "https://x.example/"}, "links= is a list")):  # fmt: skip
        with pytest.raises(TypeError, match=words):
            Result("ok", **wrong)


async def test_async_timeout() -> None:
    """An async function past its time is cancelled, and can run again."""
    cancelled = threading.Event()

    async def slow() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            cancelled.set()

    result = await outcome(slow, timeout=0.2)
    assert result.error is not None
    assert (result.status, result.error.kind) == ("unknown", "timeout")
    assert cancelled.is_set()
    assert "did not return within 200ms" in (await look(registered_checks()[-1].check)).summary


async def test_plain_timeout() -> None:
    """A plain function past its time is reported, left alone, and not called again until it has ended."""
    release, ended, calls = threading.Event(), threading.Event(), []

    def stuck() -> None:
        calls.append(1)
        release.wait(30)
        ended.set()

    first = await outcome(stuck, timeout=0.2)
    again = registered_checks()[-1].check
    second = await look(again)
    assert first.error is not None
    assert (first.status, first.error.kind) == ("unknown", "timeout")
    assert second.summary.endswith("still runs since an earlier time-out and was not started again")
    assert calls == [1]
    release.set()
    await asyncio.to_thread(ended.wait, 30)
    while (third := await look(again)).summary.endswith("not started again"):  # the thread is about to sign off
        await asyncio.sleep(0.01)
    assert third.status == "ok"


async def test_blocked_loop() -> None:
    """An async function that blocks its loop does not stop the other ones for long: they get a new loop."""
    release = threading.Event()

    async def blocking() -> None:
        release.wait(30)

    async def polite() -> bool:
        await asyncio.sleep(0)
        return True

    with Calls("test") as calls:
        with pytest.raises(OverdueError):
            await calls.call("blocking", blocking, 0.1)
        assert await calls.call("polite", polite, 20) is True
        with pytest.raises(StillRunningError):
            await calls.call("blocking", blocking, 0.1)
        release.set()
        while calls.running("blocking"):
            await asyncio.sleep(0.01)


async def test_who_blocks_the_loop_is_named() -> None:
    """A look at an async function that waits without await says so, one beside it says who held it up, and the next finds a loop."""
    release = threading.Event()

    async def blocking() -> None:
        release.wait(60)

    async def beside() -> bool:
        return True

    check(timeout=2)(blocking)
    check(timeout=1)(beside)
    held, innocent = registered_checks()[-2].check, registered_checks()[-1].check
    try:
        first = asyncio.create_task(look(held))
        while not shared_calls().running(held.function):
            await asyncio.sleep(0.01)
        second = await look(innocent)
        blocked, third = await first, await outcome(answers_at_once)
    finally:
        release.set()
    remedy = "the loop of async checks: what waits without await belongs into a plain def"
    assert second.error is not None
    assert blocked.error is not None
    assert second.error.message == f"{innocent.function} did not return within 1s: {held.function} blocked {remedy}"
    assert blocked.error.message == f"{held.function} did not return within 2s: it blocks {remedy}"
    assert third.status == "ok"


async def answers_at_once() -> bool:
    """Nothing to wait for."""
    return True


async def test_own_loop() -> None:
    """Async functions run on one loop that is not the caller's, plain ones in threads of their own."""

    async def where() -> tuple[int, int]:
        return id(asyncio.get_running_loop()), threading.get_ident()

    with Calls("test") as calls:
        first, second = await calls.call("a", where, 5), await calls.call("b", where, 5)
        assert first == second
        assert first[0] != id(asyncio.get_running_loop())
        assert await calls.call("c", threading.get_ident, 5) not in (first[1], threading.get_ident())
    with pytest.raises(RuntimeError, match="closed"):
        await calls.call("d", where, 5)


async def test_caller_cancelled() -> None:
    """When the caller is cancelled, its coroutine is, too."""
    started, cancelled = threading.Event(), threading.Event()

    async def slow() -> None:
        started.set()
        try:
            await asyncio.sleep(1000)
        finally:
            cancelled.set()

    with Calls("test") as calls:
        task = asyncio.ensure_future(calls.call("slow", slow, 1000))
        await asyncio.to_thread(started.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(cancelled.wait, 30)
        assert cancelled.is_set()


async def test_redefinition() -> None:
    """Defining a function again replaces the check; listeners hear of both."""
    heard: list[str] = []
    stop = on_registration(lambda entry: heard.append(entry.check.title))

    def define(value: int, title: str) -> Callable[[], int]:
        @check(title=title)
        def depth() -> int:
            return value

        return depth

    kept = define(1, "old")
    define(2, "new")
    stop()
    define(3, "unheard")
    assert heard == ["old", "new"]
    assert kept() == 1
    entries = [entry for entry in registered_checks([__name__]) if entry.check.title == "unheard"]
    assert len(entries) == 1
    assert (await look(entries[0].check)).metrics[0].value == 3
    assert registered_checks(["somewhere.else"]) == []


async def test_identity() -> None:
    """The identity is module and qualname; the id is the same without `__main__`; the title the docstring's first line."""

    def named() -> None:
        """How deep.

        More.
        """

    named.__qualname__, named.__module__ = "named", "__main__"
    check(every="5m", severity="high", labels={"team": "web"})(named)
    entry = registered("__main__:named")
    assert entry is not None
    model = entry.check
    assert (model.id, model.title, model.every, model.severity, model.labels) == ("named", "How deep.", 300.0, "high", {"team": "web"})
    assert model.target == "__main__:named"
    named.__module__ = "team.checks"
    check(named)
    assert registered("team.checks:named") is not None


async def test_not_loaded() -> None:
    """A function that nobody has defined here is unknown, with what to do; nothing is imported."""
    result = await look(FunctionCheck(id="x", function="os:getpid"))
    assert (result.status, result.summary) == ("unknown", "no function os:getpid is loaded here; import its module or run its cell")


async def test_partial() -> None:
    """A partial of an async function runs as one."""

    async def depth(queue: str) -> int:
        return len(queue)

    partial = functools.partial(depth, "abc")
    check(id="partial")(partial)
    assert (await look(registered_checks()[-1].check)).metrics[0].value == 3


async def test_forgotten_await() -> None:
    """A plain function that returns a coroutine is unknown, and the coroutine is closed."""

    async def inner() -> None:
        time.time()

    result = await outcome(lambda: inner())
    assert (result.status, result.summary[:18]) == ("unknown", "returned coroutine")


def test_faults_of_the_author() -> None:
    """What cannot be a check is refused where it is defined, by name."""

    def needs(queue: str) -> None:
        raise NotImplementedError

    def yields() -> Iterator[int]:
        yield 1

    with pytest.raises(CheckError, match=r"must not need arguments, but needs queue"):
        check(every="5m")(needs)  # type: ignore[type-var]
    with pytest.raises(CheckError, match="yields"):
        check(every="5m")(yields)
    with pytest.raises(CheckError, match=r"remediation: expected a dict, got 'restart'"):
        check(remediation="restart")(test_faults_of_the_author)  # type: ignore[call-overload]
    with pytest.raises(CheckError, match=r"there is no keyword 'evry', did you mean 'every'\?"):
        check(evry="5m")(print)  # type: ignore[call-overload]
    with pytest.raises(CheckError, match=r"every: '5x' is not a duration"):
        check(every="5x")(test_faults_of_the_author)
    with pytest.raises(CheckError, match=r"cannot be read at column 8"):
        check(warn="value >")(test_faults_of_the_author)
    with pytest.raises(CheckError, match="got type"):
        check(CheckResult)  # type: ignore[type-var]
