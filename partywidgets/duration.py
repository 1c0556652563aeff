"""Durations as people write them: `500ms`, `5s`, `1m`, `2h`, `7d`, `1h30m`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w)")
PATTERN = r"^-?((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w))+$"


def parse_duration(text: str | float) -> float:
    """Seconds of a duration; a plain number is seconds. Raises ValueError with an example of what would be right."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        got = {bool: str(text).lower(), list: "a list", dict: "a mapping of keys", type(None): "nothing"}.get(type(text), repr(text)[:80])
        raise ValueError(f"expected a duration such as '30s' or '5m', got {got}")
    if not isinstance(text, str):
        return float(text)
    bare = text.strip()
    body = bare.removeprefix("-")
    parts = _PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f"{text!r} is not a duration; write '500ms', '30s', '5m', '2h', '7d' or '1h30m'")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return -seconds if bare != body else seconds


def format_duration(seconds: float) -> str:
    """A duration for people, in its two largest units, the rest cut off: `90.0` → `1m30s`, `0.25` → `250ms`, `1209540` → `13d23h`."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 1:
        return f"{seconds * 1000:.4g}ms" if seconds else "0s"
    if seconds < 60:
        return f"{seconds:.4g}s"
    parts: list[str] = []
    rest = int(seconds)
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(_UNITS[unit]))
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return "".join(parts[:2])


def _positive(value: Any) -> float:
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError(f"a duration here is longer than zero, got {value!r}")
    return seconds


def is_duration(validator: Any) -> bool:
    """True for what reads the durations of a model's fields: such a field's bounds are durations, too."""
    return validator in (parse_duration, _positive)


Seconds = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema({"type": ["string", "number"], "pattern": PATTERN})]
"""A model's field: written as a duration, kept as seconds."""

PositiveSeconds = Annotated[float, BeforeValidator(_positive), WithJsonSchema({"type": ["string", "number"], "pattern": PATTERN})]
"""As Seconds, and longer than zero."""
