"""Recording: a terminal's recording in a cell, with a seek bar and its commands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Never
from urllib.parse import quote

from ..client.handle import Handle
from ..client.recording import recordings_frame
from ..exceptions import KeywordError, PartyError
from ..host_http import fetch
from ..party.routing import check_room_name
from ..runtime import HostAddress, Runtime, runtime
from ..saved_notebook import never_kept
from ..spelling import says_arguments
from ._base import PartyWidget, refuse_unknown

if TYPE_CHECKING:
    from pandas import DataFrame


@says_arguments
def recordings(room: str | None = None) -> Handle[DataFrame]:
    """What was recorded in the terminals of this notebook's host, or in one room, as a DataFrame, the newest first:
    `await pw.recordings()`; `pw.Recording(room, id=id)` plays one.

    At most the newest 1,000. Awaiting raises RefusedError without a role that may type, HostError when no host can be reached.
    """
    if room is not None:
        check_room_name(room)
    own = runtime()
    return list_recordings(own, own.address, room)


def list_recordings(own: Runtime, address: HostAddress, room: str | None) -> Handle[DataFrame]:
    """A host's recordings, or those of one of its rooms."""
    path = "api/terminals/recordings" if room is None else f"api/terminals/recordings?room={quote(room, safe='')}"

    async def work() -> DataFrame:
        return recordings_frame((await own.request(address, "GET", path))["recordings"])

    return Handle(own.thread.submit(work()), f"recordings {room or ''}".strip(), loop=own.thread.loop)


class Recording(PartyWidget):
    """Plays a recording of a terminal room: `Recording("worker-123")` the newest, `Recording("worker-123", id="…")` that one of
    `pw.recordings()`.

    `idle_time_limit` is in seconds: longer pauses are played as that long. The recording is not saved with the notebook; the page asks
    the kernel for it, and the kernel its host, which answers whoever may type in the room. Raises KeywordError for what it cannot play.
    """

    bundle: ClassVar[str] = "recording.js"
    party: ClassVar[str] = "terminal-server"

    def __init__(
        self, room: str = "main", *, id: str | None = None, idle_time_limit: float = 2.0, layout: Any = None, **unknown: Never
    ) -> None:
        refuse_unknown("Recording", unknown, ["room", "id", "idle_time_limit", "layout"])
        if id is not None and not isinstance(id, str):
            raise KeywordError(f"Recording(id={id!r}): it takes an id of `await pw.recordings()`")
        if isinstance(idle_time_limit, bool) or not isinstance(idle_time_limit, (int, float)) or not idle_time_limit > 0:
            raise KeywordError(f"Recording(idle_time_limit={idle_time_limit!r}): it takes seconds above 0")
        self._recording_id = id
        super().__init__(room, options={"idle_time_limit": float(idle_time_limit)}, layout=layout)

    def __repr__(self) -> str:
        return (
            f"Recording(room={self.room!r})" if self._recording_id is None else f"Recording(room={self.room!r}, id={self._recording_id!r})"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        found = super()._repr_mimebundle_(**kwargs)
        if found is not None:
            found[0]["text/html"] = never_kept(repr(self))
        return found

    async def _push_ticket(self) -> None:
        """The page opens no socket."""

    async def _answer(self, message: dict[str, Any]) -> None:
        if message.get("op") != "recording":
            return await super()._answer(message)
        self._tell_page(*await recording_answer(self._runtime, self._address, self.room, self._recording_id, message))


async def recording_answer(
    runtime: Runtime, address: HostAddress, room: str, identity: str | None, message: dict[str, Any]
) -> tuple[dict[str, Any], list[bytes]]:
    """What a page is told that asked for a recording: its description with the text as a buffer, or a sentence. None is the newest."""
    reply: dict[str, Any] = {"op": "recording", "id": message["id"]}
    place = f"parties/terminal-server/{quote(room, safe='')}/recordings"
    try:
        if identity is None:
            listed = (await runtime.request(address, "GET", place))["recordings"]
            if not listed:
                return {**reply, "error": f"nothing of the terminal {room} has been recorded yet"}, []
            identity = str(listed[0]["id"])
        path = f"{place}/{quote(identity, safe='')}"
        described = await runtime.request(address, "GET", f"{path}.json")
        cast = await asyncio.to_thread(fetch, f"{address.url}{path}.cast", token=address.secret or None, timeout=20.0)
    except PartyError as error:
        return {**reply, "error": str(error)}, []
    return {**reply, "recording": described}, [cast]
