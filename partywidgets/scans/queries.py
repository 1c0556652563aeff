"""What a GET below `/scans` asks of the ops room: a function for each, by its name in the path; `requests.py` lists them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from starlette.responses import JSONResponse, Response

from . import backtest, proof, result_columns, rollup, snapshot
from .history import History
from .model import one_line, parse_time
from .recorded import Row
from .service import OpsMonitorService

PAST = 100_000
"""Most rows of the past in one answer: as many dictionaries and their text are a third of a gigabyte while it is made."""
SLICE = 500
"""Rows that are encoded at once: an encoder holds the interpreter, and with it every room, until it is done."""


class Unanswered(Exception):
    """A request that gets a sentence and a status in place of an answer."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of one GET, and the service that they are asked of."""

    parameters: Mapping[str, str]
    service: OpsMonitorService

    @property
    def history(self) -> History:
        """The service's."""
        return self.service.history

    @property
    def check(self) -> str | None:
        """The one check that is asked for."""
        return self.parameters.get("check")

    @property
    def hours(self) -> float:
        """How far back. Raises ValueError."""
        return self.number("hours", 24.0)

    @property
    def limit(self) -> int:
        """Most rows of the answer, 100,000 at most. Raises ValueError."""
        return min(int(self.number("limit", PAST)), PAST)

    def number(self, name: str, default: float) -> float:
        """A parameter that is a number. Raises ValueError."""
        text = self.parameters.get(name)
        try:
            value = default if text is None else float(text)
        except ValueError:
            value = -1.0
        if not 0 < value <= 1e6:
            raise ValueError(f"`{name}` must be a number above 0 and up to a million")
        return value


async def answer(what: str, parameters: Mapping[str, str], service: OpsMonitorService) -> Response:
    """The answer to GET `scans/<what>`: of a query's name or, where it is none, of a scan's id. Raises ValueError and Unanswered."""
    query = Query(parameters, service)
    ask = QUERIES.get(what)
    if ask is None:
        return await _report(query, what)
    if what not in LARGE:
        return await ask(query)
    async with service.looking_back:
        return await ask(query)


LARGE = ("history", "changes", "events", "hours", "looks")
"""Queries whose answers take up to a third of a gigabyte while they are made: few are made at once, the others wait."""


def json_response(text: str | bytes) -> Response:
    """Text that is JSON already."""
    return Response(text, media_type="application/json")


async def _scans(query: Query) -> Response:
    before = query.parameters.get("before")
    return JSONResponse(
        {"scans": await query.history.scans(limit=int(query.number("limit", 50)), before=parse_time(before) if before else None)}
    )


async def _report(query: Query, scan_id: str) -> Response:
    report = await query.history.report(scan_id)
    if report is None:
        raise Unanswered(404, f"no scan {one_line(scan_id, 80)!r} is kept: ops.scans() and GET /api/ops/scans list them")
    return json_response(report)


async def _latest(query: Query) -> Response:
    last = await query.history.last_scan()
    if last is None:
        raise Unanswered(404, "no scan has finished yet: start one with POST /api/ops/scans")
    return await _report(query, last["scan_id"])


async def _rows(query: Query) -> Response:
    board = query.service.board
    seq = board.seq
    rows = ",".join(await snapshot.encoded(board, sorted(board.rows.values(), key=lambda row: row.urgency)))
    return json_response(f'{{"epoch": "{board.epoch}", "seq": {seq}, "results": [{rows}]}}')


async def _history(query: Query) -> Response:
    check, hours, limit = query.check, query.hours, query.limit
    resolution = await _resolution(query)
    past: dict[str, Any]
    # One more than asked for tells whether the oldest are left out.
    if resolution != "raw":
        figures = await query.history.figures(check=check, hours=hours, span=resolution, limit=limit + 1)
        cut = len(figures["begin"]) > limit
        past = {"columns": rollup.keyed({name: values[-limit:] for name, values in figures.items()})}
    elif query.parameters.get("form") == "columns":
        columns = await query.history.columns(check=check, hours=hours, limit=limit + 1)
        cut = result_columns.count(columns) > limit
        past = {"results_by_column": result_columns.newest(columns, limit)}
    else:
        results = await query.history.history(check=check, hours=hours, limit=limit + 1)
        return await _listed("results", results, limit, resolution=resolution)
    # In a thread: hundreds of thousands of numbers.
    return json_response(await asyncio.to_thread(to_json, past | {"resolution": resolution, "cut": cut}))


