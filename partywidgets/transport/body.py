"""A bound on request bodies, in front of any ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

from .asgi import ASGIApp

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]


DISCARD, DISCARD_TIME = 32 * 1024 * 1024, 10.0
"""Bytes of a refused body that are read and dropped, and seconds for it, so that its sender comes to reading the answer."""


class BoundedBody:
    """Refuses request bodies over `limit` bytes with 413, bodies with two ends with 400, and senders that pause for longer than
    `timeout` seconds with 408.

    A refusal, an app's own too, goes out when the rest of the body has come: most clients read nothing before they have sent all, and a
    connection that is closed with bytes unread is reset, the answer lost with it. Whoever sent `Expect: 100-continue` is told at once.
    """

    def __init__(self, app: ASGIApp, *, limit: int, timeout: float) -> None:
        self.app = app
        self.limit = limit
        self.timeout = timeout

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        names = {name for name, _ in scope["headers"]}
        if b"transfer-encoding" in names and (b"content-length" in names or scope.get("http_version") == "1.0"):
            # RFC 9112 §6.3: a proxy in front may have seen the end elsewhere, and what follows would be somebody else's request.
            await self._refuse(scope, receive, send, 400, "a body has a Content-Length or is chunked, not both")
            return
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        expected = (b"expect", b"100-continue") in scope["headers"]
        seen = 0
        started = False
        complete = length == b"0" and b"transfer-encoding" not in names

        async def bounded() -> Message:
            nonlocal seen, complete, expected
            expected = False
            if complete:
                # What is waited for now is the disconnect: as long as it takes.
                return await receive()
            try:
                async with asyncio.timeout(self.timeout):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the body did not come in time") from None
            seen += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if seen > self.limit:
                raise HTTPException(413, self._too_large)
            return message

        async def watched(message: Message) -> None:
            nonlocal started, complete
            if not started and message["status"] >= 400 and message["status"] != 408 and not complete and not expected:
                complete = True
                await self._discard(receive)
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

    async def _discard(self, receive: Callable[[], Awaitable[Message]]) -> None:
        left = DISCARD
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_TIME):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    @property
    def _too_large(self) -> str:
        return f"the body is larger than {self.limit} bytes"

    async def _refuse(self, scope: Scope, receive: Any, send: Any, status: int, text: str) -> None:
        await PlainTextResponse(text, status_code=status, headers={"Connection": "close"})(scope, receive, send)


__all__ = ["BoundedBody"]
