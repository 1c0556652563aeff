"""The values of the Common Expression Language: how they compare, what operators and functions make of them, how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..duration import format_duration, parse_duration

MATCH_CHARS = 64 * 1024
"""How much of a text `matches` looks at."""
SEEN_CHARS = 4 * 1024
"""How much of a value is told: far more than people see of it, so that a secret in it is whole when it is looked for."""


class EvaluationError(Exception):
    """The expression has no value for these values; the text says what was missing."""


class Exhausted(Exception):
    """The evaluation was stopped; the text says at which bound. No EvaluationError, for `||`, `all` and `has` may look past those."""


@dataclass(frozen=True, slots=True)
class Picked:
    """The item of a list, or the key of a map, that decided: the how manieth of how many."""

    value: Any
    place: int
    total: int


def kind_of(value: Any) -> str:
    """CEL's name for a value's type."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "double"
        case str():
            return "string"
        case bytes():
            return "bytes"
        case timedelta():
            return "duration"
        case datetime():
            return "timestamp"
        case list() | tuple():
            return "list"
        case Mapping():
            return "map"
    return type(value).__name__


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def equal(left: Any, right: Any) -> bool:
    """CEL's equality: numbers by value whatever their type, values of other different types are unequal."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _comparable(left: Any, right: Any) -> bool:
    if _number(left) and _number(right):
        return True
    return any(isinstance(left, kind) and isinstance(right, kind) for kind in (str, timedelta, datetime, bytes, bool))


def _order(sign: str, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def run(left: Any, right: Any) -> bool:
        if not _comparable(left, right):
            raise EvaluationError(f"{kind_of(left)} {sign} {kind_of(right)} has no answer")
        return compare(left, right)

    return run


def _within(left: Any, right: Any) -> bool:
    if isinstance(right, (list, tuple)):
        return any(equal(left, item) for item in right)
    if isinstance(right, Mapping):
        return isinstance(left, (str, int)) and left in right
    raise EvaluationError(f"'in' needs a list or a map on its right, got {kind_of(right)}")


RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": _order("<", lambda left, right: left < right),
    "<=": _order("<=", lambda left, right: left <= right),
    ">": _order(">", lambda left, right: left > right),
    ">=": _order(">=", lambda left, right: left >= right),
    "in": _within,
}


def arithmetic(sign: str, left: Any, right: Any) -> Any:
    if _number(left) and _number(right):
        whole = isinstance(left, int) and isinstance(right, int)
        if sign == "+":
            return left + right
        if sign == "-":
            return left - right
        if sign == "*":
            return left * right
        if right == 0:
            raise EvaluationError("a division by zero")
        if sign == "/":
            return _quotient(left, right) if whole else left / right
        if whole:
            return left - right * _quotient(left, right)  # the sign of the dividend, as in Go and C
    elif sign == "+":
        if isinstance(left, str) and isinstance(right, str):
            return left + right
        if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
            return [*left, *right]
        if isinstance(left, (datetime, timedelta)) and isinstance(right, timedelta):
            return left + right
        if isinstance(left, timedelta) and isinstance(right, datetime):
            return right + left
    elif sign == "-":
        if isinstance(left, datetime) and isinstance(right, (datetime, timedelta)):
            return left - right
        if isinstance(left, timedelta) and isinstance(right, timedelta):
            return left - right
    raise EvaluationError(f"{kind_of(left)} {sign} {kind_of(right)} has no answer")


def _quotient(left: int, right: int) -> int:
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _size(value: Any) -> int:
    if isinstance(value, (str, bytes, list, tuple, Mapping)):
        return len(value)
    raise EvaluationError(f"size() of {kind_of(value)} has no answer")


def _convert(name: str, convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(value: Any) -> Any:
        try:
            return convert(value)
        except (ValueError, TypeError, OverflowError, KeyError) as error:
            raise EvaluationError(f"{name}() of {show(value)} has no answer") from error

    return run


def _to_duration(value: Any) -> timedelta:
    return value if isinstance(value, timedelta) else timedelta(seconds=parse_duration(value))


def _to_timestamp(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if _number(value):
        return datetime.fromtimestamp(value, UTC)
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _to_int(value: Any) -> int:
    return int(value.timestamp()) if isinstance(value, datetime) else int(value)


def _to_uint(value: Any) -> int:
    number = _to_int(value)
    if number < 0:
        raise ValueError("below zero")
    return number


def _to_text(value: Any) -> str:
    if value is None or isinstance(value, (list, tuple, Mapping)):
        raise TypeError("no text")
    return value if isinstance(value, str) else show(value)


_BOOLS = {**dict.fromkeys(("true", "True", "TRUE", "t", "1"), True), **dict.fromkeys(("false", "False", "FALSE", "f", "0"), False)}


def _to_bool(value: Any) -> bool:
    return value if isinstance(value, bool) else _BOOLS[value]


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "size": _size,
    "int": _convert("int", _to_int),
    "uint": _convert("uint", _to_uint),
    "double": _convert("double", float),
    "string": _convert("string", _to_text),
    "bool": _convert("bool", _to_bool),
    "duration": _convert("duration", _to_duration),
    "timestamp": _convert("timestamp", _to_timestamp),
    "type": kind_of,
    "dyn": lambda value: value,
}


def text_method(name: str, method: Callable[[str, str], bool]) -> Callable[..., Any]:
    def run(receiver: Any, argument: Any) -> bool:
        if not isinstance(receiver, str) or not isinstance(argument, str):
            raise EvaluationError(f"{name}() needs two texts, got {kind_of(receiver)} and {kind_of(argument)}")
        return method(receiver, argument)

    return run


def _plain_text(name: str, method: Callable[[str], str]) -> Callable[..., Any]:
    def run(receiver: Any) -> str:
        if not isinstance(receiver, str):
            raise EvaluationError(f"{name}() needs a text, got {kind_of(receiver)}")
        return method(receiver)

    return run


def pattern(text: str) -> Callable[[str], bool]:
    """A search by a regular expression, in linear time. Raises ValueError for what is not a regular expression."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        search = re2.compile(text, options).search
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise ValueError(f"{text!r} is not a regular expression: {reason.decode() if isinstance(reason, bytes) else reason}") from None
    return lambda subject: search(subject[:MATCH_CHARS]) is not None


