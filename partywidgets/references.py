"""`${env:NAME}` and `${file:PATH}`: how a config names a secret without holding it."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .child_environment import hide_variable
from .exceptions import ConfigError
from .redaction import redact

MAX_SECRET_FILE = 64 * 1024
"""Bytes that a file named by a reference may have."""

MAX_REMEMBERED = 10_000
MIN_SECRET = 4

REFERENCE = re.compile(r"\$\{(env|file):([^{}\r\n]*)\}")
"""`${env:NAME}` or `${file:PATH}`. Other `${…}` belongs to shells and stays."""


def resolve(value: Any, *, environ: Mapping[str, str], base: Path) -> Any:
    """The value with every `${env:NAME}` and `${file:PATH}` in it replaced. Raises ConfigError naming a missing one, never its content.

    Goes into lists, tuples and dicts. A relative PATH is below `base`; a file is UTF-8, at most 64 KiB, and loses one newline at its end.
    What a variable or a file holds is not looked into again.
    """
    if isinstance(value, str):
        return REFERENCE.sub(lambda match: _resolved(match[1], match[2], environ, base), value)
    if isinstance(value, Mapping):
        return {key: resolve(item, environ=environ, base=base) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, environ=environ, base=base) for item in value]
    if isinstance(value, tuple):
        return tuple(resolve(item, environ=environ, base=base) for item in value)
    return value


def _resolved(kind: str, name: str, environ: Mapping[str, str], base: Path) -> str:
    reference = f"${{{kind}:{name}}}"
    if kind == "env":
        if name not in environ:
            raise ConfigError(f"{reference} cannot be resolved: the environment variable {name} is not set where the host runs")
        return environ[name]
    try:
        with open(base / Path(name).expanduser(), "rb") as file:
            content = file.read(MAX_SECRET_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{reference} cannot be resolved: {error.strerror or 'the file cannot be read'}") from None
    except ValueError:
        raise ConfigError(f"{reference} cannot be resolved: this is no path") from None
    if len(content) > MAX_SECRET_FILE:
        raise ConfigError(f"{reference} cannot be resolved: the file is larger than {MAX_SECRET_FILE // 1024} KiB")
    try:
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError(f"{reference} cannot be resolved: the file is not UTF-8 text") from None


class Secrets:
    """Resolves references and remembers what came out, so that it is shown as `***` wherever a text goes to people.

    A variable that was named is not inherited by shells and programs which this process starts later.

    Values shorter than 4 characters are not remembered: hiding them would only garble texts. Any thread may call it.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._known: dict[str, None] = {}
        self._sorted: tuple[str, ...] | None = None
        self._lock = threading.Lock()

    def resolver(self, base: Path) -> Callable[[str], str]:
        """A function that replaces the references in a text; files are below `base`. It raises ConfigError for one that is missing."""
        return lambda text: self.resolve(text, base=base)

    def resolve(self, text: str, *, base: Path) -> str:
        """The text with its references replaced, each remembered."""
        return REFERENCE.sub(lambda match: self._resolved(match[1], match[2], base), text)

    def _resolved(self, kind: str, name: str, base: Path) -> str:
        if kind == "env":
            hide_variable(name)
        return self._remember(_resolved(kind, name, self._environ, base))

    def values(self) -> tuple[str, ...]:
        """Every remembered value, the longest first."""
        with self._lock:
            if self._sorted is None:
                self._sorted = tuple(sorted(self._known, key=len, reverse=True))
            return self._sorted

    def redact(self, text: str) -> str:
        """The text with every remembered value, and whatever looks like a secret, as `***`: as saved terminals have it."""
        return redact(text, self.values())

    def _remember(self, value: str) -> str:
        if len(value) >= MIN_SECRET:
            with self._lock:
                if value not in self._known:
                    self._sorted = None
                self._known[value] = None
                if len(self._known) > MAX_REMEMBERED:
                    del self._known[next(iter(self._known))]
        return value
