"""The functions of a config's `modules`: run in a process of their own, so that one that hangs or crashes ends there and nowhere else.

A function past its time is reported by the process itself; it then takes no further runs, and is killed when the others in it have ended,
at the latest at their own deadlines. One that holds up the whole process (in C, with the interpreter's lock) is killed at once, and what
else ran there says why it has no result. The next run starts another process; after crashes it waits 1 s, doubled up to a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .checks.base import UNSCHEDULED
from .execution import Loaded
from .module_functions import GRACE, ModuleFunctions
from .module_worker import Stamp


class ModuleProcesses:
    """The processes of all configs that have `modules`, one for each. `async with`: leaving ends them.

    `redact` removes secrets from what is logged of them.
    """

    def __init__(self, redact: Callable[[str], str] | None = None) -> None:
        self._redact = redact or (lambda text: text)
        self._functions: dict[str, ModuleFunctions] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> ModuleProcesses:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for functions in self._functions.values():
            functions.end()
        for _ in range(3):  # a start that was under way leaves others behind
            tasks = [task for task in self._tasks if task is not asyncio.current_task()]
            if not tasks:
                break
            _, pending = await asyncio.wait(tasks, timeout=GRACE)  # they end with the processes
            for task in pending:
                task.cancel()

    @property
    def files(self) -> dict[str, Stamp]:
        """The files of all modules as they were when they were imported, for who watches them."""
        return {path: stamp for functions in self._functions.values() for path, stamp in functions.files.items()}

    @contextlib.asynccontextmanager
    async def loading(self, name: str, modules: Sequence[str], base: Path, *, scheduled: bool = True) -> AsyncIterator[list[Loaded]]:
        """The functions of `modules`, imported anew in a process that takes over from the former one when the block ends without an error.

        `name` is the config's; the modules are looked for in `base`, which is also their working directory, before the rest of the path.
        Without `scheduled` their `every` and `cron` do not count.
        Raises ConfigError with the file and line of what keeps a module from being imported.
        """
        if not modules:
            yield []
            if (functions := self._functions.get(name)) is not None:
                functions.take(None)
            return
        functions = self._functions.setdefault(name, ModuleFunctions(name, self._own, self._redact))
        process = await functions.launch(tuple(modules), base)
        try:
            checks = process.checks if scheduled else [check.model_copy(update=UNSCHEDULED) for check in process.checks]
            yield [functions.loaded(check) for check in checks]
        except BaseException:
            process.kill()
            raise
        functions.modules, functions.base = tuple(modules), base
        functions.take(process)

    def _own(self, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
