"""Occupants: the connections of one room, from their way in to the end of their on_close."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..exceptions import ConnectionIdTakenError
from .connection import Connection
from .grant import Grant

if TYPE_CHECKING:
    from .fanout import Fanout


class Occupants:
    """Who is in a room, by identity and by id. Several connections of one subject may share an id, which nobody else gets meanwhile.

    Listed are the members of the `fanout`, in the order of their coming. `count(subject, difference)` is told who comes and goes.
    """

    def __init__(self, fanout: Fanout, count: Callable[[str, int], None]) -> None:
        self.present: dict[Connection, None] = {}
        """Connections whose on_close has not run yet; some of them are not listed any more."""
        self._fanout = fanout
        self._count = count
        self._by_id: dict[str, tuple[Connection, ...]] = {}

    def check_id(self, id: str, grant: Grant) -> None:
        """Raises ConnectionIdTakenError when another subject has the id."""
        for other in self._by_id.get(id, ()):
            if other.grant.subject != grant.subject:
                raise ConnectionIdTakenError(f"the connection id {id!r:.80} is in use by somebody else: leave _pk out or choose another")

    def join(self, connection: Connection) -> None:
        """Lists a connection, which gets broadcasts from now on."""
        self.present[connection] = None
        self._count(connection.grant.subject, 1)
        self._by_id[connection.id] = (*self._by_id.get(connection.id, ()), connection)
        self._fanout.add(connection)

    def leave(self, connection: Connection) -> None:
        """Out of the lists and the broadcasts; what is queued for it is written first."""
        self._fanout.remove(connection)
        same = tuple(other for other in self._by_id.get(connection.id, ()) if other is not connection)
        if same:
            self._by_id[connection.id] = same
        else:
            self._by_id.pop(connection.id, None)

    def forget(self, connection: Connection) -> None:
        """Its on_close has run, or there will be none."""
        if connection in self.present:
            del self.present[connection]
            self._count(connection.grant.subject, -1)

    def newest(self, id: str) -> Connection | None:
        """Who came last of those with that id."""
        same = self._by_id.get(id)
        return same[-1] if same else None

    def named(self, ids: Iterable[str]) -> list[Connection]:
        """All with one of these ids."""
        return [connection for id in ids for connection in self._by_id.get(id, ())]

    def listed(self, tag: str | None = None) -> list[Connection]:
        """Those who are OPEN, all or with `tag`. A copy."""
        members: list[Any] = list(self._fanout.members)
        return members if tag is None else [connection for connection in members if tag in connection.tags]


__all__ = ["Occupants"]
