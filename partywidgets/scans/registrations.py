"""What registries said of domains, kept over restarts of the host: else each start would ask them about all domains at once."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from .checks import rdap
from .checks.rdap import KEPT, Registration

if TYPE_CHECKING:
    from .service import OpsMonitorService

_log = logging.getLogger("partywidgets.scans")


async def restore(service: OpsMonitorService) -> None:
    """Takes what the last run left. What cannot be read is asked for again."""
    now = time.time()
    for name, server, at, text in await service.history.registrations():
        try:
            rdap.REGISTRIES.restore(name, server, max(0.0, now - at), Registration.from_json(text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("what a registry said of %s cannot be read and is asked for again: %r", name, error)


async def keep(service: OpsMonitorService) -> None:
    """Writes what came since the last time."""
    if fresh := rdap.REGISTRIES.fresh():
        now = time.time()
        rows = [(name, server, now - age, found.to_json()) for name, server, age, found in fresh]
        await service.kept(service.history.keep_registrations(rows, since=now - KEPT))
