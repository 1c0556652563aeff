"""Who looks at the board, and what of it each is sent: all of it in parts, or the rows of a window, no faster than its socket reads."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from ..exceptions import ScanError
from ..party import Connection, Frame, ReadyState, Server
from . import listing
from .board import Board
from .model import CheckResult
from .snapshot import AT_ONCE, Planner, Snapshot, is_planned, plan
from .window import Orderings, Window, WindowQuery, read_look

_log = logging.getLogger("partywidgets.scans")

SNAPSHOT_AHEAD = 256 * 1024
"""Bytes that a joining socket may have unread before the next part of its snapshot is made."""
SNAPSHOT_PAUSE = 0.01
FIRST_PAUSE = 0.04
"""Seconds between the first part of a snapshot and the rest: a page paints the failing rows before it must read megabytes."""
WINDOW_TICK = 0.1
"""Seconds between two updates of a window."""
WINDOW_REST = 4.0
"""Windows rest so many times as long as their last update took, so that sorting has at most a fifth of a core."""
STILL = 60.0
"""Seconds for which a socket may take nothing of a snapshot or a list of rows; over a thin line either takes minutes."""


class Watchers:
    """The watchers of one instance of the room, whose tasks are that instance's."""

    def __init__(self, server: Server, board: Board, head: Callable[[Connection], dict[str, Any]]) -> None:
        """`head` is what the first part of a snapshot says to a connection beside its rows."""
        self._server, self._board, self._head = server, board, head
        self._orderings, self._planner = Orderings(board), Planner(board)
        self._windows: dict[Connection, Window] = {}
        """Who has one is told of its rows alone."""
        self._listing: set[Connection] = set()
        self._stale = False
        self._following: asyncio.Task[None] | None = None
        for connection in server.get_connections("watcher"):  # those who were there when the room fell asleep
            if connection.state is not None:
                query = connection.state["window"]
                self._windows[connection] = Window(None if query is None else WindowQuery.from_wire(query))

    def join(self, connection: Connection, limit: str) -> None:
        """Sends the board in parts; when it has more rows than `limit` (`?window=`; "": none) their number alone: a window is asked for."""
        board, head = self._board, self._head(connection)
        if limit.isdecimal() and len(limit) < 10 and len(board.rows) > int(limit):
            self._windows[connection] = Window()
            connection.set_state({"window": None})
            place = {"epoch": board.epoch, "seq": board.seq, "part": 1, "of": 1, "total": len(board.rows)}
            connection.send(json.dumps({"type": "snapshot", "data": {**place, **head, "results": []}}))
            return
        if not is_planned(board) and len(board.rows) > AT_ONCE:
            self._server.spawn(self._send_snapshot(connection, None), name="snapshot")
            return
        snapshot = Snapshot(board, head, plan(board))
        connection.send(snapshot.next_part())
        if not snapshot.done:
            self._server.spawn(self._send_snapshot(connection, snapshot), name="snapshot")

    def leave(self, connection: Connection) -> None:
        """Forgets its window."""
        self._windows.pop(connection, None)

    def has_windows(self) -> bool:
        """Whether anybody is told of the rows of a window alone."""
        return bool(self._windows)

    def tell_windows(self, frame: Frame) -> list[str]:
        """Sends what has no rows to whoever has a window, which gets its rows as they are now; gives their connections' ids."""
        told = [connection for connection in self._windows if connection.ready_state <= ReadyState.OPEN]
        for connection in told:
            connection.send(frame)
        self._follow_board()
        return [connection.id for connection in told]

    async def window(self, connection: Connection, query: WindowQuery) -> dict[str, Any]:
        """From now on this connection is told of the rows in its window alone."""
        ordering = await self._orderings.of(query.look)
        window = self._windows.setdefault(connection, Window())
        window.ask(query)
        connection.set_state({"window": query.to_wire()})
        for frame in window.frames(ordering, self._board):
            if connection.ready_state == ReadyState.OPEN:
                connection.send(frame)
        return {"rows": len(ordering.order)}

    async def rows(self, connection: Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        """All rows that a look keeps, in its order, for a file: the reply says how many, and they follow it."""
        if connection in self._listing:
            raise ValueError("the rows that you asked for last are still on their way: wait for their end")
        rows = (await self._orderings.of(read_look(data))).rows()
        if rows:
            self._listing.add(connection)
            self._server.spawn(self._send_rows(connection, data.get("id"), rows), name="rows")
        return {"rows": len(rows), "columns": list(listing.COLUMNS)}

    async def _send_rows(self, connection: Connection, request_id: Any, rows: list[CheckResult]) -> None:
        """Each part when the socket has taken the last, as a snapshot's."""
        try:
            async with self._server.awake():
                for part in listing.parts(request_id, rows):
                    if not await self._takes_more(connection):
                        return
                    connection.send(part)
                    await asyncio.sleep(0)
        finally:
            self._listing.discard(connection)

    async def _takes_more(self, connection: Connection) -> bool:
        """Waits until a socket has taken what it was sent, but for a rest. False when it is closed, or is now, since it took nothing for a
        minute: half a board would be taken for the whole, and whoever is there comes again."""
        clock = asyncio.get_running_loop().time
        least, end = connection.buffered, clock() + STILL
        while connection.ready_state == ReadyState.CONNECTING or (
            connection.ready_state == ReadyState.OPEN and connection.buffered > SNAPSHOT_AHEAD
        ):
            if connection.buffered < least:
                least, end = connection.buffered, clock() + STILL
            elif clock() > end:
                _log.info("ops-monitor-broadcast/%s: %s took nothing for %g s and is closed", self._server.name, connection.id, STILL)
                connection.close(1013, f"nothing was read for {STILL:g} s")
                return False
            await asyncio.sleep(SNAPSHOT_PAUSE)
        return connection.ready_state == ReadyState.OPEN

    def _follow_board(self) -> None:
        self._stale = True
        if self._following is None or self._following.done():
            self._following = self._server.spawn(self._update_windows(), name="windows")

    async def _update_windows(self) -> None:
        """Each window as the board is now, at most every 100 ms; who has not read the last update gets the latest later."""
        loop = asyncio.get_running_loop()
        async with self._server.awake():
            while self._stale and self._windows:
                self._stale = False
                begin = loop.time()
                for connection, window in list(self._windows.items()):
                    await self._update_window(connection, window)
                await asyncio.sleep(max(WINDOW_TICK, WINDOW_REST * (loop.time() - begin)))

    async def _update_window(self, connection: Connection, window: Window) -> None:
        query = window.query
        if query is None:
            return
        try:
            ordering = await self._orderings.of(query.look)
        except ScanError as error:
            _log.info("ops-monitor-broadcast/%s: a window stands still: %s", self._server.name, error)
            return
        if connection.ready_state != ReadyState.OPEN or window.query is not query:
            return
        if connection.buffered > SNAPSHOT_AHEAD:
            self._stale = True
            return
        for frame in window.frames(ordering, self._board):
            connection.send(frame)
        self._stale |= window.late

    async def _send_snapshot(self, connection: Connection, snapshot: Snapshot | None) -> None:
        """The parts that are left (None: all, to be planned), each when the socket has taken the last.

        Who joins a large board must not look like one that does not read.
        """
        async with self._server.awake():
            if snapshot is None:
                if not await self._takes_more(connection):  # nobody is told of what changes before it is open
                    return
                parts = await self._planner.plan()
                snapshot = Snapshot(self._board, self._head(connection), parts)
                if connection.ready_state == ReadyState.OPEN:
                    connection.send(snapshot.next_part())
            await asyncio.sleep(FIRST_PAUSE)
            while not snapshot.done:
                if not await self._takes_more(connection):
                    return
                connection.send(snapshot.next_part())
                await asyncio.sleep(0)
