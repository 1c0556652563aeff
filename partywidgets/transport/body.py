"""A bound on request bodies, in front of any ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("partywidgets.transport")

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        names = {name for name, _ in scope["headers"]}
        if b"transfer-encoding" in names and (b"content-length" in names or scope.get("http_version") == "1.0"):
            # RFC 9112 §6.3: a proxy in front may have seen the end elsewhere, and what follows would be somebody else's request.
            await _refuse(scope, receive, send, 400, "a body has a Content-Length or is chunked, not both")
            return
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        exchange = _Exchange(
            receive,
            send,
            limit=self.limit,
            pace=self.pace,
            complete=length == b"0" and b"transfer-encoding" not in names,
            expected=(b"expect", b"100-continue") in scope["headers"],
        )
        if not length.isdigit() or int(length) > self.limit:
            await _refuse(scope, receive, exchange.send, 413, _too_large(self.limit))
            return
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:  # rooms know it themselves; an app that does not has no fault to be told of
            logger.info("a client left in the middle of its request to %r", scope["path"][:200])
        except HTTPException as refusal:
            # Rooms and Starlette answer it themselves; an app that does not is answered for.
            if exchange.answered:
                raise
            await _refuse(scope, receive, exchange.send, refusal.status_code, refusal.detail)


class _Exchange:
    """A request's body as the app takes it, and the answer on its way out.

    `complete`: the body has none, or no more. `expected`: its sender waits to be asked for it, as it is by the first `receive`.
    """

    def __init__(self, receive: Receive, send: Send, *, limit: int, pace: Pace, complete: bool, expected: bool) -> None:
        self._receive, self._send, self._limit, self._pace = receive, send, limit, pace
        self._complete, self._expected = complete, expected
        self._seen, self._waited = 0, 0.0
        self.answered = False
        """An answer has begun."""

    async def receive(self) -> Message:
        """The next piece. Raises HTTPException 408 or 413."""
        self._expected = False
        if self._complete:
            # What is waited for now is the disconnect: as long as it takes.
            return await self._receive()
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._pace.left(self._seen, self._waited)):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, TOO_SLOW) from None
        self._waited += clock() - began
        self._seen += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._seen > self._limit:
            raise HTTPException(413, _too_large(self._limit))
        return message

    async def send(self, message: Message) -> None:
        """A part of the answer; a refusal begins when the rest of the body has come."""
        if not self.answered and message["status"] >= 400 and not self._complete and not self._expected:
            if message["status"] == 408 or not await self._discard():
                # What is left of it would hold the connection, a byte at a time, as it may no longer hold the request.
                headers = [(name, value) for name, value in message.get("headers", ()) if name.lower() != b"connection"]
                message["headers"] = [*headers, (b"connection", b"close")]
            self._complete = True
        self.answered = True
        await self._send(message)

    async def _discard(self) -> bool:
        """True when the rest has come."""
        left = DISCARD
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_TIME):
                while left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return True
        return False


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit} bytes"


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, text: str) -> None:
    await PlainTextResponse(text, status_code=status, headers={"Connection": "close"})(scope, receive, send)


__all__ = ["DEFAULT_PACE", "TOO_SLOW", "BoundedBody", "Pace"]
