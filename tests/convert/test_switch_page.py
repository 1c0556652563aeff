"""What docs/how-to/switch.md says, tried."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from partywidgets.config import parse_config
from partywidgets.convert.gatus_condition import converted
from partywidgets.convert.gatus_target import HTTP
from partywidgets.scan_once import scan_once
from tests.scans.checks.servers import answer, serving

PAGE = (Path(__file__).parents[2] / "docs/how-to/switch.md").read_text()


@pytest.mark.parametrize(("days", "status"), [(200, "ok"), (20, "warn")])
async def test_the_end_of_a_domain(days: int, status: str) -> None:
    """The check that the page gives warns when a registry's answer (RFC 9083) says that the domain ends within 30 days."""
    ends = (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds").replace("+00:00", "Z")
    events = [{"eventAction": "registration", "eventDate": "1997-06-03T00:00:00Z"}, {"eventAction": "expiration", "eventDate": ends}]

    async def registry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            answer(body=json.dumps({"objectClassName": "domain", "events": events}).encode(), content_type="application/rdap+json")
        )
        await writer.drain()

    entry = next(block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "rdap" in block)
    async with serving(registry) as port:
        config = parse_config("checks:\n" + entry.replace("https://rdap.org", f"http://127.0.0.1:{port}"))
        (result,) = (await scan_once(config)).results
    assert result.status == status, result.summary


def test_the_table_of_gatus_terms() -> None:
    """Each condition of the table becomes what stands beside it."""
    rows = re.findall(r"^\| (`.*?) \| (`.*?) \|$", PAGE, re.MULTILINE)
    tried = 0
    for theirs, ours in rows:
        conditions, expressions = (re.findall(r"`([^`]+)`", cell) for cell in (theirs, ours))
        if not all(re.search(r"\[[A-Z_]+\]", one) and re.search(r" [=<>!]", one) for one in conditions):
            continue
        for condition, expression in zip(conditions, expressions, strict=False):
            assert converted(condition, HTTP) == expression
            tried += 1
    assert tried >= 7
