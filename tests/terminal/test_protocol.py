"""terminal.v1 frames, by the vectors that the TypeScript side is tested with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from partywidgets.terminal import protocol

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "terminal.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["binary"], ids=lambda vector: vector["kind"])
def test_binary_vectors(vector: dict[str, Any]) -> None:
    """Each binary vector is encoded to its bytes, and decoded to its parts."""
    content, frame = bytes.fromhex(vector["bytes_hex"]), bytes.fromhex(vector["frame_hex"])
    if vector["kind"] == "output":
        assert protocol.encode_output(vector["offset"], content) == frame
        assert protocol.decode_output(frame) == (vector["offset"], content)
    elif vector["kind"] == "input":
        assert protocol.encode_input(vector["sequence"], content) == frame
        assert protocol.decode_input(frame) == (vector["sequence"], content)
    else:
        assert protocol.encode_snapshot(vector["offset"], vector["cols"], vector["rows"], content) == frame
        assert protocol.decode_snapshot(frame) == (vector["offset"], vector["cols"], vector["rows"], content)


@pytest.mark.parametrize("vector", [v for v in VECTORS["control"] if v["from"] == "client"], ids=lambda v: v["message"]["type"])
def test_what_clients_send_is_understood(vector: dict[str, Any]) -> None:
    """Each control vector of a client is accepted as it is."""
    assert protocol.decode_control(json.dumps(vector["message"])) == vector["message"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"type": 1}',
        '{"type": "toString"}',
        '{"type": "run", "id": "a"}',
        '{"type": "run", "id": 1, "command": "ls"}',
        '{"type": "run", "id": "a", "command": "ls", "timeout_s": -1}',
        '{"type": "run", "id": "a", "command": "ls", "timeout_s": true}',
        '{"type": "run", "id": "a", "command": "ls", "inside": 1}',
        '{"type": "resize", "cols": true, "rows": 2}',
        '{"type": "lease", "action": "steal"}',
        '{"type": "lease", "action": "take", "id": 1}',
        '{"type": "ask"}',
        '{"type": "screen", "id": "a", "format": "exe"}',
        '{"type": "consumed", "offset": 1.5}',
        "[" * 100_000,
        "[" * (protocol.CONTROL_LIMIT - 1),
        '{"type": "run", "id": "a", "command": "ls", "timeout_s": NaN}',
        '{"type": "run", "id": "a", "command": "ls", "timeout_s": Infinity}',
        '{"type": "run", "id": "a", "command": "ls", "timeout_s": 1e300}',
        '{"type": "run", "id": "a", "command": "ls", "timeout_s": 1' + "0" * 400 + "}",
        '{"type": "run", "id": "\\ud800", "command": "ls"}',
        '{"type": "send", "id": "a", "text": "\\udc00"}',
        '{"type": "send", "id": "a", "text": "' + "x" * protocol.CONTROL_LIMIT + '"}',
    ],
)
def test_what_nobody_means_is_a_value_error(text: str) -> None:
    """Malformed control messages raise ValueError with one line, whatever they are."""
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
        protocol.decode_control(text)


@pytest.mark.parametrize(
    ("asked", "given"), [((0, 0), (20, 5)), ((10_000, 10_000), (1000, 1000)), ((80, 24), (80, 24)), ((-5, 7), (20, 7))]
)
def test_sizes_are_clamped(asked: tuple[int, int], given: tuple[int, int]) -> None:
    """No viewer can make the terminal smaller than 20×5 or larger than 1000×1000."""
    assert protocol.clamp_size(*asked) == given


@pytest.mark.parametrize("frame", [b"", b"\x02", b"\x01" + bytes(8), b"\x02" + bytes(7)])
def test_short_or_foreign_frames_are_refused(frame: bytes) -> None:
    """An input frame is of kind 2 and has its sequence."""
    with pytest.raises(ValueError, match="expected an input frame"):
        protocol.decode_input(frame)
