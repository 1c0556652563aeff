"""The process that runs the functions of a config's modules: `python -m partywidgets.scans.module_worker BASE MODULE…`.

It speaks JSON lines with `modules.py`, which starts it and ends it: on its standard input `run` and `cancel`, on its standard output
`offer` or `refusal` at the start, then a `result` for each run. What functions print goes to standard error.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from ..redaction import redact
from .calls import shared_calls
from .check_decorator import RegisteredCheck, registered_checks
from .judge import RunContext, run_check

_log = logging.getLogger("partywidgets.modules")


Stamp = tuple[int, int, int]
"""What changes with a file: its time of change in ns, its size, its inode."""


def stamp_of(path: str | Path) -> Stamp:
    """A file as it is now; zeros for one that is not there, as while an editor puts a new one in its place."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


class _Refused(Exception):
    """The modules cannot be used."""

    def __init__(self, sentence: str, path: str | None = None, line: int | None = None) -> None:
        super().__init__(sentence)
        self.path, self.line = path, line


def load(base: str, modules: list[str]) -> tuple[list[RegisteredCheck], dict[str, Stamp]]:
    """Imports the modules, looked for below `base` first; returns their checks, and their files as they were.

    Raises _Refused with a place.
    """
    sys.path.insert(0, base)
    files: dict[str, Stamp] = {}
    for name in modules:
        try:
            module = importlib.import_module(name)
        except BaseException as error:  # a module may call sys.exit, too
            path, line = _place(error, Path(base))
            said = error.msg if isinstance(error, SyntaxError) else error
            what = "there is no such module" if _missing(error, name) else f"{type(error).__name__}: {said}"
            raise _Refused(f"the module {name} cannot be imported: {what}", path, line) from error
        if file := getattr(module, "__file__", None):
            files[file] = stamp_of(file)
    return registered_checks(modules), files


def _missing(error: BaseException, name: str) -> bool:
    return isinstance(error, ModuleNotFoundError) and error.name is not None and f"{name}.".startswith(f"{error.name}.")


def _place(error: BaseException, base: Path) -> tuple[str | None, int | None]:
    """The file and line that a person would look at: a syntax error's own, else the last of the traceback that is below `base`."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return error.filename, error.lineno
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(base)]
    return (own[-1].filename, own[-1].lineno) if own else (None, None)


class _Worker:
    """Runs what it is told to, each in a task of its own."""

    def __init__(self, checks: list[RegisteredCheck], out: int) -> None:
        self._checks = {entry.check.id: entry.check for entry in checks}
        self._out = out
        self._runs: dict[str, asyncio.Task[None]] = {}

    def told(self, line: bytes) -> None:
        message = json.loads(line)
        run_id = str(message["data"]["run_id"])
        if message["type"] == "run":
            task = asyncio.get_running_loop().create_task(self._run(run_id, str(message["data"]["check_id"])), name=f"run {run_id}")
            self._runs[run_id] = task
            task.add_done_callback(lambda _: self._runs.pop(run_id, None))
        elif message["type"] == "cancel" and (running := self._runs.get(run_id)) is not None:
            running.cancel()

    async def _run(self, run_id: str, check_id: str) -> None:
        check = self._checks.get(check_id)
        if check is None:
            self.say("result", {"run_id": run_id, "result": None, "stuck": False})
            return
        wire = None
        try:
            # The host retries: a further look after one that hung goes into a process of its own. Here what looks like a secret is hidden
            # while the texts are whole; the host hides those that it knows.
            wire = (await run_check(check.model_copy(update={"retries": 0}), RunContext(redact=redact))).to_wire()
        finally:
            self.say("result", {"run_id": run_id, "result": wire, "stuck": shared_calls().running(check.function)})

    def say(self, kind: str, content: dict[str, Any]) -> None:
        _write(self._out, kind, content)


def _write(out: int, kind: str, content: dict[str, Any]) -> None:
    left = memoryview(json.dumps({"type": kind, "data": content}).encode() + b"\n")
    while left:
        left = left[os.write(out, left) :]


async def _serve(worker: _Worker, inlet: int) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(inlet, "rb", 0))
    while line := await reader.readline():
        try:
            worker.told(line)
        except (ValueError, KeyError, TypeError) as error:
            _log.error("a message of the host could not be read: %r", error)


def main() -> None:
    """Loads the modules and runs their functions until the host closes the pipe."""
    # A service manager sends SIGTERM to all processes of a service: the host's, which ends us. What functions start ends by it as ever.
    signal.signal(signal.SIGTERM, lambda *_: None)
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    # The pipes are the protocol's alone: a function that prints or reads must not meet them.
    inlet, out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        checks, files = load(sys.argv[1], sys.argv[2:])
    except _Refused as error:
        _write(out, "refusal", {"error": str(error), "path": error.path, "line": error.line})
        os._exit(1)
    redact("")  # its patterns are loaded now: later it would take a check's time
    _write(out, "offer", {"checks": [entry.check.model_dump(mode="json") for entry in checks], "files": files})
    asyncio.run(_serve(_Worker(checks, out), inlet))
    os._exit(0)  # functions that still run are threads of nobody's


if __name__ == "__main__":
    main()
