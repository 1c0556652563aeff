"""Who looks at the board, and what of it each is sent: all of it in parts, or the rows of a window, no faster than its socket reads."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..exceptions import ScanError
from ..party import Connection, Frame, ReadyState, Server
from . import listing
from .board import Board
from .laggards import AHEAD, NEWS, Laggards
from .model import CheckResult
from .snapshot import AT_ONCE, Planner, Snapshot, is_planned, plan
from .window import Orderings, Window, WindowQuery, read_look

_log = logging.getLogger("partywidgets.scans")

SNAPSHOT_PAUSE = 0.01
FIRST_PAUSE = 0.04
"""Seconds between the first part of a snapshot and the rest: a page paints the failing rows before it must read megabytes."""
TICK = 0.1
"""Seconds between two updates of a window, or of who is behind."""
REST = 4.0
"""These updates rest so many times as long as the last one took, so that sorting has at most a fifth of a core."""
RESULTS = ',"results":['
"""In JSON text it can stand nowhere but before that key's value: in a string the quotes are escaped."""
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
        self._laggards = Laggards(board)
        self._catching_up: asyncio.Task[None] | None = None
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
        """Forgets its window, and what it was not told."""
        self._windows.pop(connection, None)
        self._laggards.forget(connection)

    def tell(self, kind: str, *texts: str) -> None:
        """Sends everyone messages of a kind: JSON text, with `results` as its last key where there are any. Who has a window gets rows by
        that, who is behind the newest ones when it has read, and both of this the rest, but for news of single rows."""
        everyone = self._server.get_connections("watcher")
        if kind in NEWS:
            self._tell_news(kind, texts, everyone)
            return
        for text in texts:
            self._tell(kind, text, everyone)

    def _tell_news(self, kind: str, texts: Sequence[str], everyone: list[Connection]) -> None:
        """Who reads too slowly for it sees by the rows what became of them, and is told then how much it was not told."""
        for some in _portions(texts, AHEAD // 2):
            quick = everyone
            if slow := self._laggards.among(everyone):
                self._laggards.skip(slow, kind, some)
                self._let_catch_up()
                aside = frozenset(slow)
                quick = [watcher for watcher in everyone if watcher not in aside]
            self._server.send_to(quick, *(Frame(f'{{"type":"{kind}","data":{text}}}') for text in some))
            if len(some) < len(texts):
                self._server.flush()  # before the next: how much a socket has unread decides on that

    def _tell(self, kind: str, text: str, everyone: list[Connection]) -> None:
        at = text.find(RESULTS)
        if at >= 0 and (aside := self._aside(kind, text, everyone)):
            frame = Frame(f'{{"type":"{kind}","data":{_without_results(kind, text, at)}}}')
            for watcher in aside:
                watcher.send(frame)
            everyone = [watcher for watcher in everyone if watcher not in aside]
        self._server.send_to(everyone, Frame(f'{{"type":"{kind}","data":{text}}}'))
        if len(text) > AHEAD // 2:
            self._server.flush()  # before the next: how much a socket has unread decides on that

    def _aside(self, kind: str, text: str, everyone: list[Connection]) -> set[Connection]:
        """Who is told of a message's rows in another way."""
        windows = {watcher for watcher in self._windows if watcher.ready_state <= ReadyState.OPEN}
        if windows:
            self._follow_board()
        slow = self._laggards.among(watcher for watcher in everyone if watcher not in windows)
        if slow and kind == "check-result":  # those of a scan's end were told already
            results = json.loads(text)["results"]
            if not results or any(result.get("change") == "absent" or "seq" not in result for result in results):
                return windows  # the board has them no more, or never had
            self._laggards.miss(slow, min(result["seq"] for result in results))
            self._let_catch_up()
        return windows.union(slow)

    def _let_catch_up(self) -> None:
        if self._catching_up is None:
            self._catching_up = self._server.spawn(self._catch_up(), name="rows for who is behind")

    async def _catch_up(self) -> None:
        """Until nobody is behind."""
        loop = asyncio.get_running_loop()
        try:
            async with self._server.awake():
                while self._laggards:
                    await asyncio.sleep(TICK)
                    begin = loop.time()
                    self._laggards.catch_up()
                    await asyncio.sleep(REST * (loop.time() - begin))
        finally:
            self._catching_up = None

    async def window(self, connection: Connection, query: WindowQuery) -> dict[str, Any]:
        """From now on this connection is told of the rows in its window alone."""
        ordering = await self._orderings.of(query.look)
        window = self._windows.setdefault(connection, Window())
        window.ask(query)
        self._laggards.forget_rows(connection)
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
            connection.ready_state == ReadyState.OPEN and connection.buffered > AHEAD
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
                await asyncio.sleep(max(TICK, REST * (loop.time() - begin)))

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
        if connection.buffered > AHEAD:
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


def _portions(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Texts in runs of so many characters, which are bytes, and one more text at most."""
    begin = held = 0
    for index, text in enumerate(texts, 1):
        held += len(text)
        if held > size or index == len(texts):
            yield texts[begin:index]
            begin, held = index, 0


def _without_results(kind: str, text: str, at: int) -> str:
    """A message's data without its rows, which begin at a place of the text. A scan's end says where its whole report is."""
    rest = f"{text[:at]}{RESULTS}]}}"
    if kind != "scan-result":
        return rest
    data = json.loads(rest)
    return json.dumps({**data, "more": data["more"] or f"/api/ops/scans/{data['scan_id']}"}, separators=(",", ":"))
