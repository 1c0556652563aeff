"""What a person gives to an ops room from Python, as the wire has it. Each raises KeywordError, one sentence with the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from ..duration import parse_duration
from ..exceptions import KeywordError, ScanError
from ..scans.model import wire_time

Until: TypeAlias = datetime | timedelta | str
"""An aware time, or how long from now."""


def config_path(function: str, given: object) -> Path:
    """The absolute path of a config that a person names."""
    if not isinstance(given, (str, PathLike)):
        raise KeywordError(f"{function}() takes the path of a config, as 'partywidgets.yaml', got {given!r}")
    return Path(given).expanduser().absolute()


def patience(function: str, timeout: float | None) -> float | None:
    """Seconds to wait at most, None: no limit."""
    if timeout is None or (isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and timeout > 0):
        return timeout
    raise KeywordError(f"{function}(timeout={timeout!r}): it takes seconds above 0, or None for no limit")


def names(what: str, given: str | Iterable[str]) -> list[str]:
    """One name, or several."""
    if isinstance(given, str):
        return [given]
    listed = list(given) if isinstance(given, Iterable) else [given]
    if wrong := [one for one in listed if not isinstance(one, str)]:
        raise KeywordError(f"{what} are texts, one or a list of them, got {wrong[0]!r}")
    return listed


def fingerprint(given: str, rows: Mapping[str, Mapping[str, object]]) -> str:
    """The fingerprint of the row that a person names, by it or by its check's id. Raises ScanError for a check with several rows."""
    if given in rows:
        return given
    named = [known for known, row in rows.items() if row["check_id"] == given]
    if len(named) > 1:
        raise ScanError(f"the check {given!r} has {len(named)} rows: name one by its fingerprint, {' or '.join(named[:2])}, from ops.df")
    return named[0] if named else given


def one_name(what: str, given: str | None) -> str | None:
    """One name, or None for all."""
    if given is None or isinstance(given, str):
        return given
    raise KeywordError(f"{what} is the id of one check, got {given!r}: leave it out for all, and choose from the DataFrame")


def labels(what: str, given: Mapping[str, str] | None) -> dict[str, str]:
    """Labels by name."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise KeywordError(f'{what} are given as {{"team": "web"}}, got {given!r}')
    return dict(given)


def end(until: Until | None) -> str | None:
    """When something is over: an aware time, or how long from now, as `timedelta(hours=2)` or `"2h"`; None: no end."""
    if until is None:
        return None
    if isinstance(until, datetime):
        if until.tzinfo is None:
            raise KeywordError(f"until={until} has no time zone: use datetime.now(UTC) + timedelta(hours=1), or until='1h'")
        return wire_time(until.astimezone(UTC))
    try:
        length = until if isinstance(until, timedelta) else timedelta(seconds=parse_duration(until))
        return wire_time(datetime.now(UTC) + length)
    except (ValueError, OverflowError):
        raise KeywordError(f"until={until!r} is not a time: give an aware datetime, a timedelta, or how long from now, as '2h'") from None
