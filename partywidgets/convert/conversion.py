"""From files to a config: which tool they are of, what was found, and the text that comes out."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from .. import __version__
from ..config_edit import flow
from ..config_nodes import STR, tag_of
from ..config_source import MAX_TEXT, Source, read_yaml
from ..exceptions import ConfigError
from ..scans.model import one_line
from .draft import Draft, Note
from .variables import Variables

Tool = Literal["gatus", "kuma", "blackbox"]
TOOLS: tuple[Tool, ...] = ("gatus", "kuma", "blackbox")

MAX_FILES = 1000
"""YAML files in a directory."""
SQLITE = b"SQLite format 3\x00"
_COMMON: dict[str, Any] = {"timeout": "10s", "attempts": 1, "retry_delay": "1s", "every": None}
"""Keys that go into `defaults` where most checks share a value, and what a check has without them."""
_FIRST = ("id", "title", "type", "enabled")
_LAST = ("every", "timeout", "attempts", "retry_delay", "labels", "remediation", "conditions", "warn")
_PLAIN = re.compile(r"[A-Za-z(](?:[ -~]*[!-9;-~])?")
"""Text that begins and ends as a plain scalar may. A colon at its end would make a key of it."""
_UNKNOWN = (
    "this is not a file that can be converted: a Gatus config has `endpoints`, a blackbox_exporter config `modules`, a Prometheus config "
    "`scrape_configs`, an Uptime Kuma backup `monitorList`, and its database is SQLite"
)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What came out: a config's text, what is to be told, and the values of the variables that the config names."""

    text: str
    notes: tuple[Note, ...]
    variables: Variables
    checks: int
    found: int

    @property
    def whole(self) -> bool:
        """True when nothing was left out."""
        return not any(note.kind == "left out" for note in self.notes)


def convert(paths: Sequence[Path], *, environ: Mapping[str, str], tool: Tool | None = None) -> Conversion:
    """Reads the files of one tool. Raises ConfigError for what is none of it, cannot be read, or is too much.

    A directory stands for the YAML files in it and below, as for Gatus. `environ` fills in variables of the source that cannot stay.
    """
    files = [_opened(path) for given in paths for path in _listed(given)]
    if any(file.kind == "gatus" for file in files):
        files = [replace(file, kind="gatus") if file.kind == "unknown" and file.source is not None else file for file in files]
    if (lost := next((file for file in files if file.kind == "unknown"), None)) is not None:
        raise ConfigError(_UNKNOWN, path=str(lost.path))
    tools = {_TOOL_OF[file.kind] for file in files}
    if len(tools) > 1 or (tool is not None and tools != {tool}):
        named = ", ".join(f"{file.path} is of {_TOOL_OF[file.kind]}" for file in files[:5])
        raise ConfigError(f"{named}: convert the files of one tool at a time{'' if tool is None else f', here {tool}'}")
    (chosen,) = tools
    draft = Draft(Variables(chosen))
    sources = {kind: [file.source for file in files if file.kind == kind and file.source is not None] for kind in _TOOL_OF}
    if chosen == "gatus":
        from .gatus import Gatus

        Gatus(draft, environ).read(sources["gatus"])
    elif chosen == "kuma":
        from .kuma import Kuma
        from .kuma_file import read_backup, read_database

        for file in files:
            Kuma(draft).read(read_database(file.path) if file.kind == "kuma.db" else read_backup(file.path))
    else:
        from .blackbox import Blackbox

        if not sources["modules"] or not sources["targets"]:
            missing = (
                "its modules: name the exporter's config too" if sources["targets"] else "what is looked at: name the Prometheus config too"
            )
            raise ConfigError(f"{paths[0]} does not say {missing}, as in `partywidgets convert blackbox.yml prometheus.yml`")
        Blackbox(draft).read(sources["modules"], sources["targets"])
    if not draft.checks and not draft.notes:
        raise ConfigError(f"{paths[0]} has nothing to look at")
    notes = sorted(draft.notes, key=lambda note: _order(note, [str(file.path) for file in files]))
    return Conversion(_text(draft, paths), tuple(notes), draft.variables, len(draft.checks), draft.found)


def _order(note: Note, files: Sequence[str]) -> tuple[int, int, int]:
    """By file, line and column; what has no line stays in the order in which it was found."""
    found = re.fullmatch(r"(.*):(\d+):(\d+)", note.place)
    if found is None or found[1] not in files:
        return (len(files), 0, 0)
    return (files.index(found[1]), int(found[2]), int(found[3]))


