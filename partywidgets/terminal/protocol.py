"""terminal.v1 frames: pure functions, tested against tests/vectors/terminal.json."""

from __future__ import annotations

import json
from typing import Any

from ..exceptions import CommandError

RICH = "partywidgets.terminal.v1"
PLAIN = ("partywidgets.plain.v1", "partywidgets.v1")

CONTROL_LIMIT = 64 * 1024
"""Characters that a client's control message may have."""

MAX_SECONDS = 10 * 365 * 86_400.0
"""Longest `timeout_s` of a run."""

MAX_RATE = 1e9
"""Bytes a second: the most that a line is said to bring."""

MIN_COLS, MIN_ROWS, MAX_CELLS = 20, 5, 1000
"""The size that a viewer can ask for: at least 20×5, so that nobody makes the terminal useless for the others; at most 1000×1000."""

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


def clamp_size(cols: int, rows: int) -> tuple[int, int]:
    """The nearest size that a terminal may have."""
    return max(MIN_COLS, min(cols, MAX_CELLS)), max(MIN_ROWS, min(rows, MAX_CELLS))


LEASE_ACTIONS = ("take", "release", "give", "refuse", "withdraw")


class MalformedError(ValueError):
    """A control message that means nothing. `request_id`: the id that it has none the less, "" without one."""

    def __init__(self, sentence: str, request_id: str) -> None:
        super().__init__(sentence)
        self.request_id = request_id


_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "consumed": {"offset": (int,)},
    "resync": {},
    "resize": {"cols": (int,), "rows": (int,)},
    "lease": {"action": (str,)},
    "ask": {"id": (str,)},
    "eject": {"id": (str,), "connection": (str,)},
    "restart": {"id": (str,)},
    "run": {"id": (str,), "command": (str,)},
    "cancel": {"run": (str,)},
    "send": {"id": (str,), "text": (str,)},
    "screen": {"id": (str,)},
    "history": {"id": (str,)},
}


def decode_control(text: str) -> dict[str, Any]:
    """A client's control message, with the fields that its type needs. Raises ValueError with a sentence for the client, MalformedError
    where the message could be read."""
    if len(text) > CONTROL_LIMIT:
        raise ValueError(f"a control message has at most {CONTROL_LIMIT} characters, this one has {len(text)}")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("a text frame must be a JSON control message; keystrokes go into binary frames of kind 2") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ValueError("a control message is a JSON object with a type")
    try:
        _check(message)
    except ValueError as error:
        request_id = message.get("id")
        raise MalformedError(str(error), request_id if isinstance(request_id, str) and _is_text(request_id) else "") from None
    return message


def _check(message: dict[str, Any]) -> None:
    if any(isinstance(value, str) and not _is_text(value) for value in message.values()):
        raise ValueError("a control message holds half a surrogate pair, which is not text")
    kind = message["type"]
    if kind not in _FIELDS:
        raise ValueError(f"unknown message type {kind[:40]!r}")
    for name, types in _FIELDS[kind].items():
        value = message.get(name)
        if not isinstance(value, types) or isinstance(value, bool):
            raise ValueError(f"{kind} needs {name} as {types[0].__name__}, got {type(value).__name__}")
    if kind == "consumed" and not _is_rate(message.get("rate", 1)):
        raise ValueError("consumed needs rate as a positive number of bytes a second, or goes without it")
    timeout = message.get("timeout_s")
    if kind == "run" and timeout is not None and not _is_duration(timeout):
        raise ValueError("run needs timeout_s as a positive number of seconds, or null for none")
    if kind == "run" and not isinstance(message.get("inside", False), bool):
        raise ValueError("run needs inside as true or false, or without it")
    if kind == "lease" and not isinstance(message.get("id", ""), str):
        raise ValueError("lease needs id as str, or goes without it")
    if kind == "lease" and message["action"] not in LEASE_ACTIONS:
        raise ValueError(f"lease needs the action {', '.join(LEASE_ACTIONS[:-1])} or {LEASE_ACTIONS[-1]}, got {message['action'][:40]!r}")
    if kind == "screen" and message.get("format", "text") not in ("text", "html"):
        raise ValueError("screen needs the format text or html")


def _is_text(value: str) -> bool:
    """False for what JSON can say and UTF-8 cannot: it could be sent to nobody and kept nowhere."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _is_duration(value: Any) -> bool:
    """Seconds that a clock can count: JSON as Python reads it has NaN and Infinity, and a timer at NaN disorders every other one."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_SECONDS


def _is_rate(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_RATE


def check_text(what: str, text: object) -> None:
    """Raises CommandError for what a room refuses: its sentence there is for nobody's request, and the caller would wait for ever."""
    if not isinstance(text, str):
        raise CommandError(f"{what} is text, got {type(text).__name__}")
    try:
        size = len(json.dumps(text.encode().decode()))
    except UnicodeEncodeError:
        raise CommandError(f"{what} holds half a surrogate pair, which is not text") from None
    if size > CONTROL_LIMIT - 256:
        raise CommandError(f"{what} may have about {CONTROL_LIMIT // 1024} KiB, this has {size} bytes: put it into a file")


def check_seconds(timeout: object) -> None:
    """Raises CommandError for what is not a time to wait."""
    if timeout is not None and not _is_duration(timeout):
        raise CommandError(f"a timeout is a positive number of seconds, or None for none; got {timeout!r}")
