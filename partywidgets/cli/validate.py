"""`partywidgets validate`: is a config right?"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ..config_source import Loc, Source, read_yaml
from ..duration import format_duration
from ..exceptions import ConfigError
from ..references import resolve
from ..scans.checks.rdap import ASK_EVERY
from ..scans.notify_delivery import SERVICES, is_known
from . import Verdict, counted, say

if TYPE_CHECKING:
    from ..config import Config


SHOWN = 100
"""Faults that are printed."""


def run(path: Path) -> None:
    """Prints one line about a valid config, and a note for each name in it that the config does not define.

    Of an invalid one, prints each fault with its place and raises Verdict 1; or ConfigError where there is only one.
    """
    from ..config import load_config

    try:
        config = load_config(path, environ=os.environ)
    except ConfigError as error:
        if len(error.faults) < 2:
            raise
        for fault in error.faults[:SHOWN]:
            say(fault)
        if len(error.faults) > SHOWN:
            say(f"and {len(error.faults) - SHOWN} more")
        raise Verdict(1) from None
    kinds = Counter(str(getattr(check, "type", "?")) for check in config.checks)
    checks = counted(len(config.checks), "check") + (
        f" ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))})" if kinds else ""
    )
    modules = f", and the functions of {', '.join(config.modules)}, which were not imported" if config.modules else ""
    sandboxes = counted(len(config.sandboxes), "sandbox", "es") + (f" ({', '.join(sorted(config.sandboxes))})" if config.sandboxes else "")
    schedule = f"all at '{config.schedule.full}' {config.schedule.timezone}" if config.schedule.full else "no full scan scheduled"
    print(f"{path}: valid. {checks}{modules}; {sandboxes}; {schedule}.")
    source = read_yaml(path.read_text(encoding="utf-8-sig"), path=str(path))
    for note in (*notes(config), *again(config, source), *often(config, source)):
        print(f"note: {note}")


def again(config: Config, source: Source) -> Iterator[str]:
    """Where looking again does not do what one may take it for, each with its place."""
    asked = config.defaults.retry_delay is not None
    defaults: list[Loc] = [("defaults", "attempts"), ("defaults", "recovery_attempts")]
    hasty = [place for place in defaults if place in source.values][:1]
    for index, check in enumerate(config.checks):
        loc: Loc = ("checks", index)
        whole = source.values
        own = [(*loc, key) for key in ("attempts", "recovery_attempts") if (*loc, key) in whole]
        delay = (*loc, "retry_delay")
        many = check.attempts > 1 or check.recovery_attempts > 1
        if not many and not check.retries and delay in whole:
            yield f"{_at(source, delay)}: check {check.id!r} is never looked at again, so its `retry_delay` is ignored: give it `attempts`"
        elif many and check.every is None and check.cron is None and (delay in whole or own):
            place = delay if delay in whole else own[0]
            words = "has neither `every` nor `cron`: its `attempts` come with what looks at it, not after `retry_delay`"
            yield f"{_at(source, place)}: check {check.id!r} {words}"
        elif own and not asked and delay not in whole:
            hasty.append(own[0])
    if hasty and not asked:
        more = f" ({len(hasty)} places, of which this is the first)" if len(hasty) > 1 else ""
        words = "`attempts` without `retry_delay`: the next look comes after 1s, so a blip of a few seconds is hard"
        yield f"{_at(source, hasty[0])}: {words}{more}"


def often(config: Config, source: Source) -> Iterator[str]:
    """Where a registry would be asked more often than it is, with the place of the first."""
    asking = [(index, check) for index, check in enumerate(config.checks) if check.type == "domain"]
    hasty = [(index, check) for index, check in asking if check.every is not None and check.every < ASK_EVERY]
    for index, check in hasty[:1]:
        loc: Loc = ("checks", index, "every")
        place = loc if loc in source.values else ("defaults", "every")
        more = f" ({len(hasty)} checks, of which this is the first)" if len(hasty) > 1 else ""
        words = f"looks every {format_duration(check.every or 0.0)}, and its registry is asked once an hour at most: `every: 12h` is plenty"
        yield f"{_at(source, place)}: check {check.id!r} {words}{more}"


def _at(source: Source, loc: Loc) -> str:
    line, column = source.position(loc, key=True)
    return f"{source.path}:{line}:{column}"


def notes(config: Config) -> Iterator[str]:
    """What is taken as it is, and is probably not what was meant."""
    yield from _over(config)
    yield from _for_others(config)
    yield from _unreachable(config)
    yield from _elsewhere(config)


def _over(config: Config) -> Iterator[str]:
    """Waivers whose end is past."""
    now = datetime.now(UTC)
    for waiver in config.waivers:
        if waiver.until <= now:
            end = f"{waiver.until:%Y-%m-%d %H:%M} {waiver.until.tzname()}"
            yield f"the waiver {waiver.name!r} ended at {end}: the results it covered count again"


def _for_others(config: Config) -> Iterator[str]:
    """Maintenance and waivers for checks that only another config of the host may have."""
    ids = {check.id for check in config.checks}
    for kind, named in (("maintenance", config.maintenance), ("waiver", config.waivers)):
        for entry in named:
            check_id = entry.matchers.get("check_id")
            if check_id is not None and check_id not in ids:
                near = get_close_matches(check_id, ids, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ": only another config of the host may have it"
                yield f"the {kind} {entry.name!r} is for the check {check_id!r}, which is not in this config{hint}"


def _unreachable(config: Config) -> Iterator[str]:
    """Targets of notifications that nobody would be told by."""
    for target in config.notify:
        if not is_known(resolve(target.url, environ=os.environ, base=Path(config.path).parent)):
            yield f"Apprise does not know the URL of the notify target {target.name!r}, so nobody would be notified; {SERVICES}"


def _elsewhere(config: Config) -> Iterator[str]:
    """Names that only another config or a module can define; otherwise they are typing mistakes."""
    ids = {check.id for check in config.checks}
    elsewhere = " or a function of its modules" if config.modules else ""
    for check in config.checks:
        for other in check.depends_on:
            if other not in ids:
                near = get_close_matches(other, ids, 1)
                hint = f"; did you mean {near[0]!r}?" if near else f": another config of the host{elsewhere} must have it"
                yield f"check {check.id!r} depends on {other!r}, which is not in this config{hint}"
        sandbox = check.remediation.sandbox if check.remediation is not None else None
        if sandbox is not None and sandbox not in config.sandboxes:
            yield f"the remedy of check {check.id!r} needs the sandbox {sandbox!r}, which is not under `sandboxes:` in this config"
