"""Gatus' conditions as expressions of ours.

What a condition means is Gatus' own evaluation: both sides become texts, `==` compares them as numbers where both are, `<` and its like as
whole numbers. A side that is not there is a text of its own, which is why `!=` holds without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..duration import parse_duration
from .expression import Step, globbed, negated, place, quoted, split_path, there

_SIGNS = (" == ", " != ", " <= ", " >= ", " > ", " < ")
"""In the order in which Gatus looks for them."""
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_PLACEHOLDER = re.compile(r"\[([A-Za-z_]+)\](.*)", re.DOTALL)
_FUNCTION = re.compile(r"(len|has|age|pat|any)\((.*)\)", re.DOTALL)
_MAY_BE_NO_TEXT = re.compile(r"[-+]?[\d.].*|true|false|\[.*|\{.*|map\[.*|", re.DOTALL)
"""A literal that the text of a number, of a bool, a list or a map may be equal to."""
_WHOLE = re.compile(r"[-+]?\d+")


class NoCounterpart(Exception):
    """A condition that cannot be said here, and why."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the placeholders are called in a check of one type; None: it has none. `connected` and `failed` are whole expressions."""

    connected: str
    failed: str
    time: str | None = "duration_ms"
    status: str | None = None
    ip: str | None = None
    certificate: str | None = None
    rcode: str | None = None
    text: str | None = None
    body: str | None = None
    headers: str | None = None
    domain: str | None = None
    answers: Callable[[Callable[[str], str]], str] | None = None
    """DNS: an expression that asks each record."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One side as expressions: its text, its number, and the value itself. `absent` says when there is none."""

    kind: str
    text: str = ""
    number: str = ""
    absent: str = ""
    value: str = ""


def converted(condition: str, names: Names) -> str:
    """The expression that holds when Gatus' condition does. Raises NoCounterpart."""
    sign = next((sign for sign in _SIGNS if sign in condition), None)
    if sign is None:
        raise NoCounterpart("it is not a condition: it compares nothing")
    left, right = (part.strip() for part in condition.split(sign)[:2])
    sign = sign.strip()
    if "[*]" in condition:
        return _each(left, right, sign, names)
    return _compared(left, right, sign, names)


def _compared(left: str, right: str, sign: str, names: Names) -> str:
    if _is_literal(left) and not _is_literal(right):
        left, right, sign = right, left, _MIRRORED.get(sign, sign)
    if _is_literal(left):
        raise NoCounterpart("it compares two texts")
    if sign in ("==", "!="):
        return _equal(left, right, sign == "==", names)
    return _ordered(left, right, sign, names)


def _is_literal(side: str) -> bool:
    function = _FUNCTION.fullmatch(side)
    if function is not None and function[1] in ("len", "has", "age"):
        return False
    return _PLACEHOLDER.match(side) is None


def _equal(left: str, right: str, wanted: bool, names: Names) -> str:
    function = _FUNCTION.fullmatch(left)
    if function is not None and function[1] == "has":
        if right not in ("true", "false"):
            raise NoCounterpart("has() is true or false")
        return _has(function[2].strip(), (right == "true") is wanted, names)
    name, rest = _named(left)
    if name == "CONNECTED":
        if right not in ("true", "false"):
            raise NoCounterpart("[CONNECTED] is true or false")
        return names.connected if (right == "true") is wanted else names.failed
    if name == "BODY" and names.answers is not None:
        if rest or not _is_literal(right):
            raise NoCounterpart("a DNS answer has no parts here")
        found = names.answers(lambda record: _fits(record, right))
        return found if wanted else negated(found)
    if name in ("RESPONSE_TIME", "CERTIFICATE_EXPIRATION", "DOMAIN_EXPIRATION") or (function is not None and function[1] == "age"):
        return _ordered(left, right, "==" if wanted else "!=", names)
    side = _side(left, names)
    if not _is_literal(right):
        return _same(side, _side(right, names), wanted)
    if side.kind == "number" and (values := _numbers(right)) is not None:
        return _one_of(side.number, values, wanted)
    return _said(side, right, wanted)


