"""What people ask of the ops room, read strictly: its messages, and its HTTP requests below `/scans`.

    GET  scans?limit=&before=           the scans, newest first
    GET  scans/latest · scans/<id>      a whole report
    GET  scans/rows                     the present row of every fingerprint
    GET  scans/history?check=&hours=&resolution=  results of the past, or figures of its minutes, hours or days, by column
    GET  scans/history?…&form=columns   the results by column, for tables
    GET  scans/looks?check=&hours=      the numbers of one check's results, for a backtest
    GET  scans/changes?check=&hours=    state changes of the past
    GET  scans/events?hours=            acks, silences, remedies, messages told, maintenance windows and waivers: who, when, why
    GET  scans/hours?check=&hours=      hourly figures of the past
    GET  scans/remedies?fingerprint=&hours=  what was run for rows, and what came of it
    GET  scans/witnesses?fingerprint=   the last success and the last failure of a row, with their evidence
    GET  scans/checks?config=           which checks there are, and what the config's are made of, as digests (admin)
    GET  scans/diff?a=<id>&b=<id>       what differs between two scans
    POST scans {checks, labels}         runs them (admin); {fingerprints}: looks again (responder); `wait: true` answers with the report
    POST scans {report}                 publishes a report made elsewhere (runner)

Every answer is JSON; an error is `{"error": sentence}`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..exceptions import PartyError, RefusedError, ScanError
from ..party import Grant, grant_of
from . import plan, queries
from .model import one_line
from .queries import Unanswered, json_response
from .registry import Selection
from .report import ScanReport
from .service import BroadcastCallback, OpsMonitorService

log = logging.getLogger(__name__)

ROLES = ("viewer", "responder", "runner", "admin")
"""The roles of the ops room; each of them may read."""
MESSAGE_BYTES = 256 * 1024
"""Longest message that is read."""
BODY_BYTES = 8 * 1024 * 1024
"""Longest body of a POST."""
NAMES = 20_000
RESULTS = 10_000
"""Most results in one published report."""
WAIT = 600.0
"""Seconds that `wait: true` waits at most; then the answer is 202, as without it."""


def require(grant: Grant, what: str, *roles: str) -> None:
    """Raises RefusedError, and says so in the log, when the grant has none of the roles."""
    if not grant.has(*roles):
        held = ", ".join(sorted(grant.roles.intersection(ROLES))) or "none of the ops roles"
        log.info("refused %s to %s: it needs the role %s, they are %s", what, grant.subject, " or ".join(roles), held)
        raise RefusedError(f"{what} needs the role {' or '.join(roles)}, you are {held}", status=403)


def read_message(message: str | bytes) -> tuple[str, Mapping[str, Any]]:
    """A message's type and data. Raises ValueError with a sentence for the sender."""
    if not isinstance(message, str):
        raise ValueError("the ops room speaks JSON text, this was binary")
    if len(message) > MESSAGE_BYTES:
        raise ValueError(f"a message has at most {MESSAGE_BYTES} characters, this had {len(message)}")
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        raise ValueError('the ops room speaks JSON: {"type": …, "data": {…}}') from None
    kind, data = (value.get("type"), value.get("data", {})) if isinstance(value, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise ValueError('a message is an object: {"type": …, "data": {…}}')
    return kind, data


def names(value: Any, what: str) -> tuple[str, ...]:
    """A list of texts that may be missing. Raises ValueError."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"`{what}` must be a list of strings")
    if len(value) > NAMES:
        raise ValueError(f"`{what}` has {len(value)} items, at most {NAMES} are read")
    return tuple(value)


def read_selection(data: Mapping[str, Any]) -> Selection:
    """`checks`, `fingerprints` and `labels` as a Selection. Raises ValueError."""
    labels = data.get("labels") or {}
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError('`labels` must be an object of strings, for example {"team": "web"}')
    return Selection(names(data.get("checks"), "checks"), names(data.get("fingerprints"), "fingerprints"), labels)


async def answer(request: Request, service: OpsMonitorService, broadcast: BroadcastCallback) -> Response:
    """The room's answer to an HTTP request."""
    try:
        return await _answer(request, service, broadcast)
    except Unanswered as error:
        return JSONResponse({"error": str(error)}, status_code=error.status)
    except RefusedError as error:
        return JSONResponse({"error": str(error)}, status_code=error.status or 403)
    except (PartyError, ValueError) as error:
        return JSONResponse({"error": one_line(str(error), 500)}, status_code=400)


async def _answer(request: Request, service: OpsMonitorService, broadcast: BroadcastCallback) -> Response:
    segments = [segment for segment in request.url.path.split("/") if segment]
    if "scans" not in segments:
        raise Unanswered(404, "the ops room answers HTTP below /api/ops/scans; its messages come over a WebSocket")
    rest = segments[len(segments) - segments[::-1].index("scans") :]
    grant = grant_of(request)
    require(grant, "reading scans", *ROLES)
    if len(rest) > 1:
        raise Unanswered(404, "there is nothing below a scan: ask for /api/ops/scans/<scan_id>")
    if request.method == "POST" and not rest:
        return await _post(request, service, broadcast, grant)
    if request.method not in ("GET", "HEAD"):
        allow = "GET, HEAD" if rest else "GET, HEAD, POST"
        return JSONResponse({"error": f"{request.method} is not for this path: use {allow}"}, status_code=405, headers={"Allow": allow})
    if rest == ["checks"]:
        require(grant, "reading what checks are made of", "admin")
        return JSONResponse({"checks": plan.present(service.registry.checks.values(), request.query_params.get("config", ""))})
    return await queries.answer(rest[0] if rest else "", request.query_params, service)


async def _post(request: Request, service: OpsMonitorService, broadcast: BroadcastCallback, grant: Grant) -> Response:
    body = await _body(request)
    if "report" in body:
        require(grant, "publishing a report", "runner", "admin")
        report = _read_report(body["report"])
        try:
            placed = await service.publish(report, broadcast=broadcast, actor=grant.display_name)
        except ScanError as error:
            raise Unanswered(409, str(error)) from None
        return JSONResponse({"scan_id": placed.scan_id, "total": placed.total}, status_code=201)
    selection = read_selection(body)
    if selection.fingerprints and not selection.checks and not selection.labels:
        require(grant, "recheck", "responder", "admin")
    else:
        require(grant, "scan", "admin")
    trigger = "recheck" if selection.fingerprints else "manual"
    scan = service.start_scan(selection, broadcast=broadcast, trigger=trigger, actor=grant.display_name)
    if body.get("wait") is True:
        try:
            async with asyncio.timeout(WAIT):
                report = await scan.wait()
            return json_response(json.dumps(report.to_wire(max_bytes=None)))
        except TimeoutError:
            pass
    path = f"/api/ops/scans/{scan.scan_id}"
    return JSONResponse({"scan_id": scan.scan_id, "total": scan.total, "more": path}, status_code=202)


async def _body(request: Request) -> dict[str, Any]:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > BODY_BYTES:
            raise Unanswered(413, f"the body is longer than {BODY_BYTES} bytes: publish fewer results at once")
    try:
        value = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError('the body must be an object, for example {"checks": ["shop"]}')
    return value


def _read_report(wire: Any) -> ScanReport:
    if not isinstance(wire, dict):
        raise ValueError("`report` must be a ScanReport (partywidgets.scan/1)")
    results = wire.get("results")
    if isinstance(results, list) and len(results) > RESULTS:
        raise ValueError(f"`report` has {len(results)} results, at most {RESULTS} are read: publish fewer at once")
    try:
        report = ScanReport.from_wire(wire)
    except ValueError as error:
        raise ValueError(f"`report` cannot be read: {error}") from None
    if not report.scan_id or len(report.scan_id) > 64 or not report.scan_id.isascii() or not report.scan_id.replace("-", "").isalnum():
        raise ValueError("`report.scan_id` must be a UUID")
    return report
