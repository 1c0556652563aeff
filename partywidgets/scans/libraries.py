"""What looks load once, loaded before the first of them: an import, or reading the system's certificates, stops the whole process, and
its time would count as the target's."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Hashable, Iterable

from ..redaction import redact
from .checks.base import CheckModel
from .checks.dial import DialError, tls_context

_log = logging.getLogger("partywidgets.scans")


def load(checks: Iterable[CheckModel]) -> None:
    """Loads what these checks need for a look: libraries, TLS contexts, the patterns of secrets. What cannot be loaded is the look's to
    say."""
    redact("")
    for name in dict.fromkeys(name for check in checks for name in check.libraries):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        except Exception:
            _log.exception("%s cannot be imported; checks that need it say so", name)
    for settings in dict.fromkeys(settings for check in checks for settings in check.tls_settings()):
        try:
            tls_context(*settings)
        except DialError:
            continue


class Libraries:
    """Loads in a thread, for the looks of one loop."""

    def __init__(self) -> None:
        self._loaded: set[Hashable] = set()
        self._loading = asyncio.Lock()

    async def ready(self, *checks: CheckModel) -> None:
        """Returns when looks at these have nothing more to load. While others load, it waits as well: that would hold a look up."""
        wanted = {(type(check), check.tls_settings()): check for check in checks}
        if wanted.keys() <= self._loaded and not self._loading.locked():
            return
        async with self._loading:
            missing = [check for what, check in wanted.items() if what not in self._loaded]
            if missing:
                await asyncio.to_thread(load, missing)
                self._loaded |= wanted.keys()
