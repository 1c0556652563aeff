"""What is wrong with one value of a config, in words of YAML and of its reader: what is expected, and what stands there."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date
from typing import Any

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .duration import format_duration, is_duration
from .spelling import nearest

SHOWN = 80
"""Characters of a value that a sentence shows."""


def shown(value: Any) -> str:
    """A value as a sentence names it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping of keys" if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    text = value.isoformat() if isinstance(value, date) else repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def words(detail: ErrorDetails, field: FieldInfo | None) -> str:
    """One sentence about a value that pydantic refuses, `field` being the key that it stands under or in."""
    say = WORDS.get(detail["type"])
    if say is None:
        return f"{shown(detail['input'])} is not valid here"
    return say(detail["input"], detail.get("ctx", {}), field)


Say = Callable[[Any, dict[str, Any], FieldInfo | None], str]


def _expected(what: str, hint: Callable[[Any], str] = lambda _: "") -> Say:
    return lambda value, _, __: f"expected {what}, got {shown(value)}{hint(value)}"


def _as_list(value: Any) -> str:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return f": write [{shown(value)}]" if len(repr(value)) <= SHOWN - 2 else ": put it into [ ]"
    return ": take the keys away and begin each item with a dash" if isinstance(value, dict) and value else ""


def _as_text(value: Any) -> str:
    if isinstance(value, dict) and value:
        return ": put the whole into quotes"
    return f": write '{shown(value)}'" if isinstance(value, (int, float, date)) else ""


def _range(value: Any, context: dict[str, Any], field: FieldInfo | None) -> str:
    """Both ends where the field has both, in its own unit."""
    bounds = {
        name: getattr(one, name) for one in (field.metadata if field else ()) for name in ("ge", "gt", "le", "lt") if hasattr(one, name)
    }
    if not context.items() <= bounds.items():
        bounds = context  # of an item in the field, or of a key
    unit = format_duration if _takes_durations(field) else "{:,.15g}".format
    low = [unit(bounds[name]) if name == "ge" else f"more than {unit(bounds[name])}" for name in ("ge", "gt") if name in bounds]
    high = [unit(bounds[name]) if name == "le" else f"less than {unit(bounds[name])}" for name in ("le", "lt") if name in bounds]
    if low and high:
        expected = f"{low[0]} to {high[0]}" if "ge" in bounds and "le" in bounds else f"{low[0]} and {high[0]}"
    elif low:
        expected = f"{low[0]} or more" if "ge" in bounds else low[0]
    else:
        expected = f"at most {high[0]}" if "le" in bounds else high[0]
    got = unit(value) if isinstance(value, float) and math.isfinite(value) and unit is format_duration else shown(value)
    return f"expected {expected}, got {got}"


def _takes_durations(field: FieldInfo | None) -> bool:
    return field is not None and any(isinstance(one, BeforeValidator) and is_duration(one.func) for one in field.metadata)


def _too_short(value: Any, context: dict[str, Any], field: FieldInfo | None) -> str:
    least, kind = context["min_length"], "key" if isinstance(value, dict) else "item"
    return f"expected at least {'one' if least == 1 else least} {kind}{'s' * (least != 1)}, got {shown(value) if not value else len(value)}"


def _too_long(value: Any, context: dict[str, Any], field: FieldInfo | None) -> str:
    kind = "keys" if isinstance(value, dict) else "items"
    got = f", got {len(value):,}" if isinstance(value, (dict, list, tuple)) else ""
    return f"expected at most {context['max_length']:,} {kind}{got}"


def _short_text(value: Any, context: dict[str, Any], field: FieldInfo | None) -> str:
    least = context["min_length"]
    return f"expected text{'' if least == 1 else f' of at least {least} characters'}, got {'an empty one' if value == '' else shown(value)}"


def _long_text(value: Any, context: dict[str, Any], field: FieldInfo | None) -> str:
    return f"expected at most {context['max_length']:,} characters, got {len(value):,}"


def _pattern(value: Any, context: dict[str, Any], field: FieldInfo | None) -> str:
    """A field with a pattern has a description of what it takes, which editors show as well."""
    what = field.description if field is not None and field.description else "something else"
    example = f", for example {field.examples[0]}" if field is not None and field.examples else ""
    return f"{shown(value)} is not {what}{example}"


def _choice(value: Any, context: dict[str, Any], field: FieldInfo | None) -> str:
    valid = re.findall(r"'([^']*)'", str(context.get("expected", "")))
    if not isinstance(value, str):
        return f"expected {'one of ' if len(valid) > 1 else ''}{', '.join(valid)}, got {shown(value)}"
    return f"{shown(value)} is not valid here, {nearest(value, valid)}"


_mapping = _expected("a mapping of keys", lambda value: ": take the dashes away" if isinstance(value, list) and value else "")
_list = _expected("a list", _as_list)
_text = _expected("text", _as_text)
_whole = _expected("a whole number")
_number = _expected("a number")
_truth = _expected("true or false")

WORDS: dict[str, Say] = {
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "dict_type": _mapping,
    "tuple_type": _list,
    "list_type": _list,
    "string_type": _text,
    "string_unicode": _text,
    "int_type": _whole,
    "int_parsing": _whole,
    "int_parsing_size": _whole,
    "int_from_float": _whole,
    "float_type": _number,
    "float_parsing": _number,
    "finite_number": _number,
    "bool_type": _truth,
    "bool_parsing": _truth,
    "greater_than_equal": _range,
    "greater_than": _range,
    "less_than_equal": _range,
    "less_than": _range,
    "too_short": _too_short,
    "too_long": _too_long,
    "string_too_short": _short_text,
    "string_too_long": _long_text,
    "string_pattern_mismatch": _pattern,
    "literal_error": _choice,
    "value_error": lambda _, context, __: str(context["error"]),
}
"""A sentence for each of pydantic's kinds of errors that a value of a config can raise; those of keys are said in `config_complaint`."""
