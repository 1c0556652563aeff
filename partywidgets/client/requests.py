"""Requests over a room's socket that get a `reply` with their id."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from ..exceptions import PartyError


class Requests:
    """The requests that wait for their reply. Belongs to one loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._told: dict[str, Callable[[str], None]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def open(self, told: Callable[[str], None] | None = None) -> tuple[str, asyncio.Future[Any]]:
        """A random id and the future of its reply's `result`; `told` is given what the room says of it before."""
        request_id = secrets.token_urlsafe(9)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        if told is not None:
            self._told[request_id] = told
        return request_id, future

    def forget(self, request_id: str) -> None:
        """Its sender no longer waits."""
        self._waiting.pop(request_id, None)
        self._told.pop(request_id, None)

    def tell(self, request_id: str, sentence: str) -> None:
        """The room says something of a request that it has not replied to."""
        if (told := self._told.get(request_id)) is not None:
            told(sentence)

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
