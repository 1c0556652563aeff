"""What a conversion has found so far: checks, notifications and windows that are right, and what is to be told about the rest."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from ..config import MAX_CHECKS
from ..config_source import Source, refuse_secrets
from ..exceptions import ConfigError
from ..scans.checks import CHECK_TYPES
from ..scans.maintenance import MaintenanceSettings
from ..scans.model import one_line
from ..scans.notify_settings import NotifySettings
from .variables import Variables

MAX_REMINDER = 31 * 86_400.0
"""Seconds between reminders at most."""

Kind = Literal["left out", "differs", "secret"]


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that the author has to know. `place` is where it stands in the source.

    `left out`: it has no counterpart, and is not in the config. `differs`: it is there, and means something else. `secret`: it is a
    variable's name in the config.
    """

    kind: Kind
    place: str
    text: str

    def __str__(self) -> str:
        return one_line(f"{self.place}: {self.kind}: {self.text}", 500)


@dataclass
class Draft:
    """The config in the making. Its entries are written as the config's own, and checked when they come."""

    variables: Variables
    checks: list[dict[str, Any]] = field(default_factory=list)
    notify: list[dict[str, Any]] = field(default_factory=list)
    maintenance: list[dict[str, Any]] = field(default_factory=list)
    limits: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    found: int = 0
    """Things of the source that are a check each, whether or not they became one."""
    _ids: set[str] = field(default_factory=set)
    _numbers: dict[str, int] = field(default_factory=dict)
    """By id, the number for the next one that would be called so."""

    def left_out(self, place: str, text: str) -> None:
        """It has no counterpart."""
        self.notes.append(Note("left out", place, text))

    def differs(self, place: str, text: str) -> None:
        """It was carried over with another meaning."""
        self.notes.append(Note("differs", place, text))

    def secret(self, place: str, value: str, *words: str) -> str:
        """The reference that stands for a secret; told once for each variable."""
        known = len(self.variables.values)
        reference = self.variables.put(value, *words)
        if len(self.variables.values) > known:
            self.notes.append(Note("secret", place, f"now {reference}"))
        return reference

    def guarded(self, place: str, text: str, *words: str, sensitive: bool = False) -> str:
        """A text for a key whose references are resolved: what is secret in it, or would be read as a reference, is a variable."""
        if not text:
            return text
        if sensitive:
            return self.secret(place, text, *words)
        parts, at = [], 0
        for start, end in self.variables.secrets(text):
            parts += [text[at:start], self.secret(place, text[start:end], *words)]
            at = end
        return "".join((*parts, text[at:]))

    def name(self, wanted: str) -> str:
        """An id of a check that no other has, as near to `wanted` as it may be."""
        bare = re.sub(r"[\x00-\x1f\x7f]", " ", wanted).strip().lstrip("/ ")[:190] or "check"
        name, number = bare, self._numbers.get(bare, 2)
        while name in self._ids:
            name, number = f"{bare}-{number}", number + 1
        self._numbers[bare] = number
        self._ids.add(name)
        return name

    def add(self, check: dict[str, Any], place: str) -> bool:
        """Takes a check; tells why where a host would refuse it."""
        if len(self.checks) >= MAX_CHECKS:
            self.left_out(place, f"a config has at most {MAX_CHECKS} checks: split the source")
            return False
        kind = CHECK_TYPES[check["type"]]
        if self._fits(kind, check, {"checks": [check]}, place):
            self.checks.append(check)
            return True
        return False

    def tell(self, target: dict[str, Any], place: str) -> None:
        """Takes a target of notifications."""
        if self._fits(NotifySettings, target, {"notify": [target]}, place):
            self.notify.append(target)

    def tell_by_reminder(self, target: dict[str, Any], place: str, reminders: Mapping[str, float]) -> None:
        """Takes a target for the checks of these ids, one for each time between reminders (seconds; 0: none) where they have several."""
        times = sorted(set(reminders.values()))
        for seconds in times:
            ids = {name for name, time in reminders.items() if time == seconds}
            one = dict(target)
            if seconds and len(times) > 1:
                one["name"] = f"{target['name'][:80]}, again every {span(seconds)}"
            if matchers := labelled(self.checks, ids, f"notify-{slug(one['name'])}"):
                one["matchers"] = matchers
            if seconds:
                one["remind_every"] = span(min(seconds, MAX_REMINDER))
            self.tell(one, place)

    def window(self, window: dict[str, Any], place: str) -> None:
        """Takes a maintenance window, with a name of its own."""
        bare, taken, number = window["name"][:90] or "maintenance", {other["name"] for other in self.maintenance}, 2
        window["name"] = bare
        while window["name"] in taken:
            window["name"], number = f"{bare} {number}", number + 1
        if self._fits(MaintenanceSettings, window, {"maintenance": [window]}, place):
            self.maintenance.append(window)

    def _fits(self, model: type[BaseModel], entry: dict[str, Any], whole: dict[str, Any], place: str) -> bool:
        try:
            model.model_validate(entry)
            refuse_secrets(Source("", whole))
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, fault["loc"]))
            self.left_out(place, f"{where}: {fault['msg'].removeprefix('Value error, ')}" if where else fault["msg"])
            return False
        except ConfigError:
            self.left_out(place, "it holds what looks like a secret in a place that takes no reference")
            return False
        return True


def labelled(checks: Iterable[dict[str, Any]], ids: set[str], label: str) -> dict[str, str]:
    """The matchers for the checks of these ids: none where they are all, else a label that each of them gets."""
    listed = list(checks)
    chosen = [check for check in listed if check["id"] in ids]
    if len(chosen) == len(listed):
        return {}
    for check in chosen:
        check["labels"] = {**check.get("labels", {}), label: "true"}
    return {label: "true"}


def slug(text: str) -> str:
    """A text as part of a label: lower case, with hyphens; letters lose their accents."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "x"


def span(seconds: float) -> str:
    """A duration as a config has it, without loss: `90s`, `5m`, `1h`."""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:.6g}s" if seconds >= 1 else f"{seconds * 1000:.6g}ms"
