"""A socket that no room wants to hear: it was opened only to be told why it closes."""

from __future__ import annotations

from collections.abc import Callable

from .wire import Batch, Frame, Receiver, Wire

SETUP_ERROR = "The room could not let this connection in"
SETUP_REASON = "Uncaught exception during session setup"


class Nobody:
    """The receiver of such a socket."""

    def __repr__(self) -> str:
        return "<a WebSocket that was refused>"

    def message_received(self, message: str | bytes) -> None: ...

    def detour(self) -> None: ...

    def close_received(self, code: int, reason: str) -> None: ...

    def lost(self, code: int, reason: str) -> None: ...

    def failed(self, error: Exception) -> None: ...


def refuse_session(accept: Callable[[Receiver], Wire], log_id: str) -> None:
    """Finishes a handshake only to say that the session could not be set up: a fixed text and an id found in the log, then 1011."""
    wire = accept(Nobody())
    wire.write(Batch((Frame(f'{{"error": "{SETUP_ERROR}", "id": "{log_id}"}}'),)))
    wire.close(1011, SETUP_REASON)


__all__ = ["Nobody", "refuse_session"]
