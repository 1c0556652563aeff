"""Results as tuples, for the way between two processes of one installation: pickling and building them whole costs twice as much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from .model import CheckResult, ConditionResult, Evidence, Failure, Metric, Remediation, Runner, State, Suppression


def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _values(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*_names(kind))


def _shared(kind: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a part once for all results that have the same: most conditions and numbers of a look are those of the look before."""
    return lru_cache(maxsize=20_000, typed=True)(kind)


_NAMES = _names(CheckResult)
_RESULT = _values(CheckResult)
_ONE: dict[int, tuple[Callable[..., Any], Callable[[Any], tuple[Any, ...]]]] = {
    _NAMES.index(name): (make, _values(kind))
    for name, kind, make in (
        ("state", State, _shared(State)),
        ("error", Failure, Failure),
        ("remediation", Remediation, Remediation),
        ("suppression", Suppression, Suppression),
        ("runner", Runner, _shared(Runner)),
    )
}
_MANY: dict[int, tuple[Callable[..., Any], Callable[[Any], tuple[Any, ...]]]] = {
    _NAMES.index(name): (make, _values(kind))
    for name, kind, make in (
        ("conditions", ConditionResult, _shared(ConditionResult)),
        ("metrics", Metric, _shared(Metric)),
        ("evidence", Evidence, Evidence),
    )
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
    for at, (make, _) in _ONE.items():
        if values[at] is not None:
            values[at] = make(*values[at])
    for at, (make, _) in _MANY.items():
        values[at] = [make(*part) for part in values[at]]
    result: CheckResult = object.__new__(CheckResult)
    for name, value in zip(_NAMES, values, strict=True):
        setattr(result, name, value)
    return result
