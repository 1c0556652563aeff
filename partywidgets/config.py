"""partywidgets.yaml as models: assembles those that live beside what they configure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from .auth import login_subject
from .child_environment import hide_variable
from .config_complaint import Fault, explain, told
from .config_source import MAX_TEXT, Source, read_yaml, refuse_secrets, try_references
from .duration import PositiveSeconds, Seconds
from .exceptions import ConfigError, SandboxError
from .party.grant import parse_roles
from .references import REFERENCE, resolve
from .scans.checks import CHECK_TYPES
from .scans.checks.base import CheckModel, PlacedError
from .scans.maintenance import MaintenanceSettings
from .scans.model import Severity
from .scans.notify_settings import NotifySettings
from .scans.settings import HistorySettings, LimitSettings, ScheduleSettings
from .scans.waiver import WaiverSettings
from .terminal.sandboxes.opening import parse_address
from .terminal.settings import RecordingSettings, TerminalConfig

if TYPE_CHECKING:
    AnyCheck = CheckModel
else:
    AnyCheck = Annotated[Union[tuple(CHECK_TYPES.values())], Field(discriminator="type")]  # noqa: UP007 - of a computed tuple

__all__ = ["AuthSettings", "AuthToken", "CheckDefaults", "Config", "config_schema", "load_config", "parse_config", "resolve"]

MAX_CHECKS = 20_000
_PUBLIC_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+")
_PUBLIC_PATH = re.compile(r"[A-Za-z0-9._~/-]*")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def _roles(names: tuple[str, ...]) -> tuple[str, ...]:
    parse_roles(names)
    return names


def _subject(name: str) -> str:
    if login_subject(name) != name:
        raise ValueError(f"{name!r} is a name of the host's own: choose another")
    return name


def _module(name: str) -> str:
    if not _MODULE.fullmatch(name):
        raise ValueError(f"{name!r} is not a module name: write it as in an import, for example team.checks")
    return name


def _address(text: str) -> str:
    try:
        parse_address(text)
    except SandboxError as error:
        raise ValueError(str(error)) from None
    return text


def _public_url(text: str) -> str:
    """As a browser writes it, with a slash at its end."""
    wrong = f"{text[:200]!r} is no address of a host: write https://ops.example.com, or with a path below which a proxy shows it"
    try:
        url = urlsplit(text.strip())
        port = url.port
    except ValueError:
        raise ValueError(wrong) from None
    host = (url.hostname or "").lower()
    if url.scheme not in ("http", "https") or "@" in url.netloc or url.query or url.fragment or not _PUBLIC_HOST.fullmatch(host):
        raise ValueError(wrong)
    if not _PUBLIC_PATH.fullmatch(url.path):
        raise ValueError(wrong)
    place = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[url.scheme]:
        place += f":{port}"
    return f"{url.scheme}://{place}{url.path.rstrip('/')}/"


class AuthToken(BaseModel):
    """One bearer token beside the owner's: whose it is and what it may do. `token` is a reference, resolved where the host runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: Annotated[str, AfterValidator(_subject)] = Field(min_length=1, max_length=200)
    name: str = Field(default="", max_length=200)
    token: str = Field(min_length=1)
    roles: Annotated[tuple[str, ...], AfterValidator(_roles)] = ("observer", "viewer")


class AuthSettings(BaseModel):
    """Who may come in beside the owner: tokens, and the Hosts and Origins allowed beside the server's own. Read when a host starts.

    `sockets_per_subject` are open at once at most, for each person, the owner too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: tuple[AuthToken, ...] = Field(default=(), max_length=1000)
    hosts: tuple[str, ...] = Field(default=(), max_length=1000)
    origins: tuple[str, ...] = Field(default=(), max_length=1000)
    sockets_per_subject: int = Field(default=256, ge=1, le=1_000_000)


Name = TypeVar("Name", NotifySettings, MaintenanceSettings, WaiverSettings)


def _distinct(items: tuple[Name, ...]) -> tuple[Name, ...]:
    names: set[str] = set()
    for index, item in enumerate(items):
        if item.name in names:
            raise PlacedError(f"the name {item.name!r} is used a second time: a name means one entry", (index, "name"))
        names.add(item.name)
    return items


class CheckDefaults(BaseModel):
    """What a check gets where it says nothing itself; `labels` are added to its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: PositiveSeconds | None = None
    timeout: PositiveSeconds | None = None
    attempts: int | None = Field(default=None, ge=1, le=100)
    recovery_attempts: int | None = Field(default=None, ge=1, le=100)
    retries: int | None = Field(default=None, ge=0, le=10)
    retry_delay: Seconds | None = Field(default=None, ge=0)
    severity: Severity | None = None
    labels: dict[str, str] = Field(default_factory=dict, max_length=32)

    def apply(self, check: dict[str, Any]) -> dict[str, Any]:
        """A check's keys over these."""
        given = self.model_dump(exclude_unset=True, exclude_none=True)
        if check.get("cron") is not None:
            given.pop("every", None)
        labels = {**given.pop("labels", {}), **(check["labels"] if isinstance(check.get("labels"), dict) else {})}
        return {**given, **check, **({"labels": labels} if labels and isinstance(check.get("labels", {}), dict) else {})}


