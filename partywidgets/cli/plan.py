"""`partywidgets plan`: what a config would run and when, and what loading it would change in a host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ..duration import format_duration
from . import Verdict
from .tokens import read_token

if TYPE_CHECKING:
    from ..config import Config
    from ..scans.plan import Comparison, Plan


def run(path: Path, *, url: str | None, name: str | None, token_file: Path | None) -> None:
    """Prints the plan. Raises ConfigError for a config that is not right, PartyError for a host that does not answer; ends with 1 when
    that host would refuse the config."""
    from ..client.ops_http import present_checks
    from ..config import load_config
    from ..scans.plan import compare, plan

    config = load_config(path)  # its references are the host's: they are not tried here
    comparison = None
    if url is not None:
        there = asyncio.run(present_checks(url, name or config.path, token=read_token(token_file)))
        comparison = compare(config.checks, name or config.path, there)
    now = datetime.now(UTC)
    _print_times(config, plan(config.checks, config.schedule, config.maintenance, now))
    if comparison is not None:
        print()
        _print_changes(comparison, url or "", name or config.path)
        if comparison.taken:
            raise Verdict(1)


def _print_times(config: Config, found: Plan) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(expand=False)
    for heading in ("check", "type", "when", f"next looks ({config.schedule.timezone})"):
        table.add_column(heading, overflow="fold")
    for planned in found.checks:
        check = planned.check
        otherwise = "disabled" if not check.enabled else "with full scans" if found.full else "when somebody asks"
        when = check.cron or ("–" if check.every is None else f"every {format_duration(check.every)}")
        table.add_row(Text(check.id), Text(check.type), Text(when), _moments(planned.runs) or otherwise)
    console.print(table)
    if found.full:
        print(f"full scan '{config.schedule.full}': {_moments(found.full)}")
    for window in found.windows:
        zone = ZoneInfo(window.settings.timezone)
        opening = _moments([window.begin.astimezone(zone), window.end.astimezone(zone)], " to ")
        print(f"maintenance {window.settings.name}: {opening} ({window.settings.timezone})")
    for waiver in config.waivers:
        print(f"waiver {waiver.name}: until {waiver.until:%Y-%m-%d %H:%M:%S} ({waiver.until.tzname()})")
    if any(check.type == "domain" for check in config.checks):
        print("domains: a registry is asked about one once an hour at most, looks in between go by its last answer")
    if config.modules:
        print(f"functions of {', '.join(config.modules)}: not imported here, by their own `every` or `cron`")
    print("Times are those of a host that loads the config now and knows nothing of its checks.")


def _print_changes(found: Comparison, url: str, name: str) -> None:
    from ..scans.model import one_line

    for check_id in found.added:
        print(f"+ {check_id}")
    for check_id, keys in found.changed.items():
        print(f"~ {check_id}: {', '.join(keys)}")
    for check_id in found.removed:
        print(f"- {one_line(check_id)}")
    for check_id, owner in found.taken.items():
        print(f"! {check_id} belongs to {one_line(owner)}")
    counts = f"{len(found.added)} added, {len(found.changed)} changed, {len(found.removed)} removed, {len(found.unchanged)} unchanged"
    print(f"{url} would have {counts} under the name {name}.")
    if found.taken:
        owner = one_line(next(iter(found.taken.values())))
        print(f"It would refuse the config: {len(found.taken)} ids belong to another one. Compare with --name {owner}, or give other ids.")


def _moments(times: Iterable[datetime], between: str = ", ") -> str:
    """Times with the day where it is another than before: columns of equal days hide what differs."""
    told: list[str] = []
    day = None
    for moment in times:
        told.append(moment.strftime("%H:%M:%S" if moment.date() == day else "%Y-%m-%d %H:%M:%S"))
        day = moment.date()
    return between.join(told)
