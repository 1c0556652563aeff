"""URLs to rooms: pure functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from partywidgets.exceptions import ConfigError, RoomNameError
from partywidgets.party import Alias, Connection, PartyHost, Server
from partywidgets.party.routing import Target, check_room_name, kebab, match, room_name


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("Chat", "chat"),
        ("MyRoom", "my-room"),
        ("MY_ROOM", "my-room"),
        ("PROBE_MEM", "probe-mem"),
        ("HTTPServer", "h-t-t-p-server"),
        ("MyURL2", "my-u-r-l2"),
        ("_leading", "-leading"),
        ("_LeadingUpper", "--leading-upper"),
        ("MIXED_Case", "m-i-x-e-d--case"),
        ("double__under", "double--under"),
        ("Trailing_", "trailing"),
        ("X", "x"),
        ("terminal-server", "terminal-server"),
    ],
)
def test_kebab(name: str, url: str) -> None:
    """PartyServer's table of names, as observed."""
    assert kebab(name) == url


def test_colliding_parties_are_refused() -> None:
    """Two keys with one URL name: the original lets the later win without a word."""
    with pytest.raises(ConfigError, match="my-room"):
        PartyHost({"MyRoom": Server, "MY_ROOM": Server})


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/parties/chat/lobby", Target("chat", "lobby", "")),
        ("//parties///chat////lobby//", Target("chat", "lobby", "")),
        ("/parties/chat/lobby/a/b%20c", Target("chat", "lobby", "a/b%20c")),
        ("/parties/chat/a%20b", Target("chat", "a b", "")),
        ("/parties/chat/a+b", Target("chat", "a+b", "")),
        ("/parties/chat/%E6%97%A5", Target("chat", "日", "")),
        ("/parties/chat/...", Target("chat", "...", "")),
        ("/parties/Chat/x", Target("Chat", "x", "")),
        ("/parties/chat", None),
        ("/parties/chat/", None),
        ("/Parties/chat/x", None),
        ("/p%61rties/chat/x", None),
        ("/x/../parties/chat/lobby", None),
        ("/", None),
    ],
)
def test_match(path: str, target: Target | None) -> None:
    """Empty segments do not count; the rest is kept; the prefix and party are taken as they stand."""
    assert match(path) == target


@pytest.mark.parametrize(
    "segment", ["..", ".", "%2e%2e", "%2E", "a%2fb", "a%2Fb", "a\\b", "a%5cb", "a%00b", "a%0ab", "%c2%85", "%ff", "x" * 513]
)
def test_bad_names(segment: str) -> None:
    """Each is one sentence, and never the name of a room."""
    with pytest.raises(RoomNameError) as refused:
        match(f"/parties/chat/{segment}")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_name_that_has_no_bytes_in_utf8() -> None:
    """Half of a surrogate pair, as JSON or a cell may hold: one sentence, not an error of the file's name later."""
    with pytest.raises(RoomNameError, match="lone surrogate"):
        check_room_name("a\ud800b")


def test_prefixes() -> None:
    """A prefix may have several segments and stray slashes."""
    assert match("/a/b/chat/x", prefix="a/b") == Target("chat", "x", "")
    assert match("/a/b/chat/x", prefix="/a/b/") == Target("chat", "x", "")
    assert match("/parties/chat/x", prefix="a/b") is None


def test_aliases() -> None:
    """A pattern with {room}, one with a fixed room, one with a tail."""
    aliases = (
        Alias("/api/workers/{room}/terminal", "terminal-server"),
        Alias("/api/ops/broadcast", "ops", room="main"),
        Alias("/api/ops/scans", "ops", room="main"),
        Alias("/api/ops/scans/{rest:path}", "ops", room="main"),
    )
    assert match("/api/workers/w%201/terminal", aliases=aliases) == Target("terminal-server", "w 1", "")
    assert match("/api/workers/terminal", aliases=aliases) is None
    assert match("/api/workers/w/terminal/x", aliases=aliases) is None
    assert match("/api/ops/broadcast", aliases=aliases) == Target("ops", "main", "")
    assert match("/api/ops/scans/latest/x", aliases=aliases) == Target("ops", "main", "latest/x")
    assert match("/api/ops/scans", aliases=aliases) == Target("ops", "main", "")
    with pytest.raises(RoomNameError):
        match("/api/workers/../terminal", aliases=aliases)
    for pattern, room in (("/x", None), ("/{room}", "fixed")):
        with pytest.raises(ConfigError):
            Alias(pattern, "ops", room)


