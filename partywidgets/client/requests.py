"""Requests over a room's socket that get a `reply` with their id."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from ..exceptions import PartyError


class Requests:
    """The requests that wait for their reply. Belongs to one loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Any]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def open(self) -> tuple[str, asyncio.Future[Any]]:
        """A random id and the future of its reply's `result`."""
        request_id = secrets.token_urlsafe(9)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        return request_id, future

    def forget(self, request_id: str) -> None:
        """Its sender no longer waits."""
        self._waiting.pop(request_id, None)

    def replied(self, reply: dict[str, Any], refusal: type[PartyError]) -> None:
        """A `reply` came: `ok` gives its result, else `refusal` is raised with its sentence. An unknown id is no longer waited for."""
        future = self._waiting.pop(str(reply.get("id")), None)
        if future is None or future.done():
            return
        if reply.get("ok"):
            future.set_result(reply.get("result"))
        else:
            future.set_exception(refusal(str(reply.get("error") or "the room gave no reason")))

    def fail(self, error: PartyError) -> None:
        """Nobody will reply any more: every request that waits raises `error`."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(error)
