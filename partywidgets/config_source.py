"""A config as text: YAML with the position of every key and value, and the references that stand for secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .config_nodes import MAX_DEPTH, MAX_NODES, MERGE, STR, TAGS, Node, Position, compose, scalar
from .exceptions import ConfigError
from .redaction import find_secrets
from .references import REFERENCE, resolve

Loc = tuple[str | int, ...]
"""Where in a config: keys and, in lists, indices counted from 0."""

MAX_TEXT = 4 << 20

_REFERENCE_START = re.compile(r"\$\{\s*(env|file)\b", re.IGNORECASE)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEY = re.compile(
    r"(^|[_-])(password|passwd|passphrase|token|secret|api[_-]?key|access[_-]?key|private[_-]?key)$|^(proxy-)?authorization$|^cookie$",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*[?@]\S*")
"""An address with a query or a user."""
_PASSWORD_IN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/@\s:]*:([^/@\s]+)@\S*")


@dataclass
class Source:
    """A parsed YAML text: plain values, and where each of them stands."""

    path: str
    value: Any = None
    values: dict[Loc, Position] = field(default_factory=dict)
    keys: dict[Loc, Position] = field(default_factory=dict)

    def position(self, loc: Loc, *, key: bool = False) -> Position:
        """Where the value at `loc` begins (or its key); for what is not in the text, where the nearest thing around it does."""
        if key and loc in self.keys:
            return self.keys[loc]
        while loc and loc not in self.values:
            loc = loc[:-1]
        return self.values.get(loc, (1, 1))

    def error(self, message: str, loc: Loc, *, key: bool = False) -> ConfigError:
        """A ConfigError that says where."""
        line, column = self.position(loc, key=key)
        return ConfigError(message, path=self.path, line=line, column=column)


def read_yaml(text: str, *, path: str, foreign: bool = False) -> Source:
    """The one document of a YAML text: YAML 1.2's core schema, timestamps and merge keys.

    Raises ConfigError for what is not YAML, for duplicate keys, for tags, and past MAX_TEXT, MAX_NODES or MAX_DEPTH. With `foreign`, for
    the configs of other tools, a text with another tag is the text as it stands there.
    """
    if len(text) > MAX_TEXT:
        raise ConfigError(f"the config is longer than {MAX_TEXT} characters: split it into several files", path=path)
    source = Source(path)
    source.value = _Reader(source, foreign).read(compose(text, path=path), (), 0)
    return source


class _Reader:
    """Turns YAML nodes into plain values and notes where they stand."""

    def __init__(self, source: Source, foreign: bool) -> None:
        self.source, self.foreign = source, foreign
        self.nodes = 0

    def read(self, node: Node | None, loc: Loc, depth: int) -> Any:
        if node is None:
            return None
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self._error(f"the config holds more than {MAX_NODES} values, aliases counted each time", node.position)
        if depth > MAX_DEPTH:
            raise self._error(f"the config is nested deeper than {MAX_DEPTH} levels, or an alias contains itself", node.position)
        self.source.values[loc] = node.position
        if node.tag not in TAGS:
            if self.foreign and node.text is not None:
                return node.text
            raise self._error(f"the tag {node.tag[:100]} is not known here: write the plain value", node.position)
        if node.pairs is not None:
            return self._mapping(node, node.pairs, loc, depth)
        if node.items is not None:
            return [self.read(item, (*loc, index), depth + 1) for index, item in enumerate(node.items)]
        try:
            return scalar(node)
        except (ValueError, OverflowError):
            raise self._error(
                f"the value {node.text!r} cannot be read as {node.tag.rpartition(':')[2]}: put it into quotes", node.position
            ) from None

    def _mapping(self, node: Node, pairs: list[tuple[Node, Node]], loc: Loc, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in pairs:
            if key_node.tag == MERGE:
                for each in [value_node] if value_node.items is None else value_node.items:
                    part = self.read(each, loc, depth + 1)
                    if not isinstance(part, dict):
                        raise self._error("<<: merges mappings only", key_node.position)
                    merged = {**part, **merged}
                self.source.values[loc] = node.position
                continue
            key = key_node.text
            if key is None or key_node.tag != STR:
                raise self._error(f"a key is text: put {'this key' if key is None else key} into quotes", key_node.position)
            if key in found:
                first = self.source.keys[*loc, key][0]
                raise self._error(f"the key {key!r} stands here a second time: the first is on line {first}", key_node.position)
            self.source.keys[*loc, key] = key_node.position
            found[key] = self.read(value_node, (*loc, key), depth + 1)
        return {**merged, **found}

    def _error(self, message: str, position: Position) -> ConfigError:
        return ConfigError(message, path=self.source.path, line=position[0], column=position[1])


def refuse_secrets(source: Source) -> None:
    """Raises ConfigError for a secret that is written out, and for a reference that can never be resolved."""
    for loc, text in _texts(source.value, ()):
        bare = REFERENCE.sub("", text)
        if _REFERENCE_START.search(bare) or any(not _valid(kind, name) for kind, name in REFERENCE.findall(text)):
            raise source.error("a reference reads ${env:NAME} or ${file:PATH}, with a name of letters, digits and _", loc)
        if "labels" in loc:
            continue
        if _ADDRESS.fullmatch(bare.strip()) and _PASSWORD_IN_URL.fullmatch(bare.strip()) is None and find_secrets(bare):
            raise source.error(
                "this address holds what looks like a secret: put that part into an environment variable and write ${env:NAME} there, "
                "or into a file and write ${file:PATH}",
                loc,
            )
        key = next((part for part in reversed(loc) if isinstance(part, str)), "")
        in_url = _PASSWORD_IN_URL.fullmatch(bare.strip())
        if in_url is None and not (_SECRET_KEY.search(key) and text.strip() and not REFERENCE.search(text)):
            continue
        what = "the password in this URL" if in_url else f"{key!r}"
        raise source.error(
            f"{what} is written out: put it into an environment variable and write ${{env:NAME}}, or into a file and write ${{file:PATH}}",
            loc,
        )


def try_references(source: Source, *, environ: Mapping[str, str], base: Path) -> None:
    """Resolves every reference once and forgets what it said. Raises ConfigError with the place of one that cannot be resolved."""
    for loc, text in _texts(source.value, ()):
        try:
            resolve(text, environ=environ, base=base)
        except ConfigError as error:
            raise source.error(str(error), loc) from None


def _valid(kind: str, name: str) -> bool:
    return bool(_ENV_NAME.fullmatch(name)) if kind == "env" else bool(name.strip()) and "\0" not in name


def _texts(value: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*loc, index))
