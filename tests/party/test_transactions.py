"""What a room does to its storage in one step."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from partywidgets.exceptions import StorageError
from partywidgets.party import PartyHost, Records, Server
from partywidgets.party.storage import Storage


async def storage_of(host: PartyHost) -> Storage:
    """A room's."""
    return (await host.get_server_by_name("room", "lobby")).storage


def count(kept: Records) -> int:
    """One more."""
    number = int(kept.get("count", 0)) + 1
    kept.put("count", number)
    return number


def select_from_a_missing_table(kept: Records) -> None:
    """Fails behind a write."""
    kept.put("a", 3)
    kept.sql("SELECT * FROM missing")


def put_what_is_not_json(kept: Records) -> None:
    """Fails behind a write."""
    kept.put("a", 3)
    kept.put("x", object())


async def test_nothing_comes_in_between(tmp_path: Path) -> None:
    """A hundred at once that read and write the same key each see the one before; what they return comes back."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = await storage_of(host)
        assert sorted(await asyncio.gather(*(storage.transaction(count) for _ in range(100)))) == list(range(1, 101))
        assert await storage.get("count") == 100


async def test_all_or_nothing(tmp_path: Path) -> None:
    """Pairs and tables go together; what the function raises undoes them and comes back, and so does a wrong statement."""

    def change(kept: Records) -> None:
        kept.put("a", 2)
        assert kept.delete("b")
        kept.sql("INSERT INTO t VALUES (?)", 2)
        assert kept.list() == {"a": 2}
        if kept.sql("SELECT count(*) AS n FROM t")[0]["n"] > 1:
            raise ValueError("no")

    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = await storage_of(host)
        await storage.sql("CREATE TABLE t (x INTEGER)")
        for key in ("a", "b"):
            await storage.put(key, 1)
        await storage.transaction(change)
        assert (await storage.list(), await storage.sql("SELECT x FROM t")) == ({"a": 2}, [{"x": 2}])
        await storage.put("b", 1)
        await storage.put("a", 1)
        with pytest.raises(ValueError, match="no"):
            await storage.transaction(change)
        with pytest.raises(StorageError, match="no such table"):
            await storage.transaction(select_from_a_missing_table)
        with pytest.raises(TypeError):
            await storage.transaction(put_what_is_not_json)
        assert (await storage.list(), await storage.sql("SELECT x FROM t")) == ({"a": 1, "b": 1}, [{"x": 2}])
        await storage.transaction(count)
        assert await storage.get("count") == 1


@pytest.mark.parametrize("statement", ["BEGIN", "SAVEPOINT mine"])
async def test_a_transaction_over_several_calls_is_refused(tmp_path: Path, statement: str) -> None:
    """What another hook puts meanwhile would be in it, and be lost with it: one sentence, and what put says it kept is kept."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = await storage_of(host)
        with pytest.raises(StorageError, match=r"use storage\.transaction\(\)"):
            await storage.sql(statement)
        await storage.put("a", 1)
        await storage.close()
        assert await storage.get("a") == 1
        await storage.transaction(count)


async def test_an_async_function_is_refused(tmp_path: Path) -> None:
    """It would run on the storage thread, where nothing is awaited: one sentence."""

    async def change(kept: Records) -> None:
        kept.put("a", 1)

    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = await storage_of(host)
        with pytest.raises(TypeError, match="takes a plain function"):
            await storage.transaction(change)  # type: ignore[unused-coroutine]
        assert await storage.list() == {}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"reverse": True, "limit": 2}, ["d", "c"]),
        ({"start": "b"}, ["b", "b2", "c", "d"]),
        ({"start": "b", "end": "c"}, ["b", "b2"]),
        ({"prefix": "b", "reverse": True}, ["b2", "b"]),
        ({"prefix": "b", "start": "b1"}, ["b2"]),
        ({"end": "a"}, []),
    ],
)
async def test_parts_of_the_list(tmp_path: Path, options: dict[str, Any], wanted: list[str]) -> None:
    """From a key on, before a key, the last first, and at most so many."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = await storage_of(host)
        for key in ("d", "c", "b2", "b", "a"):
            await storage.put(key, 1)
        assert list(await storage.list(**options)) == wanted


async def test_everything_deleted(tmp_path: Path) -> None:
    """Pairs, the room's tables and views with their indexes, and the alarm; the file goes on, and knows whose it is, for the next host."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = await storage_of(host)
        await storage.put("a", 1)
        await storage.set_alarm(4_000_000_000.0)
        await storage.sql('CREATE TABLE "a ""table" (x INTEGER PRIMARY KEY AUTOINCREMENT, y TEXT UNIQUE)')
        await storage.sql('INSERT INTO "a ""table" (y) VALUES (?)', "y")
        await storage.sql('CREATE VIEW seen AS SELECT y FROM "a ""table"')
        await storage.delete_all()
        assert (await storage.list(), await storage.get_alarm()) == ({}, None)
        left = await storage.sql("SELECT name FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*' AND name NOT GLOB 'partywidgets_*'")
        assert left == []
        await storage.put("b", 2)
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = await storage_of(host)
        assert await storage.list() == {"b": 2}
        assert await storage.sql("SELECT name FROM partywidgets_room") == [{"name": "lobby"}]
