"""OpsMonitorBroadcastServer: the room `main`, where everyone sees the same scans."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..exceptions import PartyError, ScanError
from ..party import Connection, ConnectionContext, Frame, Grant, ReadyState, Server
from . import background, listing, proof
from .model import CheckResult, one_line, utc_now, uuid7
from .registry import Selection
from .requests import ROLES, answer, names, read_message, read_selection, require
from .scan import wire_moment
from .service import OpsMonitorService, Scan
from .silence import Ack, Silence, read_matchers, read_reason, read_until
from .snapshot import AT_ONCE, Planner, Snapshot, is_planned, plan
from .window import Orderings, Window, WindowQuery, read_look

_log = logging.getLogger("partywidgets.scans")

RUNNER = "partywidgets.runner.v1"
SNAPSHOT_AHEAD = 256 * 1024
"""Bytes that a joining socket may have unread before the next part of its snapshot is made."""
SNAPSHOT_PAUSE = 0.01
FIRST_PAUSE = 0.04
"""Seconds between the first part of a snapshot and the rest: a page paints the failing rows before it must read megabytes."""
RESULTS = ',"results":['
"""In JSON text it can stand nowhere but before that key's value: in a string the quotes are escaped."""
WINDOW_TICK = 0.1
"""Seconds between two updates of a window."""
WINDOW_REST = 4.0
"""Windows rest so many times as long as their last update took, so that sorting has at most a fifth of a core."""
STILL = 60.0
"""Seconds for which a socket may take nothing of a snapshot or a list of rows; over a thin line either takes minutes."""


