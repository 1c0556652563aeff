"""Where a request comes from: its Host and its Origin, compared as strings."""

from __future__ import annotations

import ipaddress

from starlette.requests import HTTPConnection


def headers_of(request: HTTPConnection, name: bytes) -> list[str]:
    """Every value of a header, in order; `name` in lower case."""
    # The raw list: a mapping would hide that there are two.
    return [value.decode("latin-1") for key, value in request.scope["headers"] if key.lower() == name]


def shown(value: str) -> str:
    """What somebody sent, for an error: quoted, and not all of it where it is long."""
    return repr(value if len(value) <= 100 else value[:100] + "…")


def is_same_origin(request: HTTPConnection, origin: str) -> bool:
    """True when the page comes from the host and port that it asks."""
    hosts = headers_of(request, b"host")
    if len(hosts) != 1 or not hosts[0]:
        return False
    # A page of plain http may not reach a host that serves TLS itself; behind a proxy the scheme is not known here.
    schemes = ("https",) if request.scope.get("scheme") in ("https", "wss") else ("http", "https")
    return any(origin == f"{scheme}://{hosts[0]}" for scheme in schemes)


def is_origin_at_any_port(origin: str, base: str) -> bool:
    """True for the `scheme://host` of `base`, with or without a port."""
    if origin == base:
        return True
    port = origin.removeprefix(base + ":") if origin.startswith(base + ":") else ""
    return port.isascii() and port.isdigit() and not port.startswith("0") and len(port) <= 5 and int(port) <= 65535


def is_host(text: str) -> bool:
    """True for what may stand in a Host header."""
    return bool(text) and not any(character in text for character in "/@?#\\ ,*") and text.isprintable()


def is_loopback(address: str) -> bool:
    """True for an address, or the name, that only this machine reaches."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
