"""A room's storage, its alarm, and the directory of a host."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import re
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from partywidgets.exceptions import SchemaError, StorageError
from partywidgets.party import PartyHost, Server
from partywidgets.party.alarm import Alarms
from partywidgets.party.database import open_database
from partywidgets.party.directory import Directory, default_directory
from partywidgets.party.storage import Storage
from partywidgets.party.storage_thread import StorageThread

from .serving import until


async def test_values_outlive_the_host(tmp_path: Path) -> None:
    """put, get, list in order with prefix and limit, delete; found again by the next host."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = (await host.get_server_by_name("room", "lobby")).storage
        for key in ("b", "a1", "a2", "a%", "a_"):
            await storage.put(key, {"key": key})
        assert await storage.delete("b")
        assert not await storage.delete("b")
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = (await host.get_server_by_name("room", "lobby")).storage
        assert await storage.get("a1") == {"key": "a1"}
        assert await storage.get("b", "none") == "none"
        assert list(await storage.list()) == ["a%", "a1", "a2", "a_"]
        assert list(await storage.list("a%")) == ["a%"]
        assert list(await storage.list("a", limit=2)) == ["a%", "a1"]
        other = (await host.get_server_by_name("room", "other")).storage
        assert await other.list() == {}


async def test_what_is_not_json_is_refused_with_the_place_for_it(tmp_path: Path) -> None:
    """Nothing is kept of it, in a transaction either; bytes go through sql() as they are."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        room = await host.get_server_by_name("room", "lobby")
        for value, error, words in (
            (b"\x00\xff", TypeError, "bytes is not JSON serializable.: bytes have their place in a BLOB column, by sql"),
            ({"a": object()}, TypeError, "storage keeps JSON under a key"),
            (float("nan"), ValueError, "storage keeps JSON under a key: "),
        ):
            with pytest.raises(error, match=words):
                await room.storage.put("x", value)
            with pytest.raises(error, match=words):
                await room.storage.transaction(lambda kept, value=value: kept.put("x", value))  # type: ignore[misc]
        assert await room.storage.list() == {}
        await room.sql("CREATE TABLE ink (data BLOB)")
        await room.sql("INSERT INTO ink VALUES (?)", b"\x00\xff")
        assert await room.sql("SELECT data FROM ink") == [{"data": b"\x00\xff"}]


async def test_the_file_of_a_room_that_went_is_closed_again(tmp_path: Path) -> None:
    """Whoever holds an instance that went may use its storage: the file is closed when that is idle, and at the end of the host."""
    async with PartyHost({"room": Server}, storage=tmp_path, hibernate_after=0.05) as host:
        room = await host.get_server_by_name("room", "a")
        await until(lambda: not host._rooms)
        await room.storage.put("kept", 1)
        await until(lambda: not room.storage.is_open)
        await until(lambda: not host._rooms)
        assert await room.storage.get("kept") == 1
    assert not room.storage.is_open


async def test_keys_and_alarms_of_another_type_are_refused(tmp_path: Path) -> None:
    """The lists of keys, and the options, that a Durable Object's storage takes: a sentence with what to write, and nothing is kept."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = (await host.get_server_by_name("room", "a")).storage
        for call in (storage.get, storage.delete, lambda key: storage.transaction(lambda kept: kept.get(key))):
            with pytest.raises(TypeError, match=r"a key of storage is a str, got list: several go in storage\.transaction"):
                await call(["a", "b"])  # type: ignore[arg-type]
        for put in (storage.put(1, 2), storage.transaction(lambda kept: kept.put(1, 2))):  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="a key of storage is a str, got int"):
                await put
        with pytest.raises(TypeError, match=r"a key of storage is a str, got dict: list\(\) has keyword arguments"):
            await storage.list({"prefix": "a"})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"seconds since 1970, got NoneType: pass time\.time"):
            await storage.set_alarm(None)  # type: ignore[arg-type]
        assert await storage.list() == {}
        assert await storage.get_alarm() is None