class OpsMonitorBroadcastServer(Server):
    """Everyone here gets a snapshot, then every message of every scan. What people may do goes by the ops roles of their grant.

    viewer: reads. responder: acks, silences, re-checks, remedies. admin: also scans, and cancels scans. runner: offers functions and
    publishes reports.
    The rows are the service's (`env[OpsMonitorService]`), on disk, so the instance hibernates and loses nothing.
    """

    hibernate = True
    subprotocols = ("partywidgets.v1", RUNNER)

    @property
    def service(self) -> OpsMonitorService:
        """The service of this host."""
        return self.env[OpsMonitorService]

    def on_start(self, props: Any = None) -> None:
        """The windows of those who are there: who has one is told of its rows alone."""
        self._orderings = Orderings(self.service.board)
        self._windows: dict[Connection, Window] = {}
        self._planner = Planner(self.service.board)
        self._listing: set[Connection] = set()
        self._stale = False
        self._following: asyncio.Task[None] | None = None
        for connection in self.get_connections("watcher"):
            if connection.state is not None:
                query = connection.state["window"]
                self._windows[connection] = Window(None if query is None else WindowQuery.from_wire(query))

    def get_connection_tags(self, connection: Connection, ctx: ConnectionContext) -> list[str]:
        """`runner` for a kernel's runner, `watcher` for everyone else."""
        return ["runner" if connection.subprotocol == RUNNER else "watcher"]

    def on_connect(self, connection: Connection, ctx: ConnectionContext) -> None:
        """A snapshot in parts; runners get none. With `?window=N`, of more than N rows it has the number alone: a window is asked for."""
        if not connection.grant.has(*ROLES):
            connection.close(4403, f"the ops room needs one of the roles {', '.join(ROLES)}")
        elif connection.subprotocol == RUNNER:
            if not connection.grant.has("runner", "admin"):
                connection.close(4403, "a runner needs the role runner or admin")
        else:
            board, limit = self.service.board, ctx.request.query_params.get("window", "")
            head = self._head(connection)
            if limit.isdecimal() and len(limit) < 10 and len(board.rows) > int(limit):
                self._windows[connection] = Window()
                connection.set_state({"window": None})
                place = {"epoch": board.epoch, "seq": board.seq, "part": 1, "of": 1, "total": len(board.rows)}
                connection.send(json.dumps({"type": "snapshot", "data": {**place, **head, "results": []}}))
                return
            if not is_planned(board) and len(board.rows) > AT_ONCE:
                self.spawn(self._send_snapshot(connection, None), name="snapshot")
                return
            snapshot = Snapshot(board, head, plan(board))
            connection.send(snapshot.next_part())
            if not snapshot.done:
                self.spawn(self._send_snapshot(connection, snapshot), name="snapshot")

    async def on_message(self, connection: Connection, message: str | bytes) -> None:
        """`past`, `window`, `rows`, `ack`, `silence`, `recheck`, `remedy`, `scan`, `cancel`; of runners `offer`, `result`.

        Each with an id gets a `reply`.
        """
        request_id: Any = None
        try:
            kind, data = read_message(message)
            request_id = data.get("id")
            result = await self._act(connection, kind, data)
        except (PartyError, ValueError) as error:
            self._reply(connection, request_id, error=str(error))
        else:
            if result is not None or request_id is not None:
                self._reply(connection, request_id, result=result)

    async def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None:
        """A runner that leaves takes its checks along."""
        self._windows.pop(connection, None)
        if connection.subprotocol == RUNNER:
            await self.service.runners.leave(connection.id)

    async def on_request(self, request: Request) -> Response:
        """`/scans`, `/scans/latest`, `/scans/<id>` and the history's queries; see `scans/requests.py`."""
        return await answer(request, self.service, self.service.announcer.broadcast or self.publish)

    def on_alarm(self) -> None:
        """A full scan is due: the schedule looks at the clock."""
        self.service.scheduler.wake()

    # what others call

    def publish(self, kind: str, message: dict[str, Any]) -> None:
        """Sends one message to everyone but runners. Who has a window gets results by it, and of the message the rest."""
        rest = json.dumps({**message, "results": []}, separators=(",", ":")) if self._windows and "results" in message else None
        self._publish(kind, json.dumps(message, separators=(",", ":")), rest)

    def publish_text(self, kind: str, text: str) -> None:
        """As `publish`, of data that is JSON text already, with `results` as its last key where there are any."""
        at = text.find(RESULTS) if self._windows else -1
        self._publish(kind, text, None if at < 0 else f"{text[:at]}{RESULTS}]}}")

    def _publish(self, kind: str, text: str, rest: str | None) -> None:
        without = [connection.id for connection in self.get_connections("runner")]
        if rest is not None:
            frame = Frame(f'{{"type":"{kind}","data":{rest}}}')
            for connection in self._windows:
                if connection.ready_state <= ReadyState.OPEN:
                    connection.send(frame)
                    without.append(connection.id)
            self._follow_board()
        self.broadcast(Frame(f'{{"type":"{kind}","data":{text}}}'), without=without)

    def tell(self, connection_id: str, kind: str, message: dict[str, Any]) -> bool:
        """Sends one message to one connection; False when it is gone."""
        connection = self.get_connection(connection_id)
        if connection is None:
            return False
        connection.send(json.dumps({"type": kind, "data": message}))
        return True

    # inside

    async def _act(self, connection: Connection, kind: str, data: Mapping[str, Any]) -> Any:
        grant, service = connection.grant, self.service
        if kind == "offer" and connection.subprotocol == RUNNER:
            require(grant, kind, "runner", "admin")
            return {"checks": await service.runners.offer(connection.id, grant.subject, data)}
        if kind == "result" and connection.subprotocol == RUNNER:
            require(grant, kind, "runner", "admin")
            service.runners.result(connection.id, data)
            return None
        if kind == "scan":
            require(grant, kind, "admin")
            return self._scan(read_selection(data), "manual", grant)
        if kind == "cancel":
            require(grant, kind, "admin")
            service.cancel_scan(str(data.get("scan_id")))
            _log.info("scan %s was cancelled by %s", data["scan_id"], grant.subject)
            return {"scan_id": data["scan_id"]}
        if kind == "past":
            require(grant, kind, *ROLES)
            return await self._past(data)
        if kind == "window":
            require(grant, kind, *ROLES)
            return await self._window(connection, WindowQuery.from_wire(data))
        if kind == "rows":
            require(grant, kind, *ROLES)
            return await self._rows(connection, data)
        if kind == "recheck":
            require(grant, kind, "responder", "admin")
            fingerprints = names(data.get("fingerprints"), "fingerprints")
            if not fingerprints:
                raise ValueError("`fingerprints` is empty: name the rows to look at again")
            return self._scan(Selection(fingerprints=fingerprints), "recheck", grant)
        if kind == "remedy":
            require(grant, kind, "responder", "admin")
            return await self._remedy(data, grant)
        if kind == "ack":
            require(grant, kind, "responder", "admin")
            return await self._ack(data, grant)
        if kind == "silence":
            require(grant, kind, "responder", "admin")
            return await self._silence(data, grant)
        raise ValueError(
            f"the ops room knows no message of type {one_line(kind, 40)!r}: "
            "send past, window, rows, ack, silence, recheck, remedy, scan or cancel"
        )

    async def _window(self, connection: Connection, query: WindowQuery) -> dict[str, Any]:
        """From now on this connection is told of the rows in its window alone."""
        ordering = await self._orderings.of(query.look)
        window = self._windows.setdefault(connection, Window())
        window.ask(query)
        connection.set_state({"window": query.to_wire()})
        for frame in window.frames(ordering, self.service.board):
            if connection.ready_state == ReadyState.OPEN:
                connection.send(frame)
        return {"rows": len(ordering.order)}

    async def _rows(self, connection: Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        """All rows that a look keeps, in its order, for a file: the reply says how many, and they follow it."""
        if connection in self._listing:
            raise ValueError("the rows that you asked for last are still on their way: wait for their end")
        rows = (await self._orderings.of(read_look(data))).rows()
        if rows:
            self._listing.add(connection)
            self.spawn(self._send_rows(connection, data.get("id"), rows), name="rows")
        return {"rows": len(rows), "columns": list(listing.COLUMNS)}

    async def _send_rows(self, connection: Connection, request_id: Any, rows: list[CheckResult]) -> None:
        """Each part when the socket has taken the last, as a snapshot's."""
        try:
            async with self.awake():
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
                _log.info("ops-monitor-broadcast/%s: %s took nothing for %g s and is closed", self.name, connection.id, STILL)
                connection.close(1013, f"nothing was read for {STILL:g} s")
                return False
            await asyncio.sleep(SNAPSHOT_PAUSE)
        return connection.ready_state == ReadyState.OPEN

    def _follow_board(self) -> None:
        self._stale = True
        if self._following is None or self._following.done():
            self._following = self.spawn(self._update_windows(), name="windows")

    async def _update_windows(self) -> None:
        """Each window as the board is now, at most every 100 ms; who has not read the last update gets the latest later."""
        loop = asyncio.get_running_loop()
        async with self.awake():
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
            _log.info("ops-monitor-broadcast/%s: a window stands still: %s", self.name, error)
            return
        if connection.ready_state != ReadyState.OPEN or window.query is not query:
            return
        if connection.buffered > SNAPSHOT_AHEAD:
            self._stale = True
            return
        for frame in window.frames(ordering, self.service.board):
            connection.send(frame)
        self._stale |= window.late

    async def _past(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """What came before a row: its hours and looks of the last day, its changes and the last proof of a week, and its last failure
        while it is ok, else its last success."""
        history, fingerprint = self.service.history, data.get("fingerprint")
        row = self.service.board.rows.get(fingerprint) if isinstance(fingerprint, str) else None
        if row is None:
            raise ValueError("`fingerprint` names no row: take it from one that is there")
        check, name = row.check_id, row.fingerprint
        past = await history.look(lambda database: background.read_past(database, check, name))
        witness = (await history.witnesses(name)).beside(row)
        return {**past, "witness": None if witness is None else witness.to_wire(), "next": wire_moment(self.service.next_look(check))}

    async def _remedy(self, data: Mapping[str, Any], grant: Grant) -> dict[str, Any]:
        """A command was run for a row: it is looked at again, alone, and what came of it is kept and told."""
        service = self.service
        fingerprint, sandbox, command, exit_code, duration, seq = proof.read_remedy(data)
        row = service.board.rows.get(fingerprint)
        if row is None:
            raise ValueError(f"there is no row {one_line(fingerprint, 40)!r}: its check was taken out of its config")
        before = None if seq is None else await service.history.look(lambda database: proof.seen_before(database, seq, fingerprint))
        before = before or proof.Seen.of(row)
        selection = Selection(fingerprints=(fingerprint,))
        scan = service.start_scan(
            selection, broadcast=service.announcer.broadcast or self.publish, trigger="recheck", actor=grant.display_name
        )
        told = proof.Proof(
            id=uuid7(),
            fingerprint=fingerprint,
            check_id=row.check_id,
            title=row.title,
            actor=grant.display_name,
            sandbox=sandbox,
            command=command if service.redact is None else service.redact(command),
            exit_code=exit_code,
            duration_s=duration,
            scan_id=scan.scan_id,
            at=utc_now(),
            before=before,
            after=None,
        )
        self.spawn(self._prove(scan, told), name=f"remedy {told.id}")
        return {"remedy": told.id, "scan_id": scan.scan_id}

    async def _prove(self, scan: Scan, told: proof.Proof) -> None:
        async with self.awake():
            report = await scan.wait()
            after = next((result for result in report.results if result.fingerprint == told.fingerprint), None)
            whole = replace(told, after=None if after is None else proof.Seen.of(after))
            try:
                await proof.keep(self.service.history, whole)
            except PartyError as error:
                _log.error("ops-monitor-broadcast/%s: the remedy of %s is told, but not kept: %s", self.name, told.check_id, error)
            self.publish("remedy", whole.to_wire())

    def _scan(self, selection: Selection, trigger: str, grant: Grant) -> dict[str, Any]:
        service = self.service
        scan = service.start_scan(
            selection, broadcast=service.announcer.broadcast or self.publish, trigger=trigger, actor=grant.display_name
        )
        if service.announcer.broadcast is None:
            self.spawn(self._stay_for(scan), name=f"scan {scan.scan_id}")
        return {"scan_id": scan.scan_id, "total": scan.total}

    async def _stay_for(self, scan: Scan) -> None:
        """Without an entry point the scan broadcasts through this very instance, which must not hibernate meanwhile."""
        async with self.awake():
            await scan.wait()

    async def _ack(self, data: Mapping[str, Any], grant: Grant) -> dict[str, Any]:
        fingerprint = data.get("fingerprint")
        if not isinstance(fingerprint, str):
            raise ValueError("`fingerprint` is missing: take it from the row")
        if data.get("reason") is None:
            await self.service.suppressions.withdraw_ack(fingerprint, grant.display_name)
            return {"fingerprint": fingerprint}
        ack = Ack(fingerprint, read_reason(data.get("reason")), grant.display_name, utc_now(), read_until(data.get("until")))
        if not ack.in_force(ack.at):
            raise ValueError("`until` is past: give a time to come, or null for no end")
        await self.service.suppressions.acknowledge(ack)
        return {"fingerprint": fingerprint}

    async def _silence(self, data: Mapping[str, Any], grant: Grant) -> dict[str, Any]:
        matchers, until = read_matchers(data.get("matchers")), read_until(data.get("until"))
        if until is None:
            return {"lifted": await self.service.suppressions.lift_silence(matchers, grant.display_name)}
        silence = Silence(matchers, read_reason(data.get("reason")), grant.display_name, utc_now(), until, uuid7())
        if not silence.in_force(silence.at):
            raise ValueError("`until` is past: give a time to come, or null to lift the silence")
        await self.service.suppressions.silence(silence)
        return {"silence": silence.id}

    def _head(self, connection: Connection) -> dict[str, Any]:
        """What the first part of a snapshot says beside its rows: who the reader is here, and how the board is."""
        grant = connection.grant
        return {"role": grant.ops_role(), "name": grant.display_name, **self.service.snapshot_head()}

    async def _send_snapshot(self, connection: Connection, snapshot: Snapshot | None) -> None:
        """The parts that are left (None: all, to be planned), each when the socket has taken the last.

        Who joins a large board must not look like one that does not read.
        """
        async with self.awake():
            if snapshot is None:
                if not await self._takes_more(connection):  # nobody is told of what changes before it is open
                    return
                parts = await self._planner.plan()
                snapshot = Snapshot(self.service.board, self._head(connection), parts)
                if connection.ready_state == ReadyState.OPEN:
                    connection.send(snapshot.next_part())
            await asyncio.sleep(FIRST_PAUSE)
            while not snapshot.done:
                if not await self._takes_more(connection):
                    return
                connection.send(snapshot.next_part())
                await asyncio.sleep(0)

    def _reply(self, connection: Connection, request_id: Any, *, result: Any = None, error: str | None = None) -> None:
        if connection.ready_state != ReadyState.OPEN:
            return
        outcome = {"ok": True, "result": result} if error is None else {"ok": False, "error": one_line(error, 500)}
        shown = request_id if isinstance(request_id, (str, int)) else None
        connection.send(json.dumps({"type": "reply", "data": {"id": shown, **outcome}}))
