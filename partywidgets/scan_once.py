"""One scan of a config in this process, without a room: what `partywidgets scan` does, and `pw.scan()` in a notebook."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .config import Config, load_config
from .exceptions import ConfigError
from .references import Secrets

if TYPE_CHECKING:
    from .scans.checks.base import CheckModel
    from .scans.model import ScanReport
    from .scans.service import BroadcastCallback, Selection


async def scan_once(
    config: Config | Path | str,
    selection: Selection | None = None,
    *,
    broadcast: BroadcastCallback | None = None,
    trigger: str = "manual",
) -> ScanReport:
    """Runs the selected checks of a config, and the `@check` functions of its `modules`, and returns the whole report.

    Nothing is kept: no history, no schedule, no earlier state. `broadcast` gets what a room would. Raises ConfigError for a mistake in the
    config or a module that cannot be imported, ScanError when the selection names nothing.
    """
    from .scans.service import OpsMonitorService

    loaded = config if isinstance(config, Config) else await asyncio.to_thread(load_config, config, environ=os.environ)
    base = Path(loaded.path).parent
    functions = _function_checks(loaded, base)
    secrets = Secrets()
    async with OpsMonitorService(limits=loaded.limits, redact=secrets.redact) as service:
        # Without an interval: this scan is the only one.
        checks = [check.model_copy(update={"every": None}) for check in [*loaded.checks, *functions]]
        await service.load_config(loaded.path, checks, resolve=secrets.resolver(base))
        return await service.run_scan(selection, broadcast=broadcast, trigger=trigger)


def _function_checks(config: Config, base: Path) -> list[CheckModel]:
    """The checks that the config's modules register; modules are looked for beside the config, too."""
    from .scans.check_decorator import registered_checks

    if not config.modules:
        return []
    sys.path.insert(0, str(base))
    try:
        for name in config.modules:
            try:
                importlib.import_module(name)
            except Exception as error:
                raise ConfigError(f"the module {name} cannot be imported: {type(error).__name__}: {error}", path=config.path) from error
    finally:
        sys.path.remove(str(base))
    return [entry.check for entry in registered_checks(config.modules)]
