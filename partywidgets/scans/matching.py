"""Matchers: which results a silence, a maintenance window or a target of notifications means."""

from __future__ import annotations

from collections.abc import Mapping

from .model import CheckResult

FIELDS = ("check_id", "check_type", "target", "severity", "fingerprint")
"""What a matcher's key may name beside labels; a label of that name comes first."""


def value_of(result: CheckResult, key: str) -> str | None:
    """What a matcher's key means of a result; None: it has no such label."""
    if key in result.labels:
        return result.labels[key]
    return str(getattr(result, key)) if key in FIELDS else None


def matches(matchers: Mapping[str, str], result: CheckResult) -> bool:
    """True when every matcher has the result's value; no matchers match everything."""
    return all(value_of(result, key) == value for key, value in matchers.items())
