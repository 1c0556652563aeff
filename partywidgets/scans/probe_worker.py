"""The process that looks at network checks for a host: `python -m partywidgets.scans.probe_worker`, started and ended by `probing.py`.

Both ends are this package, of one installation, and speak pickled messages: the host sends checks, known secrets, runs and cancellations
on the standard input, and gets lists of results on the standard output. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import pickle
import signal
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO

from ..redaction import RedactingFormatter, redact
from .checks.base import CheckModel
from .judge import RunContext, run_check
from .libraries import load
from .model import CheckResult
from .packing import packed

RESULTS = 8
"""Most results of one message: the host takes one message in a turn of its loop, and its terminals come in between."""
_HEAD = 4

_log = logging.getLogger("partywidgets.scans")

Run = tuple[int, int, Mapping[str, str]]
"""A run's number, its check's, and what the texts of the check with references in them have become."""


def framed(kind: str, content: Any) -> bytes:
    """A message as it goes through a pipe: its length in 4 bytes, then itself."""
    body = pickle.dumps((kind, content), protocol=5)
    return len(body).to_bytes(_HEAD, "big") + body


class Unframed:
    """Messages out of what a pipe gives."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, received: bytes) -> Iterator[tuple[str, Any]]:
        """Takes what came; gives the messages that are whole."""
        rest = self._rest
        rest += received
        while len(rest) >= _HEAD and len(rest) >= (end := _HEAD + int.from_bytes(rest[:_HEAD], "big")):
            body = bytes(rest[_HEAD:end])
            del rest[:end]
            yield pickle.loads(body)


class _Worker:
    """Looks when it is told to, each time in a task of its own."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._checks: dict[int, CheckModel] = {}
        self._known: tuple[str, ...] = ()
        self._runs: dict[int, asyncio.Task[CheckResult | None]] = {}
        self._results: list[tuple[int, list[Any] | None]] = []

    def known(self) -> tuple[str, ...]:
        """The values that are secret whatever they look like."""
        return self._known

    def told(self, kind: str, content: Any) -> None:
        loop = asyncio.get_running_loop()
        if kind == "runs":
            for number, check, found in content:
                task = self._runs[number] = loop.create_task(self._run(check, found), name=f"run {number}")
                task.add_done_callback(partial(self._ended, number))
        elif kind == "checks":
            load(content.values())
            self._checks |= content
            gc.freeze()  # they stay: looking through them for garbage would hold up the runs
        elif kind == "forget":
            for check in content:
                self._checks.pop(check, None)
        elif kind == "known":
            self._known = content
        elif kind == "cancel" and content in self._runs:
            self._runs[content].cancel()

    async def _run(self, check: int, found: Mapping[str, str]) -> CheckResult | None:
        model = self._checks.get(check)
        if model is None:
            return None
        return await run_check(model, RunContext(resolve=lambda text: found.get(text, text), redact=lambda text: redact(text, self._known)))

    def _ended(self, number: int, task: asyncio.Task[CheckResult | None]) -> None:
        """Answers a run: without a result where it was cancelled, also before it began, or has failed."""
        del self._runs[number]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("a look at a network check failed", exc_info=error)
        result = None if task.cancelled() or error is not None else task.result()
        if not self._results:
            asyncio.get_running_loop().call_soon(self._flush)
        self._results.append((number, None if result is None else packed(result)))

    def _flush(self) -> None:
        results, self._results = self._results, []
        frames = [framed("results", results[first : first + RESULTS]) for first in range(0, len(results), RESULTS)]
        # The host reads all the time; when it does not, it has ended or is about to, and there is nobody to work for.
        left = memoryview(b"".join(frames))
        while left:
            left = left[self._out.write(left) :]


async def _serve(worker: _Worker, inlet: BinaryIO) -> None:
    reader, messages = asyncio.StreamReader(), Unframed()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), inlet)
    while received := await reader.read(1 << 18):
        for kind, content in messages.feed(received):
            worker.told(kind, content)


def main() -> None:
    """Looks until the host closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the host's terminal is the host's, which ends us
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as is what a service manager sends to all processes of a service
    # The pipes are the protocol's alone: whatever prints must not meet them.
    inlet, out = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)
    worker = _Worker(out)
    handler, lines = logging.StreamHandler(sys.stderr), RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    lines.known = worker.known
    handler.setFormatter(lines)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    gc.set_threshold(5_000, 10, 200)
    out.write(framed("ready", None))
    try:
        import uvloop
    except ImportError:
        loops: Any = None
    else:
        loops = uvloop.new_event_loop
    with contextlib.suppress(BrokenPipeError), asyncio.Runner(loop_factory=loops) as runner:
        runner.run(_serve(worker, inlet))
    os._exit(0)  # a resolver that hangs is a thread of nobody's


if __name__ == "__main__":
    main()
