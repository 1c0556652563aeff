"""URLs of rooms."""

from __future__ import annotations

import pytest

from partywidgets.exceptions import RoomNameError
from partywidgets.partysocket import PartySocket, encode_query, is_private_host, party_path, root_url


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8787", "ws://127.0.0.1:8787"),
        ("localhost", "ws://localhost"),
        ("[::1]:8787", "ws://[::1]:8787"),
        ("10.1.2.3:8787", "ws://10.1.2.3:8787"),
        ("172.31.0.1", "ws://172.31.0.1"),
        ("172.200.0.1", "wss://172.200.0.1"),
        ("10.example.com", "wss://10.example.com"),
        ("192.168.evil.com", "wss://192.168.evil.com"),
        ("ex.com/", "wss://ex.com"),
        ("ex.com//", "wss://ex.com"),
        ("http://ex.com", "ws://ex.com"),
        ("HTTPS://ex.com:444", "wss://ex.com:444"),
        ("wss://127.0.0.1:1", "wss://127.0.0.1:1"),
        ("http://host:8888/user/x/partywidgets/", "ws://host:8888/user/x/partywidgets"),
    ],
)
def test_root_url(host: str, expected: str) -> None:
    """An explicit scheme and a base path are kept; without a scheme only this machine and private addresses get plain ws."""
    assert root_url(host) == expected


@pytest.mark.parametrize("host", ["", "ftp://ex.com", "ex.com:99999", "ex.com?x=1", "user@ex.com", "http://", "ex.com:port"])
def test_root_url_refuses(host: str) -> None:
    """What is not a host is one sentence, at once."""
    with pytest.raises(ValueError, match="host"):
        root_url(host)


def test_protocol_override() -> None:
    """`protocol` wins over what the host suggests."""
    assert root_url("127.0.0.1:1", protocol="wss") == "wss://127.0.0.1:1"
    with pytest.raises(ValueError, match="'ws' or 'wss'"):
        root_url("127.0.0.1:1", protocol="http")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"room": "r"}, "/parties/main/r"),
        ({"room": "r", "prefix": "/a/b/"}, "/a/b/main/r"),
        ({"room": "r", "prefix": ""}, "/parties/main/r"),
        ({"room": "r", "path": "sub/x y"}, "/parties/main/r/sub/x%20y"),
        ({"room": "a b"}, "/parties/main/a%20b"),
        ({"room": "a?b#c/d"}, "/parties/main/a%3Fb%23c%2Fd"),
        ({"room": "日本"}, "/parties/main/%E6%97%A5%E6%9C%AC"),
        ({"room": None, "base_path": "/base/p"}, "/base/p"),
        ({"room": "r", "base_path": "b", "path": "sub"}, "/b/sub"),
    ],
)
def test_party_path(options: dict[str, str | None], expected: str) -> None:
    """Party and room are percent-quoted, so that no name can climb or end the path."""
    assert party_path(**{"party": "main", "room": None, **options}) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("room", [None, "", ".", "..", "x" * 513])
def test_party_path_refuses_rooms(room: str | None) -> None:
    """A room that cannot be is refused before anything is sent."""
    with pytest.raises(RoomNameError):
        party_path(party="main", room=room)


def test_path_with_slash() -> None:
    """A path that starts with a slash is refused."""
    with pytest.raises(ValueError, match="leave it out"):
        PartySocket(host="127.0.0.1:1", room="r", path="/x")


def test_encode_query() -> None:
    """None is left out; booleans are JavaScript's; order is kept."""
    assert (
        encode_query({"_pk": "ID"}, {"a": "1", "b": None, "d": "", "e": "x y&z", "t": True, "n": 5}) == "_pk=ID&a=1&d=&e=x+y%26z&t=true&n=5"
    )


@pytest.mark.parametrize(("host", "private"), [("app.localhost", True), ("8.8.8.8", False), ("fd00::1", True), ("example.com", False)])
def test_is_private_host(host: str, private: bool) -> None:
    """Names are public unless they are localhost's."""
    assert is_private_host(host) is private
