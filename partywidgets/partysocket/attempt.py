"""An attempt at a connection, which may be given up while it is made."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection


async def attempt(
    connecting: Coroutine[Any, Any, ClientConnection], asked: asyncio.Event, *, patience: float
) -> ClientConnection | Exception | None:
    """The connection, the error that kept it from being made, or None when it was `asked` to end first.

    A connection that is made all the same, when nobody waits for it any more, is closed: a cancellation may come just as it stands, or in a
    function of the user's that swallows it. `patience`: seconds that an attempt which was given up is waited for.
    """
    making, asking = asyncio.ensure_future(connecting), asyncio.ensure_future(asked.wait())
    given_up = True
    try:
        await asyncio.wait({making, asking}, return_when=asyncio.FIRST_COMPLETED)
        given_up = not making.done()
    finally:
        asking.cancel()
        if given_up:
            await _give_up(making, patience)
    if given_up or making.cancelled():
        return None
    error = making.exception()
    if error is None:
        return making.result()
    if not isinstance(error, Exception):
        raise error
    return error


async def _give_up(making: asyncio.Task[ClientConnection], patience: float) -> None:
    making.cancel()
    try:
        await asyncio.wait({making}, timeout=patience)
        if making.done() and not making.cancelled() and making.exception() is None:
            await making.result().close()
    finally:
        making.add_done_callback(_drop)


def _drop(making: asyncio.Task[ClientConnection]) -> None:
    if not making.cancelled() and making.exception() is None:
        making.result().transport.abort()


__all__ = ["attempt"]
