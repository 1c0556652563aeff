"""A terminal's recording, as it was read from its room."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..exceptions import HostError, RefusedError
from ..partysocket import Provided
from ..partysocket.fetch import FetchResponse, fetch_url
from .patience import SILENCE

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class Recording:
    """`cast` is asciicast v3 text; `facts` is the room's JSON about it, its commands included (docs/topics/recording.md)."""

    cast: str
    facts: Mapping[str, Any]

    @property
    def commands(self) -> DataFrame:
        """Its commands: `time` is in seconds from its start, `exit_code` nullable."""
        import pandas as pd

        columns = ["time", "command", "actor", "exit_code", "duration_s", "cwd", "offset", "id"]
        frame = pd.DataFrame(list(self.facts["commands"]), columns=columns)
        frame["exit_code"] = frame["exit_code"].astype("Int64")
        return frame

    def save(self, path: str | Path) -> Path:
        """Writes the asciicast to a file that only its owner reads, and returns its path."""
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(target, "w", encoding="utf-8", newline="") as file:
            file.write(self.cast)
        return Path(path)

    def __repr__(self) -> str:
        return f"Recording({self.facts['id']}: {self.facts['duration_s']:g} s, {len(self.facts['commands'])} commands)"


def recordings_frame(recordings: Iterable[Mapping[str, Any]]) -> DataFrame:
    """A host's list of recordings, the newest first: times are in UTC, `ended_at` is missing and `complete` False for one that runs, or
    whose host was killed; its `duration_s` is then that until it was written last."""
    import pandas as pd

    columns = ["id", "room", "sandbox", "started_at", "ended_at", "duration_s", "commands", "bytes", "exit_code", "complete", "gaps"]
    frame = pd.DataFrame(list(recordings), columns=columns)
    frame["started_at"] = pd.to_datetime(frame["started_at"], utc=True, format="ISO8601")
    frame["duration_s"] = frame["duration_s"].astype("float64")
    frame["complete"] = frame["complete"].astype(bool)
    frame["ended_at"] = (frame["started_at"] + pd.to_timedelta(frame["duration_s"], unit="s")).where(frame["complete"])
    for count in ("commands", "bytes", "exit_code", "gaps"):
        frame[count] = frame[count].astype("Int64")
    return frame


LONG = 900.0
"""Seconds that a recording may take: one of 16 MiB over a line of 160 kbit/s, where it does not come packed."""


class Recordings:
    """A room's recordings over HTTP. Raises RefusedError without the role for them, HostError when no answer came."""

    def __init__(self, url: str, party: str, room: str, token: Provided[str | None]) -> None:
        self._url = f"{url.rstrip('/')}/parties/{quote(party, safe='')}/{quote(room, safe='')}/recordings"
        self._token = token

    async def list(self) -> list[dict[str, Any]]:
        """The newest first."""
        return list((await self._get("")).json()["recordings"])

    async def read(self, identity: str | None) -> Recording:
        """The one of that id, or the newest."""
        if identity is None:
            known = await self.list()
            if not known:
                raise HostError("nothing was recorded in this room: see `recording:` in the host's config")
            identity = str(known[0]["id"])
        cast = await self._get(f"/{quote(identity, safe='')}.cast")
        return Recording(cast.text, (await self._get(f"/{quote(identity, safe='')}.json")).json())

    async def _get(self, path: str) -> FetchResponse:
        answer = await fetch_url("GET", self._url + path, token=self._token, timeout=LONG, silence=SILENCE)
        if not answer.ok:
            raise (RefusedError if answer.status in (401, 403) else HostError)(answer.text[:300] or f"the host answered {answer.status}")
        return answer
