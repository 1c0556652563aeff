"""The peers of a room that count its broadcasts, so that they can go on where they were (`pw1`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import resume
from .fanout import Fanout

if TYPE_CHECKING:
    from .connection import Connection


class Counting:
    """Of one resumable room. What they are told beside the broadcasts: where they go on, what left them out, the count at intervals."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fanout: Fanout, history: resume.History) -> None:
        self._loop = loop
        self._fanout = fanout
        self._history = history
        self._peers: dict[Connection, None] = {}
        self._heart: asyncio.TimerHandle | None = None

    def admit(self, connection: Connection, query: str) -> None:
        """Lets one that asks for it in its upgrade's query go on where it was, before all else it is sent; nothing for others."""
        asked = resume.asked_by(query)
        if asked is None:
            return
        missed = self._history.since(asked)
        connection.resumed = missed is not None
        offset = self._history.top - len(missed or ())
        self._fanout.send(connection, resume.resumed(self._history.epoch, offset, recovered=connection.resumed))
        for logged in missed or ():
            self._fanout.send(connection, resume.skip() if connection.id in logged.without else logged.frame)
        connection._counts = True
        self._peers[connection] = None
        if self._heart is None:
            self._heart = self._loop.call_later(resume.HEARTBEAT, self._beat)

    def leave(self, connection: Connection) -> None:
        """It counts no longer."""
        self._peers.pop(connection, None)

    def left_out(self, connections: Iterable[Connection]) -> None:
        """A broadcast was not for these."""
        for connection in connections:
            if connection._counts:
                self._fanout.send(connection, resume.skip())

    def _beat(self) -> None:
        self._heart = None
        if self._peers:
            frame = resume.heartbeat(self._history.top)
            for connection in self._peers:
                self._fanout.send(connection, frame)
            self._heart = self._loop.call_later(resume.HEARTBEAT, self._beat)

    def stop(self) -> None:
        """No more heartbeats."""
        if self._heart is not None:
            self._heart.cancel()
            self._heart = None


__all__ = ["Counting"]
