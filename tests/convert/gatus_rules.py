"""Gatus' own evaluation of a condition, written from its documentation and behaviour: what a converted condition is held against."""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass, field
from typing import Any

from partywidgets.duration import parse_duration

MISSING = "(INVALID)"


@dataclass
class Seen:
    """What one look saw."""

    status: int = 200
    body: str = ""
    time_ms: float = 12.4
    ip: str = "192.0.2.1"
    connected: bool = True
    certificate_ms: int = 0
    headers: dict[str, str] = field(default_factory=dict)


def holds(condition: str, seen: Seen) -> bool:
    """Whether Gatus says that it holds."""
    for sign in (" == ", " != ", " <= ", " >= ", " > ", " < "):
        if sign in condition:
            left, right = (part.strip() for part in condition.split(sign)[:2])
            break
    else:
        raise AssertionError("no condition")
    if (found := re.search(r"\[BODY\]([^ ]*?)\[\*\]", condition)) is not None:
        try:
            listed = _at(json.loads(seen.body), found[1])
        except ValueError:
            return False
        if not isinstance(listed, list) or not listed:
            return False
        return all(holds(condition.replace("[*]", f"[{index}]", 1), seen) for index in range(len(listed)))
    first, second = _text(left, seen), _text(right, seen)
    if sign in (" == ", " != "):
        return _equal(first, second) is (sign == " == ")
    ours, theirs = _number(first), _number(second)
    return {" <= ": ours <= theirs, " >= ": ours >= theirs, " > ": ours > theirs, " < ": ours < theirs}[sign]


def _text(side: str, seen: Seen) -> str:
    function = re.fullmatch(r"(len|has)\((.*)\)", side)
    inner = side if function is None else function[2]
    plain = {
        "[STATUS]": str(seen.status),
        "[IP]": seen.ip,
        "[RESPONSE_TIME]": str(int(seen.time_ms)),
        "[CONNECTED]": "true" if seen.connected else "false",
        "[CERTIFICATE_EXPIRATION]": str(seen.certificate_ms),
    }
    if inner in plain:
        return plain[inner]
    if inner == "[BODY]":
        text = seen.body.strip()
        if function is None:
            return text
        if function[1] == "has":
            return "true" if text else "false"
        try:
            value = json.loads(text)
        except ValueError:
            return str(len(text))
        return str(len(value))
    if inner.startswith("[HEADER]."):
        value = seen.headers.get(inner[9:].lower())
        if function is not None:
            return "true" if value is not None else "false"
        return side + MISSING if value is None else value
    if inner.startswith("[BODY]"):
        try:
            value = _at(json.loads(seen.body), inner[6:])
        except ValueError:
            value = None
        if function is not None and function[1] == "has":
            return "false" if value is None else "true"
        if value is None:
            return side + MISSING
        return str(len(value)) if function is not None else _shown(value)
    return side


def _at(value: Any, path: str) -> Any:
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        try:
            value = value[name] if name else value[int(index)]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _shown(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _equal(first: str, second: str) -> bool:
    for pattern, text in ((first, second), (second, first)):
        if found := re.fullmatch(r"pat\((.*)\)", pattern, re.DOTALL):
            return fnmatch.fnmatchcase(text, found[1])
    for options, text in ((first, second), (second, first)):
        if found := re.fullmatch(r"any\((.*)\)", options, re.DOTALL):
            return text in [option.strip() for option in found[1].split(",")]
    if re.fullmatch(r"[-+]?\d+", first) and re.fullmatch(r"[-+]?\d+", second):
        return int(first) == int(second)
    return first == second


def _number(text: str) -> int:
    try:
        return int(float(text))
    except ValueError:
        pass
    try:
        return int(parse_duration(text) * 1000)
    except ValueError:
        return 0
