"""What results are known by: ids that sort by time, and fingerprints that stay over time."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

_last_id = 0
_drawn: list[str] = []
"""Random parts of the next ids."""
_VARIANT = {digit: f"{int(digit, 16) & 3 | 8:x}" for digit in "0123456789abcdef"}
"""The digit after the third dash, by a random one (RFC 9562 §4.1)."""
_id_lock = threading.Lock()


def uuid7() -> str:
    """A UUID of version 7 (RFC 9562 §5.7): sorts by the time it was made; two of one process never sort against their order."""
    global _last_id
    with _id_lock:
        ticks = max(_last_id + 1, time.time_ns() * 4096 // 1_000_000)  # milliseconds with twelve bits of fraction (RFC 9562 §6.2, method 3)
        _last_id = ticks
        if not _drawn:
            numbers = os.urandom(8 * 64).hex()  # a call for each id would cost more than the rest of this
            _drawn.extend(f"{_VARIANT[numbers[at]]}{numbers[at + 1 : at + 4]}-{numbers[at + 4 : at + 16]}" for at in range(0, 1024, 16))
        drawn = _drawn.pop()
    return f"{ticks >> 28 & 0xFFFFFFFF:08x}-{ticks >> 12 & 0xFFFF:04x}-7{ticks & 0xFFF:03x}-{drawn}"


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def fingerprint(check_id: str, target: str, identity: Mapping[str, str] | None = None) -> str:
    """Which thing a result is about, over time: 16 hex digits of SHA-256 over check id, target and the sorted identity labels."""
    return _fingerprint(check_id, target, tuple(sorted((identity or {}).items())))


def function_fingerprint(check_id: str, function: str, identity: Mapping[str, str]) -> str:
    """The fingerprint of a function `module:qualname`, by its name without the module: a function that moves from a notebook into the
    config's modules keeps its id, and so its history, acks and silences."""
    return fingerprint(check_id, function.rpartition(":")[2], identity)


@lru_cache(maxsize=20_000)
def _fingerprint(check_id: str, target: str, identity: tuple[tuple[str, str], ...]) -> str:
    name = json.dumps([check_id, target, identity], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
