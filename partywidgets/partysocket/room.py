"""PartySocket: a reconnecting socket to a room by host, party and room."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import PartyError
from .address import QueryValue, encode_query, http_url, party_path, root_url
from .close_event import CloseEvent
from .fetch import FetchResponse, fetch_url
from .provided import Provided, provided
from .reconnecting import ReconnectingWebSocket
from .resume import Count

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

logger = logging.getLogger(__name__)


class PartySocket(ReconnectingWebSocket):
    """A socket to a room: `async with PartySocket(host="127.0.0.1:8787", party="chat", room="lobby") as socket:`.

    `host` may have a scheme, which is kept, and a base path (`http://host:8888/user/x/partywidgets`); without a scheme see `root_url`.
    The URL is `<host>/<prefix>/<party>/<room>[/<path>]?_pk=<id>&<query>`; `base_path` replaces prefix, party and room.
    `id` is by default a random UUID; it stays over reconnects. `query` is a mapping, or a plain or async function that is called before
    every attempt (for a fresh ticket, say). Everything else is ReconnectingWebSocket's.

    With `resume=True` it counts the broadcasts of a room that logs them (`Server.resumable`): after a lost connection it gets all that it
    missed, or `on_resumed(False)` says that something may be missing. A room that does not log them is an ordinary one.
    """

    def __init__(
        self,
        *,
        host: str,
        room: str | None = None,
        party: str = "main",
        prefix: str = "parties",
        base_path: str | None = None,
        path: str | None = None,
        id: str | None = None,
        protocol: str | None = None,
        query: Provided[Mapping[str, QueryValue] | None] = None,
        protocols: Provided[str | Sequence[str] | None] = None,
        resume: bool = False,
        on_resumed: Callable[[bool], Any] | None = None,
        **options: Any,
    ) -> None:
        self.id = id or str(uuid.uuid4())
        self.host, self.room, self.party, self.prefix = host, room, party, prefix
        self.base_path, self.path, self.scheme, self.query = base_path, path, protocol, query
        self.on_resumed = on_resumed
        self._count = Count() if resume else None
        self._connected_before = self._again = False
        _ = self.room_url  # what cannot work later raises now
        super().__init__(self._next_url, protocols, **options)

    async def __aenter__(self) -> PartySocket:
        await super().__aenter__()
        return self

    @property
    def name(self) -> str:
        """The party's name, as in the npm client."""
        return self.party

    @property
    def room_url(self) -> str:
        """The room's URL without a query."""
        root = root_url(self.host, protocol=self.scheme)
        return root + party_path(party=self.party, room=self.room, prefix=self.prefix, base_path=self.base_path, path=self.path)

    async def _next_url(self) -> str:
        query = await provided(self.query) or {}
        count = self._count.query() if self._count is not None else {}
        return f"{self.room_url}?{encode_query({'_pk': self.id}, query, count)}"

    @property
    def resumed(self) -> bool | None:
        """With `resume=True`: whether the present connection missed nothing since the one before; None in a room that does not log."""
        return None if self._count is None else self._count.recovered

    async def _converse(self, socket: ClientConnection) -> CloseEvent:
        # Also when it is cut before the room says where it is: somebody may have loaded the room by then.
        self._again, self._connected_before = self._connected_before, True
        return await super()._converse(socket)

    async def _taken(self, frame: str | bytes) -> str | bytes | None:
        count = self._count
        if count is None:
            return frame
        before = count.recovered
        try:
            message = count.take(frame)
        except ValueError as error:
            logger.error("%s: %s", self.label, error)
            self.reconnect(4000, "a control frame could not be read")
            return None
        if before is None and count.recovered is not None and self._again:
            await self._call(self.on_resumed, count.recovered)
        if count.lost:
            logger.warning("%s: a broadcast never came, connecting anew", self.label)
            self.reconnect(4000, "a broadcast never came")
        return message

    @property
    def label(self) -> str:
        return self.base_path if self.base_path is not None else f"{self.party}/{self.room}"

    def update_properties(self, **changes: Any) -> None:
        """Changes options of the constructor, all but `start_closed` and `resume`, for the next attempt (`reconnect()` makes one now).

        What is not given stays, the id included. Raises TypeError for another name, and what the constructor raises, with nothing changed.
        """
        places = self._places()
        if unknown := sorted(changes.keys() - places.keys()):
            raise TypeError(f"update_properties got {', '.join(unknown)}: it takes {', '.join(places)}")
        before = {name: getattr(*places[name]) for name in changes}
        try:
            for name, value in changes.items():
                setattr(*places[name], value)
            _ = self.room_url
        except (ValueError, PartyError):
            for name, value in before.items():
                setattr(*places[name], value)
            raise

    def _places(self) -> dict[str, tuple[object, str]]:
        own = ("host", "room", "party", "prefix", "base_path", "path", "id", "query", "on_resumed")
        return {name: (self, name) for name in own} | {"protocol": (self, "scheme")} | super()._places()

    @staticmethod
    async def fetch(
        *,
        host: str,
        room: str | None = None,
        party: str = "main",
        prefix: str = "parties",
        base_path: str | None = None,
        path: str | None = None,
        protocol: str | None = None,
        query: Provided[Mapping[str, QueryValue] | None] = None,
        method: str = "GET",
        **options: Any,
    ) -> FetchResponse:
        """An HTTP request to a room, by the same rules for its URL, without `_pk`. `options` are those of `fetch_url`."""
        root = http_url(root_url(host, protocol=protocol))
        url = root + party_path(party=party, room=room, prefix=prefix, base_path=base_path, path=path)
        encoded = encode_query(await provided(query) or {})
        return await fetch_url(method, f"{url}?{encoded}" if encoded else url, **options)