async def test_a_room_that_is_kept_after_its_host(tmp_path: Path) -> None:
    """Its storage and its alarm are refused in a sentence."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        room = await host.get_server_by_name("room", "lobby")
        await room.storage.put("a", 1)
    for late in (room.storage.get("a"), room.sql("SELECT 1"), room.storage.set_alarm(4e9), room.storage.delete_all()):
        with pytest.raises(StorageError, match="has ended"):
            await late


async def test_sql(tmp_path: Path) -> None:
    """Rows are dicts; a wrong statement raises StorageError and is told to on_exception; calls run in order."""
    seen: list[Exception] = []

    class Room(Server):
        def on_exception(self, error: Exception) -> None:
            seen.append(error)

    async with PartyHost({"room": Room}, storage=tmp_path) as host:
        room = await host.get_server_by_name("room", "lobby")
        await room.sql("CREATE TABLE t (x INTEGER)")
        await asyncio.gather(*(room.sql("INSERT INTO t VALUES (?)", number) for number in range(20)))
        assert [row["x"] for row in await room.sql("SELECT x FROM t ORDER BY rowid")] == list(range(20))
        with pytest.raises(StorageError, match="no such table"):
            await room.sql("SELECT * FROM missing")
    assert len(seen) == 1


async def test_names_never_reach_the_file_system(tmp_path: Path) -> None:
    """The file of a room is a hash in the host's directory, which only its owner may enter."""
    async with PartyHost({"room": Server}, storage=tmp_path / "state") as host:
        for name in ("..a", "a" * 512, "日本", "con"):
            await (await host.get_server_by_name("room", name)).storage.put("x", 1)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    files = [path.name for path in (tmp_path / "state" / "rooms").iterdir()]
    assert len([name for name in files if name.endswith(".sqlite3")]) == 4
    assert all(len(name.partition(".")[0]) == 64 for name in files)


def modes(directory: Path) -> dict[str, int]:
    """The mode of everything in a directory."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*") if path.is_file()}


async def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    """The host's and the rooms' databases, what SQLite makes beside them and the lock are 0600, whatever the umask."""
    before = os.umask(0)
    try:
        async with PartyHost({"room": Server}, storage=tmp_path / "state") as host, PartyHost({"room": Server}, storage=host.storage_path):
            await (await host.get_server_by_name("room", "lobby")).storage.put("x", 1)
            found = modes(tmp_path / "state")
            assert stat.S_IMODE((tmp_path / "state" / "hosts").stat().st_mode) == 0o700
    finally:
        os.umask(before)
    assert {"host.sqlite3", "host.sqlite3-wal", "host.sqlite3-shm", "lock"} <= found.keys()
    assert any(len(name) > 64 for name in found)
    assert set(found.values()) == {0o600}


async def test_files_and_directories_that_others_may_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Files of an earlier version are taken from others, with what they hold; a directory that others may enter is told of, once."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        await (await host.get_server_by_name("room", "lobby")).storage.put("x", 1)
    assert "others may enter" not in caplog.text
    await asyncio.to_thread(subprocess.check_call, ["chmod", "-R", "u=rwX,go=rX", tmp_path])
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        assert await (await host.get_server_by_name("room", "lobby")).storage.get("x") == 1
        assert set(modes(tmp_path).values()) == {0o600}
    assert caplog.text.count(f"others may enter the storage directory {tmp_path} (mode 0755)") == 1


async def test_a_second_host_takes_a_directory_of_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It says so, and finds it again; the first one's is free again after it."""
    with caplog.at_level(logging.WARNING):
        async with PartyHost({"room": Server}, storage=tmp_path) as first, PartyHost({"room": Server}, storage=tmp_path) as second:
            assert first.storage_path == tmp_path
            assert second.storage_path == tmp_path / "hosts" / "2"
            said = f"another host (process {os.getpid()}) holds {tmp_path}: this one keeps its rooms in {second.storage_path}, apart"
            assert said in caplog.text
    async with PartyHost({"room": Server}, storage=tmp_path) as third:
        assert third.storage_path == tmp_path


