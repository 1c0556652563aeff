"""An SQLite file of a host: opened, made, upgraded, or refused in one sentence that says what helps."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from ..exceptions import SchemaError, StorageError
from .owner import keep_private, owner_of

APPLICATION_ID = 0x70776467
"""SQLite's application_id of our files: "pwdg"."""

ANEW = "put a backup in its place, or move the file away to start anew"
ROOM = "make room on its disk"
WRITABLE = "make the file and its directory writable for the user that runs this"
MORE_FILES = "this process may open no more files: raise `ulimit -n`, or LimitNOFILE= of its unit"
REMEDIES = {
    sqlite3.SQLITE_NOTADB: ANEW,
    sqlite3.SQLITE_CORRUPT: ANEW,
    sqlite3.SQLITE_FULL: ROOM,
    sqlite3.SQLITE_IOERR: "look at its disk",
    sqlite3.SQLITE_READONLY: WRITABLE,
    sqlite3.SQLITE_PERM: WRITABLE,
    sqlite3.SQLITE_CANTOPEN: WRITABLE,
    sqlite3.SQLITE_BUSY: "another program holds it: end that one",
    sqlite3.SQLITE_LOCKED: "another program holds it: end that one",
}
"""What helps, by SQLite's primary result code, where it is the file's fault and not the statement's."""


FOR_WANT_OF_ROOM = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
"""What SQLite says where it cannot make the files beside a database, on a full disk too."""
FULL = 1 << 20
"""Bytes below which a disk counts as full."""


def is_full(path: Path) -> bool:
    """True where the disk of a file, or of the directory that it is to be in, has no room for this user."""
    try:
        disk = os.statvfs(path if path.exists() else path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < FULL


def remedy_of(error: sqlite3.Error, path: Path) -> str | None:
    """What helps against an error of a database's file; None for one of a statement. Ask at once: open files come and go."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_CANTOPEN and is_out_of_files():
        return MORE_FILES
    return ROOM if code in FOR_WANT_OF_ROOM and is_full(path) else REMEDIES.get(code)


OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE})
"""What the system says when this process, or the machine, may open no more files."""


def is_out_of_files() -> bool:
    """True while this process, or its machine, may open no more files: SQLite says of that only that it could not open one."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in OUT_OF_FILES
    return False


logger = logging.getLogger("partywidgets.party")

NO_UPGRADES: Mapping[int, str] = {}


def open_database(path: Path, *, version: int, schema: str, upgrades: Mapping[int, str] = NO_UPGRADES) -> sqlite3.Connection:
    """Opens or makes a database in WAL mode.

    `upgrades` maps each older schema to the SQL that makes the next of it; all steps are one transaction.
    Raises SchemaError for one that a newer version wrote, or an older one of which no step leads on; StorageError for one that cannot be
    read. It is then left as it is.

    `synchronous=NORMAL`: what is committed survives a crash of the process; a power loss may take the last commits, never the file.
    A file that is made here is not synced meanwhile, which took 15 to 50 ms: SQLite syncs all of it before its first checkpoint, and one
    that a power loss leaves empty before that is made again.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep_private(path)
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    except (OSError, sqlite3.Error) as error:
        remedy = MORE_FILES if is_out_of_files() else f"{WRITABLE}, and see that there is space"
        raise StorageError(f"the database {path} cannot be opened ({error}{owner_of(path)}): {remedy}") from error
    try:
        database.row_factory = sqlite3.Row
        if not path.stat().st_size:
            database.execute("PRAGMA synchronous=OFF")
        database.execute("PRAGMA journal_mode=WAL")
        found = int(database.execute("PRAGMA user_version").fetchone()[0])
        owner = int(database.execute("PRAGMA application_id").fetchone()[0])
        if found > version or owner not in (0, APPLICATION_ID):
            raise SchemaError(
                f"the database {path} was written by another version (schema {found}, this one knows {version}): "
                "upgrade partywidgets, or move the file away"
            )
        missing = next((step for step in range(found, version) if found and step not in upgrades), None)
        if missing is not None:
            raise SchemaError(
                f"the database {path} was written by an older version (schema {found}, this one knows {version} and no way "
                f"from {missing}): open it with the partywidgets that wrote it, or move the file away"
            )
        if 0 < found < version:
            steps = ";\n".join(upgrades[step] for step in range(found, version))
            database.executescript(f"BEGIN IMMEDIATE; {steps};\nPRAGMA user_version={version}; COMMIT;")
            logger.info("the database %s was upgraded from schema %d to %d", path, found, version)
        if found == 0:
            database.executescript(f"BEGIN; {schema} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={version}; COMMIT;")
        database.execute("PRAGMA synchronous=NORMAL")
        return database
    except sqlite3.Error as error:
        database.close()
        raise StorageError(f"the database {path} cannot be used ({error}{owner_of(path)}): {remedy_of(error, path) or ANEW}") from error
    except BaseException:
        database.close()
        raise


__all__ = ["MORE_FILES", "OUT_OF_FILES", "ROOM", "is_full", "is_out_of_files", "open_database", "remedy_of"]
