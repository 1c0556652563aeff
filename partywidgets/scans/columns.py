"""The names of a table's columns and groups; `ts/rooms/row-values.ts` has the same, and `tests/vectors/table.json` holds them to it."""

from __future__ import annotations

COLUMN_KEYS = (
    "status",
    "severity",
    "title",
    "target",
    "summary",
    "duration_ms",
    "since",
    "observed_at",
    "suppression",
    "check_id",
    "check_type",
    "labels",
)
GROUPINGS = ("status", "severity", "check_type", "host")
DEFAULT_SORT = ("status", "suppression", "-severity", "title")
"""Worst first; of those that are alike first what nobody takes care of, then the most severe, then by name."""


def is_grouping(group: str) -> bool:
    """True for what rows can be grouped by: one of `GROUPINGS`, or `label:NAME`."""
    return group in GROUPINGS or (group.startswith("label:") and len(group) > len("label:"))
