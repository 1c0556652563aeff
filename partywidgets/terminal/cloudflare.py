"""The Cloudflare Sandbox terminal protocols, as their containers speak them to a browser: stable, and the 1.0 preview. Pure.

Stable: output is bare binary; a replay comes first, then `ready`. 1.0: `ready` first, then each binary frame behind its `chunk`;
a cursor resumes.
Observed in cloudflare/sandbox-sdk (0.12.7, and its `next` branch).
"""

from __future__ import annotations

import base64
import json
from typing import Any

INVALID_CONTROL = "Invalid control message"


class CursorError(ValueError):
    """A cursor that is malformed, of another run, or ahead of it."""


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(text: str) -> str:
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    if _encode(raw) != text:
        raise ValueError("not canonical")
    return raw


def encode_cursor(epoch: str, offset: int) -> str:
    """The cursor behind the byte before `offset`."""
    return _encode(f"v1.{_encode(epoch)}.{offset}")


def decode_cursor(cursor: str, epoch: str, end: int) -> int:
    """The offset of a cursor of this epoch, whose output ends at `end`. Raises CursorError in the container's own words."""
    try:
        version, store, number = _decode(cursor).split(".")
        offset = int(number)
        belongs = _decode(store) == epoch
    except ValueError:
        raise CursorError("Invalid byte log cursor") from None
    if version != "v1" or offset < 1 or str(offset) != number:
        raise CursorError("Invalid byte log cursor")
    if not belongs:
        raise CursorError("Byte log cursor belongs to another run or store")
    if offset > end:
        raise CursorError("Byte log cursor is from the future")
    return offset


def decode_control(text: str, *, preview: bool) -> dict[str, Any]:
    """A client's text frame. Raises ValueError with the container's own words."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(INVALID_CONTROL) from None
    kind = message.get("type") if isinstance(message, dict) else None
    if kind == "resize":
        cols, rows = message.get("cols"), message.get("rows")
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in (cols, rows)):
            raise ValueError(INVALID_CONTROL)
        if cols <= 0 or rows <= 0:
            raise ValueError(INVALID_CONTROL if preview else "Invalid dimensions: cols and rows must be positive")
        return {"type": "resize", "cols": cols, "rows": rows}
    if preview and kind in ("interrupt", "terminate"):
        return {"type": kind}
    raise ValueError(INVALID_CONTROL)
