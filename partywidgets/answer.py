"""What every answer goes through on its way out: an error gets the form that its reader understands."""

from __future__ import annotations

import json

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from .error_page import HEADERS as PAGE_HEADERS
from .error_page import error_page

MAX_ERROR = 4096
"""Bytes of an error that is shown as a page; a room's own longer answer is passed on as it is."""


class Answer:
    """Passes a response on: errors as JSON, as a page where a person browses, and readable by the page of an allowed Origin."""

    def __init__(self, send: Send, *, origin: str | None, page: bool, front: bool) -> None:
        self._send = send
        self._front = front
        self._origin = origin
        self._page = page
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": list(message.get("headers", ()))}
            headers = MutableHeaders(raw=message["headers"])
            if self._origin is not None:
                headers["Access-Control-Allow-Origin"] = self._origin
                headers.add_vary_header("Origin")
            if message["status"] >= 400 and self._changes(headers):
                self._start = message
                return
        elif self._start is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if message.get("more_body", False):
                return
            start, self._start = self._start, None
            body = self._changed(start)
            MutableHeaders(raw=start["headers"])["Content-Length"] = str(len(body))
            await self._send(start)
            message = {"type": "http.response.body", "body": body}
        await self._send(message)

    def _changes(self, headers: MutableHeaders) -> bool:
        """Whether the body may be another one than the response's own."""
        kind = headers.get("content-type", "")
        length = headers.get("content-length", "")
        short = self._page and kind.startswith("application/json") and length.isdecimal() and int(length) <= MAX_ERROR
        return short or kind.startswith("text/plain")

    def _changed(self, start: Message) -> bytes:
        headers = MutableHeaders(raw=start["headers"])
        if headers["content-type"].startswith("text/plain"):
            reason, body = self._body.decode("utf-8", "replace"), json.dumps({"error": self._body.decode("utf-8", "replace")}).encode()
            headers["Content-Type"] = "application/json"
        else:
            reason, body = _reason(self._body), bytes(self._body)
        if not self._page or not reason:
            return body
        for name, value in PAGE_HEADERS.items():
            headers[name] = value
        headers.add_vary_header("Accept")
        return error_page(start["status"], reason, front=self._front)


def _reason(body: bytes | bytearray) -> str:
    """The sentence of an error; "" when a room answered with something of its own."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    reason = said.get("error") if isinstance(said, dict) and len(said) == 1 else None
    return reason if isinstance(reason, str) else ""