def _same(side: _Side, other: _Side, wanted: bool) -> str:
    """Two things that are looked up, compared as texts."""
    absent = [part for part in (side.absent, other.absent) if part]
    return f"{side.text} == {other.text}" if wanted else " || ".join([*absent, f"{side.text} != {other.text}"])


def _one_of(number: str, values: list[str], wanted: bool) -> str:
    if len(values) == 1:
        return f"{number} {'==' if wanted else '!='} {values[0]}"
    return f"{'' if wanted else '!('}{number} in [{', '.join(values)}]{'' if wanted else ')'}"


def _said(side: _Side, right: str, wanted: bool) -> str:
    """A text and a literal."""
    # A word is equal to no number, so that the value need not be made a text first.
    text = side.text if _MAY_BE_NO_TEXT.fullmatch(right) or _FUNCTION.fullmatch(right) else side.value or side.text
    said = _fits(text, right)
    if wanted:
        return said
    said = f"{text} != {quoted(right)}" if said == f"{text} == {quoted(right)}" else negated(said)
    return f"{side.absent} || {said}" if side.absent else said


def _fits(text: str, right: str) -> str:
    """Whether a text, given as an expression, is what the literal asks for: a text, `pat(…)` or `any(…)`."""
    function = _FUNCTION.fullmatch(right)
    if function is not None and function[1] == "pat":
        try:
            return globbed(function[2], text)
        except ValueError as error:
            raise NoCounterpart(str(error)) from None
    if function is not None and function[1] == "any":
        return f"{text} in [{', '.join(quoted(option.strip()) for option in function[2].split(','))}]"
    return f"{text} == {quoted(right)}"


def _numbers(right: str) -> list[str] | None:
    """The whole numbers that a literal names; None where it names something else."""
    function = _FUNCTION.fullmatch(right)
    options = [right] if function is None else function[2].split(",") if function[1] == "any" else []
    found = [option.strip() for option in options]
    return [str(int(option)) for option in found] if found and all(_WHOLE.fullmatch(option) for option in found) else None


def _ordered(left: str, right: str, sign: str, names: Names) -> str:
    name, _ = _named(left)
    if name == "CERTIFICATE_EXPIRATION":
        if names.certificate is None:
            raise NoCounterpart("this check sees no certificate")
        if sign in ("==", "!=") and right == "0":
            return f"{names.certificate} {sign} null"  # without a certificate it is 0 in Gatus
        return f"{names.certificate} {sign} duration('{_duration(right)}')"
    if name == "DOMAIN_EXPIRATION" and names.domain is not None:
        return f"{names.domain} {sign} duration('{_duration(right)}')"
    if name == "age":
        return f"now - timestamp({_aged(left, names)}) {sign} duration('{_duration(right)}')"
    number = _side(left, names).number
    if not _is_literal(right):
        return f"{number} {sign} {_side(right, names).number}"
    if name == "RESPONSE_TIME" and sign in ("<", ">="):
        number = names.time or number  # whole milliseconds or not is the same for these
    return f"{number} {sign} {_whole(right)}"


def _whole(text: str) -> int:
    """The whole number that Gatus makes of a literal: a duration is milliseconds."""
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        pass
    try:
        return int(parse_duration(text) * 1000)
    except ValueError:
        raise NoCounterpart(f"{text!r} is neither a number nor a duration, so it counts as 0 in Gatus") from None


def _duration(text: str) -> str:
    return text if re.fullmatch(r"[1-9]\d*[hms]", text) else f"{_whole(text)}ms"


def _aged(side: str, names: Names) -> str:
    function = _FUNCTION.fullmatch(side)
    name, rest = _named("" if function is None else function[2])
    if name != "BODY" or names.body is None or "," in rest:
        raise NoCounterpart("age() asks here for a time (RFC 3339) in a JSON body")
    return place(names.body, _steps(rest))


