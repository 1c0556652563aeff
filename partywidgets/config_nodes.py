"""YAML text → nodes that know where they stand.

libyaml (by PyYAML) reads it: 2,000 checks in 0.3 s, of which a parser in Python made 3. What a plain scalar means is YAML 1.2's core schema
(https://yaml.org/spec/1.2.2/#103-core-schema) and not PyYAML's 1.1, in which `on`, `no` and `12:30` are not text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .config_yaml import fault_of, without_pairs
from .exceptions import ConfigError

Position = tuple[int, int]
"""Line and column, both counted from 1."""

MAX_NODES = 500_000
MAX_DEPTH = 40

_YAML = "tag:yaml.org,2002:"
STR, MERGE = _YAML + "str", _YAML + "merge"
INT, FLOAT, BOOL, NULL, TIMESTAMP, SEQ, MAP = (f"{_YAML}{kind}" for kind in ("int", "float", "bool", "null", "timestamp", "seq", "map"))
TAGS = frozenset((STR, INT, FLOAT, BOOL, NULL, TIMESTAMP, SEQ, MAP))

_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = ("", "~", "null", "Null", "NULL")
_SPECIAL = re.compile(r"[-+.0-9]|<<$")
"""How a scalar begins that may be something else than text, beside the words above."""
_INT = re.compile(r"[-+]?[0-9][0-9_]*|[-+]?0b[01_]+|[-+]?0o[0-7_]+|[-+]?0x[0-9a-fA-F_]+")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?"
)


@dataclass(slots=True, eq=False)
class Node:
    """One value of a text: exactly one of `text` (a scalar), `items` and `pairs` is set. An alias is the very node that it names."""

    tag: str
    position: Position
    text: str | None = None
    items: list[Node] | None = None
    pairs: list[tuple[Node, Node]] | None = None


def compose(text: str, *, path: str) -> Node | None:
    """The root of the one document of a text, None for an empty one. Raises ConfigError with the place for what is not YAML."""
    import yaml

    text = without_pairs(text)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML may have been built without libyaml
    try:
        return _Composer(yaml, yaml.parse(text, Loader=loader), path).document()
    except yaml.MarkedYAMLError as error:
        problem, line, column = fault_of(error, text)
        raise ConfigError(f"this is not valid YAML: {problem}", path=path, line=line, column=column) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise ConfigError(f"this is not valid YAML: {str(error).splitlines()[0]}", path=path) from None


class _Composer:
    """Events → nodes. Its recursion is as deep as MAX_DEPTH at most, whatever a text holds."""

    def __init__(self, yaml: Any, events: Iterator[Any], path: str) -> None:
        self._yaml, self._events, self._path = yaml, events, path
        self._anchors: dict[str, Node] = {}
        self._count = 0

    def document(self) -> Node | None:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), self._yaml.StreamEndEvent):
            return None
        root = self._node(next(self._events), 0)
        next(self._events)  # the document's end
        behind = next(self._events)
        if not isinstance(behind, self._yaml.StreamEndEvent):
            raise self._error("this is not valid YAML: expected a single document, here another one begins", _position(behind))
        return root

    def _node(self, event: Any, depth: int) -> Node:
        yaml, here = self._yaml, _position(event)
        self._count += 1
        if self._count > MAX_NODES:
            raise self._error(f"the config holds more than {MAX_NODES} values", here)
        if depth > MAX_DEPTH:
            raise self._error(f"the config is nested deeper than {MAX_DEPTH} levels", here)
        if isinstance(event, yaml.ScalarEvent):
            plain = event.tag is None and event.implicit[0]
            return self._anchored(event, Node(tag_of(event.value) if plain else _explicit(event.tag, STR), here, text=event.value))
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._error(f"this is not valid YAML: there is no anchor &{event.anchor} before this alias", here)
            return self._anchors[event.anchor]
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            node = self._anchored(event, Node(_explicit(event.tag, SEQ), here, items=items))
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(event, depth + 1))
            return node
        pairs: list[tuple[Node, Node]] = []
        node = self._anchored(event, Node(_explicit(event.tag, MAP), here, pairs=pairs))
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            pairs.append((key, self._node(next(self._events), depth + 1)))
        return node

    def _anchored(self, event: Any, node: Node) -> Node:
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _error(self, message: str, position: Position) -> ConfigError:
        return ConfigError(message, path=self._path, line=position[0], column=position[1])


def scalar(node: Node) -> Any:
    """What a scalar's text says by its tag. Raises ValueError for a text that its tag does not allow, as in `!!int x`."""
    text, tag = node.text or "", node.tag
    if tag == STR:
        return text
    if tag == NULL and text in _NULL:
        return None
    if tag == BOOL and text in _BOOL:
        return _BOOL[text]
    if tag == INT and _INT.fullmatch(text):
        return int(text.replace("_", ""), {"0b": 2, "0o": 8, "0x": 16}.get(text.lstrip("+-")[:2], 10))
    if tag == FLOAT and (_FLOAT.fullmatch(text) or _INT.fullmatch(text)):
        return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    if tag == TIMESTAMP and _TIMESTAMP.fullmatch(text):
        import yaml

        return yaml.SafeLoader("").construct_yaml_timestamp(yaml.ScalarNode(tag, text))
    raise ValueError(f"{text!r} is not a valid {tag.removeprefix(_YAML)}")


def tag_of(text: str) -> str:
    """The tag of a plain scalar."""
    if text in _BOOL:
        return BOOL
    if text in _NULL:
        return NULL
    if not _SPECIAL.match(text):
        return STR
    for pattern, tag in ((_INT, INT), (_FLOAT, FLOAT), (_TIMESTAMP, TIMESTAMP)):
        if pattern.fullmatch(text):
            return tag
    return MERGE if text == "<<" else STR


def _explicit(tag: str | None, otherwise: str) -> str:
    return otherwise if tag is None or tag == "!" else tag


def _position(event: Any) -> Position:
    return event.start_mark.line + 1, event.start_mark.column + 1
