"""What a type checker knows of a room, which mypy reads here, and of rooms that are asked for by their class."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict, assert_type

import pytest

import partywidgets as pw
from partywidgets.exceptions import UnknownPartyError
from partywidgets.party import ConnectionContext, Server

from .serving import received, running


class Cursor(TypedDict):
    x: int
    y: int


class Board(pw.Server[Cursor]):
    """Its connections' state is a Cursor."""

    hibernate = True

    def on_connect(self, connection: pw.Connection[Cursor], ctx: ConnectionContext) -> None:
        assert_type(connection.state, Cursor | None)
        assert_type(connection.set_state({"x": 1, "y": 2}), Cursor)

    async def on_message(self, connection: pw.Connection[Cursor], message: str | bytes) -> None:
        moved = connection.set_state(lambda old: {"x": old["x"] + 1 if old is not None else 0, "y": 0})
        assert_type(moved, Cursor)
        for one in self.get_connections():
            assert_type(one, pw.Connection[Cursor])
            one.send(str(moved["x"]))
        assert_type(self.get_connection(connection.id), pw.Connection[Cursor] | None)

    def on_close(self, connection: pw.Connection[Cursor], code: int, reason: str, was_clean: bool) -> None:
        connection.set_state(None)

    def size(self) -> int:
        return len(self.get_connections())


class Untyped(pw.Server):
    """Says nothing of its state."""

    def on_connect(self, connection: pw.Connection, ctx: ConnectionContext) -> None:
        assert_type(connection.set_state({"anything": 1}), Any)
        assert_type(connection.state, Any | None)


class Caller(pw.Server):
    """Asks another room."""

    async def on_message(self, connection: pw.Connection, message: str | bytes) -> None:
        board = await self.get_server_by_name(Board, str(message))
        connection.send(f"{board.name} has {board.size()}")


async def test_a_state_of_a_type(tmp_path: Path) -> None:
    """A class with a type parameter runs as any other."""
    async with running(Board, tmp_path) as run, run.connect(id="me") as socket:
        await socket.send("move")
        assert await received(socket) == "2"


async def test_rooms_by_their_class(tmp_path: Path) -> None:
    """A room gets another by its class and calls its methods; a class of no party, or of two, is refused with the names there are."""
    async with pw.PartyHost({"board": Board, "caller": Caller, "a": Untyped, "b": Untyped}, storage=tmp_path) as host:
        board = await host.get_server_by_name(Board, "wall")
        assert_type(board, Board)
        assert board is await host.get_server_by_name("board", "wall")
        assert_type(await host.get_server_by_name("board", "wall"), Server)
        caller = await host.get_server_by_name(Caller, "x")
        assert (await caller.get_server_by_name(Board, "wall")).size() == 0
        with pytest.raises(UnknownPartyError, match="Untyped is the class of several parties: a, b here: name one"):
            await host.get_server_by_name(Untyped, "x")
        with pytest.raises(UnknownPartyError, match="Server is the class of no party here: name one, this host has a, b, board, caller"):
            await host.get_server_by_name(Server, "x")
