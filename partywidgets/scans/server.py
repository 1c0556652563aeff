"""OpsMonitorBroadcastServer: the room `main`, where everyone sees the same scans."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..exceptions import PartyError
from ..party import Connection, ConnectionContext, Grant, ReadyState, Server
from . import background, proof
from .message import as_text
from .model import one_line, utc_now, uuid7
from .registry import Selection
from .requests import ROLES, answer, names, read_message, read_selection, require
from .resume_tickets import ResumeTickets
from .scan import wire_moment
from .service import OpsMonitorService, Scan
from .silence import Ack, Silence, read_matchers, read_reason, read_until
from .watchers import Watchers
from .window import WindowQuery

_log = logging.getLogger("partywidgets.scans")

RUNNER = "partywidgets.runner.v1"


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
        """Those who look at the board are here."""
        self._tickets: ResumeTickets | None
        try:
            self._tickets = self.env[ResumeTickets]
        except LookupError:
            self._tickets = None
        self._watchers = Watchers(self, self.service.board, self._head)

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
            self._watchers.join(connection, ctx.request.query_params.get("window", ""))

    async def on_message(self, connection: Connection, message: str | bytes) -> None:
        """`past`, `window`, `rows`, `ticket`, `ack`, `silence`, `recheck`, `remedy`, `scan`, `cancel`; of runners `offer`, `result`.

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
        self._watchers.leave(connection)
        if self._tickets is not None:
            self._tickets.left(connection)
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
        """Sends one message to everyone but runners. Who has a window, or reads slowly, gets rows otherwise, and of this the rest."""
        self.publish_text(kind, as_text(message))

    def publish_text(self, kind: str, *texts: str) -> None:
        """As `publish`, of messages that are JSON text already, with `results` as its last key where there are any."""
        self._watchers.tell(kind, *texts)

    def tell(self, connection_id: str, kind: str, message: dict[str, Any]) -> bool:
        """Sends one message to one connection; False when it is gone."""
        connection = self.get_connection(connection_id)
        if connection is None:
            return False
        connection.send(json.dumps({"type": kind, "data": message}))
        return True

    # inside

    async def _act(self, connection: Connection, kind: str, data: Mapping[str, Any]) -> Any:
        """Does what a message asks for, if the grant has one of the roles for it; a message of runners alone is unknown to all others."""
        act = _RUNNERS_ACTS.get(kind) if connection.subprotocol == RUNNER else None
        act = act or _ACTS.get(kind)
        if act is None:
            *most, last = _ACTS
            raise ValueError(f"the ops room knows no message of type {one_line(kind, 40)!r}: send {', '.join(most)} or {last}")
        roles, method = act
        require(connection.grant, kind, *roles)
        return await method(self, connection, data)

    async def _offer(self, connection: Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        return {"checks": await self.service.runners.offer(connection.id, connection.grant.subject, data)}

    async def _result(self, connection: Connection, data: Mapping[str, Any]) -> None:
        self.service.runners.result(connection.id, data)

    async def _window(self, connection: Connection, data: Mapping[str, Any]) -> Any:
        return await self._watchers.window(connection, WindowQuery.from_wire(data))

    async def _rows(self, connection: Connection, data: Mapping[str, Any]) -> Any:
        return await self._watchers.rows(connection, data)

    async def _ticket(self, connection: Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        if self._tickets is None:
            raise ValueError("this host gives no tickets: it has no app behind it")
        return self._tickets.give(connection, party=self.party, room=self.name)

    async def _recheck(self, connection: Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        fingerprints = names(data.get("fingerprints"), "fingerprints")
        if not fingerprints:
            raise ValueError("`fingerprints` is empty: name the rows to look at again")
        return self._start_scan(Selection(fingerprints=fingerprints), "recheck", connection.grant)

    async def _scan(self, connection: Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        return self._start_scan(read_selection(data), "manual", connection.grant)

    async def _cancel(self, connection: Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        self.service.cancel_scan(str(data.get("scan_id")))
        _log.info("scan %s was cancelled by %s", data["scan_id"], connection.grant.subject)
        return {"scan_id": data["scan_id"]}

    async def _past(self, connection: Connection, data: Mapping[str, Any]) -> dict[str, Any]:
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

    async def _remedy(self, connection: Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        """A command was run for a row: it is looked at again, alone, and what came of it is kept and told."""
        service, grant = self.service, connection.grant
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

    def _start_scan(self, selection: Selection, trigger: str, grant: Grant) -> dict[str, Any]:
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

    async def _ack(self, connection: Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        actor = connection.grant.display_name
        fingerprint = data.get("fingerprint")
        if not isinstance(fingerprint, str):
            raise ValueError("`fingerprint` is missing: take it from the row")
        if data.get("reason") is None:
            await self.service.suppressions.withdraw_ack(fingerprint, actor)
            return {"fingerprint": fingerprint}
        ack = Ack(fingerprint, read_reason(data.get("reason")), actor, utc_now(), read_until(data.get("until")))
        if not ack.in_force(ack.at):
            raise ValueError("`until` is past: give a time to come, or null for no end")
        await self.service.suppressions.acknowledge(ack)
        return {"fingerprint": fingerprint}

    async def _silence(self, connection: Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        actor = connection.grant.display_name
        matchers, until = read_matchers(data.get("matchers")), read_until(data.get("until"))
        if until is None:
            return {"lifted": await self.service.suppressions.lift_silence(matchers, actor)}
        silence = Silence(matchers, read_reason(data.get("reason")), actor, utc_now(), until, uuid7())
        if not silence.in_force(silence.at):
            raise ValueError("`until` is past: give a time to come, or null to lift the silence")
        await self.service.suppressions.silence(silence)
        return {"silence": silence.id, "rows": sum(silence.matches(row) for row in self.service.board.rows.values())}

    def _head(self, connection: Connection) -> dict[str, Any]:
        """What the first part of a snapshot says beside its rows: who the reader is here, and how the board is."""
        grant = connection.grant
        return {"role": grant.ops_role(), "name": grant.display_name, **self.service.snapshot_head()}

    def _reply(self, connection: Connection, request_id: Any, *, result: Any = None, error: str | None = None) -> None:
        if connection.ready_state != ReadyState.OPEN:
            return
        outcome = {"ok": True, "result": result} if error is None else {"ok": False, "error": one_line(error, 500)}
        shown = request_id if isinstance(request_id, (str, int)) else None
        connection.send(json.dumps({"type": "reply", "data": {"id": shown, **outcome}}))


_Act = Callable[[OpsMonitorBroadcastServer, Connection, Mapping[str, Any]], Awaitable[Any]]

_ACTS: dict[str, tuple[tuple[str, ...], _Act]] = {
    "past": (ROLES, OpsMonitorBroadcastServer._past),
    "window": (ROLES, OpsMonitorBroadcastServer._window),
    "rows": (ROLES, OpsMonitorBroadcastServer._rows),
    "ticket": (ROLES, OpsMonitorBroadcastServer._ticket),
    "ack": (("responder", "admin"), OpsMonitorBroadcastServer._ack),
    "silence": (("responder", "admin"), OpsMonitorBroadcastServer._silence),
    "recheck": (("responder", "admin"), OpsMonitorBroadcastServer._recheck),
    "remedy": (("responder", "admin"), OpsMonitorBroadcastServer._remedy),
    "scan": (("admin",), OpsMonitorBroadcastServer._scan),
    "cancel": (("admin",), OpsMonitorBroadcastServer._cancel),
}
"""A message's type → the roles of which one may send it, and what it does."""

_RUNNERS_ACTS: dict[str, tuple[tuple[str, ...], _Act]] = {
    "offer": (("runner", "admin"), OpsMonitorBroadcastServer._offer),
    "result": (("runner", "admin"), OpsMonitorBroadcastServer._result),
}
"""The same, of a socket that speaks the runners' dialect."""
