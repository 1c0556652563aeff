"""Whose a file is: kept for its user alone, and named where it is another's, which an error about permissions leaves out."""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import stat
from pathlib import Path

logger = logging.getLogger("partywidgets.party")


def keep_private(path: Path) -> None:
    """Makes a database's file, or takes the rights of others from one that is there: it has the mode 0600 then. Raises OSError.

    SQLite gives the files that it makes beside it (-wal, -shm) the mode of the database, so no umask is needed, which is of the whole
    process. A file that is there is never opened here: closing it would end the locks that SQLite holds on it.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        try:
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                file.chmod(0o600)
        except FileNotFoundError:
            continue
        except PermissionError:
            logger.warning("%s may be read by others and is not this user's to change: its owner should `chmod 600` it", file)


def owner_of(path: Path) -> str:
    """`; it belongs to ada, and this runs as root` where another's file, or its directory, may not be read and written; else empty."""
    for place, what in ((path, "it"), (path.parent, "its directory")):
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        if owner != os.geteuid() and not os.access(place, os.R_OK | os.W_OK):
            return f"; {what} belongs to {_name(owner)}, and this runs as {_name(os.geteuid())}"
    # Where not even they can be looked at, one of the directories above lets nobody in.
    for place in path.parents if not os.access(path.parent, os.F_OK) else ():
        if os.path.isdir(place) and not os.access(place, os.X_OK):
            return f"; {place} belongs to {_name(place.stat().st_uid)}, and this runs as {_name(os.geteuid())}"
    return ""


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


__all__ = ["keep_private", "owner_of"]
