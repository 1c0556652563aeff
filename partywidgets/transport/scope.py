"""What an ASGI scope says of a request before a room is found: its path, who it says that it is, and a copy without its secrets. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote_plus

from starlette.types import Scope

from ..auth import TICKET_SUBPROTOCOL

SECRET_QUERY = frozenset({"ticket", "token"})
SECRET_HEADERS = frozenset({b"cookie", b"authorization", b"proxy-authorization"})


def raw_path_of(scope: Scope) -> str:
    """The undecoded path below the root path."""
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if isinstance(raw, bytes) else quote(scope["path"], safe="/%:@!$&'()*+,;=~-._")
    root = scope.get("root_path", "")
    if root and (path == root or path.startswith(root + "/")):
        path = path[len(root) :]
    return path


def clean(scope: Scope) -> dict[str, Any]:
    """A copy of the scope without what is secret (Cookie, Authorization, ticket, token) and what a client must not say (x-partykit-*)."""
    cleaned = dict(scope)
    query = bytes(scope.get("query_string", b""))
    if query:
        kept = [pair for pair in query.split(b"&") if unquote_plus(pair.partition(b"=")[0].decode("latin-1")) not in SECRET_QUERY]
        cleaned["query_string"] = b"&".join(kept)
    headers: list[tuple[bytes, bytes]] = []
    for name, value in scope.get("headers", ()):
        lower = name.lower()
        if lower in SECRET_HEADERS or lower.startswith(b"x-partykit-"):
            continue
        if lower == b"sec-websocket-protocol":
            offers = [offer.strip() for offer in value.decode("latin-1").split(",")]
            value = ", ".join(offer for offer in offers if offer and not offer.startswith(TICKET_SUBPROTOCOL)).encode("latin-1")
            if not value:
                continue
        headers.append((name, value))
    cleaned["headers"] = headers
    if "subprotocols" in scope:
        cleaned["subprotocols"] = [offer for offer in scope["subprotocols"] if not offer.startswith(TICKET_SUBPROTOCOL)]
    return cleaned


def carries_credential(scope: Scope) -> bool:
    """True when `clean` takes a header or a query value from it that says who comes."""
    keys = {unquote_plus(pair.partition(b"=")[0].decode("latin-1")) for pair in bytes(scope.get("query_string", b"")).split(b"&")}
    return not keys.isdisjoint(SECRET_QUERY) or any(name.lower() in SECRET_HEADERS for name, _ in scope.get("headers", ()))


def connection_id_of(scope: Scope) -> str | None:
    """The first `_pk` of the query, decoded; None when it is missing or empty."""
    for pair in bytes(scope.get("query_string", b"")).split(b"&"):
        key, _, value = pair.decode("latin-1").partition("=")
        if unquote_plus(key) == "_pk":
            return unquote_plus(value) or None
    return None


def is_stripped_handshake(scope: Scope) -> bool:
    """A WebSocket's handshake whose hop-by-hop fields a proxy kept to itself (RFC 9110 §7.6.1): its key came, without an Upgrade."""
    names = {name.lower() for name, _ in scope.get("headers", ())}
    return b"sec-websocket-key" in names and b"upgrade" not in names
