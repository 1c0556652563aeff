"""A source's mappings, each with its place: what is taken of them, and what nobody took."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..config_source import Loc, Source
from .draft import Draft

_DOLLAR = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>[^{}]*)\}|(?P<plain>[A-Za-z_][A-Za-z0-9_]*))")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Section:
    """One mapping. `take` gives a key's value once; what was not taken is in `rest`."""

    def __init__(self, source: Source, loc: Loc, value: Any, draft: Draft) -> None:
        self.source, self.loc, self.draft = source, loc, draft
        self.left: dict[str, Any] = dict(value) if isinstance(value, dict) else {}
        if value is not None and not isinstance(value, dict):
            draft.left_out(self.at(), "a mapping of keys is expected here")

    def at(self, *below: str | int) -> str:
        """The place of something in it, as `file:line:column`."""
        loc = (*self.loc, *below)
        line, column = self.source.position(loc, key=bool(loc) and isinstance(loc[-1], str))
        return f"{self.source.path}:{line}:{column}"

    def take(self, key: str) -> Any:
        """The value; None where there is none."""
        return self.left.pop(key, None)

    def text(self, key: str, default: str = "") -> str:
        """A text; numbers and true and false are read as they are written in JSON."""
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int, float)):
            return str(value)
        self.draft.left_out(self.at(key), f"{key}: a text is expected here")
        return default

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false, also as YAML 1.1 has them."""
        value = self.take(key)
        if isinstance(value, str) and value.lower() in ("true", "yes", "on", "false", "no", "off"):
            return value.lower() in ("true", "yes", "on")
        if value is not None and not isinstance(value, bool):
            self.draft.left_out(self.at(key), f"{key}: true or false is expected here")
        return value if isinstance(value, bool) else default

    def items(self, key: str) -> list[Any]:
        """A list; one value is a list of it."""
        value = self.take(key)
        return value if isinstance(value, list) else [] if value is None else [value]

    def section(self, key: str | int) -> Section:
        """A mapping below it."""
        return Section(self.source, (*self.loc, key), self.left.pop(key, None) if isinstance(key, str) else None, self.draft)

    def sections(self, key: str) -> list[Section]:
        """The mappings of a list below it; what is none is told."""
        listed = self.items(key)
        found = [Section(self.source, (*self.loc, key, index), item, self.draft) for index, item in enumerate(listed)]
        return [section for section, item in zip(found, listed, strict=True) if isinstance(item, dict)]

    def texts(self, key: str) -> dict[str, str]:
        """A mapping of texts."""
        inner = self.section(key)
        return {name: inner.text(name) for name in list(inner.left)}

    def leave(self, reasons: Mapping[str, str], otherwise: str = "it is not known here") -> None:
        """Tells of everything that nobody took."""
        for key in list(self.left):
            if self.left.pop(key) not in (None, {}, []):
                self.draft.left_out(self.at(key), f"{key}: {reasons.get(key, otherwise)}")


class Environment:
    """`$NAME` and `${NAME}` in a source: kept as references where ours are resolved, else filled in with what they are now."""

    def __init__(self, draft: Draft, environ: Mapping[str, str]) -> None:
        self.draft, self.environ = draft, environ

    def references(self, text: str, place: str, *words: str, sensitive: bool = False) -> str:
        """The text for a key whose references are resolved, secrets and all."""
        parts, at, literal = [], 0, ""
        names = False
        for found in _DOLLAR.finditer(text):
            literal += text[at : found.start()]
            at = found.end()
            if found["dollar"]:
                literal += "$"
                continue
            name = found["braced"] if found["braced"] is not None else found["plain"]
            if not _NAME.fullmatch(name):
                continue  # no such variable can be set: Gatus puts nothing there
            parts += [self.draft.guarded(place, literal, *words), f"${{env:{name}}}"]
            literal, names = "", True
        literal += text[at:]
        return "".join((*parts, self.draft.guarded(place, literal, *words, sensitive=sensitive and not names)))

    def filled(self, text: str, place: str) -> str | None:
        """The text for a key that takes no reference; None, and told, where a variable is not set now."""
        missing: list[str] = []

        def value(found: re.Match[str]) -> str:
            if found["dollar"]:
                return "$"
            name = found["braced"] if found["braced"] is not None else found["plain"]
            if name not in self.environ and _NAME.fullmatch(name):
                missing.append(name)
            return self.environ.get(name, "")

        filled = _DOLLAR.sub(value, text)
        if missing:
            self.draft.left_out(place, f"{missing[0]} is not set now, and nothing here can stand for it later: convert again with it set")
            return None
        if filled != text and _DOLLAR.search(text.replace("$$", "")):
            self.draft.differs(place, "the variables are filled in as they are set now")
        return filled

    def bare(self, text: str) -> str | None:
        """The reference of a text that is one variable and nothing else."""
        found = _DOLLAR.fullmatch(text)
        name = found and (found["braced"] or found["plain"])
        return f"${{env:{name}}}" if name and _NAME.fullmatch(name) else None
