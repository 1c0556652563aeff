"""Whether the host behind a terminal still answers: one that hangs keeps its connections open, and nothing comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ...exceptions import SandboxError
from .base import Address

GONE_AFTER = 30.0
"""Seconds after which a host that says nothing on an open connection counts as gone: a third of them until it is asked, a third until the
bar says that there is no answer, a third for a second question. They also keep servers from cutting idle sockets. The option `gone_after`
says another number, 1 to 600."""


def gone_after(address: Address) -> float:
    """Seconds, as the option of that name says. Raises SandboxError."""
    text = address.options.get("gone_after", f"{GONE_AFTER:g}")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 600:
        raise SandboxError(f"gone_after of {address.target} is a number of seconds from 1 to 600, got {text[:40]!r}")
    return seconds


class Watch:
    """Looks at a silent host. `ask` puts a question to it and returns when it has answered; what it returns is what people are told of a
    host that answers, "" when all is well. An OSError of `ask` is not an answer yet: it is asked again. `tell` gets what the bar says, ""
    when the host is heard again. `place` is what people call it."""

    def __init__(self, place: str, seconds: float, ask: Callable[[], Awaitable[str]], tell: Callable[[str], None]) -> None:
        self._place, self._ask, self._tell = place, ask, tell
        self._third = seconds / 3
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._said = ""

    def heard(self) -> None:
        """Something came from it: a busy line, whose answers wait behind output, is alive."""
        self._heard_at = self._loop.time()
        if self._said:
            self._say("")

    async def until_gone(self) -> None:
        """Returns when nothing was heard for the whole time, and raises what else `ask` raises."""
        while True:
            while (wait := self._heard_at + self._third - self._loop.time()) > 0:
                await asyncio.sleep(wait)
            word = await self._answer()
            if word is None:
                self._say(f"{self._place} has not answered for {2 * self._third:.3g} s: what is typed waits for it")
                word = await self._answer()
                if word is None:
                    return
            self._say(word)

    def _say(self, word: str) -> None:
        if word != self._said:
            self._said = word
            self._tell(word)

    async def _answer(self) -> str | None:
        """What there is to be told of a host that answers; None when nothing is heard for a third of the time."""
        asked_at = self._loop.time()
        try:
            async with asyncio.timeout(self._third):
                while True:
                    try:
                        word = await self._ask()
                        break
                    except OSError:
                        await asyncio.sleep(self._third / 10)
        except TimeoutError:
            return "" if self._heard_at > asked_at else None
        self._heard_at = self._loop.time()
        return word
