"""The one size of a room's terminal: whose window decides it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from .lease import Lease
from .settings import TerminalSettings
from .viewer import Viewer

RESIZE_SECONDS = 0.1
"""A window that is dragged asks for many sizes; the last one counts."""


class Sizing:
    """Decides by the windows of those who may type; `apply(cols, rows, by)` makes it so, at most every 100 ms."""

    def __init__(
        self,
        viewers: Mapping[Any, Viewer],
        lease: Lease,
        *,
        settings: TerminalSettings,
        apply: Callable[[int, int, str], Coroutine[Any, Any, None]],
        spawn: Callable[..., object],
    ) -> None:
        self._viewers, self._lease, self._settings, self._apply, self._spawn = viewers, lease, settings, apply, spawn
        self._timer: asyncio.TimerHandle | None = None
        self.by = ""
        """Whose window it is."""

    def asked(self, viewer: Viewer, cols: int, rows: int) -> None:
        """A viewer tells the size of its window."""
        if viewer.person.may_hold:
            viewer.size = cols, rows
        if self._settings.size == "smallest":
            self._fit()
        elif self._lease.controls(viewer.person):
            self._soon(cols, rows, viewer.person.name)

    def handed(self) -> None:
        """The lease has another holder: where the controller's window decides, it is theirs from now on."""
        holder = self._lease.holder
        if self._settings.size != "controller" or holder is None:
            return
        held = [viewer for viewer in self._viewers.values() if viewer.person.subject == holder.subject and viewer.size is not None]
        held.sort(key=lambda viewer: viewer.person.connection != holder.connection)
        if held and held[0].size is not None:
            self._soon(*held[0].size, holder.name)

    def viewers_changed(self) -> None:
        """Somebody with a window came or went."""
        if self._settings.size == "smallest":
            self._fit()

    def _fit(self) -> None:
        """The smallest window of all that may type decides; each direction by itself."""
        sizes = [(*viewer.size, viewer.person.name) for viewer in self._viewers.values() if viewer.size is not None]
        if sizes:
            cols, rows = min(size[0] for size in sizes), min(size[1] for size in sizes)
            names = dict.fromkeys(name for *size, name in sizes if size[0] == cols or size[1] == rows)
            self._soon(cols, rows, " and ".join(list(names)[:2]))

    def _soon(self, cols: int, rows: int, by: str) -> None:
        self.cancel()
        self._timer = asyncio.get_running_loop().call_later(RESIZE_SECONDS, self._now, cols, rows, by)

    def _now(self, cols: int, rows: int, by: str) -> None:
        self._timer = None
        self._spawn(self._apply(cols, rows, by), name="resize")

    def cancel(self) -> None:
        """Forgets a size that has not been applied."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
