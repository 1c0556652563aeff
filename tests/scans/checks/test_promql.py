"""The promql check against Prometheus' API as its documentation says that it answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from partywidgets.scans.checks.promql import PromqlCheck

from .servers import answer, look, serving

VECTOR = {
    "resultType": "vector",
    "result": [
        {"metric": {"__name__": "up", "job": "a"}, "value": [1700000000.1, "1"]},
        {"metric": {"__name__": "up", "job": "b"}, "value": [1700000000.1, "0"]},
    ],
}


async def ask(status: str, body: bytes, **keys: Any) -> Any:
    """The result of a check against a server that answers this."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"GET /api/v1/query?query=up&timeout=")
        writer.write(answer(status, body))
        await writer.drain()
        await reader.read()

    async with serving(handle) as port:
        return await look(PromqlCheck(id="x", url=f"http://127.0.0.1:{port}/", query="up", **keys))


async def test_threshold_on_every_series() -> None:
    """A condition over all series fails for one of them, and each series is evidence."""
    body = json.dumps({"status": "success", "data": VECTOR}).encode()
    result = await ask("200 OK", body, conditions=("series.all(s, s.value == 1.0)",))
    assert result.status == "crit"
    assert [item.value for item in result.evidence] == ['up{job="a"} 1.0', 'up{job="b"} 0.0']


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("400 Bad Request", {"status": "error", "errorType": "bad_data", "error": "parse error"}, "http"),
        ("503 Unavailable", {"status": "error", "errorType": "timeout", "error": "too slow"}, "timeout"),
        ("401 Unauthorized", {}, "auth"),
        ("404 Not Found", [], "http"),
        ("200 OK", {"status": "success", "data": {"resultType": "matrix", "result": []}}, "parse"),
        ("200 OK", {"status": "success", "data": {"resultType": "vector", "result": [1]}}, "parse"),
    ],
)
async def test_refusals(status: str, body: Any, kind: str) -> None:
    """What is not an answer to the query is crit, by its kind."""
    result = await ask(status, json.dumps(body).encode())
    assert (result.status, result.error.kind) == ("crit", kind)


async def test_no_series() -> None:
    """A query that finds nothing is crit unless the author says otherwise."""
    body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}}).encode()
    assert (await ask("200 OK", body)).status == "crit"
    assert (await ask("200 OK", body, conditions=("count == 0",))).status == "ok"
