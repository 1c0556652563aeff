"""`${env:NAME}` and `${file:PATH}`: how a config names a secret without holding it."""

from __future__ import annotations

import html
import json
import os
import re
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from .child_environment import hide_variable
from .exceptions import ConfigError
from .redaction import redact

MAX_SECRET_FILE = 64 * 1024
"""Bytes that a file named by a reference may have."""

MAX_REMEMBERED = 10_000
MIN_SECRET = 4
MIN_WITHIN_BASE64 = 8
"""Bytes from which on a secret is looked for in base64: a few letters of it are in many texts."""

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
        raise ConfigError(f"{reference} cannot be resolved: this is not a path") from None
    if len(content) > MAX_SECRET_FILE:
        raise ConfigError(f"{reference} cannot be resolved: the file is larger than {MAX_SECRET_FILE // 1024} KiB")
    try:
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError(f"{reference} cannot be resolved: the file is not UTF-8 text") from None


def spellings(secret: str) -> Iterator[str]:
    """A secret as programs print it: as it is, percent-encoded, in JSON, in HTML, and in base64, whatever stands before it there (a user's
    name, as in Authorization)."""
    yield secret
    for encoded in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), encoded)
    for ascii_only in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
    yield html.escape(secret)
    octets = secret.encode("utf-8", "surrogatepass")
    for ahead in range(3) if len(octets) >= MIN_WITHIN_BASE64 else ():
        # Without the letters at both ends, which hold bits of what stands beside it.
        inner = b64encode(bytes(ahead) + octets).decode()[-(-ahead * 8 // 6) : (ahead + len(octets)) * 8 // 6]
        yield inner
        yield inner.translate({ord("+"): "-", ord("/"): "_"})


class Secrets:
    """Resolves references and remembers what came out, so that it is shown as `***` wherever a text goes to people, in each of its
    `spellings`.

    A variable that was named is not inherited by shells and programs which this process starts later.

    Values shorter than 4 characters are not remembered: hiding them would only garble texts. Any thread may call it.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._known: dict[str, tuple[str, ...]] = {}
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
        """Every remembered value in all spellings, the longest first."""
        with self._lock:
            if self._sorted is None:
                spelt = {spelling for spellings in self._known.values() for spelling in spellings}
                self._sorted = tuple(sorted(spelt, key=len, reverse=True))
            return self._sorted

    def redact(self, text: str) -> str:
        """The text with every remembered value, and whatever looks like a secret, as `***`: as saved terminals have it."""
        return redact(text, self.values())

    def _remember(self, value: str) -> str:
        if len(value) >= MIN_SECRET:
            with self._lock:
                if value not in self._known:
                    self._sorted = None
                    self._known[value] = tuple(dict.fromkeys(spellings(value)))
                if len(self._known) > MAX_REMEMBERED:
                    del self._known[next(iter(self._known))]
        return value
