"""How a connection, or an attempt at one, ended, and whether another attempt can do better."""

from __future__ import annotations

from dataclasses import dataclass

STOP_CODES = frozenset({4401, 4403, 4409})
"""Close codes after which another attempt with the same credential cannot succeed."""
STOP_STATUSES = frozenset({400, 401, 403, 426})
"""HTTP answers to the upgrade of which the same is true."""


@dataclass(frozen=True, slots=True)
class CloseEvent:
    """How a connection, or an attempt at one, ended.

    `code` is the peer's, 1005 for a Close without one, 1006 for a drop or a failed attempt. `status` is the HTTP answer that refused.
    """

    code: int
    reason: str = ""
    was_clean: bool = False
    status: int | None = None

    def __str__(self) -> str:
        if self.code == 1006:
            return self.reason or "the connection was lost"
        return f"close code {self.code}" + (f" ({self.reason})" if self.reason else "")


def reconnects(event: CloseEvent) -> bool:
    """The default of `should_reconnect_on_close`: False for 4401, 4403, 4409 and for HTTP 400, 401, 403, 426."""
    return event.code not in STOP_CODES and event.status not in STOP_STATUSES
