"""What a service manager is told: systemd, by sd_notify(3), and its journal, by sd-daemon(3).

Both are plain text in a datagram and at a line's beginning, so neither needs a library.
"""

from __future__ import annotations

import logging
import os
import socket
from functools import cache

from ..redaction import RedactingFormatter

log = logging.getLogger("partywidgets.serve")

SYSLOG = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
"""From which level of Python's a record has which of syslog's priorities."""
STATUS_LIMIT = 500
"""Characters of a status: `systemctl status` shows it in one line."""


@cache
def writes_to_journal() -> bool:
    """True where standard error is the journal's own socket, by JOURNAL_STREAM (systemd.exec(5)): one that was passed on is another's."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def at_priority(text: str, level: int) -> str:
    """`text` as the journal takes it with its priority, each line for itself; unchanged where nobody but a person or a file reads it."""
    if not writes_to_journal():
        return text
    priority = next(number for lowest, number in SYSLOG if level >= lowest)
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))


class LogFormatter(RedactingFormatter):
    """A log's lines, each with its time; in the journal, which has that by itself, with its priority."""

    def __init__(self) -> None:
        super().__init__(("" if writes_to_journal() else "%(asctime)s ") + "%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The whole text of a record."""
        return at_priority(super().format(record), record.levelno)


class ServiceManager:
    """Whoever started this process and wants to hear how it is, by NOTIFY_SOCKET; what children inherit no longer has it."""

    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")

    def ready(self, status: str) -> None:
        """It serves from now on."""
        self._tell(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, status: str) -> None:
        """The line in `systemctl status`."""
        self._tell(f"STATUS={_one_line(status)}")

    def stopping(self) -> None:
        """It ends."""
        self._tell("STOPPING=1\nSTATUS=")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        # An abstract name begins with a null byte, which a variable cannot have.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as peer:
                peer.setblocking(False)
                peer.sendto(text.encode(), address)
        except OSError as error:
            log.warning("the service manager cannot be told how this host is: %s", error.strerror)


def _one_line(status: str) -> str:
    first = " ".join(status.split())
    return first if len(first) <= STATUS_LIMIT else first[: STATUS_LIMIT - 1] + "…"
