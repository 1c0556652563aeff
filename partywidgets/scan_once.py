"""One scan of a config in this process, without a room: what `partywidgets scan` does, and `pw.scan()` in a notebook."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from .config import Config, load_config
from .references import Secrets

if TYPE_CHECKING:
    from .scans.report import ScanReport
    from .scans.service import BroadcastCallback, Selection


async def scan_once(
    config: Config | Path | str, selection: Selection | None = None, *, broadcast: BroadcastCallback | None = None
) -> ScanReport:
    """Runs the selected checks of a config, and the `@check` functions of its `modules` in a process of theirs; returns the whole report.

    Nothing is kept: no history, no schedule, no earlier state. `broadcast` gets what a room would. Raises ConfigError for a mistake in the
    config or a module that cannot be imported, ScanError when the selection names nothing.
    """
    from .scans.checks.base import UNSCHEDULED
    from .scans.modules import ModuleProcesses
    from .scans.service import OpsMonitorService

    loaded = config if isinstance(config, Config) else await asyncio.to_thread(load_config, config, environ=os.environ)
    base = Path(loaded.path).parent
    secrets = Secrets()
    async with (
        ModuleProcesses(secrets.redact) as processes,
        OpsMonitorService(limits=loaded.limits, redact=secrets.redact) as service,
    ):
        # Without a rhythm of their own: this scan is the only one.
        checks = [check.model_copy(update=UNSCHEDULED) for check in loaded.checks]
        async with processes.loading(loaded.path, loaded.modules, base, scheduled=False) as functions:
            await service.load_config(loaded.path, checks, functions=functions, maintenance=loaded.waivers, resolve=secrets.resolver(base))
        return await service.run_scan(selection, broadcast=broadcast)
