"""Reading a room's recordings: the files, and the answers over HTTP."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from ..party import Grant
from .audit import Audit
from .cast import NOTE
from .lease import Person
from .recording_thread import off_loop


async def answer(folder: Path, wanted: str, grant: Grant, audit: Audit, *, packed: bool = False) -> Response:
    """To a GET of `/recordings` ("" as `wanted`), `/recordings/ID.cast` and `/recordings/ID.json`. `packed`: whoever asks takes gzip."""
    person = Person.of(grant, "http")
    if not person.may_hold:
        audit.note("recording-refused", person)
        return PlainTextResponse(unreadable(grant), 403)
    if not wanted:
        return JSONResponse({"recordings": await off_loop(lambda: listed(folder))})
    identity, _, kind = wanted.rpartition(".")
    file = path_of(folder, identity)
    if file is None or kind not in ("cast", "json"):
        return PlainTextResponse("there is no such recording: GET /recordings lists them", 404)
    audit.note("recording-read", person, recording=identity)
    if kind == "json":
        return JSONResponse(await off_loop(lambda: described(file)))
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if packed else {})
    cast = await off_loop(lambda: gzip.compress(file.read_bytes(), 5) if packed else file.read_bytes())
    return Response(cast, media_type="application/x-asciicast", headers=headers)


def unreadable(grant: Grant) -> str:
    """Why this grant may not read recordings; "" where it may."""
    person = Person.of(grant, "http")
    if person.may_hold:
        return ""
    return f"reading recordings needs the role operator, peer or moderator; this grant is {person.role or 'none of terminals'}"


def listed(folder: Path) -> list[dict[str, Any]]:
    """What is recorded in a room, the newest first. Reads files: not for the loop."""
    found = [described(file) for file in sorted(folder.glob("*.cast"), key=lambda file: file.stem, reverse=True)]
    return [{name: value for name, value in recording.items() if name != "commands"} for recording in found if recording]


def path_of(folder: Path, identity: str) -> Path | None:
    """The file of a recording; None when there is none of that id."""
    if not identity or not all(character.isalnum() or character == "-" for character in identity):
        return None
    file = folder / f"{identity}.cast"
    return file if file.is_file() else None


def described(file: Path) -> dict[str, Any]:
    """A recording's facts and its commands; empty for a file that is none. Reads the file: not for the loop."""
    facts: dict[str, Any] = {}
    commands: dict[str, dict[str, Any]] = {}
    ends: dict[str, dict[str, Any]] = {}
    elapsed, gaps = 0.0, 0
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        return {}
    for line in text.splitlines():
        try:
            if line.startswith("["):
                end = line.index(",")
                elapsed += float(line[1:end])
                gaps += line.startswith('"m","gap: ', end + 1)
            elif line.startswith(NOTE):
                note = json.loads(line[len(NOTE) :])
                if "begin" in note:
                    facts = {**note["begin"], "exit_code": None, "complete": False}
                elif "start" in note:
                    commands[note["start"]["id"]] = {**note["start"], "exit_code": None, "duration_s": None, "cwd": None}
                elif "end_of" in note:
                    ends[note["end_of"]["id"]] = note["end_of"]
                elif "end" in note:
                    facts |= {"exit_code": note["end"]["exit_code"], "complete": True}
        except (ValueError, KeyError):
            continue  # the last line of a host that was killed
    if not facts:
        return {}
    told = [command | ends.get(identity, {}) for identity, command in commands.items()]
    return {**facts, "duration_s": round(elapsed, 3), "bytes": len(text.encode()), "gaps": gaps, "commands": told}
