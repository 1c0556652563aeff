"""A room's durable storage: key-value, sql() and one alarm, on SQLite in WAL mode."""

from __future__ import annotations

from datetime import datetime
from typing import Any


class Storage:
    """Keys are str, values are JSON. Opened on first use; runs on a storage thread, in call order. Raises StorageError."""

    async def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`."""
        raise NotImplementedError

    async def put(self, key: str, value: Any) -> None:
        """Stores a value; durable against a process crash when this returns."""
        raise NotImplementedError

    async def delete(self, key: str) -> bool:
        """Removes a key; True when it was there."""
        raise NotImplementedError

    async def list(self, prefix: str = "", *, limit: int | None = None) -> dict[str, Any]:
        """Keys with `prefix`, in order, at most `limit`."""
        raise NotImplementedError

    async def sql(self, query: str, *params: Any) -> list[dict[str, Any]]:
        """Runs one statement and returns its rows."""
        raise NotImplementedError

    async def set_alarm(self, when: datetime | float) -> None:
        """Sets the room's one alarm: an aware datetime, or seconds since the epoch. A past time fires at once."""
        raise NotImplementedError

    async def get_alarm(self) -> float | None:
        """When the alarm is due, in seconds since the epoch."""
        raise NotImplementedError

    async def delete_alarm(self) -> None:
        """Removes the alarm."""
        raise NotImplementedError
