"""What a row is sorted, filtered and grouped by. `ts/rooms/row-values.ts` does the same, by the same vectors."""

from __future__ import annotations

import math
import re
from typing import Final

from .model import SEVERITIES, CheckResult, wire_time

SortValue = str | float

WORST_FIRST: Final[dict[str, int]] = {"crit": 0, "warn": 1, "unknown": 2, "ok": 3, "skip": 4}
_URL = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#]*)", re.IGNORECASE)
_HOST = re.compile(r"(?:\[([^\]]+)\](?::\d+)?|([^\s:/]+):\d+)", re.ASCII)


def sort_value(row: CheckResult, key: str) -> SortValue:
    """What a column sorts a row by."""
    if key == "status":
        return WORST_FIRST[row.status]
    if key == "severity":
        return SEVERITIES.index(row.severity)
    if key == "duration_ms":
        return row.duration_ms
    return text_of(row, key)


def text_of(row: CheckResult, key: str) -> str:
    """What a column says, as text that a filter looks into."""
    if key == "title":
        return row.title or row.check_id
    if key == "suppression":
        return "" if row.suppression is None else f"{row.suppression.by} {row.suppression.actor or ''}"
    if key == "since":
        return "" if row.state.since is None else wire_time(row.state.since)
    if key == "observed_at":
        return wire_time(row.observed_at)
    if key == "labels":
        return ", ".join(sorted(label_texts(row)))
    if key == "duration_ms":
        return f"{row.duration_ms:g}"
    return str(getattr(row, key))


def stale_at(row: CheckResult) -> float:
    """When a row is older than it should be, in seconds since the epoch; infinite when it never is."""
    return math.inf if row.ttl_s is None else row.observed_at.timestamp() + row.ttl_s


def label_texts(row: CheckResult) -> list[str]:
    """`team=web` for each label."""
    return [f"{label}={value}" for label, value in row.labels.items()]


def group_of(row: CheckResult, by: str) -> str:
    """The group of a row: by one of `columns.GROUPINGS`, or by `label:NAME`; `""` is the group of those that have none."""
    if by == "host":
        return host_of(row.target)
    if by.startswith("label:"):
        return row.labels.get(by[6:], "")
    return str(getattr(row, by)) if by in ("status", "severity", "check_type") else ""


def group_rank(name: str, by: str) -> SortValue:
    """Where a group stands: statuses worst first, severities highest first, others by name, without a name last."""
    if by == "status":
        return WORST_FIRST.get(name, len(WORST_FIRST))
    if by == "severity":
        return -SEVERITIES.index(name) if name in SEVERITIES else 1
    return "1" if name == "" else f"0{name}"


def host_of(target: str) -> str:
    """The host in a URL, in `host:port` or in `[address]:port`; any other target is its own."""
    url = _URL.match(target)
    authority = url.group(1) if url else target
    match = _HOST.fullmatch(authority)
    return authority if match is None else str(match.group(1) or match.group(2))
