"""Secrets of a source as environment variables: the config names them, and a file of its own may hold them."""

from __future__ import annotations

import re
import shlex

from ..redaction import find_secrets
from ..references import REFERENCE

_USER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/@\s:]*:([^/@\s]+)@")
"""The password of a URL."""
_QUERY = re.compile(r"[?&][\w.-]*(?:key|token|secret|password|passwd|pwd|auth|sig|signature)=([^&#\s]+)", re.IGNORECASE)
"""A value of a URL's query whose name says that it is secret."""


class Variables:
    """Names for values; one value has one name, however often it comes. `prefix` begins each name."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.values: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def put(self, value: str, *words: str) -> str:
        """The reference to a variable with this value; its name is made of the words when it is new."""
        if value not in self._names:
            bare = re.sub(r"[^A-Z0-9]+", "_", "_".join((self.prefix, *words)).upper()).strip("_")[:80]
            name, number = bare, 2
            while name in self.values:
                name, number = f"{bare}_{number}", number + 1
            self._names[value], self.values[name] = name, value
        return f"${{env:{self._names[value]}}}"

    def secrets(self, text: str) -> list[tuple[int, int]]:
        """Where a text holds secrets, and what a host would take for references: those are not the source's."""
        spans = [*find_secrets(text), *(found.span() for found in REFERENCE.finditer(text))]
        spans += [found.span(1) for pattern in (_USER, _QUERY) for found in pattern.finditer(text)]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(spans):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def lines(self) -> str:
        """`NAME='value'` a line, as a shell and systemd's EnvironmentFile read it."""
        return "".join(f"{name}={shlex.quote(value)}\n" for name, value in self.values.items())
