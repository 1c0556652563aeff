"""The names of a table's columns and groups, as `ts/rooms/row-values.ts` has them."""

from __future__ import annotations

COLUMN_KEYS = (
    "status",
    "severity",
    "title",
    "target",
    "summary",
    "duration_ms",
    "observed_at",
    "suppression",
    "check_id",
    "check_type",
    "since",
    "labels",
)
GROUPINGS = ("status", "severity", "check_type", "host")
DEFAULT_SORT = ("status", "-severity", "title")
"""Worst first, then the most severe, then by name."""


def is_grouping(group: str) -> bool:
    """True for what rows can be grouped by: one of `GROUPINGS`, or `label:NAME`."""
    return group in GROUPINGS or (group.startswith("label:") and len(group) > len("label:"))
