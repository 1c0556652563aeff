"""A change, told to whoever waits for one on the same loop."""

from __future__ import annotations

import asyncio


class Changes:
    """Wakes all who wait; each looks for itself whether it was the change that it waits for."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Something has changed."""
        self._event.set()
        self._event.clear()

    async def next(self) -> None:
        """Waits for the next change."""
        await self._event.wait()