def _has(inner: str, wanted: bool, names: Names) -> str:
    name, rest = _named(inner)
    if name == "BODY" and names.body is not None:
        steps = _steps(rest)
        if not steps:
            return f"size({names.text}.trim()) {'>' if wanted else '=='} 0"
        found, value = there(names.body, steps), place(names.body, steps)
        return f"{found} && {value} != null" if wanted else f"{negated(found)} || {value} == null"
    if name == "HEADER" and names.headers is not None:
        found = f"{quoted(rest.removeprefix('.').lower())} in {names.headers}"
        return found if wanted else negated(found)
    raise NoCounterpart("has() asks here for a place of a JSON body or for a header")


def _side(side: str, names: Names) -> _Side:
    """A side with a placeholder."""
    function = _FUNCTION.fullmatch(side)
    if function is not None:
        name, rest = _named(function[2].strip())
        if name != "BODY" or names.body is None:
            raise NoCounterpart("len() asks here for a place of a JSON body")
        steps = _steps(rest)
        size = f"size({place(names.body, steps)})" if steps else f"size({names.body})"
        return _Side("number", number=size, text=f"string({size})")
    name, rest = _named(side)
    if name == "BODY" and names.text is not None:
        steps = _steps(rest)
        if not steps:
            return _Side("text", text=f"{names.text}.trim()", number=f"int({names.text}.trim())")
        if names.body is None:
            raise NoCounterpart("this check does not read JSON")
        value = place(names.body, steps)
        return _Side("text", text=f"string({value})", number=f"int({value})", absent=negated(there(names.body, steps)), value=value)
    if name == "HEADER" and names.headers is not None:
        key = quoted(rest.removeprefix(".").lower())
        value = f"{names.headers}[{key}]"
        return _Side("text", text=value, number=f"int({value})", absent=negated(f"{key} in {names.headers}"))
    known: dict[str, tuple[str, str | None]] = {
        "STATUS": ("number", names.status),
        "RESPONSE_TIME": ("number", names.time and f"int({names.time})"),
        "IP": ("text", names.ip),
        "DNS_RCODE": ("text", names.rcode),
    }
    kind, found_as = known.get(name, ("", None))
    if rest or found_as is None:
        told = {"DOMAIN_EXPIRATION": "a `domain` check says when a domain expires: add one", "CONTEXT": "there are no suites here"}
        raise NoCounterpart(told.get(name, f"[{name}] is not known of this check"))
    if kind == "number":
        return _Side(kind, text=f"string({found_as})", number=found_as)
    return _Side(kind, text=found_as, number=f"int({found_as})")


def _named(side: str) -> tuple[str, str]:
    function = _FUNCTION.fullmatch(side)
    if function is not None and function[1] in ("len", "has", "age"):
        return function[1], ""
    found = _PLACEHOLDER.fullmatch(side)
    if found is None:
        raise NoCounterpart(f"{side!r} names nothing that was seen")
    return found[1].upper(), found[2]


def _steps(rest: str) -> list[Step]:
    steps = split_path(rest)
    if steps is None:
        raise NoCounterpart(f"{rest!r} is not a path to one place")
    return steps


def _each(left: str, right: str, sign: str, names: Names) -> str:
    """`[BODY].items[*].state == up`: each item of a list that has some."""
    if names.body is None or "[*]" not in left or left.count("[*]") > 1 or "[*]" in right or not _is_literal(right):
        raise NoCounterpart("[*] stands here once, on the left, in a place of a JSON body")
    inner = re.fullmatch(r"((?:len|has)\()?\[BODY\]([^*]*)\[\*\](.*?)(\))?", left, re.IGNORECASE | re.DOTALL)
    if inner is None or bool(inner[1]) != bool(inner[4]):
        raise NoCounterpart("[*] stands here once, on the left, in a place of a JSON body")
    listed = place(names.body, _steps(inner[2]))
    item = Names(names.connected, names.failed, text="string(item)", body="item")
    said = _compared(f"{inner[1] or ''}[BODY]{inner[3]}{inner[4] or ''}", right, sign, item)
    return f"size({listed}) > 0 && {listed}.all(item, {said.replace('string(item).trim()', 'string(item)')})"
