"""The gate as a kernel host has it, requests to it, and names that are nearly its own."""

from __future__ import annotations

from typing import Any

from starlette.requests import HTTPConnection

from partywidgets.auth import LOOPBACK_ORIGINS, Gate, Identity
from partywidgets.party import Lobby, Server
from partywidgets.party.grant import OWNER_ROLES

PORT = 41234
OWNER = Identity("owner", "Owner", OWNER_ROLES)
LOBBY = Lobby("chat", "lobby", Server)


def request_of(
    *,
    host: str | list[str] = f"127.0.0.1:{PORT}",
    origin: str | list[str] | None = None,
    bearer: str | list[str] | None = None,
    protocols: tuple[str, ...] = (),
    query: str = "",
    kind: str = "websocket",
    scheme: str | None = None,
    identity: Identity | None = None,
) -> HTTPConnection:
    """A request as an ASGI server would describe it."""
    headers = [(b"host", value.encode("latin-1")) for value in ([host] if isinstance(host, str) else host)]
    headers += [(b"origin", value.encode("latin-1")) for value in ([origin] if isinstance(origin, str) else origin or [])]
    headers += [(b"authorization", f"Bearer {value}".encode()) for value in ([bearer] if isinstance(bearer, str) else bearer or [])]
    if protocols:
        headers.append((b"sec-websocket-protocol", ", ".join(protocols).encode()))
    scope: dict[str, Any] = {
        "type": kind,
        "scheme": scheme or ("ws" if kind == "websocket" else "http"),
        "path": "/parties/chat/lobby",
        "query_string": query.encode(),
        "headers": headers,
        "client": ("127.0.0.1", 50000),
    }
    if kind == "http":
        scope["method"] = "GET"
    if identity is not None:
        scope["partywidgets.identity"] = identity
    return HTTPConnection(scope)


def kernel_gate(token: str) -> Gate:
    """A gate as a kernel host has it."""
    gate = Gate(tokens={token: OWNER}, any_port_origins=LOOPBACK_ORIGINS)
    gate.bind_address(PORT)
    return gate


BAD_ORIGINS = [
    "",
    "null",
    "http://localhost.evil.example",
    "http://localhost.evil.example:8888",
    "http://evil-localhost:8888",
    "http://evil.localhost:8888",
    "http://localhost:8888.evil.example",
    "http://localhost:",
    "http://localhost:0",
    "http://localhost:08888",
    "http://localhost:65536",
    "http://localhost:888888",
    "http://localhost:-1",
    "http://localhost:٨٨٨٨".encode().decode("latin-1"),
    "http://localhost:8888/",
    "http://localhost:8888/path",
    "http://localhost:8888#fragment",
    "http://localhost:8888?query",
    "http://localhost:8888 ",
    " http://localhost:8888",
    "http://localhost:8888, http://evil.example",
    "http://localhost.:8888",
    "http://LOCALHOST:8888",
    "HTTP://localhost:8888",
    "https://localhost:8888",
    "https://127.0.0.1",
    "ws://localhost:8888",
    "file://",
    "file://localhost",
    "chrome-extension://abcdef",
    "localhost:8888",
    "//localhost:8888",
    "http://user@localhost:8888",
    "http://localhost:8888@evil.example",
    "http://localhost@evil.example",
    "http://127.0.0.1.evil.example:8888",
    "http://127.0.0.2:8888",
    "http://127.1:8888",
    "http://2130706433:8888",
    "http://0x7f.0.0.1:8888",
    "http://0.0.0.0:8888",
    "http://127.0.0.1.:8888",
    "http://::1:8888",
    "http://[::1%25lo]:8888",
    "http://[0:0:0:0:0:0:0:1]:8888",
    "http://[::ffff:127.0.0.1]:8888",
    "http://evil.example",
    f"http://evil.example:{PORT}",
]

BAD_HOSTS = [
    "",
    "localhost",
    "127.0.0.1",
    f"localhost:{PORT + 1}",
    f"127.0.0.1:{PORT}0",
    f"127.0.0.1:0{PORT}",
    f"LOCALHOST:{PORT}",
    f"localhost.:{PORT}",
    f"127.0.0.1.:{PORT}",
    f"[::1]:{PORT}",
    f"::1:{PORT}",
    f"0.0.0.0:{PORT}",
    f"127.0.0.2:{PORT}",
    f"127.1:{PORT}",
    f"evil.example:{PORT}",
    f"localhost.evil.example:{PORT}",
    f"evil-localhost:{PORT}",
    f"evil.localhost:{PORT}",
    f"user@localhost:{PORT}",
    f"localhost:{PORT}@evil.example",
    f"localhost:{PORT}, evil.example",
    f"localhost:{PORT} ",
    f"http://localhost:{PORT}",
    f"localhost:{PORT}/",
]
