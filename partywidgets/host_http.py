"""One HTTP request to a host, blocking: before there is a room loop, or in a thread beside it.

By the standard library alone; `partysocket.fetch_url`, which needs a loop and aiohttp, is for everywhere else.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from http.client import HTTPException, responses
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from . import __version__
from .exceptions import HostError, RefusedError
from .unreachable import unreachable

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
ANSWER_LIMIT = 16 * 1024 * 1024
"""Bytes of an answer that are read."""


def ask(method: str, url: str, *, token: str | None, body: Any = None, timeout: float) -> Any:
    """One HTTP request with a bearer token, its answer as JSON. Blocks: on the room loop, call it through `asyncio.to_thread`.

    A redirect is not followed, since it would carry the token to somewhere else.
    Raises RefusedError for 401, 403 and redirects, HostError for the rest.
    """
    status, raw, said = exchange(method, url, token=token, body=body, timeout=timeout)
    _raise_for(method, url, status, said, token=token)
    try:
        return json.loads(raw)
    except ValueError:
        raise HostError(f"{_place(url)} answered {method} {urlsplit(url).path} without JSON: is it a partywidgets host's root?") from None


def fetch(url: str, *, token: str | None, timeout: float) -> bytes:
    """The body of a GET, as it is. Blocks, and raises, like `ask`."""
    status, raw, said = exchange("GET", url, token=token, timeout=timeout)
    _raise_for("GET", url, status, said, token=token)
    if len(raw) >= ANSWER_LIMIT:
        raise HostError(f"{_place(url)} has more than {ANSWER_LIMIT} bytes at {urlsplit(url).path}: fetch it with another program")
    return raw


def exchange(method: str, url: str, *, token: str | None, body: Any = None, timeout: float) -> tuple[int, bytes, str]:
    """The status of an answer with its body and an empty sentence; of one that is none of 2xx, with no body and what the host says to it.

    Raises HostError when there is no answer.
    """
    import urllib.error
    import urllib.request

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    proxies = [urllib.request.ProxyHandler({})] if urlsplit(url).hostname in LOOPBACK_HOSTS else []
    opener = urllib.request.build_opener(Stay, *proxies)
    headers = {"Accept": "application/json", "User-Agent": f"partywidgets/{__version__}"}
    content = None
    if body is not None:
        content, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        with opener.open(urllib.request.Request(url, data=content, headers=headers, method=method), timeout=timeout) as answer:
            return answer.status, answer.read(ANSWER_LIMIT), ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b"", _said(error.read(4096))
    except (OSError, ValueError, HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error  # Python 3.13's UnicodeError has a `reason` of its own
        if isinstance(cause, socket.gaierror | ssl.SSLError | UnicodeError):
            raise HostError(f"no host answers at {_place(url)}: {unreachable(cause)}") from None
        said = getattr(cause, "strerror", None) or cause
        raise HostError(f"no host answers at {_place(url)} ({said}): start it with `partywidgets serve`, or correct the URL") from None


def _raise_for(method: str, url: str, status: int, said: str, *, token: str | None) -> None:
    if status < 300:
        return
    if (refusal := refusal_of(url, status, said, token=token)) is not None:
        raise refusal
    if said and status < 500:
        raise HostError(said)  # a sentence with its remedy: where it came from helps nobody then
    raise HostError(f"{_place(url)} answered {status} {_reason(status, said)} to {method} {urlsplit(url).path}")


def _reason(status: int, said: str) -> str:
    return said or responses.get(status, "")


def refusal_of(url: str, status: int, said: str, *, token: str | None) -> RefusedError | None:
    """The error of a status that refuses, with its own remedy: a token helps against a 401 alone."""
    place, reason = _place(url), _reason(status, said)
    if status == 401 and token is None:
        return RefusedError(f"{place} needs a token (401 {reason}): give connect(url, token=…) or PARTYWIDGETS_TOKEN one", status=status)
    if status == 401:
        return RefusedError(f"{place} refused the credential (401 {reason}): give its token", status=status)
    if status == 403:
        return RefusedError(f"{place} refused (403): {reason}", status=status)
    if 300 <= status < 400:
        return RefusedError(f"{place} redirects ({status}), where no token is sent: give the host's own root", status=status)
    return None


def _said(raw: bytes) -> str:
    with contextlib.suppress(ValueError, AttributeError):
        answer = json.loads(raw)
        return str(answer.get("error") or answer.get("message") or answer.get("reason") or "")
    return ""


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def root_of(url: str) -> str:
    """A host's root as typed by a person, with one slash at its end. Raises HostError."""
    if not isinstance(url, str):
        raise HostError(f"a host's URL is text, got {type(url).__name__}: write it like 'http://127.0.0.1:8787'")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise HostError(f"{url!r} cannot be read ({error}): write it like http://127.0.0.1:8787") from None
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    if scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise HostError(f"{url!r} is not a host's URL: write it like http://127.0.0.1:8787")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise HostError(f"{_place(url)} must be given without query, fragment or credentials: pass the token as connect(url, token=...)")
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/", "", ""))


def host_id_of(hello: Any, root: str) -> str:
    """The `host_id` of a host's `/hello`. Raises HostError when it has none."""
    host_id = hello.get("host_id") if isinstance(hello, dict) else None
    if not isinstance(host_id, str) or not host_id:
        raise HostError(f"{root}hello has no host_id: is it a partywidgets host's root?")
    return host_id


__all__ = ["LOOPBACK_HOSTS", "ask", "exchange", "fetch", "host_id_of", "refusal_of", "root_of"]
