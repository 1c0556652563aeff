"""The sql check against SQLite, and what is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import ValidationError

from partywidgets.scans.checks.sql import SqlCheck
from tests.ports import kept_port

from .servers import look


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with three orders."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        database.execute("create table orders (id integer, state text)")
        database.executemany("insert into orders values (?, ?)", [(1, "open"), (2, "open"), (3, "sent")])
    return f"sqlite:///{tmp_path / 'shop.db'}"


async def test_rows_and_value(url: str) -> None:
    """The first column of the first row is `value`, the rows are maps, the numbers metrics."""
    check = SqlCheck(id="x", url=url, query="select count(*) as n from orders where state = 'open'", conditions=("value == 2",))
    result = await look(check)
    assert (result.status, [m.value for m in result.metrics if m.name == "n"]) == ("ok", [2.0])
    assert result.summary == "1 row: n = 2"
    rows = await look(SqlCheck(id="x", url=url, query="select * from orders", conditions=("rows.exists(r, r.state == 'sent')",)))
    assert rows.status == "ok"


async def test_cannot_write(url: str) -> None:
    """A query that writes is refused by the database, and so is a file that is not there."""
    result = await look(SqlCheck(id="x", url=url, query="delete from orders"))
    assert (result.status, result.error and result.error.kind) == ("crit", "parse")
    missing = await look(SqlCheck(id="x", url=f"{url}.missing", query="select 1"))
    assert (missing.status, missing.error and missing.error.kind) == ("crit", "refused")


async def test_hung_query_ends(url: str) -> None:
    """A query without an end is ended at the timeout, and its rows are bounded."""
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n)"
    hung = await look(SqlCheck(id="hung", url=url, query=f"{endless} select count(*) from n", timeout=0.5))
    assert (hung.status, hung.error and hung.error.kind) == ("crit", "timeout")
    many = await look(SqlCheck(id="many", url=url, query=f"{endless} select i from n", conditions=("count == 100", "more")))
    assert many.status == "ok"


async def test_postgres_refused() -> None:
    """A PostgreSQL that nobody runs is crit, and no password is in the result."""
    pytest.importorskip("asyncpg")
    result = await look(SqlCheck(id="x", url=f"postgresql://u:hush@127.0.0.1:{kept_port()}/d", query="select 1"))
    assert (result.status, result.error and result.error.kind) == ("crit", "refused")
    assert "hush" not in str(result.to_wire())


def test_refused() -> None:
    """A url that names no database is refused when the config is read."""
    with pytest.raises(ValidationError, match="names no database"):
        SqlCheck(id="x", url="mysql://h/d", query="select 1")
