"""Reading what a peer or an old database says: every complaint is a ValueError that names the field."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from .text import one_line

T = TypeVar("T")


def wire_time(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-11-23T06:00:00.013Z`. A naive datetime is read as UTC."""
    if moment.tzinfo is not UTC:  # nearly all are
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_time(text: str) -> datetime:
    """The reverse of `wire_time`. Raises ValueError for a time without a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the time {text!r} has no zone")
    return moment.astimezone(UTC)


class WireReader:
    """Reads a mapping that a peer sent; every complaint is a ValueError that names the field."""

    def __init__(self, wire: Mapping[str, Any], schema: str | None = None) -> None:
        if not isinstance(wire, Mapping):
            raise ValueError(f"expected an object, got {type(wire).__name__}")
        if schema is not None and wire.get("schema", schema) != schema:
            raise ValueError(f"expected the schema {schema!r}, got {one_line(str(wire.get('schema')), 80)!r}")
        self.wire = wire

    def value(self, name: str) -> Any:
        return self.wire.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        found = self.wire.get(name, default)
        if not isinstance(found, str):
            raise ValueError(f"{name}: expected text, got {type(found).__name__}")
        return found

    def maybe_text(self, name: str) -> str | None:
        return None if self.wire.get(name) is None else self.text(name)

    def one_of(self, name: str, choices: Sequence[str], *default: str | None) -> str | None:
        found = self.wire.get(name, *default)
        if found not in choices and not (default and found is None and default[0] is None):
            raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {one_line(repr(found), 80)}")
        return cast("str | None", found)

    def number(self, name: str, default: float | None) -> float | None:
        found = self.wire.get(name, default)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
            raise ValueError(f"{name}: expected a finite number, got {one_line(repr(found), 80)}")
        return found

    def time(self, name: str) -> datetime | None:
        text = self.maybe_text(name)
        try:
            return None if text is None else parse_time(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    def items(self, name: str) -> Sequence[Any]:
        found = self.wire.get(name) or []
        if not isinstance(found, (list, tuple)):
            raise ValueError(f"{name}: expected a list, got {type(found).__name__}")
        return found

    def part(self, name: str) -> WireReader | None:
        return None if self.wire.get(name) is None else WireReader(self.wire[name])

    def parts(self, name: str) -> list[WireReader]:
        return [WireReader(item) for item in self.items(name)]

    def mapping(self, name: str, kinds: tuple[type[T], ...]) -> Mapping[str, T]:
        found = self.wire.get(name) or {}
        if not isinstance(found, Mapping) or not all(isinstance(k, str) and isinstance(v, kinds) for k, v in found.items()):
            raise ValueError(f"{name}: expected an object of {' or '.join(kind.__name__ for kind in kinds)}")
        return found