_TOOL_OF: dict[str, Tool] = {"gatus": "gatus", "kuma.db": "kuma", "kuma.json": "kuma", "modules": "blackbox", "targets": "blackbox"}
_KEYS = {
    "endpoints": "gatus",
    "external-endpoints": "gatus",
    "suites": "gatus",
    "alerting": "gatus",
    "modules": "modules",
    "scrape_configs": "targets",
}
"""A key at the top, and the kind of file that has it."""


@dataclass(frozen=True, slots=True)
class _File:
    """One file: what it is, and what it says where it is YAML."""

    path: Path
    kind: str
    source: Source | None = None


def _listed(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(below for below in path.rglob("*.y*ml") if below.suffix in (".yaml", ".yml") and below.is_file())
    if not 0 < len(found) <= MAX_FILES:
        raise ConfigError(f"{path} has {'no YAML file' if not found else f'more than {MAX_FILES} YAML files'} in it: name the files")
    return found


def _opened(path: Path) -> _File:
    try:
        with open(path, "rb") as file:
            if file.read(len(SQLITE)) == SQLITE:
                return _File(path, "kuma.db")
            file.seek(0)
            begin = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    except FileNotFoundError:
        raise ConfigError("there is no such file: name an existing one", path=str(path)) from None
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", path=str(path)) from None
    if begin.startswith(b"{") and (b'"monitorList"' in begin or b'"notificationList"' in begin):
        return _File(path, "kuma.json")
    source = _yaml(path)
    if not isinstance(source.value, dict):
        return _File(path, "unknown")
    if "checks" in source.value:
        raise ConfigError("this is a config of partywidgets already", path=str(path))
    return _File(path, next((kind for key, kind in _KEYS.items() if key in source.value), "unknown"), source)


def _yaml(path: Path) -> Source:
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read(MAX_TEXT + 1)
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", path=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"the file is not UTF-8 text: byte {error.start} is wrong", path=str(path)) from None
    return read_yaml(text, path=str(path), foreign=True)


def _text(draft: Draft, paths: Sequence[Path]) -> str:
    """The config, laid out for people: what most checks share stands once."""
    defaults = _taken_out(draft.checks)
    lines = [one_line(f"# Converted by partywidgets {__version__} from {', '.join(path.name for path in paths)}.")]
    for name, entry in (("defaults", defaults), ("limits", draft.limits)):
        if entry:
            lines.append(f"{name}: {flow(entry)}")
    for name, entries in (("checks", draft.checks), ("maintenance", draft.maintenance), ("notify", draft.notify)):
        if entries:
            lines += ["", f"{name}:"]
            for entry in entries:
                lines += _entry(entry)
    return "\n".join(lines) + "\n"


def _taken_out(checks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The defaults of a config: what more than half of its checks say, and at least two. In the checks stays what differs from them."""
    defaults: dict[str, Any] = {}
    for key, without in _COMMON.items():
        seen = Counter(json.dumps(check.get(key, without)) for check in checks)
        value, count = seen.most_common(1)[0] if seen else ("null", 0)
        common = json.loads(value)
        if common is not None and common != without and count * 2 > len(checks) and count >= 2:
            defaults[key] = common
    for check in checks:
        for key, without in _COMMON.items():
            if key not in defaults:
                if key in check and check[key] == without:
                    del check[key]
            elif check.get(key, without) == defaults[key]:
                check.pop(key, None)
            elif key not in check and without is not None:
                check[key] = without
    return defaults


def _entry(entry: Mapping[str, Any]) -> list[str]:
    """An entry of a list, its most telling keys first."""
    ordered = sorted(entry, key=lambda key: (_FIRST.index(key) if key in _FIRST else len(_FIRST), _LAST.index(key) if key in _LAST else -1))
    lines = []
    for key in ordered:
        if key == "conditions":
            lines += ["    conditions:", *(f"      - {_expression(expr)}" for expr in entry[key])]
        else:
            lines.append(f"    {flow(key)}: {flow(entry[key])}")
    lines[0] = "  - " + lines[0].lstrip()
    return lines


def _expression(expr: str) -> str:
    """An expression without quotes where YAML takes it so: its own quotes and backslashes stay as they are."""
    plain = _PLAIN.fullmatch(expr) and ": " not in expr and " #" not in expr and tag_of(expr) == STR
    return expr if plain else flow(expr)