async def _listed(name: str, rows: list[Row], limit: int, **beside: Any) -> Response:
    """Rows of the past, the last `limit` of them, and `cut`: whether there are more. May be tens of megabytes."""
    kept, rest = rows[-limit:], json.dumps({**beside, "cut": len(rows) > limit})

    def encode() -> str:  # by `json`, which takes text that is not Unicode, too
        parts = (json.dumps(kept[at : at + SLICE])[1:-1] for at in range(0, len(kept), SLICE))
        return f'{{"{name}": [{", ".join(parts)}], {rest[1:]}'

    return json_response(await asyncio.to_thread(encode))


async def _resolution(query: Query) -> rollup.Resolution:
    """In which form the past is asked for: `raw` where nothing is said, `auto` the finest that fits."""
    asked = query.parameters.get("resolution", "raw")
    if asked == "auto":
        return await query.history.finest(check=query.check, hours=query.hours, limit=query.limit)
    for known in rollup.RESOLUTIONS:
        if asked == known:
            return known
    raise ValueError(f"`resolution` must be auto or one of {', '.join(rollup.RESOLUTIONS)}, got {one_line(asked, 40)!r}")


async def _changes(query: Query) -> Response:
    limit = query.limit
    return await _listed("changes", await query.history.changes(check=query.check, hours=query.hours, limit=limit + 1), limit)


async def _hours(query: Query) -> Response:
    limit = query.limit
    return await _listed("hours", await query.history.rollups(check=query.check, hours=query.hours, limit=limit + 1), limit)


async def _events(query: Query) -> Response:
    limit, rows = query.limit, query.service.board.rows
    found = await query.history.events(hours=query.hours, limit=limit + 1)
    # Of an ack the subject is a fingerprint: who reads that wants a name.
    named = [{**event, "title": row.title if (row := rows.get(event["subject"])) is not None else event["title"]} for event in found]
    return await _listed("events", named, limit)


async def _looks(query: Query) -> Response:
    check, hours = query.check, query.hours
    if not check:
        raise ValueError("give the check: ?check=<id>")
    looks = await query.history.look(lambda database: backtest.read(database, check=check, hours=hours, limit=backtest.LOOKS + 1))
    kept, cut = looks[: backtest.LOOKS], len(looks) > backtest.LOOKS
    return json_response(await asyncio.to_thread(lambda: json.dumps({"looks": backtest.as_looks(kept), "cut": cut})))


async def _remedies(query: Query) -> Response:
    hours, fingerprint = query.hours, query.parameters.get("fingerprint")
    return JSONResponse({"remedies": await query.history.look(lambda database: proof.read(database, hours=hours, fingerprint=fingerprint))})


async def _witnesses(query: Query) -> Response:
    fingerprint = query.parameters.get("fingerprint")
    if not fingerprint:
        raise ValueError("give the row: ?fingerprint=<fingerprint>")
    witnesses = await query.history.witnesses(fingerprint)
    return JSONResponse({name: result and result.to_wire() for name, result in witnesses._asdict().items()})


async def _diff(query: Query) -> Response:
    a, b = query.parameters.get("a"), query.parameters.get("b")
    if not a or not b:
        raise ValueError("a diff needs two scans: ?a=<scan_id>&b=<scan_id>")
    return JSONResponse({"diff": await query.history.diff(a, b)})


QUERIES: Mapping[str, Callable[[Query], Awaitable[Response]]] = {
    "": _scans,
    "latest": _latest,
    "rows": _rows,
    "history": _history,
    "changes": _changes,
    "events": _events,
    "hours": _hours,
    "looks": _looks,
    "remedies": _remedies,
    "witnesses": _witnesses,
    "diff": _diff,
}
