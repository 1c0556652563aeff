"""`partywidgets convert`: the config of another tool as a partywidgets.yaml."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..exceptions import ConfigError
from ..references import REFERENCE
from ..scans.text import safe_text
from . import Verdict, counted

if TYPE_CHECKING:
    from ..convert.conversion import Conversion

LEFT_OUT = 3
"""The exit code when something has no counterpart."""
SHOWN = 10_000
"""Lines that are printed about the source."""


def run(paths: list[Path], *, tool: str | None, out: Path | None, secrets: Path | None) -> None:
    """Writes the config to `out` or prints it, and tells on stderr what was left out, what differs and which secrets it names.

    `secrets` is a new file, for its owner alone, with the values of those variables. Raises ConfigError for what cannot be converted or
    written; ends with 3 when something was left out.
    """
    from ..config import parse_config
    from ..convert import convert
    from ..convert.conversion import TOOLS

    chosen = next((known for known in TOOLS if known == tool), None)
    if tool is not None and chosen is None:
        raise ConfigError(f"--from takes {', '.join(TOOLS)}, got {tool!r}")
    for path in filter(None, (out, secrets)):
        if path.exists():
            raise ConfigError(f"{path} exists already: name a new file, or move it away")
        if not path.parent.is_dir():
            raise ConfigError(f"{path} cannot be written: there is no directory {path.parent}")
    found = convert(paths, environ=os.environ, tool=chosen)
    for note in found.notes[:SHOWN]:
        print(safe_text(str(note)), file=sys.stderr)
    if len(found.notes) > SHOWN:
        print(f"and {len(found.notes) - SHOWN} lines more", file=sys.stderr)
    if not found.checks:
        raise ConfigError("none of it became a check, so nothing is written")
    parse_config(found.text, path=str(out or "partywidgets.yaml"))
    if secrets is not None:  # also without any: the commands that follow read it
        _write(secrets, found.variables.lines(), 0o600)
    if out is None:
        sys.stdout.write(found.text)
        sys.stdout.flush()
    else:
        _write(out, found.text, 0o666)
    print(f"partywidgets: {_told(found, secrets)}", file=sys.stderr)
    if not found.whole:
        raise Verdict(LEFT_OUT)


def _told(found: Conversion, secrets: Path | None) -> str:
    """One line: what became of it, where its secrets are, and which variables it needs that were there before."""
    kinds = [note.kind for note in found.notes]
    told = f"{counted(found.checks, 'check')} of {found.found}; {kinds.count('left out')} left out, {kinds.count('differs')} different"
    variables = len(found.variables.values)
    if variables:
        where = f"in {secrets}" if secrets is not None else "not written: --secrets FILE does"
        told += f"; {counted(variables, 'secret')} {'is' if variables == 1 else 'are'} {where}"
    named = {name for kind, name in REFERENCE.findall(found.text) if kind == "env"} - set(found.variables.values)
    if named:
        told += f"; as before it needs {', '.join(sorted(named)[:10])}{' and others' if len(named) > 10 else ''}"
    return told


def _write(path: Path, text: str, mode: int) -> None:
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
