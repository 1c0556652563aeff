"""The client's end of resume (`pw1`): counts a room's broadcasts, so that a reconnect gets all that was missed or a no. No I/O.

What a room sends is described in `partywidgets.party.resume`.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

MARK = "\x1e"


@dataclass(slots=True)
class Count:
    """How many broadcasts of which epoch have come.

    `recovered` tells of the latest connection: True, everything that was missed follows; False, something may be missing; None, the
    room does not count. `lost` is True when a heartbeat showed that a broadcast never came: only a fresh start helps.
    """

    epoch: str | None = None
    offset: int = 0
    recovered: bool | None = None
    lost: bool = False

    def query(self) -> dict[str, str | int | None]:
        """What goes into the query of the next upgrade, after which a new connection is counted."""
        self.recovered = None
        if self.lost:
            self.epoch, self.offset, self.lost = None, 0, False
        return {"_pw": 1, "_e": self.epoch, "_o": self.offset if self.epoch is not None else None}

    def take(self, message: str | bytes) -> str | bytes | None:
        """What a frame means for whoever reads: the message, or None for a control frame. Raises ValueError for one that is malformed."""
        if isinstance(message, str) and message.startswith(MARK):
            return self._control(message[1:])
        if self.recovered is not None:
            self.offset += 1
        return message

    def _control(self, text: str) -> str | bytes | None:
        try:
            frame = json.loads(text)
            kind = frame["type"]
            if kind == "resumed":
                self.epoch, self.offset, self.recovered = str(frame["e"]), int(frame["o"]), bool(frame["rec"])
            elif kind == "skip":
                self.offset += int(frame["n"])
            elif kind == "hb":
                self.lost = int(frame["o"]) != self.offset
            elif kind == "direct":
                return str(frame["text"]) if "text" in frame else base64.b64decode(frame["base64"], validate=True)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"a control frame of the room cannot be read: {error!r}") from None
        return None