def _matches(receiver: str, argument: str) -> bool:
    try:
        return pattern(argument)(receiver)
    except ValueError as error:
        raise EvaluationError(str(error)) from None


METHODS: dict[str, tuple[int, Callable[..., Any]]] = {
    "size": (0, _size),
    "contains": (1, text_method("contains", lambda text, part: part in text)),
    "startsWith": (1, text_method("startsWith", str.startswith)),
    "endsWith": (1, text_method("endsWith", str.endswith)),
    "matches": (1, text_method("matches", _matches)),
    "lowerAscii": (0, _plain_text("lowerAscii", str.lower)),
    "upperAscii": (0, _plain_text("upperAscii", str.upper)),
    "trim": (0, _plain_text("trim", str.strip)),
}

MACROS = ("all", "exists", "exists_one", "filter", "map")


def show(value: Any) -> str:
    """A value for people: `503`, `12.4`, `13d22h`, `'ok'` without its quotes, a list or map as JSON would have it; cut by who shows it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str() | int():  # nearly all values; the question for a mapping costs more than the rest
            return str(value)[:SEEN_CHARS]
        case float():
            return f"{value:.6g}"
        case timedelta():
            return format_duration(value.total_seconds())
        case datetime():
            return value.isoformat(timespec="seconds").replace("+00:00", "Z")
        case bytes():
            return value[:100].hex(" ")
        case list() | tuple():
            return "[" + ", ".join(_shown_item(item) for item in value[:10]) + (f", … {len(value)} items]" if len(value) > 10 else "]")
        case Mapping():
            shown = ", ".join(f"{key}: {_shown_item(value[key])}" for key in list(value)[:10])
            return "{" + shown + (f", … {len(value)} keys}}" if len(value) > 10 else "}")
        case Picked():
            return f"item {value.place} of {value.total}: {show(value.value)}"
    return str(value)[:SEEN_CHARS]


def _shown_item(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{len(value)} items]"
    if isinstance(value, Mapping):
        return f"{{{len(value)} keys}}"
    return show(value)
