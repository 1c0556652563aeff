"""Results as tuples, for the way between two processes of one installation: pickling and building them whole costs twice as much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any

from .model import CheckResult, ConditionResult, Evidence, Failure, Metric, Remediation, Runner, State, Suppression


def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _values(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*_names(kind))


_NAMES = _names(CheckResult)
_RESULT = _values(CheckResult)
_ONE: dict[int, tuple[type, Callable[[Any], tuple[Any, ...]]]] = {
    _NAMES.index(name): (kind, _values(kind))
    for name, kind in (
        ("state", State),
        ("error", Failure),
        ("remediation", Remediation),
        ("suppression", Suppression),
        ("runner", Runner),
    )
}
_MANY: dict[int, tuple[type, Callable[[Any], tuple[Any, ...]]]] = {
    _NAMES.index(name): (kind, _values(kind))
    for name, kind in (("conditions", ConditionResult), ("metrics", Metric), ("evidence", Evidence))
}


def packed(result: CheckResult) -> list[Any]:
    """The result's values in their order, its parts as tuples."""
    values = list(_RESULT(result))
    for at, (_, of) in _ONE.items():
        if values[at] is not None:
            values[at] = of(values[at])
    for at, (_, of) in _MANY.items():
        values[at] = [of(part) for part in values[at]]
    return values


def unpacked(values: list[Any]) -> CheckResult:
    """The result again. Its bounds were applied when it was made, and are not anew."""
    for at, (kind, _) in _ONE.items():
        if values[at] is not None:
            values[at] = kind(*values[at])
    for at, (kind, _) in _MANY.items():
        values[at] = [kind(*part) for part in values[at]]
    result: CheckResult = object.__new__(CheckResult)
    for name, value in zip(_NAMES, values, strict=True):
        setattr(result, name, value)
    return result
