"""sql: what a query answers, from SQLite or PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from ...duration import format_duration
from ...party.database import OUT_OF_FILES
from ..calls import OverdueError, StillRunningError, shared_calls
from ..model import ErrorClass, Evidence, Metric, one_line
from ..redaction import LOOKED_AT
from .base import CheckModel, Probe, ProbeContext
from .dial import DialError
from .http import without_password

ROWS = 100
"""How many rows of an answer are kept; `more` says that there are others."""
CELL_CHARS = 4096
_INSTRUCTIONS = 10_000
"""After how many of SQLite's instructions a query looks at the clock."""

Rows = tuple[list[str], list[Sequence[Any]]]


class SqlCheck(CheckModel):
    """One query to the database at `url`: `sqlite:///PATH` (`sqlite:////PATH` for a full path) or `postgresql://user:password@host/name`.

    The query cannot write: SQLite's file is opened for reading, PostgreSQL's transaction is read-only. Past the timeout it is ended where
    it runs.
    Values: `value` (the first row's first column, null without a row), `rows` (a list of maps by column, at most 100), `count` (of the
    rows kept), `more` (there were others), `columns`, `duration_ms`, `error`. Numbers of the first row are metrics by their column.
    Without conditions the query must answer.
    """

    libraries: ClassVar[tuple[str, ...]] = ("asyncpg",)
    value_names: ClassVar[frozenset[str] | None] = frozenset({"value", "rows", "count", "more", "columns", "duration_ms", "error"})
    unknown_errors: ClassVar[frozenset[ErrorClass]] = frozenset({"internal"})

    type: Literal["sql"] = "sql"
    url: str = Field(min_length=1, max_length=2048)
    query: str = Field(min_length=1, max_length=20_000)

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        if not url.startswith(("sqlite:///", "postgresql://", "postgres://", "${")):
            raise ValueError(f"{without_password(url)!r} names no database: write sqlite:///PATH or postgresql://user:password@host/name")
        return url

    @property
    def target(self) -> str:
        """The database without a password, and the query."""
        return f"{without_password(self.url)}: {one_line(self.query)}"

    async def probe(self, context: ProbeContext) -> Probe:
        """One query on a connection of its own."""
        probe = Probe(self.target)
        started, found = perf_counter(), None
        try:
            url = context.resolve(self.url).strip()
            if url.startswith("sqlite:///"):
                found = await self._ask_sqlite(url.removeprefix("sqlite:///"), context.deadline)
            elif url.startswith(("postgresql://", "postgres://")):
                async with asyncio.timeout_at(context.deadline):
                    found = await self._ask_postgres(url, context.deadline)
            else:
                probe.error = ("internal", "the url names no database once its references are filled in")
        except DialError as error:
            probe.error = (error.kind, error.message)
        except TimeoutError:
            probe.error = ("timeout", f"the query did not answer within {format_duration(self.timeout)}")
        duration_ms = probe.took(perf_counter() - started)
        if found is None:
            return probe
        columns, records = found
        rows = [{name: plain(value) for name, value in zip(columns, record, strict=True)} for record in records[:ROWS]]
        first = rows[0] if rows else {}
        probe.values = {
            "value": first.get(columns[0]) if columns else None,
            "rows": rows,
            "count": len(rows),
            "more": len(records) > ROWS,
            "columns": columns,
            "duration_ms": duration_ms,
        }
        numbers = {name: value for name, value in first.items() if isinstance(value, (int, float)) and not isinstance(value, bool)}
        probe.metrics += [Metric(one_line(name, 100), float(value)) for name, value in list(numbers.items())[:20]]
        shown = ", ".join(f"{name} = {value}" for name, value in list(first.items())[:5])
        number = f"{len(rows)}{' or more' if probe.values['more'] else ''} {'row' if len(rows) == 1 else 'rows'}"
        probe.summary = one_line(number + (f": {shown}" if shown else ""), LOOKED_AT)
        if not rows:
            probe.summary = probe.nothing = "the query finds no row"
        text = "\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows)
        probe.evidence.append(Evidence("sql-rows", "rows", text, truncated=probe.values["more"]))
        return probe

    async def _ask_sqlite(self, path: str, deadline: float) -> Rows:
        left = deadline - asyncio.get_running_loop().time()
        until = time.monotonic() + left

        def ask() -> Rows:
            with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=max(left - 0.1, 0.1))) as database:
                database.execute("PRAGMA query_only = 1")
                database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 16 << 20)
                database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
                database.set_progress_handler(lambda: time.monotonic() > until, _INSTRUCTIONS)
                cursor = database.execute(self.query)
                return [column[0] for column in cursor.description or ()], cursor.fetchmany(ROWS + 1)

        try:
            rows: Rows = await shared_calls().call(f"sql {self.id}", ask, left)
        except OverdueError:
            raise TimeoutError from None
        except StillRunningError:
            raise DialError("timeout", "the last query still hangs") from None
        except (sqlite3.Error, sqlite3.Warning) as error:
            if "interrupted" in str(error) or "locked" in str(error):
                raise DialError("timeout", f"SQLite: {error}") from None
            raise DialError("refused" if "unable to open" in str(error) else "parse", f"SQLite: {error}") from None
        return rows

    async def _ask_postgres(self, url: str, deadline: float) -> Rows:
        # asyncpg: PostgreSQL's protocol spoken on the loop, with binary types and cursors.
        try:
            import asyncpg
        except ImportError:
            raise DialError("internal", "PostgreSQL is asked with asyncpg: pip install 'partywidgets[postgres]'") from None
        left = max(deadline - asyncio.get_running_loop().time(), 0.1)
        settings = {
            "application_name": "partywidgets",
            "default_transaction_read_only": "on",
            "statement_timeout": str(max(int(left * 1000), 1)),  # ends it on the server, too, if this process goes away
        }
        connection = None
        try:
            connection = await asyncpg.connect(url, timeout=left, server_settings=settings)
            async with connection.transaction(readonly=True):
                statement = await connection.prepare(self.query)
                cursor = await statement.cursor()
                records = await cursor.fetch(ROWS + 1)
            return [attribute.name for attribute in statement.get_attributes()], [tuple(record.values()) for record in records]
        except asyncpg.QueryCanceledError:
            raise TimeoutError from None
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise DialError("auth", f"PostgreSQL: {error}") from None
        except (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError) as error:
            raise DialError("refused", f"PostgreSQL: {error}") from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DialError("parse", f"PostgreSQL: {one_line(str(error), LOOKED_AT)}") from None
        except TimeoutError:
            raise
        except (OSError, ValueError) as error:  # ValueError: a URL with a port that is none; its text may hold the password
            if isinstance(error, OSError) and error.errno in OUT_OF_FILES:
                raise
            reason = (error.strerror or "connection refused").lower() if isinstance(error, OSError) else "the url cannot be read"
            raise DialError("refused" if isinstance(error, OSError) else "internal", f"PostgreSQL: {reason}") from None
        finally:
            if connection is not None:
                connection.terminate()


def plain(value: Any) -> Any:
    """A column's value as a condition sees it: numbers, texts, times and durations; everything else as text."""
    if value is None or isinstance(value, (bool, int, float, timedelta)):
        return value
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() and abs(value) < 1 << 63 else float(value)
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value[: CELL_CHARS // 2]).hex()
    return str(value)[:CELL_CHARS]
