"""Who types in a terminal room: the lease of its keyboard, the requests for it, and everyone told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from .asking import Asking
from .audit import Audit
from .lease import Lease, Person
from .settings import TerminalSettings
from .viewer import Viewer


class Control:
    """The keyboard of one room. `handed` is called when the lease has another holder, or none."""

    def __init__(self, viewers: Mapping[Any, Viewer], settings: TerminalSettings, audit: Audit, *, handed: Callable[[], None]) -> None:
        self._viewers, self._audit, self._handed = viewers, audit, handed
        self.lease = Lease(idle_after=settings.idle_after)
        self.asking = Asking(self.lease, seconds=settings.ask_for, changed=self.tell, passed=self._passed)
        self._idle: asyncio.TimerHandle | None = None
        """Until the holder counts as idle; None while they do."""

    def facts(self) -> dict[str, Any]:
        """The lease's `holder`, None without one, and who is `asking` for it, the first first."""
        holder = self.lease.holder
        return {
            "holder": None if holder is None else {"connection": holder.connection, "name": holder.name},
            "asking": [{"connection": person.connection, "name": person.name} for person in self.asking.people],
        }

    def changed(self) -> None:
        """The lease changed hands: everyone is told, and the size is its holder's."""
        if (first := self.asking.settle()) is not None:
            self._audit.note("lease-passed", first)
        self._watch()
        self.tell()
        self._handed()

    def _passed(self, person: Person) -> None:
        self._audit.note("lease-passed", person)
        self.changed()

    def tell(self) -> None:
        """Tells everyone who has control, who asks for it, and whether they may type."""
        facts = self.facts()
        for viewer in list(self._viewers.values()):
            viewer.note(type="lease", **facts, can_type=self.lease.can_type(viewer.person))

    def may_type(self, viewer: Viewer) -> bool:
        """Whether input of this viewer is taken now; it then has the lease, if its role needs one."""
        taken, changed = self.lease.typed(viewer.person)
        if changed:
            self._audit.note("lease-taken", viewer.person)
            self.changed()
        elif self._idle is None and self.lease.holder is not None and not self.lease.idle:
            # Back at the keyboard before anybody followed: nobody else types any more.
            self._watch()
            self.tell()
        return taken

    def _watch(self) -> None:
        """Has everyone told when the holder has become idle: from then on whoever may have the lease takes it by typing."""
        self.close()
        wait = self.lease.idle_in
        if wait is not None and wait > 0:
            self._idle = asyncio.get_running_loop().call_later(wait, self._look)

    def _look(self) -> None:
        self._watch()
        if self._idle is None:
            self.tell()

    def answers(self, viewer: Viewer) -> bool:
        """True for the one viewer whose emulator answers a program's questions: the holder's, else the first that may type."""
        holder = self.lease.holder
        if holder is not None:
            return viewer.person.connection == holder.connection and viewer.person.subject == holder.subject
        return next((other is viewer for other in self._viewers.values() if self.lease.can_type(other.person)), False)

    def close(self) -> None:
        """Ends its timer."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
