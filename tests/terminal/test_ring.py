"""The ring of output."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partywidgets.terminal.ring import Ring


@given(st.lists(st.binary(max_size=300), max_size=60), st.integers(1, 500), st.data())
def test_it_reads_what_was_written(pieces: list[bytes], size: int, data: st.DataObject) -> None:
    """Any stretch that is still held reads as it was written; at least `size` bytes are held, and not more than one segment beyond."""
    ring, whole = Ring(size), b"".join(pieces)
    for piece in pieces:
        ring.append(piece)
    assert ring.end == len(whole)
    assert ring.end - ring.base >= min(size, ring.end)
    start = data.draw(st.integers(ring.base, ring.end))
    stop = data.draw(st.integers(start, ring.end))
    assert ring.read(start, stop) == whole[start:stop]


def test_it_is_bounded_whatever_the_pieces() -> None:
    """A hundred thousand one-byte pieces and large ones: what is kept stays near the size."""
    ring = Ring(1 << 16)
    for _ in range(100_000):
        ring.append(b"x")
    for _ in range(50):
        ring.append(bytes(50_000))
    assert ring.end - ring.base <= (1 << 16) + 50_000


def test_what_is_gone_is_an_error() -> None:
    """Reading before the oldest byte or behind the newest raises; `holds` tells before."""
    ring = Ring(10)
    ring.append(bytes(40_000))
    ring.append(bytes(40_000))
    assert not ring.holds(0)
    for start, stop in ((0, 10), (ring.base, ring.end + 1)):
        with pytest.raises(IndexError):
            ring.read(start, stop)
