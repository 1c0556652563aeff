"""Viewers that come back: how many of their keystrokes came in before the connection was lost under them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .lease import Person
from .viewer import RichViewer, Viewer

REMEMBERED = 256
"""Sockets that are gone of which it is known how many inputs came from them."""


class Returning:
    """Counts by socket, since one person may be there on several."""

    def __init__(self, viewers: Mapping[Any, Viewer]) -> None:
        self._viewers = viewers
        self._gone: dict[str, tuple[str, int]] = {}

    def left(self, viewer: Viewer) -> None:
        """Its socket is gone."""
        if isinstance(viewer, RichViewer):
            self._gone[viewer.socket] = viewer.person.subject, viewer.taken
            if len(self._gone) > REMEMBERED:
                del self._gone[next(iter(self._gone))]

    def taken(self, person: Person, socket: str) -> int | None:
        """The number of the last input that came from `socket`, which this person had before; None where nobody knows.

        What has not come by now never will: a socket that is still there is closed, so that the answer stays right.
        """
        for viewer in self._viewers.values():
            if isinstance(viewer, RichViewer) and viewer.socket == socket and viewer.person.subject == person.subject:
                viewer.connection.close(1000, "this viewer came back on another connection")
                return viewer.taken
        known = self._gone.get(socket)
        return known[1] if known is not None and known[0] == person.subject else None
