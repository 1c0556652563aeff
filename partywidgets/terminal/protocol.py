"""terminal.v1 frames: pure functions, tested against tests/vectors/terminal.json."""

from __future__ import annotations

OUTPUT, INPUT, SNAPSHOT = 1, 2, 3


def encode_output(offset: int, output: bytes) -> bytes:
    """An output frame: `offset` is that of the first byte."""
    return b"\x01" + offset.to_bytes(8, "big") + output


def encode_snapshot(offset: int, cols: int, rows: int, screen: bytes) -> bytes:
    """A snapshot frame: `screen` is written after a reset and stands for everything before `offset`."""
    return b"\x03" + offset.to_bytes(8, "big") + cols.to_bytes(2, "big") + rows.to_bytes(2, "big") + screen


def encode_input(sequence: int, keystrokes: bytes) -> bytes:
    """An input frame."""
    return b"\x02" + sequence.to_bytes(8, "big") + keystrokes


def decode_input(frame: bytes) -> tuple[int, bytes]:
    """Sequence and keystrokes of an input frame. Raises ValueError for anything else."""
    if len(frame) < 9 or frame[0] != INPUT:
        raise ValueError(
            f"expected an input frame (kind 2, at least 9 bytes), got {len(frame)} bytes of kind {frame[0] if frame else None}"
        )
    return int.from_bytes(frame[1:9], "big"), frame[9:]


def decode_output(frame: bytes) -> tuple[int, bytes]:
    """Offset and bytes of an output frame. Raises ValueError for anything else."""
    if len(frame) < 9 or frame[0] != OUTPUT:
        raise ValueError(
            f"expected an output frame (kind 1, at least 9 bytes), got {len(frame)} bytes of kind {frame[0] if frame else None}"
        )
    return int.from_bytes(frame[1:9], "big"), frame[9:]


def decode_snapshot(frame: bytes) -> tuple[int, int, int, bytes]:
    """Offset, cols, rows and bytes of a snapshot frame. Raises ValueError for anything else."""
    if len(frame) < 13 or frame[0] != SNAPSHOT:
        raise ValueError(
            f"expected a snapshot frame (kind 3, at least 13 bytes), got {len(frame)} bytes of kind {frame[0] if frame else None}"
        )
    return int.from_bytes(frame[1:9], "big"), int.from_bytes(frame[9:11], "big"), int.from_bytes(frame[11:13], "big"), frame[13:]
