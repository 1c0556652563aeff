"""PartyHost: the rooms of one process, each started once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from .grant import Grant
from .server import Environment, Server
from .wire import Receiver, Wire

Accept = Callable[[Receiver], Wire]
"""Sends the 101 (or its like) and returns the open wire. Called at most once per connect, on the room loop."""


class PartyHost:
    """Instances by (party, room). An async context manager; everything in it belongs to the loop that entered it.

    `parties` maps names (made kebab-case; a collision raises ConfigError) to Server classes.
    `storage` is a directory; None takes `$PARTYWIDGETS_HOME`, else the user's state directory. A directory that another host holds is not shared: this host takes one of its own.
    `hibernate_after` is in seconds of idleness. `connect_timeout` (seconds) bounds on_connect, `start_timeout` on_start.
    """

    host_id: str

    def __init__(
        self,
        parties: Mapping[str, type[Server]],
        *,
        storage: Path | str | None = None,
        env: Environment | None = None,
        hibernate_after: float = 10.0,
        start_timeout: float = 30.0,
        connect_timeout: float = 10.0,
        max_rooms: int = 10_000,
    ) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> PartyHost:
        raise NotImplementedError

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Closes every connection with 1012, stops every room; ends within 5 s."""
        raise NotImplementedError

    def server_class(self, party: str) -> type[Server] | None:
        """The class registered under a kebab-case party."""
        raise NotImplementedError

    def rooms(self, party: str) -> list[str]:
        """Names of the rooms of a party that are live or hibernating here."""
        raise NotImplementedError

    def connection_count(self) -> int:
        """Open sockets over all rooms."""
        raise NotImplementedError

    async def get_server_by_name(self, party: str, room: str, *, props: Any = None) -> Server:
        """The room's live instance, on_start finished. Raises UnknownPartyError, RoomNameError, or what on_start raised."""
        raise NotImplementedError

    async def connect(
        self,
        party: str,
        room: str,
        *,
        request: HTTPConnection,
        grant: Grant,
        accept: Accept,
        connection_id: str | None = None,
        subprotocol: str | None = None,
        props: Any = None,
    ) -> None:
        """Takes one socket into a room: start, tags, on_connect, then `accept`. Returns when the socket is open or was ended with the error frame; the socket lives on.

        Raises UnknownPartyError, RoomNameError and ConnectionIdError before `accept`, so that the transport can answer with an HTTP status.
        """
        raise NotImplementedError

    async def request(self, party: str, room: str, *, request: Request, grant: Grant, props: Any = None) -> Response:
        """The room's answer to an HTTP request; an unhandled error is a 500 with a fixed text and an id found in the log."""
        raise NotImplementedError

    def revoke(self, grant_id: str) -> int:
        """Closes every connection that stands on this grant with 4401, also in hibernating rooms; returns how many."""
        raise NotImplementedError
