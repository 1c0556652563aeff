"""`partywidgets serve` takes its certificate and its config anew at SIGHUP; with `--watch` the config by itself, and its modules."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..exceptions import ConfigError, PartyError
from ..redaction import redact
from ..scans.module_worker import Stamp, stamp_of
from . import counted
from .certificate import Certificate

if TYPE_CHECKING:
    from ..app import App

POLL = 1.0
"""Seconds between two looks at the files."""

log = logging.getLogger("partywidgets.serve")


class Reloader:
    """Loads a config and a certificate again when it is asked to. What is not right is refused in the log, and the former stays.

    `path` is the config's, None without one; `read` is that file's stamp from before it was loaded for the first time. `tell` gets how it
    went, in a line.
    """

    def __init__(
        self,
        app: App,
        path: Path | None,
        *,
        read: Stamp,
        watch: bool,
        certificate: Certificate | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._app, self._path, self._read, self._watch = app, path, read, watch
        self._certificate, self._tell = certificate, tell
        self._wanted = asyncio.Event()

    def ask(self) -> None:
        """Asks for it; call it on the loop."""
        self._wanted.set()

    async def run(self) -> None:
        """For ever: loads when it is asked to, and with `watch` when a file has changed."""
        refused: dict[str, Stamp] = {}
        while True:
            try:
                async with asyncio.timeout(POLL if self._watch else None):
                    await self._wanted.wait()
                self._renew()
            except TimeoutError:
                if await asyncio.to_thread(self._now) in (self._loaded(), refused):
                    continue
            self._wanted.clear()
            if self._path is None:
                continue
            now = await asyncio.to_thread(self._now)
            refused = {} if await self._load(self._path) else now
            self._read = now[str(self._path)]

    def _loaded(self) -> dict[str, Stamp]:
        """The files as they were when they were read, or just after they were imported."""
        return {**self._app.functions.files, str(self._path): self._read}

    def _now(self) -> dict[str, Stamp]:
        return {path: stamp_of(path) for path in self._loaded()}

    def _renew(self) -> None:
        if self._certificate is None:
            return
        try:
            self._certificate.reload()
        except PartyError as error:
            log.error("the certificate was not reloaded, the former one stays in use: %s", error)
        else:
            log.info("the certificate %s was reloaded: new connections get it", self._certificate.path)

    async def _load(self, path: Path) -> bool:
        from ..config import load_config

        try:
            config = await asyncio.to_thread(load_config, path, environ=os.environ)
            if self._app.config.model_fields_set and not config.model_fields_set:
                # As a full disk, or an editor before it writes, leaves a file: every row would go, with its acks.
                raise ConfigError("there is nothing in the file: write `checks: []` to take all checks out", path=str(path))
            ignored = await self._app.reload(config)
        except PartyError as error:
            log.error("the config was not reloaded, the former one stays in force: %s", error)
            self._tell(
                f"the config was not reloaded, the former one stays in force: {redact(str(error), self._app.terminals.known_secrets())}"
            )
            await self._app.service.refuse_config(_for_people(error, path))
        except Exception:
            log.exception("%s could not be reloaded, the former config stays in force", path)
            self._tell(f"{path} could not be reloaded, the former config stays in force: the log says why")
            await self._app.service.refuse_config(f"{path.name}: the host's log says why")
        else:
            await self._app.service.refuse_config(None)
            late = f"; not applied before the next start: {', '.join(ignored)}" if ignored else ""
            log.info("%s was reloaded: %s%s", path, checks := counted(len(self._app.service.registry), "check"), late)
            self._tell(f"{checks}{late}")
            return True
        return False


def _for_people(error: PartyError, path: Path) -> str:
    """The first fault, for those who look at the room: without the host's directories."""
    text = str(error)
    for folder in {path.absolute().parent, path.resolve().parent}:
        text = text.replace(f"{folder}{os.sep}", "")
    first, *others = text.splitlines()
    return f"{first} (and {counted(len(others), 'more fault')})" if others else first
