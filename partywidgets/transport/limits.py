"""What one peer of a WebSocket may cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may do. Sizes in bytes, times in seconds.

    `max_size`: of a message, more is closed with 1009. `max_fragments`: of one message.
    `stall`: how long a peer may take nothing of what waits for it; see `draining` for what counts.
    `ping_interval`: silence after which a ping is sent (None: never); `ping_timeout`: silence after that ping that ends the connection,
    from when the ping has come through behind what was sent before it.
    That holds while a room is too busy to read from a peer, by what Linux knows of unread data; see `keepalive.Keepalive`.
    `close_timeout`: how long the peer has to answer a Close, and a room to run on_close before a Close is answered.
    """

    max_size: int = 1024 * 1024
    max_fragments: int = 4096
    stall: float = 5.0
    ping_interval: float | None = 20.0
    ping_timeout: float = 20.0
    close_timeout: float = 4.0


DEFAULT_LIMITS = Limits()


__all__ = ["DEFAULT_LIMITS", "Limits"]
