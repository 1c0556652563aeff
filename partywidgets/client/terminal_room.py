"""What a terminal room tells its client: the room as it is now, and the output that follows."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import Any

from ..exceptions import CommandError
from .following import Following
from .room import RoomClient
from .terminal_state import Exit, Person, Size, State, Upstream

logger = logging.getLogger(__name__)


KEY_BYTES = 24
"""An input of more bytes is no key: a pasted text."""
TEXTS_KEPT = 64


def _lost_inputs(count: int, text: bool) -> str:
    if count == 1:
        return "the text that you pasted last was" if text else "your last keystroke was"
    return f"your last {count} inputs, pasted text among them, were" if text else f"your last {count} keystrokes were"


class TerminalRoomClient(RoomClient):
    """The part of `TerminalClient` that listens: its attributes are what the room's frames said last."""

    kind, client_kind, greeting = "terminal", "terminal client", "welcome"

    def __init__(self, room: str, timeout: float, sandbox: str) -> None:
        super().__init__(room, timeout)
        self.state: State = "connecting"
        self.role, self.connection, self.host_id, self.sandbox = "", "", "", sandbox
        self.can_type, self.resumed = False, False
        self.size = Size(80, 24)
        self.people: list[Person] = []
        self.lease: tuple[str, str] | None = None
        self.asking: list[tuple[str, str]] = []
        self.upstream = Upstream("starting", "", sandbox)
        self._ran_on = ""
        """The sandbox of the shell that ran here last."""
        self._screen_since = 0.0
        """The loop's time of a welcome whose screen is to come."""
        self._thin = False
        """A connection ended before that: the next screen is to be small."""
        self.exit: Exit | None = None
        self.behind = 0
        self.epoch: str | None = None
        self.last_error = ""
        self._welcome = False
        self._socket_name = ""
        """What the room calls the socket of the last welcome."""
        self._sequence = self._sequence_before = 0
        """How many inputs went out on this socket, and on the one that was lost."""
        self._texts = deque[int](maxlen=TEXTS_KEPT)
        self._texts_before = deque[int](maxlen=TEXTS_KEPT)
        """Which of them were longer than a key; the last ones."""
        self._following = Following(room, self._tell)

    @property
    def offset(self) -> int:
        """Where the terminal's stream is: behind the last byte that came."""
        return self._following.offset

    @property
    def has_control(self) -> bool:
        """True when this connection holds the lease."""
        return self.lease is not None and self.lease[0] == self.connection

    @property
    def _arrived(self) -> bool:
        # With its screen: output that comes before that is drawn on it, and `expect` would not find it.
        return self._welcome and not self._following.screen_comes

    def _tell(self, kind: str, **fields: Any) -> bool:
        return self.socket.send(json.dumps({"type": kind, **fields}))

    def _received(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            if (size := self._following.take(message)) is not None:
                self.size = Size(*size, self.size.by)
        else:
            frame = json.loads(message)
            handler = getattr(self, f"_on_{frame.get('type')}", None)
            if handler is None:
                logger.debug("terminal %s: frame type %r is not known", self.room, frame.get("type"))
                return
            handler(frame)
        self._pulse()

    # Control frames, by their type

    def _on_welcome(self, frame: dict[str, Any]) -> None:
        self._welcome = True
        self.resumed = bool(frame["resumed"])
        self._following.welcomed(int(frame["offset"]), resumed=self.resumed)
        self._screen_since = asyncio.get_running_loop().time()
        self.epoch, self.connection, self.role, self.host_id = frame["epoch"], frame["connection"], frame["role"], frame["host_id"]
        self.size = Size(**frame["size"])
        self.upstream = Upstream(frame["state"], frame["reason"], frame["sandbox"])
        self.sandbox = frame["sandbox"]
        self._note_sandbox()
        self._on_lease(frame["lease"])
        self.can_type = bool(frame["can_type"])
        self.exit = None
        self.state = "ended" if frame["state"] in ("ended", "failed") else "live"

        self._count_lost(frame)

    def _count_lost(self, frame: dict[str, Any]) -> None:
        sent, self._sequence_before = self._sequence_before, 0
        self._socket_name = frame.get("socket") or ""
        taken = frame.get("taken")
        if taken is not None and (lost := sent - int(taken)) > 0:
            text = any(number > taken for number in self._texts_before)
            self.last_error = f"{_lost_inputs(lost, text)} lost with the connection"
            logger.warning("terminal %s: %s", self.room, self.last_error)

    def _note_sandbox(self) -> None:
        if self.upstream.state == "running":
            self._ran_on = self.upstream.sandbox

    def _on_resync(self, frame: dict[str, Any]) -> None:
        self._following.announced(str(frame.get("reason")), short=bool(frame.get("short")))

    def _on_resize(self, frame: dict[str, Any]) -> None:
        self.size = Size(frame["cols"], frame["rows"], frame.get("by") or "")

    def _on_presence(self, frame: dict[str, Any]) -> None:
        self.people = [Person(person["connection"], person["name"], person["role"], person["subject"]) for person in frame["people"]]

    def _on_lease(self, frame: dict[str, Any]) -> None:
        holder = frame["holder"]
        self.lease = (holder["connection"], holder["name"]) if holder else None
        self.asking = [(person["connection"], person["name"]) for person in frame.get("asking", [])]
        self.can_type = bool(frame["can_type"])

    def _on_mark(self, frame: dict[str, Any]) -> None:
        """Command marks are for views; `history()` asks the room."""

    def _on_waits(self, frame: dict[str, Any]) -> None:
        self._requests.tell(frame["id"], frame["reason"])

    def _on_upstream(self, frame: dict[str, Any]) -> None:
        self.upstream = Upstream(frame["state"], frame["reason"], frame["sandbox"])
        self._note_sandbox()
        if frame["state"] == "running":
            self.state, self.exit = "live", None
        elif frame["state"] in ("ended", "failed"):
            self.state = "ended"

    def _on_lag(self, frame: dict[str, Any]) -> None:
        self.behind = int(frame["behind"])
        if self.state in ("live", "lagging"):
            self.state = "lagging" if self.behind else "live"

    def _on_exit(self, frame: dict[str, Any]) -> None:
        self.exit, self.state = Exit(frame["code"], frame["reason"]), "ended"

    def _on_ticket(self, frame: dict[str, Any]) -> None:
        """Resume tickets are for browsers; this client shows its token at every attempt."""

    def _on_reply(self, frame: dict[str, Any]) -> None:
        self._requests.replied(frame, CommandError)

    def _on_error(self, frame: dict[str, Any]) -> None:
        self.last_error = str(frame["message"])
        logger.warning("terminal %s: %s", self.room, self.last_error)
