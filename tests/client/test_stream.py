"""Searching output, and a reader's share of it."""

from __future__ import annotations

import re

from partywidgets.client.stream import Reader, Tail


def search(tail: Tail, pattern: str, since: int = 0) -> tuple[str, int] | None:
    """What was found, and the offset behind it."""
    found = tail.search(re.compile(pattern), since)
    return None if found is None else (found[0][0], found[1])


def test_escape_sequences_are_not_text() -> None:
    """Colours, titles, modes and returns are left out; the offset is that of the stream all the same."""
    tail = Tail()
    tail.append(b"\x1b]0;title\x07\x1b[31mred\x1b[0m\r\n\x1b[?2004l\rnext\r\n")
    raw = b"\x1b]0;title\x07\x1b[31mred\x1b[0m\r\n\x1b[?2004l\rnext\r\n"
    assert search(tail, r"red\nnext") == ("red\nnext", raw.index(b"next") + 4)
    assert search(tail, "title") is None
    long = Tail()
    long.append(b"\x1b]0;" + b"~/a/deep/place" * 30 + b"\x07$ ")
    assert search(long, r"^\$ $") is not None, "a title of any sensible length"


def test_a_return_within_a_line_stays() -> None:
    """A progress bar's returns are kept: `10%` and `20%` are two things."""
    tail = Tail()
    tail.append(b"10%\r20%\r\n")
    assert search(tail, r"10%\r20%\n") is not None


def test_since() -> None:
    """A match is found once when the search goes on behind it, also with escapes and cut characters in between."""
    tail = Tail()
    tail.append("é\x1b[1mé\x1b[0mé".encode()[:-1])
    first = search(tail, "é")
    assert first is not None
    second = search(tail, "é", first[1])
    assert second is not None
    assert second[1] > first[1]
    assert search(tail, "é", second[1]) is None
    tail.append(b"\xa9")
    assert search(tail, "é", second[1]) is not None


def test_it_is_bounded() -> None:
    """Only the last bytes are kept; offsets still count from the stream's beginning."""
    tail = Tail(limit=10)
    tail.append(b"x" * 100 + b"end")
    assert search(tail, "end") == ("end", 103)
    assert search(tail, "x{8}") is None
    tail.reset(500)
    tail.append(b"end")
    assert search(tail, "end") == ("end", 503)


def test_bytes_that_are_no_text() -> None:
    """Any byte can be searched past."""
    tail = Tail()
    tail.append(b"\xff\xfe\x00ok")
    assert search(tail, "ok") == ("ok", 5)


def test_reader() -> None:
    """A reader waits for a screen, then gets everything; too much makes it wait for a screen again."""
    reader = Reader(limit=10)
    assert reader.give(b"early")
    assert reader.take() == b""
    reader.restart(b"screen")
    assert reader.give(b"ab")
    assert reader.take() == b"\x1bcscreenab"
    assert not reader.give(b"x" * 11)
    assert reader.stale
    assert reader.take() == b""
    assert reader.give(b"ignored")
    reader.restart(b"s")
    assert reader.take() == b"\x1bcs"
    for _ in range(3):
        assert reader.give(b"x" * 9), "what was taken waits no more"
        reader.take()
    assert reader.give(b"x" * 9)
    assert not reader.give(b"yy")
    assert reader.take() == b"", "what waited is of before the hole"
    reader.restart(b"12345678")
    assert not reader.give(b"x"), "a screen waits, too"
