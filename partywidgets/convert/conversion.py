"""From files to a config: which tool they are of, what was found, and the text that comes out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .. import __version__
from ..config_edit import flow
from ..config_source import MAX_TEXT, Source, read_yaml
from ..exceptions import ConfigError
from .draft import Draft, Note
from .variables import Variables

Tool = Literal["gatus", "kuma", "blackbox"]
TOOLS: tuple[Tool, ...] = ("gatus", "kuma", "blackbox")

SQLITE = b"SQLite format 3\x00"
_COMMON: dict[str, Any] = {"timeout": "10s", "attempts": 1, "retry_delay": "1s", "every": None}
"""Keys that go into `defaults` where most checks share a value, and what a check has without them."""
_UNKNOWN = (
    "this is no file that can be converted: a Gatus config has `endpoints`, a blackbox_exporter config `modules`, a Prometheus config "
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
    """Reads the files of one tool. Raises ConfigError for what is none of it, cannot be read, or is too much."""
    kinds = {path: _kind(path) for path in paths}
    found = {_TOOL_OF[kind] for kind in kinds.values()}
    if len(found) > 1 or (tool is not None and found != {tool}):
        named = ", ".join(f"{path} is of {_TOOL_OF[kind]}" for path, kind in kinds.items())
        raise ConfigError(f"{named}: convert the files of one tool at a time{'' if tool is None else f', here {tool}'}")
    (chosen,) = found
    draft = Draft(Variables(chosen))
    if chosen == "gatus":
        from .gatus import Gatus

        Gatus(draft, environ).read([_yaml(path) for path in paths])
    elif chosen == "kuma":
        from .kuma import Kuma
        from .kuma_file import read_backup, read_database

        for path, kind in kinds.items():
            Kuma(draft).read(read_database(path) if kind == "kuma.db" else read_backup(path))
    else:
        from .blackbox import Blackbox

        modules = [path for path, kind in kinds.items() if kind == "modules"]
        targets = [path for path, kind in kinds.items() if kind == "targets"]
        if not modules or not targets:
            missing = "its modules: name the exporter's config too" if targets else "what they look at: name the Prometheus config too"
            raise ConfigError(f"{paths[0]} does not say {missing}, as in `partywidgets convert blackbox.yml prometheus.yml`")
        Blackbox(draft).read([_yaml(path) for path in modules], [_yaml(path) for path in targets])
    if not draft.checks and not draft.notes:
        raise ConfigError(f"{paths[0]} has nothing to look at")
    return Conversion(_text(draft, paths), tuple(draft.notes), draft.variables, len(draft.checks), draft.found)


_TOOL_OF: dict[str, Tool] = {"gatus": "gatus", "kuma.db": "kuma", "kuma.json": "kuma", "modules": "blackbox", "targets": "blackbox"}


def _kind(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            if file.read(len(SQLITE)) == SQLITE:
                return "kuma.db"
            file.seek(0)
            begin = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    except FileNotFoundError:
        raise ConfigError("there is no such file: name an existing one", path=str(path)) from None
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", path=str(path)) from None
    if begin.startswith(b"{") and (b'"monitorList"' in begin or b'"notificationList"' in begin):
        return "kuma.json"
    value = _yaml(path).value
    if isinstance(value, dict):
        for key, kind in (
            ("endpoints", "gatus"),
            ("external-endpoints", "gatus"),
            ("suites", "gatus"),
            ("alerting", "gatus"),
            ("modules", "modules"),
            ("scrape_configs", "targets"),
        ):
            if key in value:
                return kind
        if "checks" in value:
            raise ConfigError("this is a config of partywidgets already", path=str(path))
    raise ConfigError(_UNKNOWN, path=str(path))


def _yaml(path: Path) -> Source:
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read(MAX_TEXT + 1)
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", path=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"the file is not UTF-8 text: byte {error.start} is wrong", path=str(path)) from None
    return read_yaml(text, path=str(path))


def _text(draft: Draft, paths: Sequence[Path]) -> str:
    """The config, laid out for people: what most checks share stands once."""
    defaults: dict[str, Any] = {}
    for key, without in _COMMON.items():
        seen = Counter(json.dumps(check.get(key, without)) for check in draft.checks)
        value, count = seen.most_common(1)[0] if seen else ("null", 0)
        common = json.loads(value)
        if common is None or common == without or count * 2 <= len(draft.checks) or count < 2:
            continue
        defaults[key] = common
        for check in draft.checks:
            if check.get(key, without) == common:
                check.pop(key, None)
            elif key not in check and without is not None:
                check[key] = without
    for check in draft.checks:
        for key, without in _COMMON.items():
            if key not in defaults and key in check and check[key] == without:
                del check[key]
    lines = [f"# Converted by partywidgets {__version__} from {', '.join(path.name for path in paths)}."]
    for name, entry in (("defaults", defaults), ("limits", draft.limits)):
        if entry:
            lines.append(f"{name}: {flow(entry)}")
    for name, entries in (("checks", draft.checks), ("maintenance", draft.maintenance), ("notify", draft.notify)):
        if entries:
            lines += ["", f"{name}:"]
            for entry in entries:
                lines += _entry(entry)
    return "\n".join(lines) + "\n"


def _entry(entry: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, value in entry.items():
        if key == "conditions":
            lines += ["    conditions:", *(f"      - {flow(expr)}" for expr in value)]
        else:
            lines.append(f"    {flow(key)}: {flow(value)}")
    lines[0] = "  - " + lines[0].lstrip()
    return lines
