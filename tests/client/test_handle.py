"""Handles: work on another loop, awaited or waited for."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from partywidgets.client.command import CommandResult
from partywidgets.client.handle import Handle
from partywidgets.exceptions import MissingNameError

WAIT = 20.0


@pytest.fixture
def room_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread of its own, as the room loop is."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    asyncio.run_coroutine_threadsafe(end_the_rest(), loop).result(WAIT)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(WAIT)
    loop.close()


async def end_the_rest() -> None:
    """What a test leaves on the loop, also what it has only just cancelled."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


async def work(gate: asyncio.Event | None = None, result: str = "done") -> str:
    if gate is not None:
        await gate.wait()
    return result


async def test_await_from_another_loop(room_loop: asyncio.AbstractEventLoop) -> None:
    """It starts at once, can be awaited again and again, and says so while it runs."""
    gate = asyncio.Event()
    handle = Handle.start(work(gate), "df -h /", loop=room_loop)
    assert repr(handle) == "running: df -h / (await it)"
    assert not handle.done
    with pytest.raises(RuntimeError, match="still running"):
        handle.result()
    room_loop.call_soon_threadsafe(gate.set)
    async with asyncio.timeout(WAIT):
        assert list(await asyncio.gather(handle, handle)) == ["done", "done"]
        assert await handle == "done"
    assert repr(handle) == "'done'"


async def test_notes_are_printed_where_it_is_awaited(room_loop: asyncio.AbstractEventLoop, capsys: pytest.CaptureFixture[str]) -> None:
    """What the work has to say comes to stderr of who awaits it or waits for it; who gives up on it is told what becomes of it."""
    gate = asyncio.Event()
    handle: Handle[str] = Handle(asyncio.run_coroutine_threadsafe(work(gate), room_loop), "x", loop=room_loop, left="it goes on")
    handle.note("it asks")
    waiting = asyncio.ensure_future(handle._arrive())
    blocked = asyncio.ensure_future(asyncio.to_thread(handle.wait, WAIT))
    said = ""
    async with asyncio.timeout(WAIT):
        while "it asks" not in said:
            said += capsys.readouterr().err
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert "it goes on" in capsys.readouterr().err
        handle.note("and again")
        while "and again" not in said:
            said += capsys.readouterr().err
            await asyncio.sleep(0.01)
        room_loop.call_soon_threadsafe(gate.set)
        assert await blocked == "done"


def test_wait_in_a_script(room_loop: asyncio.AbstractEventLoop) -> None:
    """wait() blocks a plain script, within its timeout."""
    gate = asyncio.Event()
    handle = Handle.start(work(gate), "x", loop=room_loop)
    with pytest.raises(TimeoutError, match=r"is not done after 0\.01 s and goes on"):
        handle.wait(0.01)
    room_loop.call_soon_threadsafe(gate.set)
    assert handle.wait(WAIT) == "done"


async def test_wait_on_its_own_loop() -> None:
    """wait() on the loop that does the work would never return: it says so instead."""
    handle = Handle.start(work(), "df", loop=asyncio.get_running_loop())
    with pytest.raises(RuntimeError, match="write `await` before 'df'"):
        handle.wait()
    assert await handle == "done"


async def test_giving_up_leaves_the_work_running(room_loop: asyncio.AbstractEventLoop) -> None:
    """A cancelled await does not cancel the work; cancel() does."""
    gate = asyncio.Event()
    handle = Handle.start(work(gate), "x", loop=room_loop)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(handle, 0.01)
    assert not handle.done
    assert handle.cancel()
    assert repr(handle) == "cancelled: x"
    with pytest.raises(concurrent.futures.CancelledError):
        handle.result()


async def test_a_failure(room_loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture) -> None:
    """An exception is raised where it is awaited; one that nobody looks at is logged."""

    async def fail() -> None:
        raise ValueError("boom")

    handle = Handle.start(fail(), "scan", loop=room_loop)
    with pytest.raises(ValueError, match="boom"):
        await handle
    assert repr(handle) == "failed: scan: boom"

    future: concurrent.futures.Future[None] = concurrent.futures.Future()
    future.set_exception(ValueError("unseen"))
    caplog.set_level(logging.WARNING)
    forgotten: Handle[None] | None = Handle(future, "forgotten")
    assert forgotten is not None
    forgotten = None
    gc.collect()
    assert "forgotten failed and nobody looked: unseen" in caplog.text


async def test_html_of_the_result(room_loop: asyncio.AbstractEventLoop) -> None:
    """A finished handle displays as its result."""

    async def run() -> CommandResult:
        return CommandResult("ls", 0, "a\n", 0.1, "/", 0)

    handle = Handle.start(run(), "ls", loop=room_loop)
    assert handle._repr_html_() is None or handle.done
    await handle
    assert handle._repr_html_() == (await handle)._repr_html_()


async def test_the_result_is_asked_too_early(room_loop: asyncio.AbstractEventLoop) -> None:
    """Who forgot the await is told so, whether the work has ended or not."""
    handle = Handle.start(asyncio.sleep(0, "there"), "scan of all checks", loop=room_loop)
    for _ in range(2):
        with pytest.raises(MissingNameError, match=r"handle on 'scan of all checks' has no 'df': `result = await …` .*, then result\.df"):
            _ = handle.df  # type: ignore[attr-defined]
        with pytest.raises(TypeError, match=r"has no items: .* then result\['status'\]"):
            _ = handle["status"]  # type: ignore[index]
        assert await handle == "there"
    assert not hasattr(handle, "_ipython_display_")


def test_an_interrupt_while_waiting(room_loop: asyncio.AbstractEventLoop, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends wait(), the work goes on, and whoever made the handle hears of it: a command that waits for its turn is withdrawn."""
    gate, given_up = asyncio.Event(), threading.Event()
    handle: Handle[str] = Handle(asyncio.run_coroutine_threadsafe(work(gate), room_loop), "x", loop=room_loop, given_up=given_up.set)
    handle.note("it waits")

    def interrupt() -> None:
        while "it waits" not in capsys.readouterr().err:  # wait() itself prints it, so it has begun
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    pressed = threading.Thread(target=interrupt)
    pressed.start()
    with pytest.raises(KeyboardInterrupt):
        handle.wait(WAIT)
    pressed.join(WAIT)
    assert given_up.is_set()
    assert not handle.done
    room_loop.call_soon_threadsafe(gate.set)
    assert handle.wait(WAIT) == "done"


async def test_giving_up_on_what_has_just_ended(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody is told that it goes on."""
    future: concurrent.futures.Future[str] = concurrent.futures.Future()
    given_up: list[bool] = []
    handle = Handle(future, "x", left="it goes on", given_up=lambda: given_up.append(True))
    waiting = asyncio.ensure_future(handle)
    await asyncio.sleep(0)
    future.set_result("done")
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (waiting.cancelled(), given_up, capsys.readouterr().err) == (True, [], "")


async def test_what_was_cancelled_is_displayed(room_loop: asyncio.AbstractEventLoop) -> None:
    """As text: it has no result to show."""
    handle = Handle.start(work(asyncio.Event()), "x", loop=room_loop)
    assert handle.cancel()
    assert (repr(handle), handle._repr_html_()) == ("cancelled: x", None)


def test_work_that_outlives_the_loop_that_awaited_it(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is there to be told any more, and nothing is logged of that."""
    future: concurrent.futures.Future[str] = concurrent.futures.Future()

    async def glance() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Handle(future, "x"), 0.01)

    asyncio.run(glance())
    future.set_result("done")
    assert caplog.records == []
