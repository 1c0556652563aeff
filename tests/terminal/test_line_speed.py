"""How fast a viewer's line is, and what it is sent accordingly."""

from __future__ import annotations

from typing import Any, cast

import pytest

from partywidgets.party import Connection
from partywidgets.terminal.lease import Person
from partywidgets.terminal.line_speed import STRETCH, LineSpeed
from partywidgets.terminal.screen import SCREEN_BYTES
from partywidgets.terminal.viewer import NARROW_BYTES, THIN_BYTES, PlainViewer, RichViewer, Viewer


class Socket:
    """A connection of which the kernel holds so much."""

    buffered = 0

    def send(self, frame: Any) -> None:
        """Goes out."""


def watching(kind: type[Viewer] = RichViewer) -> Any:
    seen = kind(cast(Connection, Socket()), Person("ana", "c1", "Ana", "peer"))
    if kind is RichViewer:
        seen.drew(0, 0.0)
    return seen


def test_a_stretch_is_timed_from_its_beginning_to_its_end() -> None:
    """What is sent behind it belongs to it; what is too short says nothing; a quick part of one can only raise it."""
    speed = LineSpeed()
    speed.came(0, 5.0)
    assert speed.rate is None
    speed.sent(3 * STRETCH, 10.0)
    speed.sent(2 * STRETCH, 12.0)
    speed.came(STRETCH, 14.0)
    assert speed.rate == STRETCH
    speed.sent(STRETCH - 1, 20.0)
    speed.came(0, 20.5)
    assert speed.rate == STRETCH
    speed.came_within(STRETCH, 2.0)
    assert speed.rate == STRETCH
    speed.came_within(STRETCH, 0.5)
    assert speed.rate == 2 * STRETCH


@pytest.mark.parametrize(
    ("seconds", "window", "share"),
    [(0.02, NARROW_BYTES, None), (1.6, 64_000, 32_768), (12.8, THIN_BYTES, 4_096), (3600.0, THIN_BYTES, 16)],
)
def test_what_lagged_on_a_thin_line_gets_what_the_line_brings_in_a_moment(seconds: float, window: int, share: int | None) -> None:
    """As many bytes of scrollback, to a power of two, and a window as wide; a quick one all of it."""
    seen = watching()
    seen.position, seen.consumed = 102_400, 0
    seen.lagged(100.0)
    seen.consumed = seen.position
    seen.drained(100.0 + seconds)
    seen.wants("lagged")
    assert (seen.window, seen.share) == (window, share)
    seen.wants("asked")
    assert seen.share is None


def test_a_screen_that_is_acknowledged_tells_the_speed() -> None:
    """From when it was sent to the acknowledgement at its offset; of a viewer that never acknowledges it tells nothing."""
    seen = watching()
    seen.position = 500
    seen.shown(500, SCREEN_BYTES, 10.0)
    seen.drew(400, 11.0)
    assert seen.speed.rate is None
    seen.drew(500, 34.0)
    assert seen.speed.rate == SCREEN_BYTES / 24
    assert seen.window == THIN_BYTES
    plain = watching(PlainViewer)
    plain.shown(500, SCREEN_BYTES, 10.0)
    plain.connection.buffered = 65_536
    plain.lagged(1000.0)
    plain.connection.buffered = 0
    plain.drained(1000.5)
    assert plain.speed.rate == 131_072


def test_nobody_gets_more_scrollback_than_they_want() -> None:
    """What the query says holds for every screen but one that is asked for."""
    seen = watching()
    seen.scrollback = 100
    for reason in ("joined", "lagged", "history", "epoch"):
        seen.wants(reason)
        assert seen.share == 100
    seen.wants("asked")
    assert seen.share is None


def joining(rate: float | None, *, short: bool = True) -> Any:
    """Somebody who has drawn a first screen of 10,000 bytes with 8 KiB of the lines above it, `rate` as they saw it come."""
    seen = watching()
    seen.first, seen.position = 8192, 500
    seen.wants("joined")
    assert seen.share == 8192
    seen.shown(500, 10_000, 10.0, short=short)
    seen.drew(500, 10.4, rate)
    return seen


@pytest.mark.parametrize(
    ("rate", "shares"), [(1e8, [65_536, None]), (100_000.0, [65_536]), (20_000.0, [16_384]), (12_000.0, []), (None, []), (300.0, [])]
)
def test_the_rest_follows_a_first_screen_as_far_as_the_line_brings_it(rate: float | None, shares: list[int | None]) -> None:
    """Eight times as much at most, then all; of a slow line what it brings in a moment, if that is worth another screen."""
    seen = joining(rate)
    got = []
    while seen.more_follows():
        seen.wants("above")
        got.append(seen.share)
        seen.shown(500, 10_000, 11.0, short=seen.share is not None)
        seen.drew(500, 11.1, rate)
    assert got == shares
    assert seen.window == (NARROW_BYTES if rate in (1e8, None) else max(THIN_BYTES, int(rate or 0)))


def test_nothing_follows_where_nothing_was_left_out_or_wanted() -> None:
    """A screen that was whole, one after a lag, one of a viewer that lags, and one of a viewer that wants no lines above."""
    assert not joining(1e8, short=False).more_follows()
    lagging = joining(1e8)
    lagging.in_sync = False
    assert not lagging.more_follows()
    thin = watching()
    thin.first, thin.scrollback, thin.position = 8192, 0, 500
    thin.wants("joined")
    assert thin.share == 0
    thin.shown(500, 2_000, 10.0, short=True)
    thin.drew(500, 10.1, 1e8)
    assert not thin.more_follows()