class Config(BaseModel):
    """A whole config. Every key is optional; unknown ones are refused.

    `public_url` is where others reach the page of this host: notifications link to it, and `serve` takes it for a name of its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, title="partywidgets.yaml")

    sandboxes: dict[Annotated[str, Field(min_length=1, max_length=128)], Annotated[str, AfterValidator(_address)]] = Field(
        default_factory=dict, max_length=10_000
    )
    defaults: CheckDefaults = Field(default_factory=CheckDefaults)
    checks: tuple[AnyCheck, ...] = Field(default=(), max_length=MAX_CHECKS)
    schedule: ScheduleSettings = ScheduleSettings.model_validate({})
    limits: LimitSettings = LimitSettings.model_validate({})
    history: HistorySettings = Field(default_factory=HistorySettings)
    recording: RecordingSettings = Field(default_factory=RecordingSettings)
    terminal: TerminalConfig = Field(default_factory=TerminalConfig)
    modules: tuple[Annotated[str, AfterValidator(_module)], ...] = Field(default=(), max_length=1000)
    notify: Annotated[tuple[NotifySettings, ...], AfterValidator(_distinct)] = Field(default=(), max_length=100)
    maintenance: Annotated[tuple[MaintenanceSettings, ...], AfterValidator(_distinct)] = Field(default=(), max_length=1000)
    waivers: Annotated[tuple[WaiverSettings, ...], AfterValidator(_distinct)] = Field(default=(), max_length=1000)
    auth: AuthSettings = Field(default_factory=AuthSettings)
    public_url: Annotated[str, AfterValidator(_public_url)] | None = Field(default=None, max_length=500)

    _path: str = PrivateAttr("partywidgets.yaml")

    @property
    def path(self) -> str:
        """The file it was read from, absolute: the name under which a host loads it, and where relative `${file:PATH}` begin."""
        return self._path


def load_config(path: str | Path, *, environ: Mapping[str, str] | None = None) -> Config:
    """Reads a config file. Raises ConfigError with path, line and column for anything wrong, an unknown key included.

    `${env:NAME}` and `${file:PATH}` stay references here; the host resolves them (`resolve`), so that a travelling config holds no secret.
    With `environ`, every reference is also tried against it, so that a missing one is found at once.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read(MAX_TEXT + 1)
    except FileNotFoundError:
        raise ConfigError("there is no such file: name an existing config", path=str(path)) from None
    except OSError as error:
        raise ConfigError(f"the config cannot be read: {error.strerror}", path=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"the config is not UTF-8 text: byte {error.start} is wrong", path=str(path)) from None
    config = parse_config(text, path=str(path))
    config._path = str(Path(path).absolute())
    if environ is not None:
        try_references(read_yaml(text, path=str(path)), environ=environ, base=Path(path).parent)
    return config


def parse_config(text: str, *, path: str = "partywidgets.yaml") -> Config:
    """As `load_config`, from text; `path` is what errors name."""
    source = read_yaml(text, path=path)
    if source.value is None:
        source.value = {}
    if not isinstance(source.value, dict):
        raise source.error("a config is a mapping of keys such as `checks:`", ())
    refuse_secrets(source)
    for kind, name in REFERENCE.findall(text):
        if kind == "env":
            hide_variable(name)  # before anything is started, not when it is first resolved
    plain = dict(source.value)
    twice: list[Fault] = []
    if isinstance(plain.get("checks"), list):
        twice = _duplicate_ids(source, plain["checks"])
        try:
            defaults = CheckDefaults.model_validate(plain.get("defaults", {}))
        except ValidationError as error:
            raise explain(error, CheckDefaults, source, ("defaults",)) from None
        plain["checks"] = [defaults.apply(check) if isinstance(check, dict) else check for check in plain["checks"]]
    try:
        config = Config.model_validate(plain)
    except ValidationError as error:
        raise explain(error, Config, source, beside=twice) from None
    if faults := [*twice, *_circles(source, config.checks)]:
        raise told(source, [(False, *fault) for fault in faults])
    config._path = path
    return config


def config_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a config file, for editors and reviews."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


def _circles(source: Source, checks: Sequence[CheckModel]) -> list[Fault]:
    """Checks that depend on each other: when both fail, each would be suppressed by the other, and nobody told."""
    depends = {check.id: tuple(check.depends_on) for check in checks}
    places = {check.id: index for index, check in enumerate(checks)}
    faults: list[Fault] = []
    done: set[str] = set()
    for begin in depends:
        path: list[str] = []
        todo = [(begin, 0)]
        while todo:
            name, depth = todo.pop()
            del path[depth:]
            if name in path:
                circle = [*path[path.index(name) :], name]
                words = ", which depends on ".join(map(repr, circle[1:]))
                sentence = f"check {name!r} depends on {words}: when all of them fail nobody would be told; take one `depends_on` out"
                faults.append((source.position(("checks", places[name], "depends_on")), sentence))
            elif name not in done:
                path.append(name)
                done.add(name)
                todo += [(other, depth + 1) for other in depends.get(name, ())]
    return faults


def _duplicate_ids(source: Source, checks: list[Any]) -> list[Fault]:
    seen: dict[str, int] = {}
    faults: list[Fault] = []
    for index, check in enumerate(checks):
        identifier = check.get("id") if isinstance(check, dict) else None
        if not isinstance(identifier, str):
            continue
        if identifier in seen:
            line = source.position(("checks", seen[identifier], "id"))[0]
            sentence = f"the check id {identifier!r} is used a second time, the first is on line {line}: an id names one check"
            faults.append((source.position(("checks", index, "id")), sentence))
        else:
            seen[identifier] = index
    return faults
