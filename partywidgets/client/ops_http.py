"""What is asked of an ops room's host without being in the room: to take a report, and which checks it has."""

from __future__ import annotations

import json
from typing import Any, cast

from ..exceptions import HostError, PartyError, RefusedError, ScanError
from ..partysocket import FetchResponse, Provided, fetch_url, root_url
from ..partysocket.address import encode_query, http_url
from ..scans.report import ScanReport

PUBLISH_LIMIT = 8 * 1024 * 1024
"""Bytes of JSON of the largest report that a host takes (`BODY_BYTES` of scans/requests.py)."""
PUBLISH_TIMEOUT = 30.0
"""Seconds that a host may take for a report."""
SLOWEST = 4000
"""Bytes a second of the slowest line (32 kbit/s) over which something is sent to a host: what it takes comes to the other times."""


async def publish_report(report: ScanReport, url: str, *, token: Provided[str | None] = None) -> None:
    """Gives the ops room of the host at `url` a report that was made here. Needs the role runner or admin.

    Raises RefusedError, HostError, and ScanError for what the room does not take, and for a report over PUBLISH_LIMIT before it is sent.
    """
    root = _root(url)
    body = json.dumps({"report": report.to_wire(max_bytes=None)}, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    if len(body) > PUBLISH_LIMIT:
        raise ScanError(
            f"the report of {len(report.results)} results has {len(body) / 2**20:.1f} MiB, a host takes {PUBLISH_LIMIT >> 20} at once: "
            "scan and publish the checks in parts, by checks= or labels= (on the command line --check or --label)"
        )
    response = await fetch_url(
        "POST",
        f"{root}/api/ops/scans",
        token=token,
        body=body,
        headers={"Content-Type": "application/json"},
        timeout=PUBLISH_TIMEOUT + len(body) / SLOWEST,
    )
    if not response.ok:
        raise refusal(response, ScanError, "the report")


async def present_checks(url: str, name: str, *, token: Provided[str | None] = None) -> list[dict[str, Any]]:
    """The checks of the host at `url`, as `scans.plan.compare` takes them; `name` is the config to compare with. Needs the role admin.

    Raises RefusedError, HostError, and ScanError for a host that has no such answer.
    """
    root = _root(url)
    response = await fetch_url("GET", f"{root}/api/ops/scans/checks?{encode_query({'config': name})}", token=token)
    if not response.ok:
        raise refusal(response, ScanError, "the list of its checks")
    return cast("list[dict[str, Any]]", response.json()["checks"])


def _root(url: str) -> str:
    """A host's root, over HTTP. Raises HostError for what is no URL of one."""
    try:
        return http_url(root_url(url))
    except ValueError as error:
        raise HostError(str(error)) from None


def refusal(response: FetchResponse, kind: type[PartyError], what: str) -> PartyError:
    """The error of an answer that is none, with the host's own words: `kind`, or RefusedError where it is about who asks."""
    try:
        answer = response.json()
        reason = str(answer.get("error") or answer.get("message") or "") if isinstance(answer, dict) else ""
    except ValueError:
        reason = response.text.strip()[:300]
    if response.status in (401, 403):
        return RefusedError(reason or f"the host refused {what} (HTTP {response.status})", status=response.status)
    return kind(reason or f"the host answered HTTP {response.status} for {what}")
