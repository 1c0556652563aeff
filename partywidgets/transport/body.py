"""A bound on request bodies, in front of any ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Scope

DISCARD, DISCARD_TIME = 32 * 1024 * 1024, 10.0
"""Bytes of a refused body that are read and dropped, and seconds for it, so that its sender comes to reading the answer."""

TOO_SLOW = "the body came too slowly: send it at once, in pieces a few seconds apart at most"


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly a body may come. Only the time that is spent waiting for its sender counts.

    `pause`: seconds between two pieces of it. `rate`: bytes a second that it makes on average, once `pause` is over. `total`: seconds for
    all of it. Without the last two a byte at a time, each just before the pause is over, would hold a request for ever.
    """

    pause: float = 30.0
    rate: int = 1024
    total: float = 300.0

    def left(self, seen: int, waited: float) -> float:
        """Seconds in which the next piece must come, after `seen` bytes that were waited for `waited` seconds; not above 0: too late."""
        return min(self.pause, self.pause + seen / self.rate - waited, self.total - waited)


DEFAULT_PACE = Pace()


class BoundedBody:
    """Refuses request bodies over `limit` bytes with 413, bodies with two ends with 400, and senders slower than `pace` with 408.

    A refusal, an app's own too, goes out when the rest of the body has come: most clients read nothing before they have sent all, and a
    connection that is closed with bytes unread is reset, the answer lost with it. Whoever sent `Expect: 100-continue` is told at once.
    """

    def __init__(self, app: ASGIApp, *, limit: int, pace: Pace = DEFAULT_PACE) -> None:
        self.app = app
        self.limit = limit
        self.pace = pace

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        names = {name for name, _ in scope["headers"]}
        if b"transfer-encoding" in names and (b"content-length" in names or scope.get("http_version") == "1.0"):
            # RFC 9112 §6.3: a proxy in front may have seen the end elsewhere, and what follows would be somebody else's request.
            await self._refuse(scope, receive, send, 400, "a body has a Content-Length or is chunked, not both")
            return
        clock = asyncio.get_running_loop().time
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        expected = (b"expect", b"100-continue") in scope["headers"]
        seen = 0
        waited = 0.0
        started = False
        complete = length == b"0" and b"transfer-encoding" not in names

        async def bounded() -> Message:
            nonlocal seen, waited, complete, expected
            expected = False
            if complete:
                # What is waited for now is the disconnect: as long as it takes.
                return await receive()
            began = clock()
            try:
                async with asyncio.timeout(self.pace.left(seen, waited)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, TOO_SLOW) from None
            waited += clock() - began
            seen += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if seen > self.limit:
                raise HTTPException(413, self._too_large)
            return message

        async def watched(message: Message) -> None:
            nonlocal started, complete
            if not started and message["status"] >= 400 and not complete and not expected:
                complete = message["status"] != 408 and await self._discard(receive)
                if not complete:
                    # Else what is left of it would hold the connection, a byte at a time, as it may no longer hold the request.
                    headers = [(name, value) for name, value in message.get("headers", ()) if name.lower() != b"connection"]
                    message["headers"] = [*headers, (b"connection", b"close")]
                complete = True
            started = True
            await send(message)

        if not length.isdigit() or int(length) > self.limit:
            await self._refuse(scope, receive, watched, 413, self._too_large)
            return
        try:
            await self.app(scope, bounded, watched)
        except HTTPException as refusal:
            # Rooms and Starlette answer it themselves; an app that does not is answered for.
            if started:
                raise
            await self._refuse(scope, receive, watched, refusal.status_code, refusal.detail)

    async def _discard(self, receive: Callable[[], Awaitable[Message]]) -> bool:
        """True when the rest has come."""
        left = DISCARD
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_TIME):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return True
        return False

    @property
    def _too_large(self) -> str:
        return f"the body is larger than {self.limit} bytes"

    async def _refuse(self, scope: Scope, receive: Any, send: Any, status: int, text: str) -> None:
        await PlainTextResponse(text, status_code=status, headers={"Connection": "close"})(scope, receive, send)


__all__ = ["DEFAULT_PACE", "TOO_SLOW", "BoundedBody", "Pace"]
