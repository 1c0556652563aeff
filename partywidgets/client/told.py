"""What an ops room tells, as one reader of it follows: in order, and bounded. No I/O."""

from __future__ import annotations

from collections import deque
from typing import Any, TypeAlias

Message: TypeAlias = tuple[str, dict[str, Any]]
"""A message's type and its data, as `docs/topics/messages.md` has them."""


class Told:
    """One reader's share of the messages: at most `limit` characters of them wait for it.

    With more, all that waits is dropped, and in its place comes one `skipped`, as the room itself tells who reads too slowly: how many
    changes and acks were in it, and of what time the first was. The rows are the client's, and miss nothing.
    """

    def __init__(self, limit: int = 4 * 1024 * 1024) -> None:
        self.limit = limit
        self._waiting: deque[Message] = deque()
        self._size = 0

    def give(self, kind: str, content: dict[str, Any], size: int) -> None:
        """Adds a message, which came in so many characters."""
        self._waiting.append((kind, content))
        self._size += size
        if self._size > self.limit and len(self._waiting) > 1:
            self._waiting, self._size = deque([("skipped", _sum(self._waiting))]), 0

    def take(self) -> list[Message]:
        """Everything that waits; empty when nothing does."""
        taken = list(self._waiting)
        self._waiting.clear()
        self._size = 0
        return taken


def _sum(messages: deque[Message]) -> dict[str, Any]:
    """What `skipped` says of them, those that are in it already included. `since` is null where neither a change nor an ack is."""
    changes = acks = 0
    times: list[str] = []
    for kind, content in messages:
        if kind == "skipped":
            changes, acks = changes + content["changes"], acks + content["acks"]
            times += filter(None, [content["since"]])
        elif kind in ("state-change", "ack"):
            changes, acks = changes + (kind == "state-change"), acks + (kind == "ack")
            times.append(content["at"])
    return {"changes": changes, "acks": acks, "since": min(times, default=None)}
