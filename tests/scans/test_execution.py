"""The places in which checks run: bounded in all, by type and by host, and never lost."""

from __future__ import annotations

import asyncio

import pytest

from partywidgets.scans.execution import Slots
from partywidgets.scans.settings import LimitSettings


async def ready(slots: Slots, host: str, kind: str = "") -> bool:
    """Whether a place is to be had at once; it is given back."""
    taking = asyncio.ensure_future(slots.take(host, kind))
    for _ in range(5):
        await asyncio.sleep(0)
    if taking.done():
        slots.give_back(host, kind)
        return True
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    return False


@pytest.mark.parametrize(
    ("limits", "held", "free"),
    [
        (LimitSettings(total=1, per_host=5), ("a", "http"), []),
        (LimitSettings(total=5, per_host=1), ("a", "http"), [("b", "http"), ("b", "tcp")]),
        (LimitSettings(total=5, per_host=5, per_type={"http": 1}), ("a", "http"), [("a", "tcp"), ("b", "tcp")]),
    ],
)
async def test_each_limit_holds_and_who_gives_up_keeps_nothing(
    limits: LimitSettings, held: tuple[str, str], free: list[tuple[str, str]]
) -> None:
    """While a place is held, those that the limit allows are to be had and no other; one who stopped waiting has taken nothing along."""
    slots = Slots(limits)
    await slots.take(*held)
    for _ in range(3):
        assert [place for place in [("a", "http"), ("a", "tcp"), ("b", "http"), ("b", "tcp")] if await ready(slots, *place)] == free
    slots.give_back(*held)
    for place in [("a", "http"), ("a", "tcp"), ("b", "http"), ("b", "tcp")]:
        assert await ready(slots, *place)
    assert not slots._hosts


async def test_places_are_taken_in_turn() -> None:
    """Who waits longest gets the next place."""
    slots, order = Slots(LimitSettings(total=1)), []
    await slots.take("a")

    async def look(name: str) -> None:
        await slots.take(name)
        order.append(name)
        slots.give_back(name)

    async with asyncio.TaskGroup() as group:
        for name in "bcd":
            group.create_task(look(name))
            await asyncio.sleep(0)
        slots.give_back("a")
    assert order == ["b", "c", "d"]
