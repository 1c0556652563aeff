"""Where a room is: host, party and room as a URL. Pure functions."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TypeAlias
from urllib.parse import quote, urlencode, urlsplit

from ..exceptions import RoomNameError

QueryValue: TypeAlias = str | int | float | bool | None


def is_loopback_host(host: str) -> bool:
    """True when `host` (without a port) is this machine."""
    return _is_local_name(host) or _address_is(host, "is_loopback")


def is_private_host(host: str) -> bool:
    """True when `host` (without a port) is this machine or a private address: where plain `ws` is assumed."""
    return _is_local_name(host) or _address_is(host, "is_private") or _address_is(host, "is_loopback")


def _is_local_name(host: str) -> bool:
    return host.lower() == "localhost" or host.lower().endswith(".localhost")


def _address_is(host: str, quality: str) -> bool:
    try:
        return bool(getattr(ipaddress.ip_address(host.strip("[]")), quality))
    except ValueError:
        return False


def root_url(host: str, *, protocol: str | None = None) -> str:
    """`host` as a `ws://` or `wss://` URL without a slash at its end.

    `host` may have a scheme (http, https, ws, wss), which is kept, a port and a base path: `http://host:8888/user/x/partywidgets`.
    Without a scheme or a `protocol` (`ws`, `wss`) it is `ws` for this machine and private addresses, else `wss`. Raises ValueError.
    """
    scheme, separator, rest = host.partition("://")
    if not separator:
        scheme, rest = "", host
    known = {"": None, "http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}
    if scheme.lower() not in known:
        raise ValueError(f"host {host!r} has the scheme {scheme!r}: use http, https, ws or wss, or none")
    try:
        parts = urlsplit(f"//{rest}")
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"host {host!r} cannot be read ({error}): write it like 127.0.0.1:8787") from None
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"host {host!r} is not a host with an optional port and path: write it like 127.0.0.1:8787")
    chosen = protocol or known[scheme.lower()] or ("ws" if is_private_host(parts.hostname) else "wss")
    if chosen not in ("ws", "wss"):
        raise ValueError(f"protocol is 'ws' or 'wss', got {protocol!r}")
    return f"{chosen}://{parts.netloc}{parts.path.rstrip('/')}"


def http_url(url: str) -> str:
    """A `ws` or `wss` URL with `http` or `https` in its place."""
    return "http" + url.removeprefix("ws") if url.startswith("ws") else url


def party_path(*, party: str, room: str | None, prefix: str = "parties", base_path: str | None = None, path: str | None = None) -> str:
    """The path of a room below the host's root, percent-quoted.

    `base_path` stands for prefix, party and room; `path` follows and starts without a slash. Raises RoomNameError, ValueError.
    """
    if path is not None and path.startswith("/"):
        raise ValueError(f"path {path!r} starts with a slash: leave it out")
    if base_path is not None:
        segments = quote(base_path.strip("/"), safe="/%:@!$&'()*+,;=~")
    elif not room:
        raise RoomNameError("a PartySocket needs a room: pass room='lobby', or base_path= for a path of your own")
    elif room in (".", "..") or len(room.encode()) > 512:
        raise RoomNameError(f"no room can be named {room[:40]!r}: the name is '.', '..' or over 512 bytes")
    else:
        segments = f"{prefix.strip('/') or 'parties'}/{quote(party, safe='')}/{quote(room, safe='')}"
    return f"/{segments}" + (f"/{quote(path, safe='/')}" if path else "")


def encode_query(*parts: Mapping[str, QueryValue]) -> str:
    """Mappings as a query string, in order. None is left out; booleans are `true` and `false`."""

    def text(value: QueryValue) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    return urlencode([(key, text(value)) for part in parts for key, value in part.items() if value is not None])
