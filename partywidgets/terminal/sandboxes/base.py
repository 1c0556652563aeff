"""What a terminal room needs of whatever runs its shell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

MarkSource: TypeAlias = Literal["shell", "typed", "none"]
"""Where the marks around a command come from: the shell that we started with them; the command line that `run` types; nowhere."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a sandbox's process ended. `code` is None when it is not known; `reason` is one sentence for people."""

    code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed sandbox address: `local:/bin/zsh`, `docker:NAME`, `ssh:USER@HOST`, `ws://HOST/PATH`; `opening.SCHEMES` are all kinds.

    `options` are its query parameters (`docker:web-1?shell=/bin/sh&user=app`, `ws://…?dialect=cloudflare`).
    """

    scheme: str
    target: str
    options: dict[str, str] = field(default_factory=dict)
    text: str = ""


class Sandbox(Protocol):
    """A running terminal. Opened by `open_sandbox`; every method is called on the room loop."""

    marks: MarkSource
    """How `run` learns where a command begins and ends."""

    async def read(self) -> bytes:
        """The next output, at most 64 KiB; b"" when the process has ended."""

    def write(self, keystrokes: bytes) -> None:
        """Queues input; never blocks. Raises SandboxGoneError after the end, SandboxError past 1 MiB unread by the process."""

    async def resize(self, cols: int, rows: int) -> None:
        """Sets the terminal's size in cells: 1 to 1000 each."""

    def pause(self) -> None:
        """Stops taking output, so that the process blocks; nothing where the other end drops a reader that falls behind."""

    def resume(self) -> None:
        """Takes output again."""

    async def wait_exit(self) -> Exit:
        """How it ended; returns when it has."""

    async def close(self) -> None:
        """Ends the process (hang-up, then kill after 2 s) and frees everything. Safe to call twice."""


@runtime_checkable
class Prompt(Protocol):
    """A sandbox that hands output over in the turn of the loop in which it came, without waking whoever waits in `read`."""

    def hand_over(self, take: Callable[[bytes], bool]) -> None:
        """While `read` waits, output goes to `take`; what that refuses (False) `read` returns. What it raises, `read` raises."""


@runtime_checkable
class Renewing(Protocol):
    """A sandbox whose connection may be lost and made again while its process runs on."""

    def on_away(self, tell: Callable[[str], None]) -> None:
        """`tell` gets a sentence when the connection is lost, and "" when it is there again."""


@runtime_checkable
class Lasting(Protocol):
    """A sandbox that closing leaves running, and that can be asked to end all the same."""

    def end(self) -> None:
        """Asks for the end, which then comes as every end does. Never blocks."""
