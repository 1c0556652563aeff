"""A room's key-value pairs and SQL, where they are kept: all of it happens on the storage thread."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, TypeAlias

Rows: TypeAlias = list[dict[str, Any]]


class Records:
    """What a function given to `storage.transaction` gets: the room's pairs and tables, without awaiting. Keys are str, values are JSON.

    It is for that function alone, and for as long as it runs.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`."""
        check_key(key)
        row = self._database.execute("SELECT value FROM partywidgets_kv WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row[0])

    def put(self, key: str, value: Any) -> None:
        """Stores a value. Raises TypeError or ValueError for what is not JSON."""
        check_key(key)
        self.put_text(key, encoded(value))

    def put_text(self, key: str, text: str) -> None:
        """Stores a value that is JSON already."""
        self._database.execute("INSERT OR REPLACE INTO partywidgets_kv VALUES (?, ?)", (key, text))

    def delete(self, key: str) -> bool:
        """Removes a key; True when it was there."""
        check_key(key)
        return self._database.execute("DELETE FROM partywidgets_kv WHERE key = ?", (key,)).rowcount > 0

    def list(
        self, prefix: str = "", *, start: str | None = None, end: str | None = None, reverse: bool = False, limit: int | None = None
    ) -> dict[str, Any]:
        """Pairs in the order of their keys: with `prefix`, from `start` on, before `end`, the last first if `reverse`, at most `limit`."""
        order = "DESC" if reverse else "ASC"
        rows = self._database.execute(
            "SELECT key, value FROM partywidgets_kv WHERE substr(key, 1, ?) = ? AND key >= ? AND key >= ? AND (? IS NULL OR key < ?)"
            f" ORDER BY key {order} LIMIT ?",
            (len(prefix), prefix, prefix, start or "", end, end, -1 if limit is None else limit),
        )
        return {row[0]: json.loads(row[1]) for row in rows}

    def clear(self) -> None:
        """Removes every pair, table, view and index that the room made."""
        self._database.execute("DELETE FROM partywidgets_kv")
        made = (
            "SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'table')"
            " AND name NOT GLOB 'sqlite_*' AND name NOT GLOB 'partywidgets_*' ORDER BY type DESC"
        )
        for kind, name in self._database.execute(made).fetchall():
            quoted = str(name).replace('"', '""')
            self._database.execute(f'DROP {kind} IF EXISTS "{quoted}"')

    def sql(self, query: str, *params: Any) -> Rows:
        """Runs one statement and returns its rows."""
        return [dict(row) for row in self._database.execute(query, params)]


def check_key(key: object) -> None:
    """Raises TypeError for what is no key, such as the list of them, or the options, that a Durable Object's storage takes."""
    if not isinstance(key, str):
        remedy = "list() has keyword arguments: list(prefix=…, limit=…)" if isinstance(key, dict) else "several go in storage.transaction()"
        raise TypeError(f"a key of storage is a str, got {type(key).__name__}: {remedy}")


def encoded(value: Any) -> str:
    """A value as it is kept. Raises TypeError or ValueError for what is not JSON."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except TypeError as error:
        raise TypeError(f"storage keeps JSON under a key ({error}): bytes have their place in a BLOB column, by sql()") from None
    except ValueError as error:
        raise ValueError(f"storage keeps JSON under a key: {error}") from None


__all__ = ["Records", "Rows", "check_key", "encoded"]
