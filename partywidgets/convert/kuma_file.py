"""Uptime Kuma's data, from its database (1 and 2) or from a backup of version 1: both as the same records."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..exceptions import ConfigError

MAX_BACKUP = 32 << 20
"""Bytes of a backup."""
MAX_ROWS = 50_000
"""Rows that are read of one table."""
MAX_CELL = 4 << 20
SECONDS = 20.0
"""How long a database is read at most."""
_INSTRUCTIONS = 10_000


@dataclass(frozen=True, slots=True)
class Record:
    """One row, by the names of the database's columns."""

    place: str
    values: Mapping[str, Any]

    def text(self, key: str, default: str = "") -> str:
        """A text; empty where there is none."""
        value = self.values.get(key)
        return default if value is None or isinstance(value, (dict, list, bytes)) else str(value)

    def number(self, key: str, default: float = 0.0) -> float:
        """A number, `default` for what is none."""
        try:
            number = float(self.values.get(key) or 0)
        except (TypeError, ValueError):
            return default
        return number if number > 0 else default

    def flag(self, key: str) -> bool:
        """True for true and 1, as both of SQLite and JSON have it."""
        return self.values.get(key) in (True, 1, "1", "true")

    def json(self, key: str) -> Any:
        """What a text of JSON says, or what stands there already; None for what is none."""
        value = self.values.get(key)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None


@dataclass
class Backup:
    """All that is read of one Kuma."""

    name: str
    monitors: list[Record] = field(default_factory=list)
    notifications: list[Record] = field(default_factory=list)
    docker_hosts: dict[int, Record] = field(default_factory=dict)
    windows: list[Record] = field(default_factory=list)
    notified: dict[int, set[int]] = field(default_factory=dict)
    """By notification, the monitors that use it."""
    tags: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    """By monitor."""
    under: dict[int, set[int]] = field(default_factory=dict)
    """By maintenance window, its monitors."""
    timezone: str = "UTC"
    domain_days: int = 21
    """Days before the end of a domain from which people are told."""
    complete: bool = True
    """False for a backup, which has no windows and no Docker hosts."""


def read_database(path: Path) -> Backup:
    """Reads a `kuma.db`, which may be in use; no row is written. Raises ConfigError for what is none."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as database:
            return _from_database(path, database)
    except (sqlite3.Error, UnicodeError) as error:
        # SQLite makes a file beside a database that was in use (https://www.sqlite.org/wal.html#readonly).
        advice = "; copy it, and its -wal file if there is one, to a directory where you may write" if "open" in str(error) else ""
        raise ConfigError(f"the database cannot be read: {error}{advice}", path=str(path)) from None


def _from_database(path: Path, database: sqlite3.Connection) -> Backup:
    _guard(database)
    tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"monitor", "notification", "monitor_notification"} <= tables:
        raise ConfigError("this SQLite database is none of Uptime Kuma: it has no table `monitor`", path=str(path))

    def rows(table: str) -> Iterator[dict[str, Any]]:
        if table in tables:
            for number, row in enumerate(database.execute(f"SELECT * FROM [{table}] ORDER BY id")):
                if number >= MAX_ROWS:
                    raise ConfigError(f"the table `{table}` has more than {MAX_ROWS} rows", path=str(path))
                yield dict(row)

    backup = Backup(path.name)
    for row in rows("monitor"):
        backup.monitors.append(Record(f"{path}: monitor {row['id']} {str(row.get('name'))!r}", row))
    for row in rows("notification"):
        backup.notifications.append(Record(f"{path}: notification {row['id']} {str(row.get('name'))!r}", row))
    for row in rows("monitor_notification"):
        backup.notified.setdefault(int(row["notification_id"]), set()).add(int(row["monitor_id"]))
    names = {row["id"]: str(row.get("name")) for row in rows("tag")}
    for row in rows("monitor_tag"):
        backup.tags.setdefault(int(row["monitor_id"]), []).append((names.get(row["tag_id"], ""), str(row.get("value") or "")))
    for row in rows("docker_host"):
        backup.docker_hosts[int(row["id"])] = Record(f"{path}: docker host {row['id']}", row)
    for row in rows("maintenance"):
        backup.windows.append(Record(f"{path}: maintenance {row['id']} {str(row.get('title'))!r}", row))
    for row in rows("monitor_maintenance"):
        backup.under.setdefault(int(row["maintenance_id"]), set()).add(int(row["monitor_id"]))
    for row in rows("setting"):
        if row.get("key") == "serverTimezone":
            backup.timezone = str(Record("", row).json("value") or "UTC")
        if row.get("key") == "domainExpiryNotifyDays":
            backup.domain_days = _first_day(Record("", row).json("value"))
    return backup


def _guard(database: sqlite3.Connection) -> None:
    """It is a stranger's file: nothing is written, nothing of it runs, and no cell, and no query, is longer than it may be."""
    until = time.monotonic() + SECONDS
    database.row_factory = sqlite3.Row
    database.text_factory = lambda raw: raw.decode("utf-8", "replace")
    database.execute("PRAGMA query_only = 1")
    database.execute("PRAGMA trusted_schema = 0")
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_CELL)
    database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    database.set_progress_handler(lambda: time.monotonic() > until, _INSTRUCTIONS)


