"""What a config would do: when its checks would run, and what loading it would change in a host. Pure; the time is given by the caller."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from .checks.base import CheckModel
from .execution import Loaded
from .maintenance import MaintenanceSettings, Window
from .schedule import CronRhythm, Scheduler, rhythm_of
from .settings import ScheduleSettings

RUNS = 3
"""How many of the next times are told."""


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A check and its next times by its own rhythm, in the schedule's time zone; none where only a full scan or a person runs it."""

    check: CheckModel
    runs: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would run when, were the config loaded now into a host that knows nothing of it."""

    checks: list[PlannedCheck]
    full: tuple[datetime, ...]
    windows: list[Window]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What loading would change. `changed` maps an id to the keys that differ, `taken` one to the config that has it already: with any of
    those the host refuses the whole."""

    added: list[str] = field(default_factory=list)
    changed: dict[str, list[str]] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)


def plan(
    checks: Sequence[CheckModel],
    schedule: ScheduleSettings,
    maintenance: Iterable[MaintenanceSettings],
    now: datetime,
) -> Plan:
    """The next RUNS times of every check, of the full scan and of the maintenance windows, after an aware `now`."""
    zone, moment = ZoneInfo(schedule.timezone), now.timestamp()
    # The scheduler itself says when a check is first due, so that a plan cannot tell another time than what then happens.
    scheduler = Scheduler(_nothing, clock=lambda: moment)
    scheduler.configure("", schedule)
    planned = []
    for check in checks:
        scheduler.put(check, owner="", last=None)
        times: list[datetime] = []
        due, rhythm = scheduler.schedule.due_of(check.id), rhythm_of(check, schedule)
        if rhythm is not None and due is not None:
            while len(times) < RUNS:
                times.append(datetime.fromtimestamp(due, zone))
                due = rhythm.after(due, due)
        planned.append(PlannedCheck(check, tuple(times)))
    full: list[datetime] = []
    due = moment
    if schedule.full is not None:
        cron = CronRhythm(schedule.full, zone)
        while len(full) < RUNS:
            due = cron.after(due, due)
            full.append(datetime.fromtimestamp(due, zone))
    windows = [window for settings in maintenance if (window := settings.next_window(now)) is not None]
    return Plan(planned, tuple(full), sorted(windows, key=lambda window: window.begin))


async def _nothing(keys: list[str]) -> None:
    """What a scheduler that never runs hands out."""


def form_of(check: CheckModel) -> dict[str, str]:
    """A digest of each key that a check gives other than its default: tells what differs without telling what it says."""
    keys = check.model_dump(mode="json", exclude_defaults=True)
    keys["type"] = check.type
    return {key: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16] for key, value in keys.items()}


def present(checks: Iterable[Loaded], name: str) -> list[dict[str, Any]]:
    """What a host answers about its checks: `id` and `owner` of each, and the `form` of those that the config `name` brought."""
    return [
        {"id": loaded.id, "owner": loaded.owner, **({"form": form_of(loaded.check)} if loaded.owner == name else {})} for loaded in checks
    ]


def compare(checks: Iterable[CheckModel], name: str, there: Iterable[Mapping[str, Any]]) -> Comparison:
    """What loading these checks under `name` would change in a host that answered `there` (`present`)."""
    listed = list(there)
    owners = {str(item["id"]): str(item["owner"]) for item in listed}
    forms = {str(item["id"]): item.get("form", {}) for item in listed if item["owner"] == name}
    found = Comparison()
    here = {check.id: form_of(check) for check in checks}
    for check_id, form in here.items():
        if check_id not in owners:
            found.added.append(check_id)
        elif check_id not in forms:
            found.taken[check_id] = owners[check_id]
        elif form != forms[check_id]:
            held = forms[check_id]
            found.changed[check_id] = sorted(key for key in form.keys() | held.keys() if form.get(key) != held.get(key))
        else:
            found.unchanged.append(check_id)
    found.removed.extend(check_id for check_id in forms if check_id not in here)
    return found
