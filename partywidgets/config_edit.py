"""A config's text with an entry put into one of its lists: everything else, comments and layout too, stays as somebody wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .config_nodes import STR, tag_of
from .config_source import read_yaml
from .config_yaml import without_pairs
from .exceptions import ConfigError

WIDTH = 140
"""Characters of the longest line that an entry is put on."""

_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML has as an escape only (https://yaml.org/spec/1.2.2/#51-character-set), or what an editor would not show."""
_PLAIN = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")


@dataclass(slots=True)
class _Place:
    """Where a value stands in a text, by character; `flow` is `{…}`, `[…]` or a scalar."""

    start: int
    end: int
    column: int
    flow: bool
    items: list[_Place] = field(default_factory=list)
    pairs: dict[str, _Place] = field(default_factory=dict)
    text: str | None = None


def put_entry(text: str, key: str, entry: Any, *, at: int | None = None, path: str) -> str:
    """The text of a config with `entry` at the end of the list under `key`, or in place of its entry `at`.

    Raises ConfigError with what to write by hand where the text is laid out in a way that leaves no place for it.
    """
    text = without_pairs(text)
    before = _value(text, path)
    listed = list(before.get(key) or [])
    listed[len(listed) if at is None else at : None if at is None else at + 1] = [entry]
    edited = _edited(text, key, entry, at)
    try:
        fits = edited is not None and _value(edited, path) == {**before, key: listed}
    except ConfigError:
        fits = False
    if not fits or edited is None:
        raise ConfigError(f"there is no place for this entry in the list {key!r}; write it there by hand: - {flow(entry)}", path=path)
    return edited


def flow(value: Any) -> str:
    """A value of JSON's kinds as YAML on one line."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) is not None and tag_of(value) == STR
        return value if plain else _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{flow(str(key))}: {flow(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


def _block(entry: Any, column: int) -> str:
    """An entry on lines of its own, the first without its indentation."""
    if not isinstance(entry, Mapping):
        return flow(entry)
    return ("\n" + " " * column).join(f"{flow(str(key))}: {flow(item)}" for key, item in entry.items())


def _value(text: str, path: str) -> dict[str, Any]:
    value = read_yaml(text, path=path).value
    if value is not None and not isinstance(value, dict):
        raise ConfigError("a config is a mapping of keys such as `checks:`", path=path)
    return value or {}


def _edited(text: str, key: str, entry: Any, at: int | None) -> str | None:
    root = _root(text)
    place = None if root is None else root.pairs.get(key)
    if root is not None and root.flow and root.text is None:
        if place is None:
            return None
    elif place is None or (place.text == "" and place.start == place.end):
        return _begun(text, key, entry, None if root is None else place)
    assert place is not None
    if at is not None:
        old = place.items[at]
        return text[: old.start] + (flow(entry) if old.flow else _block(entry, old.column)) + text[old.end :]
    last = place.items[-1] if place.items else None
    if place.flow:
        end = place.end - 1
        if last is None:
            return f"{text[:end]}{flow(entry)}{text[end:]}"
        rest = text[last.end : end]
        between = "\n" + " " * last.column if "\n" in text[place.start : last.start] else " "
        if rest.lstrip().startswith(","):  # a list may end with a comma
            after = last.end + rest.index(",") + 1
            return f"{text[:after]}{between}{flow(entry)}{text[after:]}"
        return f"{text[: last.end]},{between}{flow(entry)}{text[last.end :]}"
    assert last is not None
    line = flow(entry)
    fits = last.flow and place.column + 2 + len(line) <= WIDTH
    shown = line if fits else _block(entry, place.column + 2)
    return _after_line(text, last.end, f"{' ' * place.column}- {shown}")


def _begun(text: str, key: str, entry: Any, place: _Place | None) -> str:
    """The text with a list that was not there, or was empty."""
    item = f"  - {_block(entry, 4)}"
    if place is not None:
        return _after_line(text, place.start, item)
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{key}:\n{item}\n"


def _after_line(text: str, position: int, lines: str) -> str:
    end = text.find("\n", position)
    return f"{text}\n{lines}\n" if end < 0 else f"{text[: end + 1]}{lines}\n{text[end + 1 :]}"


def _root(text: str) -> _Place | None:
    import yaml

    offsets = [0]
    for line in text.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))

    def position(mark: Any) -> int:
        return min(offsets[min(int(mark.line), len(offsets) - 1)] + int(mark.column), len(text))

    next(events)
    if isinstance(next(events), yaml.StreamEndEvent):
        return None
    return _place(next(events), events, position, text, yaml)


def _place(event: Any, events: Iterator[Any], position: Any, text: str, yaml: Any) -> _Place:
    start, column = position(event.start_mark), int(event.start_mark.column)
    if isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)):
        end = position(event.end_mark)
        end = start + len(text[start:end].rstrip())  # a block scalar ends where the next thing begins
        return _Place(start, end, column, True, text=getattr(event, "value", ""))
    place = _Place(start, start, column, bool(event.flow_style))
    sequence = isinstance(event, yaml.SequenceStartEvent)
    while not isinstance(event := next(events), (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
        child = _place(event, events, position, text, yaml)
        if sequence:
            place.items.append(child)
        else:
            name = child.text
            child = _place(next(events), events, position, text, yaml)
            if name is not None:
                place.pairs[name] = child
        place.end = max(place.end, child.end)
    if place.flow:
        place.end = position(event.end_mark)
    return place