@given(st.text(max_size=40))
def test_any_segment_is_a_name_or_refused(segment: str) -> None:
    """No text whatever becomes a name with a slash, a backslash, a control character or a dot segment."""
    try:
        name = room_name(segment)
    except RoomNameError:
        return
    assert name not in ("", ".", "..")
    assert not set(name) & set("/\\\x00\n\r")


class Hasty(Server):
    """Asks for less than it is told."""

    def on_close(self, connection: Connection) -> None:  # type: ignore[override]
        """Never called."""


class Loose(Server):
    """Takes its hooks' arguments in other ways, all of which work."""

    options: ClassVar[dict[str, int]] = {"history": 3}

    def on_start(self, *anything: Any) -> None: ...

    async def fetch(self, url: str) -> bytes:  # its own affair
        return url.encode()

    async def on_message(self, who: Connection, said: str | bytes, again: bool = False) -> None: ...

    @staticmethod
    def on_request(request: Request) -> Response:
        return Response()


class Swapped(Server):
    """As `partykit/server` has it."""

    def on_message(self, message: Any, sender: Any) -> None: ...  # type: ignore[override]


class Fronted(Server):
    """As PartyServer's README has it, "to add request handling before any lifecycle methods are called"."""

    async def fetch(self, request: Request) -> Response:
        return Response(status_code=401)


def test_hooks_may_be_written_in_any_way_that_can_be_called(tmp_path: Path) -> None:
    """Other names, defaults, `*args`, and an attribute `options` of one's own."""
    assert PartyHost({"loose": Loose}, storage=tmp_path).parties == ["loose"]


@pytest.mark.parametrize(
    ("parties", "sentence"),
    [
        ({"chat": Server()}, "needs a class that is derived from Server"),
        ({"chat": "Chat"}, "needs a class that is derived from Server, got 'Chat'"),
        ({"chat": dict}, "needs a class that is derived from Server"),
        ([Server], "takes a mapping of names to Server classes, got list"),
        ({"a b/c": Server}, "cannot stand in a URL as it is"),
        ({"gespräch": Server}, "cannot stand in a URL as it is"),
        ({"chat": type("Chat", (Server,), {"onMessage": print})}, "Chat.onMessage would never be called: it is on_message here"),
        ({"chat": type("Chat", (Server,), {"getConnectionTags": print})}, "it is get_connection_tags here"),
        (
            {"chat": type("Chat", (Server,), {"options": {"hibernate": True}})},
            "Chat.options says nothing here: write hibernate = True",
        ),
        (
            {"chat": type("Chat", (Server,), {"subprotocols": "chat.v1"})},
            r"Chat.subprotocols is a tuple of names: write subprotocols = \('chat.v1',\)",
        ),
        (
            {"chat": type("Chat", (Server,), {"on_before_connect": staticmethod(print)})},
            "Chat.on_before_connect would never be called: pass",
        ),
        ({"chat": type("Chat", (Server,), {"onBeforeRequest": staticmethod(print)})}, "Chat.onBeforeRequest would never be called: pass"),
        ({"chat": type("Chat", (Server,), {"on_fetch": staticmethod(print)})}, "Chat.on_fetch would never be called: what is no room's"),
        ({"chat": Fronted}, "Fronted.fetch would never be called: give what stands in front of the rooms as"),
        ({"chat": Swapped}, r"Swapped.on_message is called with the connection first: write on_message\(self, connection, message\)"),
        ({"chat": Hasty}, r"Hasty.on_close is called as on_close\(self, connection, code, reason, was_clean\): give it these parameters"),
    ],
)
def test_what_is_no_party_is_refused_at_once(parties: Any, sentence: str, tmp_path: Path) -> None:
    """Not at the first connection, by an error somewhere inside."""
    with pytest.raises(ConfigError, match=sentence):
        PartyHost(parties, storage=tmp_path)


def test_a_method_that_is_nearly_a_hook_is_doubted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A letter too few, or another library's name: the log says which hook that is, unless the class has it too."""

    class Chat(Server):
        def on_mesage(self, connection: Connection, message: str | bytes) -> None: ...

        def on_disconnect(self, connection: Connection) -> None: ...

        def on_move(self) -> None: ...

    class Whole(Server):
        def on_close(self, connection: Connection, code: int, reason: str, was_clean: bool) -> None: ...

        def on_disconnect(self) -> None: ...

    PartyHost({"chat": Chat, "whole": Whole}, storage=tmp_path)
    assert caplog.messages == [
        "Chat.on_mesage is called by nobody but you: the hook is on_message",
        "Chat.on_disconnect is called by nobody but you: the hook is on_close",
    ]
