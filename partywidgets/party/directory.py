"""Where a host keeps its files: a directory that it has alone."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import multiprocessing
import os
import stat
import sys
from pathlib import Path
from typing import IO

from ..exceptions import StorageError
from .owner import keep_private, owner_of

ONE_WORKER = "that is another worker of this server, and who is in one sees nobody of the other: run it with one, as `--workers 1`"

logger = logging.getLogger("partywidgets.party")


def default_directory() -> Path:
    """`$PARTYWIDGETS_HOME`, else the user's state directory (XDG Base Directory on Linux, Application Support on macOS)."""
    home = os.environ.get("PARTYWIDGETS_HOME")
    if home:
        return Path(home)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "partywidgets"
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "partywidgets"


class Directory:
    """A host's directory, locked for as long as it is open. One that another host holds is not shared: a numbered one in it is taken."""

    def __init__(self, path: Path | str | None) -> None:
        self._wanted = self.path = _settled(default_directory() if path is None else Path(path))
        self._remedy = "set PARTYWIDGETS_HOME to one of yours" if path is None else "name one that you may write to"
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Locks the directory. Raises StorageError when it cannot be made or written."""
        wanted, holder = self._wanted, None
        for number in range(1, 1000):
            candidate = wanted if number == 1 else wanted / "hosts" / str(number)
            try:
                if number > 1:
                    candidate.parent.mkdir(mode=0o700, exist_ok=True)
                candidate.mkdir(mode=0o700, parents=True, exist_ok=True)
                keep_private(candidate / "lock")
                lock = open(candidate / "lock", "a+")  # noqa: SIM115 - held until close
            except OSError as error:
                remedy = f"make room on its disk, or {self._remedy}" if error.errno == errno.ENOSPC else self._remedy
                reason = "it is a file" if error.errno == errno.EEXIST else f"{error.strerror}{owner_of(candidate / 'lock')}"
                raise StorageError(f"the storage directory {candidate} cannot be used ({reason}): {remedy}") from error
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = holder or _holder(lock.fileno())
                lock.close()
                continue
            self._lock, self.path = lock, candidate
            _sign(lock.fileno())
            if number > 1:
                logger.warning(
                    "another host%s holds %s: this one keeps its rooms in %s, apart from those; %s",
                    f" (process {holder[0]})" if holder else "",
                    wanted,
                    candidate,
                    ONE_WORKER if holder and _is_fellow(holder[1]) else "to have those, end the other one first",
                )
            elif (mode := stat.S_IMODE(candidate.stat().st_mode)) & 0o077:
                # Not changed: whoever made it may want others in it. What is in it is readable by this user alone all the same.
                logger.warning(
                    "others may enter the storage directory %s (mode %04o): `chmod 700` it unless that is intended", candidate, mode
                )
            return
        raise StorageError(f"the storage directory {wanted} is held by a thousand other hosts: {self._remedy}")

    def is_there(self) -> bool:
        """False where its path leads to another directory by now, or to none. Asks the disk."""
        if self._lock is None:
            return True
        try:
            found = os.stat(self.path / "lock")
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # a disk that does not answer is another trouble, which its files tell of
            return True
        held = os.fstat(self._lock.fileno())
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

    def close(self) -> None:
        """Lets another host have it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def room_file(self, party: str, name: str) -> Path:
        """The database of a room. Named by a hash, so that no room name reaches the file system."""
        digest = hashlib.sha256(f"{party}/{name}".encode()).hexdigest()
        return self.path / "rooms" / f"{digest}.sqlite3"


def _settled(path: Path) -> Path:
    """The same directory wherever the process goes later, as a notebook's `%cd` does; `~` is the user's home, as in a shell."""
    with contextlib.suppress(RuntimeError):  # the home of nobody here
        path = path.expanduser()
    return path.absolute()


def _sign(descriptor: int) -> None:
    """Writes into the lock whose it is. A full disk is somebody else's to find: whoever is told then is told less."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n{os.getppid()}\n".encode())


def _holder(descriptor: int) -> tuple[int, int] | None:
    """The process and its parent that stand in a lock which another host holds; None where none does, 0 where the parent does not."""
    numbers = [int(line) for line in os.pread(descriptor, 60, 0).split() if line.isdigit()]
    return (numbers[0], numbers[1] if len(numbers) > 1 else 0) if numbers else None


def _is_fellow(parent: int) -> bool:
    """True where this process is a web server's worker, and a child of `parent` too. The kernels of a Jupyter Server are none."""
    is_worker = multiprocessing.parent_process() is not None or "gunicorn" in sys.modules
    return is_worker and parent == os.getppid()


__all__ = ["Directory", "default_directory"]
