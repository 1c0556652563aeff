"""How many of the lines above the screen a viewer gets with it, by what its line brings in a moment: pure."""

from __future__ import annotations

from .screen import SCREEN_BYTES

FIRST = ("joined", "epoch", "history")
"""Why a viewer gets a screen before anybody knows what its line brings now."""
MOMENT = 1.0
"""Seconds in which a line has to bring the lines above a screen, unless a person asks for them."""
FOLLOWED = 8
"""A first screen may be followed by at most so many times as much of the lines above it: the short time in which it came says little."""


def brought_in_a_moment(rate: float | None) -> int | None:
    """Bytes; None: all that there may be, or nobody knows. A power of two, so that one drawing does for lines that are about as fast."""
    if rate is None or (brought := int(rate * MOMENT)) >= SCREEN_BYTES:
        return None
    return 1 << max(brought.bit_length() - 1, 0)


def share_of(reason: str, *, wanted: int | None, first: int | None, before: int | None, rate: float | None) -> int | None:
    """Bytes of the lines above for a screen that a viewer waits for; None: all that fit.

    `wanted` is what it wants with any screen but one that a person asks for, `first` what it wants with a first one, `before` what it had
    with the screen that this one follows.
    """
    if reason == "asked":
        return None
    share = None
    if reason in FIRST:
        share = first
    elif reason == "lagged":
        share = brought_in_a_moment(rate)
    elif reason == "above":
        share = following(before or 0, rate)
    return wanted if share is None else share if wanted is None else min(share, wanted)


def following(before: int, rate: float | None) -> int | None:
    """Bytes of the lines above for the screen that follows one with `before` of them."""
    brought, trusted = brought_in_a_moment(rate), FOLLOWED * before
    share = trusted if brought is None else min(brought, trusted)
    return None if share >= SCREEN_BYTES else share


def is_worth_following(before: int, rate: float | None) -> bool:
    """True when the line is known to bring at least twice as much as came."""
    if rate is None:
        return False
    share = following(before, rate)
    return share is None or share >= 2 * before
