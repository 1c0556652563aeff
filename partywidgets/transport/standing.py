"""A room's answer over HTTP, cut short when the grant of whoever asked ends."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

logger = logging.getLogger("partywidgets.transport")

PIECE = 256 * 1024
"""Bytes of an answer that are sent in one go: its receiver says how long that takes, and a grant may end meanwhile."""


class _EndedError(OSError):
    """Raised in whatever makes the answer, as when its receiver has gone (ASGI 2.4): every kind of response knows that."""


class Standing(Response):
    """`response`, cut where its grant ends: a stream, a file, or what is too long to be taken at once.

    `ended` says why the grant has ended; empty while it stands. An answer that has not begun is a 401 then. One without a length is
    completed where it is; of one with a length the connection is closed, so that nobody takes a part for the whole.
    """

    def __init__(self, response: Response, ended: Callable[[], str]) -> None:
        # Not Response's own, which would render a body. The list of headers is the response's, for whoever adds to it.
        self.raw_headers = response.raw_headers
        self.status_code, self.background = response.status_code, None
        self._response = response
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = measured = over = False

        def look() -> None:
            nonlocal over
            if self._ended():
                over = True
                raise _EndedError("the grant that this answer is made for has ended")

        async def sent(message: Message) -> None:
            nonlocal begun, measured
            look()
            if message["type"] == "http.response.start":
                begun, measured = True, "content-length" in Headers(raw=list(message.get("headers", ())))
            body = message.get("body", b"")
            if len(body) <= PIECE:
                await send(message)
                return
            for at in range(0, len(body), PIECE):
                look()
                more = message.get("more_body", False) or at + PIECE < len(body)
                await send({**message, "body": body[at : at + PIECE], "more_body": more})

        try:
            await self._response(scope, receive, sent)
        except Exception:
            if not over:
                raise
        finally:
            pieces = getattr(self._response, "body_iterator", None)
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        if over and not begun:
            await refused(self._ended())(scope, receive, send)
        elif over and not measured:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif over:
            logger.info("an answer to %r was cut in the middle: its grant has ended", scope["path"][:200])


def refused(reason: str) -> Response:
    """The answer to whoever's grant has ended."""
    return PlainTextResponse(reason, status_code=401, headers={"WWW-Authenticate": "Bearer"})


__all__ = ["Standing", "refused"]
