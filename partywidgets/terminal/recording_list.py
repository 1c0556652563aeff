"""The recordings of a whole host, without reading them whole: what their first and last lines say."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from .cast import NOTE

HEAD_BYTES, TAIL_BYTES = 16 * 1024, 4 * 1024
"""In which a recording's first and last note stand."""
MOST = 1000
"""Recordings that are listed at once."""
_NOTE = NOTE.encode()


def newest(
    folder: Path, room: str | None = None, most: int = MOST, *, hidden: frozenset[str] = frozenset()
) -> tuple[list[dict[str, Any]], int]:
    """What was recorded below a host's folder, the newest first, and how many older ones there are; `folder` is the room's own where only
    one of them is meant; those of the rooms `hidden` are left out. Reads files: not for the loop."""
    files = sorted(folder.glob("*.cast" if room is not None else "*/*.cast"), key=lambda file: file.stem, reverse=True)
    found = [summary for file in files[:most] if (summary := summarised(file)) and summary.get("room") not in hidden]
    # Their names tell the second alone.
    return sorted(found, key=lambda one: str(one["started_at"]), reverse=True), max(0, len(files) - most)


def summarised(file: Path) -> dict[str, Any]:
    """A recording's facts and how many commands it has; empty for a file that is none, or is gone. Of one that was not ended, which runs or
    whose host was killed, the duration is that until it was written last."""
    try:
        with file.open("rb") as text:
            stat = os.fstat(text.fileno())
            head = text.read(HEAD_BYTES)
            text.seek(max(0, stat.st_size - TAIL_BYTES))
            end = _noted(text.read(TAIL_BYTES), "end")
            begin = _noted(head, "begin")
            if begin is None:
                return {}
            # What is not ended does not say it, nor does what was written before it was counted.
            commands = end.get("commands") if end is not None else None
            if commands is None:
                text.seek(0)
                commands = text.read().count(b"\n" + _NOTE + b'{"start":')
        facts = {**begin, "bytes": stat.st_size, "commands": commands, "complete": end is not None}
        if end is not None:
            return {**facts, "duration_s": end["duration_s"], "exit_code": end["exit_code"], "gaps": end["gaps"]}
        written = stat.st_mtime - datetime.fromisoformat(begin["started_at"]).timestamp()
        return {**facts, "duration_s": round(max(0.0, written), 3), "exit_code": None, "gaps": None}
    except (OSError, KeyError, TypeError, ValueError):
        return {}


def _noted(text: bytes, kind: str) -> dict[str, Any] | None:
    """The last note of a kind."""
    for line in reversed(text.split(b"\n")):
        if line.startswith(_NOTE):
            try:
                note = json.loads(line[len(_NOTE) :])
            except ValueError:
                continue
            if kind in note and isinstance(note[kind], dict):
                return dict(note[kind])
    return None