def _first_day(days: Any) -> int:
    """The first of the days before its end on which Kuma tells of a domain; 21 where nothing usable is set."""
    usable = [day for day in days if isinstance(day, int) and 0 < day < 3650] if isinstance(days, list) else []
    return max(usable, default=21)


def read_backup(path: Path) -> Backup:
    """Reads a JSON backup. Raises ConfigError for what is none."""
    whole = _json_of(path)
    backup = Backup(path.name, complete=False)
    for row in _mappings(whole, "notificationList"):
        config = row.get("config")
        record = {**row, "id": row.get("id"), "config": config}
        backup.notifications.append(Record(f"{path}: notification {row.get('id')} {str(row.get('name'))!r}", record))
    for row in _mappings(whole, "monitorList"):
        record = {_column(key): value for key, value in row.items()}
        record["accepted_statuscodes_json"] = row.get("accepted_statuscodes")
        number = Record("", record).number("id", -1)
        place = f"{path}: monitor {row.get('id')} {str(row.get('name'))!r}"
        backup.monitors.append(Record(place, record))
        users, tags = row.get("notificationIDList"), row.get("tags")
        for notification in users if isinstance(users, dict) else ():
            if re.fullmatch(r"[0-9]{1,15}", notification):
                backup.notified.setdefault(int(notification), set()).add(int(number))
        for tag in tags if isinstance(tags, list) else ():
            if isinstance(tag, dict):
                backup.tags.setdefault(int(number), []).append((str(tag.get("name")), str(tag.get("value") or "")))
    if len(backup.monitors) > MAX_ROWS:
        raise ConfigError(f"the backup has more than {MAX_ROWS} monitors", path=str(path))
    return backup


def _json_of(path: Path) -> Any:
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_BACKUP + 1)
        if len(raw) > MAX_BACKUP:
            raise ConfigError(f"the backup is larger than {MAX_BACKUP >> 20} MiB", path=str(path))
        # Through bytes once more: half of a pair of surrogates is not text that could be written.
        return json.loads(json.dumps(json.loads(raw.decode("utf-8-sig")), ensure_ascii=False).encode("utf-8", "replace"))
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", path=str(path)) from None
    except RecursionError:
        raise ConfigError("this is not a backup of Uptime Kuma: it is nested too deeply", path=str(path)) from None
    except ValueError as error:
        raise ConfigError(f"this is not JSON: {error}", path=str(path)) from None


def _mappings(whole: Any, key: str) -> list[dict[str, Any]]:
    listed = whole.get(key) if isinstance(whole, dict) else None
    return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []


def _column(key: str) -> str:
    """The database's name of a backup's key: `retryInterval` is `retry_interval`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()
