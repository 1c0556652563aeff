"""How a viewer is let in: the dialect that it speaks, what there is, then the screen or what it missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from . import cloudflare, protocol
from .lease import Person
from .screen import SCREEN_BYTES
from .viewer import CloudflarePreviewViewer, CloudflareViewer, PlainViewer, RichViewer, Viewer

if TYPE_CHECKING:
    from ..party import Connection
    from .server import TerminalServer

UNOPENED = "nobody who may type has opened this terminal yet"
BY_QUERY: dict[str, type[Viewer]] = {viewer.dialect: viewer for viewer in (CloudflareViewer, CloudflarePreviewViewer)}
"""The dialects that have no subprotocol: `?dialect=` says them."""
RESUME_BYTES = 256 * 1024
"""Whoever missed more than this gets a screen instead."""


def query_of(connection: Connection) -> dict[str, str]:
    """The query of a viewer's address; of a name that is there twice, the last value."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(connection.uri).query).items()}


def number_in(query: dict[str, str], name: str, default: int) -> int:
    """A query's number that is not negative; `default` where it has none."""
    text = query.get(name, "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 20 else default


def viewer_of(connection: Connection, person: Person, dialect: str) -> Viewer | None:
    """The viewer of a connection, by the query's `dialect` and its subprotocol; None for a dialect that nobody knows."""
    if dialect:
        viewer = BY_QUERY.get(dialect)
        return None if viewer is None else viewer(connection, person)
    return RichViewer(connection, person) if connection.subprotocol == protocol.RICH else PlainViewer(connection, person)


class Greeting:
    """Greets the viewers of a room: once when they come, and again when another process has begun."""

    def __init__(self, room: TerminalServer) -> None:
        self._room = room

    def greet(self, viewer: Viewer) -> None:
        """Says what there is, then brings the viewer into sync."""
        room = self._room
        query = query_of(viewer.connection)
        again, viewer.greeted = viewer.greeted, True
        if "scrollback" in query:
            viewer.scrollback = number_in(query, "scrollback", SCREEN_BYTES)
        if "first" in query:
            viewer.first = number_in(query, "first", SCREEN_BYTES)
        room.stream.flush()
        if isinstance(viewer, RichViewer):
            self._rich(viewer, query, again)
        elif isinstance(viewer, CloudflarePreviewViewer):
            self._preview(viewer, None if again else query.get("cursor"))
        else:
            room.stream.show(viewer, "epoch" if again else "joined")
        room.present()

    def _rich(self, viewer: RichViewer, query: dict[str, str], again: bool) -> None:
        room, stream, known = self._room, self._room.stream, query.get("epoch", "")
        offset = number_in(query, "offset", -1)
        resumed = known == stream.epoch != "" and self._can_resume(offset, number_in(query, "missed", RESUME_BYTES))
        taken = None if again else room.returning.taken(viewer.person, query.get("after", ""))
        welcome = self._welcome(viewer, offset if resumed else stream.position, resumed)
        viewer.note(**welcome, socket=viewer.socket, taken=taken)
        if resumed:
            viewer.resumed(offset, stream.ring.read(offset, stream.position))
            viewer.in_sync = True
        else:
            stream.show(viewer, "history" if known == stream.epoch != "" else "epoch" if known or again else "joined")
        if room.upstream.exit is not None:
            viewer.ended(room.upstream.exit, stream.epoch, stream.position)
        if not again:
            self._issue_ticket(viewer)

    def _preview(self, viewer: CloudflarePreviewViewer, cursor: str | None) -> None:
        stream = self._room.stream
        try:
            offset = cloudflare.decode_cursor(cursor, stream.epoch, stream.position) if cursor else 0
        except cloudflare.CursorError as error:
            viewer.refuse(str(error))
            viewer.connection.close(1011, str(error))
            return
        viewer.greet(cursor)
        if offset and self._can_resume(offset):
            viewer.resumed_after(stream.epoch, offset, stream.ring.read(offset, stream.position))
            viewer.in_sync = True
            self._room.tell_state(viewer)
        else:
            stream.show(viewer, "history" if offset else "joined")

    def _can_resume(self, offset: int, most: int = RESUME_BYTES) -> bool:
        """`most`: bytes that a viewer would have in place of a screen, which over a slow line is there sooner."""
        stream = self._room.stream
        return stream.ring.holds(offset) and stream.position - min(most, RESUME_BYTES) <= offset <= stream.position

    def _welcome(self, viewer: Viewer, offset: int, resumed: bool) -> dict[str, Any]:
        room, stream, upstream = self._room, self._room.stream, self._room.upstream
        idle, can_type = upstream.state == "idle", room.control.lease.can_type(viewer.person)
        return {
            "type": "welcome",
            "epoch": stream.epoch,
            "offset": offset,
            "resumed": resumed,
            "connection": viewer.person.connection,
            "role": viewer.person.role,
            "can_type": can_type,
            "size": {"cols": stream.cols, "rows": stream.rows, "by": room.sizing.by},
            "state": "starting" if idle else upstream.state,
            "reason": UNOPENED if idle else upstream.reason,
            "sandbox": upstream.sandbox_id,
            "lease": {**room.control.facts(), "can_type": can_type},
            "screen": "exact" if stream.screen.exact else "raw",
            "host_id": room.settings.host_id,
        }

    def _issue_ticket(self, viewer: Viewer) -> None:
        room = self._room
        if room.settings.issue_ticket is not None:
            viewer.ticket, expires_in = room.settings.issue_ticket(viewer.connection.grant, room.party, room.name)
            viewer.note(type="ticket", ticket=viewer.ticket, expires_in=expires_in)
