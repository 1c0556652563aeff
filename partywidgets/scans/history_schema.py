"""The tables of the ops history, and how a file of an older version becomes one of this."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from ..exceptions import SchemaError
from . import looks, rollup

SCHEMA_VERSION = 10
"""2 added `rollups`, 3 figures by the minute and the day, events, and what targets were told. 4: `latest` names results instead of holding
their text twice more, and what figures are made of stands in an index.
5: the results of one check are found by `looks`. 6: the changes and remedies of one row, and the last scan, are found by an index.
7: when a target was told. 8: when jobs with a heartbeat were heard, and which incident a target was told of.
9: what registries said of domains. 10: whether a target's last message is known to have arrived, and what it has still to hear of rows
that are gone.
An older file is brought up when opened."""

_log = logging.getLogger("partywidgets.scans.history")

TABLES = """
CREATE TABLE scans (
  scan_id TEXT PRIMARY KEY, trigger TEXT NOT NULL, actor TEXT, started_at REAL NOT NULL, finished_at REAL,
  state TEXT NOT NULL, total INTEGER NOT NULL, counts TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX scans_started ON scans (started_at);
CREATE TABLE results (
  seq INTEGER PRIMARY KEY, scan_id TEXT NOT NULL, result_id TEXT NOT NULL, fingerprint TEXT NOT NULL, check_id TEXT NOT NULL,
  check_type TEXT NOT NULL,
  target TEXT NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL, severity TEXT NOT NULL, phase TEXT NOT NULL, change TEXT NOT NULL,
  observed_at REAL NOT NULL, duration_ms REAL NOT NULL, summary TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX results_scan ON results (scan_id);
CREATE TABLE changes (
  seq INTEGER NOT NULL, fingerprint TEXT NOT NULL, check_id TEXT NOT NULL, title TEXT NOT NULL, from_status TEXT, to_status TEXT NOT NULL,
  severity TEXT NOT NULL, phase TEXT NOT NULL, at REAL NOT NULL, summary TEXT NOT NULL, scan_id TEXT NOT NULL
);
CREATE INDEX changes_at ON changes (at);
CREATE TABLE acks (fingerprint TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE silences (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
"""

# A result's text stands in `results` alone, while that is kept. `body`, `last_success` and `last_failure` hold it where the result has
# gone, or has another suppression by now.
LATEST = """
CREATE TABLE latest (
  fingerprint TEXT PRIMARY KEY, seq INTEGER NOT NULL, check_id TEXT NOT NULL, owner TEXT NOT NULL, hard TEXT, flips TEXT NOT NULL,
  body TEXT, success_seq INTEGER, failure_seq INTEGER, last_success TEXT, last_failure TEXT
) WITHOUT ROWID;
CREATE INDEX results_observed ON results (observed_at, fingerprint, check_id, status, duration_ms);
"""

_TO_VERSION_4 = f"""
ALTER TABLE latest RENAME TO older;
DROP INDEX IF EXISTS results_observed;
{LATEST}
INSERT INTO latest SELECT fingerprint, seq, check_id, owner, hard, flips, body, NULL, NULL, last_success, last_failure FROM older;
DROP TABLE older;
"""

_TO_VERSION_5 = f"""
DROP INDEX IF EXISTS results_check;
{looks.TABLES}
"""

_TO_VERSION_6 = """
CREATE INDEX changes_row ON changes (fingerprint, at);
CREATE INDEX changes_check ON changes (check_id, at);
CREATE INDEX scans_last ON scans (trigger IN ('interval', 'recheck'), finished_at DESC) WHERE state = 'finished';
CREATE INDEX scans_running ON scans (state) WHERE state = 'running';
CREATE TABLE IF NOT EXISTS proofs (id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX proofs_row ON proofs (fingerprint, at);
CREATE INDEX proofs_at ON proofs (at);
"""

# What was told by an older version counts as told now: else everybody would be reminded at once.
_TO_VERSION_7 = """
ALTER TABLE notified ADD COLUMN at REAL NOT NULL DEFAULT 0;
UPDATE notified SET at = CAST(strftime('%s', 'now') AS REAL);
"""

_TO_VERSION_8 = """
CREATE TABLE beats (fingerprint TEXT PRIMARY KEY, since REAL NOT NULL, last REAL, count INTEGER NOT NULL) WITHOUT ROWID;
ALTER TABLE notified ADD COLUMN incident TEXT NOT NULL DEFAULT '';
"""

_TO_VERSION_9 = """
CREATE TABLE registrations (domain TEXT NOT NULL, server TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL, PRIMARY KEY (domain, server))
WITHOUT ROWID;
"""

_TO_VERSION_10 = """
ALTER TABLE notified ADD COLUMN sure INTEGER NOT NULL DEFAULT 1;
ALTER TABLE notified ADD COLUMN gone TEXT;
"""

_OF_VERSION_3 = """
CREATE TABLE IF NOT EXISTS events (at REAL NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_at ON events (at);
CREATE TABLE IF NOT EXISTS notified (
  target TEXT NOT NULL, fingerprint TEXT NOT NULL, status TEXT NOT NULL, PRIMARY KEY (target, fingerprint)
) WITHOUT ROWID;
"""


def prepare(database: sqlite3.Connection, path: Path | None) -> None:
    """Makes the tables of a new file, or brings those of an older version up, all or nothing.

    Raises SchemaError, and changes nothing, for a file of a version that is not known.
    """
    version = database.execute("PRAGMA user_version").fetchone()[0]
    empty = not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not empty and not 1 <= version <= SCHEMA_VERSION:
        raise SchemaError(
            f"{path} has schema version {version} and this partywidgets knows version {SCHEMA_VERSION}: "
            "use the version that wrote it, or move the file away to begin a new history"
        )
    database.execute("PRAGMA journal_mode = WAL")
    if version == SCHEMA_VERSION:
        return
    tables = TABLES + LATEST if empty else _TO_VERSION_4 if version < 4 else ""
    tables += (_TO_VERSION_5 if empty or version < 5 else "") + (_TO_VERSION_6 if empty or version < 6 else "")
    # Some files of version 1 have the table of version 2 already.
    tables += f"{rollup.TABLES} {_OF_VERSION_3}"
    tables += (_TO_VERSION_7 if empty or version < 7 else "") + (_TO_VERSION_8 if empty or version < 8 else "")
    tables += (_TO_VERSION_9 if empty or version < 9 else "") + _TO_VERSION_10
    database.executescript(f"BEGIN IMMEDIATE; {tables} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    if not empty:
        _log.info("ops history %s: schema version %d became %d", path, version, SCHEMA_VERSION)
