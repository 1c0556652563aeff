"""An ASGI app asked by a server that has the whole request and wants the whole answer, as Tornado's handlers do."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Scope
from tornado import web

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of an answer's body."""


async def answer(asgi: ASGIApp, scope: Scope, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """Runs one HTTP request through an ASGI app: status, headers (names in lower case) and the whole body."""
    asked = False
    status, content = 500, bytearray()
    headers: list[tuple[str, str]] = []
    ended = asyncio.Event()

    async def receive() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in message.get("headers", ())]
        elif message["type"] == "http.response.body":
            content.extend(message.get("body", b""))
            if len(content) > ANSWER_LIMIT:
                raise web.HTTPError(500)
            if not message.get("more_body", False):
                ended.set()

    await asgi(scope, receive, send)
    if not ended.is_set():  # cut in the middle: a part must not look like the whole
        raise web.HTTPError(500)
    return status, headers, bytes(content)
