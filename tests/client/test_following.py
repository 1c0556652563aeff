"""A client's place in a terminal's output: every byte once, and the room is asked for what is missing and told what was taken."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from partywidgets.client.following import ACK_BYTES, Following
from partywidgets.terminal.protocol import encode_output, encode_snapshot


class Told(list[tuple[str, dict[str, Any]]]):
    """What the room was told."""

    def __call__(self, kind: str, **fields: Any) -> None:
        self.append((kind, fields))


@pytest.fixture
def told() -> Told:
    return Told()


def entered(told: Told, offset: int = 0) -> Following:
    """Who has come in, with an empty screen."""
    following = Following("main", told)
    following.welcomed(offset, resumed=False)
    following.take(encode_snapshot(offset, 80, 24, b""))
    return following


def found(following: Following, pattern: str) -> str | None:
    match = following.search(re.compile(pattern))
    return None if match is None else match[0]


async def test_bytes_that_come_twice_count_once(told: Told) -> None:
    """Behind a resume the room may begin a little before where one was."""
    following = entered(told)
    with following.reading(1024) as reader:
        following.take(encode_snapshot(0, 80, 24, b""))
        reader.take()
        following.take(encode_output(0, b"abc"))
        following.take(encode_output(1, b"bcd"))
        following.take(encode_output(0, b"ab"))
        assert reader.take() == b"abcd"
    assert following.offset == 4
    assert found(following, "a.*") == "abcd"
    following.close()


async def test_a_hole_is_asked_for(told: Told) -> None:
    """What is missing cannot be made up: a screen stands for it."""
    following = entered(told)
    following.take(encode_output(10, b"later"))
    assert told == [("resync", {})]
    assert following.offset == 15
    following.close()


async def test_what_was_taken_is_told(told: Told) -> None:
    """Much at once, since the room takes whoever is silent for slow; little after a moment, in one message."""
    following = entered(told)
    following.take(encode_output(0, b"x" * ACK_BYTES))
    assert told == [("consumed", {"offset": ACK_BYTES})]
    following.take(encode_output(ACK_BYTES, b"a"))
    following.take(encode_output(ACK_BYTES + 1, b"b"))
    assert len(told) == 1
    async with asyncio.timeout(10.0):
        while len(told) == 1:
            await asyncio.sleep(0)
    assert told[1:] == [("consumed", {"offset": ACK_BYTES + 2})]
    following.close()


async def test_nothing_is_told_after_the_end(told: Told) -> None:
    """A closed client's socket is not written to."""
    following = entered(told)
    following.take(encode_output(0, b"x"))
    following.close()
    waiting = [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    assert not [handle for handle in waiting if getattr(handle._callback, "__self__", None) is following]


async def test_a_screen_of_a_time_before_the_welcome(told: Told) -> None:
    """What follows it is output that nobody has searched, and of which nothing was acknowledged."""
    following = Following("main", told)
    following.welcomed(ACK_BYTES, resumed=False)
    following.take(encode_snapshot(10, 80, 24, b"screen"))
    following.take(encode_output(10, b"ready\r\n" + b"x" * ACK_BYTES))
    assert ("consumed", {"offset": 17 + ACK_BYTES}) in told
    assert found(following, "ready") == "ready"
    following.close()


async def test_a_reader_that_was_too_slow_gets_a_screen_also_behind_a_resume(told: Told) -> None:
    """The screen that it had asked for went with the connection."""
    following = entered(told)
    with following.reading(4) as reader:
        following.take(encode_snapshot(0, 80, 24, b""))
        following.take(encode_output(0, b"too much"))
        assert told.count(("resync", {})) == 2  # at its beginning, and now
        following.welcomed(8, resumed=True)
        assert told.count(("resync", {})) == 3
        following.take(encode_snapshot(8, 80, 24, b"now"))
        assert reader.take() == b"\x1bcnow"
        following.welcomed(8, resumed=True)
        assert told.count(("resync", {})) == 3, "one that has its screen needs none"
    following.close()


async def test_a_reader_that_left_costs_nothing(told: Told) -> None:
    """Nobody asks for screens on its account."""
    following = entered(told)
    with following.reading(4):
        following.take(encode_snapshot(0, 80, 24, b""))
    told.clear()
    following.take(encode_output(0, b"more than it takes"))
    following.close()
    assert told == []