def test_the_default_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PARTYWIDGETS_HOME, else the state directory."""
    monkeypatch.setenv("PARTYWIDGETS_HOME", str(tmp_path))
    assert default_directory() == tmp_path
    monkeypatch.delenv("PARTYWIDGETS_HOME")
    assert default_directory().name == "partywidgets"


async def test_a_relative_directory_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the process goes elsewhere, and were its name an address to SQLite; `~` is the user's home."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    async with PartyHost({"room": Server}, storage="file:here?mode=ro") as host:
        monkeypatch.chdir(tmp_path / "elsewhere")
        await (await host.get_server_by_name("room", "a")).storage.put("kept", 1)
        assert not host.storage_lost
    assert (tmp_path / "file:here?mode=ro" / "host.sqlite3").exists()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Directory("~/rooms").path == tmp_path / "home" / "rooms"
    assert Directory("~nobody-of-that-name/rooms").path == tmp_path / "elsewhere" / "~nobody-of-that-name" / "rooms"


def test_a_directory_that_cannot_be_made_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """StorageError names the place and the remedy: of one that was named, another name; of the default, the variable for it."""
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "x"
    with pytest.raises(StorageError) as named:
        Directory(place).open()
    assert str(named.value) == f"the storage directory {place} cannot be used (Not a directory): name one that you may write to"
    monkeypatch.setenv("PARTYWIDGETS_HOME", str(place))
    with pytest.raises(StorageError, match=r"Not a directory.*: set PARTYWIDGETS_HOME to one of yours"):
        Directory(None).open()


def test_a_file_in_the_directory_s_place_is_one_sentence(tmp_path: Path) -> None:
    """It says that it is a file."""
    (tmp_path / "rooms").touch()
    with pytest.raises(StorageError, match=r"it is a file\): name one"):
        Directory(tmp_path / "rooms").open()


OPENING = """
import sys
from pathlib import Path
from partywidgets.exceptions import StorageError
from partywidgets.party.database import open_database
from partywidgets.party.directory import Directory
place = Path(sys.argv[1])
for opening in (Directory(place / "shut").open, lambda: open_database(place / "open" / "room.sqlite3", version=1, schema="")):
    try:
        opening()
    except StorageError as error:
        print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_is_another_s_is_told_with_whose_it_is(tmp_path: Path) -> None:
    """A directory and a database that somebody else's host left behind, to one who may not write them."""
    nobody = pwd.getpwuid(65534)
    (tmp_path / "shut").mkdir(mode=0o700)
    (tmp_path / "open").mkdir()
    file = tmp_path / "open" / "room.sqlite3"
    file.touch(mode=0o600)
    for theirs in (tmp_path / "shut", file):
        os.chown(theirs, nobody.pw_uid, nobody.pw_gid)
    without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", "--inh-caps=-all"]
    if subprocess.run([*without, "true"], check=False, capture_output=True).returncode:
        pytest.skip("root cannot give up its rights here")
    done = subprocess.run([*without, sys.executable, "-c", OPENING, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True)
    shut, unreadable = done.stdout.splitlines()
    who = f"belongs to {nobody.pw_name}, and this runs as {pwd.getpwuid(0).pw_name})"
    assert shut.startswith(f"the storage directory {tmp_path / 'shut'} cannot be used (Permission denied; its directory {who}: ")
    assert unreadable.startswith(f"the database {file} cannot be opened (unable to open database file; it {who}: ")


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """SchemaError, and the file is as it was; one that is not a database is a StorageError."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        await (await host.get_server_by_name("room", "lobby")).storage.put("x", 1)
    file = next(path for path in (tmp_path / "rooms").iterdir() if path.suffix == ".sqlite3")
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = (await host.get_server_by_name("room", "lobby")).storage
        with pytest.raises(SchemaError, match="upgrade partywidgets"):
            await storage.get("x")
    file.write_bytes(b"not a database, but long enough to be read as one" * 10)
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        with pytest.raises(StorageError):
            await (await host.get_server_by_name("room", "lobby")).storage.get("x")


async def filled(storage: Path, *rooms: str) -> None:
    """Rooms of a host that has ended, with what fills several pages of their files."""
    async with PartyHost({"room": Server}, storage=storage) as host:
        for room in rooms:
            for number in range(40):
                await (await host.get_server_by_name("room", room)).storage.put(f"{number:02}", "x" * 500)


@pytest.mark.parametrize("damage", ["header", "pages"])
async def test_a_damaged_room_says_what_to_do_and_the_others_go_on(tmp_path: Path, damage: str) -> None:
    """The error names the file, which is left as it was, and the remedy; a backup put in its place is read without a restart."""
    await filled(tmp_path, "hurt", "well")
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        hurt = (await host.get_server_by_name("room", "hurt")).storage
        file = host._directory.room_file("room", "hurt")
        backup = file.read_bytes()
        bad = bytearray(backup)
        where = range(16) if damage == "header" else range(4096, len(bad))
        for at in where:
            bad[at] ^= 0x5A
        file.write_bytes(bad)
        with pytest.raises(StorageError) as told:
            await hurt.list()
        assert str(told.value).startswith(f"the database {file} cannot be used (")
        assert str(told.value).endswith("): put a backup in its place, or move the file away to start anew")
        well = (await host.get_server_by_name("room", "well")).storage
        assert len(await well.list()) == 40
        await well.put("more", 1)
        await hurt.close()
        assert file.read_bytes() == bad
        file.write_bytes(backup)
        assert len(await hurt.list()) == 40


@pytest.mark.parametrize("kept", [0.0, 0.4, 0.99])
async def test_a_log_that_was_cut_short_loses_its_end_alone(tmp_path: Path, kept: float) -> None:
    """Of a WAL that is not all there, as after a power loss, what is whole counts: each put before the first one that is missing."""
    there, later = tmp_path / "there", tmp_path / "later"
    async with PartyHost({"room": Server}, storage=there) as host:
        storage = (await host.get_server_by_name("room", "lobby")).storage
        await storage.put("00", "x" * 500)
        await storage.close()
        for number in range(1, 40):
            await storage.put(f"{number:02}", "x" * 500)
        file = host._directory.room_file("room", "lobby")
        copy = later / "rooms" / file.name
        copy.parent.mkdir(parents=True)
        copy.write_bytes(file.read_bytes())
        log = file.with_name(file.name + "-wal").read_bytes()
        copy.with_name(copy.name + "-wal").write_bytes(log[: int(len(log) * kept)])
    async with PartyHost({"room": Server}, storage=later) as host:
        storage = (await host.get_server_by_name("room", "lobby")).storage
        keys = list(await storage.list())
        assert keys == [f"{number:02}" for number in range(len(keys))]
        assert 1 <= len(keys) < 40
        await storage.put("more", 1)
        assert await storage.get("more") == 1


FIRST = "CREATE TABLE note (text TEXT);"
SECOND = "CREATE TABLE note (text TEXT, author TEXT NOT NULL DEFAULT 'nobody', size INTEGER);"


def written(path: Path) -> bytes:
    """A database of schema 1 with a row in it, and its bytes."""
    database = open_database(path, version=1, schema=FIRST)
    database.execute("INSERT INTO note VALUES ('kept')")
    database.close()
    return path.read_bytes()


def test_an_older_database_is_upgraded_step_by_step(tmp_path: Path) -> None:
    """What was kept is there under the new schema; opened again it stays so, and the older version refuses it."""
    path = tmp_path / "a.sqlite3"
    written(path)
    steps = {1: "ALTER TABLE note ADD COLUMN author TEXT NOT NULL DEFAULT 'nobody'", 2: "ALTER TABLE note ADD COLUMN size INTEGER;"}
    for _ in range(2):
        database = open_database(path, version=3, schema=SECOND, upgrades=steps)
        assert [tuple(row) for row in database.execute("SELECT text, author, size FROM note")] == [("kept", "nobody", None)]
        assert database.execute("PRAGMA user_version").fetchone()[0] == 3
        database.close()
    with pytest.raises(SchemaError, match="schema 3, this one knows 1"):
        open_database(path, version=1, schema=FIRST)


@pytest.mark.parametrize("steps", [{}, {1: "ALTER TABLE note ADD COLUMN author TEXT"}], ids=["none", "one of two"])
def test_an_older_database_without_a_way_on_is_refused(tmp_path: Path, steps: dict[int, str]) -> None:
    """SchemaError says both versions and what to do; nothing in the file changes."""
    path = tmp_path / "a.sqlite3"
    before = written(path)
    with pytest.raises(SchemaError, match=r"older version \(schema 1, this one knows 3.*open it with the partywidgets that wrote it"):
        open_database(path, version=3, schema=SECOND, upgrades=steps)
    assert path.read_bytes() == before


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path) -> None:
    """The steps are one transaction: after an error in the second the first is undone too."""
    path = tmp_path / "a.sqlite3"
    written(path)
    steps = {1: "ALTER TABLE note ADD COLUMN author TEXT", 2: "ALTER TABLE nothing ADD COLUMN size INTEGER"}
    with pytest.raises(StorageError, match="nothing"):
        open_database(path, version=3, schema=SECOND, upgrades=steps)
    database = open_database(path, version=1, schema=FIRST)
    assert [tuple(row) for row in database.execute("SELECT * FROM note")] == [("kept",)]
    database.close()


def test_the_lock_is_gone_with_its_process(tmp_path: Path) -> None:
    """A host that was killed does not keep its directory."""
    script = """
import os, sys, signal
from partywidgets.party.directory import Directory
directory = Directory(sys.argv[1])
directory.open()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    directory = Directory(tmp_path)
    directory.open()
    assert directory.path == tmp_path
    directory.close()


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


async def test_a_statement_without_an_end_is_ended(tmp_path: Path) -> None:
    """It gets its time and a sentence; another room's write, which stood behind it, is done."""
    thread = StorageThread(statement_time=0.2)
    alarms = Alarms(tmp_path / "host.sqlite3", thread, ring_nobody, parties=())
    await alarms.open()
    try:
        one, other = (Storage(tmp_path / f"{name}.sqlite3", party="room", room=name, thread=thread, alarms=alarms) for name in "ab")
        endless, put = asyncio.ensure_future(one.sql(ENDLESS)), asyncio.ensure_future(other.put("x", 1))
        with pytest.raises(StorageError, match=r"ran longer than 0\.2 s"):
            await endless
        await put
        assert await other.get("x") == 1
        assert await one.sql("SELECT 1 AS n") == [{"n": 1}]
        await asyncio.gather(one.close(), other.close())
    finally:
        await alarms.close()
        await thread.stop()


async def ring_nobody(party: str, room: str) -> None:
    """No alarm is set here."""


async def test_a_host_ends_in_spite_of_a_statement_without_an_end(tmp_path: Path) -> None:
    """Its caller is told, what was written before is there, and the thread is gone: it would hold up the end of the process."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        room = await host.get_server_by_name("room", "lobby")
        await room.storage.put("x", 1)
        endless = asyncio.ensure_future(room.storage.sql(ENDLESS))
        await asyncio.sleep(0)
    with pytest.raises(StorageError, match="into the end of its host"):
        await endless
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("partywidgets-storage")]
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        assert await (await host.get_server_by_name("room", "lobby")).storage.get("x") == 1


async def test_a_file_that_is_being_closed_may_be_opened_again(tmp_path: Path) -> None:
    """Closing goes on behind the next use of the room, on a thread of its own; nothing is lost in between, and no log file is left over."""
    async with PartyHost({"room": Server}, storage=tmp_path) as host:
        storage = (await host.get_server_by_name("room", "lobby")).storage
        for number in range(50):
            closing = asyncio.ensure_future(storage.close())
            await storage.put("x", number)
            assert await storage.get("x") == number
            await closing
    [file] = (tmp_path / "rooms").iterdir()
    with contextlib.closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT value FROM partywidgets_kv").fetchall() == [("49",)]


async def test_a_file_that_cannot_be_closed_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log names the room, which sleeps all the same, and opens its file anew."""

    async def refuse(self: StorageThread, database: sqlite3.Connection) -> None:
        database.close()
        raise sqlite3.OperationalError("disk I/O error")

    class Room(Server):
        pass

    async with PartyHost({"room": Room}, storage=tmp_path, hibernate_after=0.02) as host:
        with monkeypatch.context() as patch:
            patch.setattr(StorageThread, "close", refuse)
            room = await host.get_server_by_name(Room, "a")
            async with room.awake():
                await room.storage.put("kept", 1)
            await until(lambda: re.search(r"room room/a: closing its storage failed \[\w+\]", caplog.text) is not None)
        assert await (await host.get_server_by_name(Room, "a")).storage.get("kept") == 1
    assert "disk I/O error" in caplog.text
