"""A pydantic error as one sentence with its place: which key is wrong, and which one was probably meant."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .config_nodes import Position
from .config_source import Loc, Source
from .config_words import shown, words
from .exceptions import ConfigError
from .spelling import nearest

Fault = tuple[Position, str]
"""Where, and a sentence."""


def explain(error: ValidationError, model: type[BaseModel], source: Source, root: Loc = (), *, beside: Iterable[Fault] = ()) -> ConfigError:
    """The first thing that is wrong, by its place in the text, and how many more there are. `root` is where `model` stands in the text;
    `beside` are faults that pydantic does not look for."""
    # A missing key comes last: the misspelt one beside it says more.
    details = [detail for detail in error.errors(include_url=False) if not _follows(detail)]
    complaints = [(detail["type"] == "missing", *_complaint(detail, model, source, root)) for detail in details]
    return told(source, [*complaints, *((False, *fault) for fault in beside)])


def _follows(detail: ErrorDetails) -> bool:
    """True for a list called too short because wrong items of it, which are told, do not count."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail.get("ctx", {})["min_length"]


def told(source: Source, complaints: Iterable[tuple[bool, Position, str]]) -> ConfigError:
    """Complaints as one error: the first one's sentence and place, and all in `faults`. Those marked True come last."""
    complaints = sorted(complaints)
    faults = tuple(str(ConfigError(said, path=source.path, line=at[0], column=at[1])) for _, at, said in complaints)
    _, (line, column), sentence = complaints[0]
    if len(complaints) > 1:
        sentence += f" (and {len(complaints) - 1} more)"
    return ConfigError(sentence, path=source.path, line=line, column=column, faults=faults)


def _complaint(detail: ErrorDetails, model: type[BaseModel], source: Source, root: Loc) -> tuple[tuple[int, int], str]:
    kind = detail["type"]
    at = _locate(detail["loc"], model, _value_at(source.value, root), adds_key=kind in ("missing", "extra_forbidden"))
    loc = root + at.loc
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return source.position(
            loc, key=True
        ), f"{_place(source, loc[:-1])}unknown key {loc[-1]!r}, {nearest(str(loc[-1]), _keys(at.owner))}"
    if kind == "missing":
        return source.position(loc[:-1]), f"{_place(source, loc[:-1])}the key {loc[-1]!r} is missing"
    if kind == "union_tag_invalid":
        tags = re.findall(r"'([^']*)'", str(context.get("expected_tags", "")))
        found = detail["input"].get("type")
        if found is None:
            said = f"expected a check type, got nothing: {nearest('', tags)}"
        else:
            said = f"unknown check type {shown(found)}, {nearest(found if isinstance(found, str) else '', tags)}"
        return source.position((*loc, "type")), _place(source, loc) + said
    if kind == "union_tag_not_found":
        return source.position(loc), f"{_place(source, loc)}the key 'type' is missing: it says what kind of check this is, for example http"
    if kind == "value_error":
        loc += getattr(context["error"], "where", ())
    if at.of_key:
        return source.position(loc, key=True), f"{_place(source, loc[:-1])}the key {loc[-1]!r}: {words(detail, None)}"
    return source.position(loc), f"{_place(source, loc)}{words(detail, at.field)}"


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where pydantic points: the place in the text, the model in whose keys its last part would be, and the field that it is in.

    `of_key`: the key itself is wrong, and not what stands under it.
    """

    loc: Loc
    owner: type[BaseModel] | None
    field: FieldInfo | None
    of_key: bool


def _locate(loc: Loc, model: type[BaseModel], value: Any, *, adds_key: bool) -> _Spot:
    """pydantic's location without the tags of unions."""
    here: list[str | int] = []
    owner: type[BaseModel] | None = model
    inside: Any = model
    field: FieldInfo | None = None
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        known = (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int) and part < len(value))
        tagged = None if known and not _is_tag(part, value) else _tagged(inside, part)
        if tagged is not None and tagged is not inside:
            inside = owner = tagged
            continue
        if not known and not (last and adds_key):
            continue  # a marker of pydantic's own, such as [key]
        here.append(part)
        value = value[part] if known else None
        if last and adds_key:
            break
        if owner is not None and owner is inside and part in owner.model_fields:
            field = owner.model_fields[str(part)]
        inside = _part(inside, part)
        owner = next(_models(inside), None)
    return _Spot(tuple(here), owner, field, loc[-1:] == ("[key]",))


def _is_tag(part: str | int, value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == part


def _part(annotation: Any, part: str | int) -> Any:
    """The annotation of one key or index of an annotation."""
    model = next(_models(annotation), None) if not isinstance(part, int) else None
    if model is not None and typing.get_origin(annotation) not in (dict, list, tuple):
        return next((field.annotation for name, field in model.model_fields.items() if part in (name, field.alias)), None)
    for inner in (annotation, *typing.get_args(annotation)):
        if typing.get_origin(inner) in (dict, list, tuple):
            arguments = typing.get_args(inner)
            return arguments[-1] if typing.get_origin(inner) is dict else arguments[0]
    return None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models(inner)


def _tagged(annotation: Any, tag: str | int) -> type[BaseModel] | None:
    for model in _models(annotation):
        kind = model.model_fields.get("type")
        if kind is not None and tag in typing.get_args(kind.annotation):
            return model
    return None


def _keys(model: type[BaseModel] | None) -> list[str]:
    """A model's keys, its own before those that all of its kind have: they are the ones that are looked for."""
    if model is None:
        return []
    names = sorted(model.model_fields, key=lambda name: name not in model.__annotations__)
    return [model.model_fields[name].alias or name for name in names]


def _value_at(value: Any, loc: Loc) -> Any:
    for part in loc:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _place(source: Source, loc: Loc) -> str:
    """`check 'shop', conditions[1]: `, or nothing at the top."""
    words: list[str] = []
    if len(loc) >= 2 and loc[0] == "checks" and isinstance(loc[1], int):
        check = source.value["checks"][loc[1]]
        identifier = check.get("id") if isinstance(check, dict) else None
        words.append(f"check {identifier!r}" if isinstance(identifier, str) else f"checks[{loc[1]}]")
        loc = loc[2:]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    words += [path] if path else []
    return f"{', '.join(words)}: " if words else ""
