"""One HTTP request to a host."""

from __future__ import annotations

import asyncio
import io
import json as _json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..exceptions import HostError
from ..unreachable import unreachable
from .address import is_loopback_host
from .provided import Provided, provided


@dataclass(frozen=True, slots=True)
class FetchResponse:
    """An HTTP answer, read whole. Header names are as sent; look them up in `headers` case-sensitively, or use `header`."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """True for 200 to 299."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8", "replace")

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return _json.loads(self.body)


async def fetch_url(
    method: str,
    url: str,
    *,
    headers: Provided[Mapping[str, str] | None] = None,
    token: Provided[str | None] = None,
    body: bytes | str | None = None,
    json: Any = None,
    timeout: float = 30.0,
    silence: float | None = None,
    max_body: int = 64 * 1024 * 1024,
) -> FetchResponse:
    """One request. `token` is sent as a bearer header, `json` is encoded. No redirect is followed: the credential is for that host.

    `timeout` (seconds) bounds all of it, `silence` (seconds; None: as `timeout`) how long nothing may come, `max_body` (bytes) the answer.
    Raises HostError when no whole answer came.
    """
    import aiohttp

    place = urlsplit(url)
    clock = asyncio.get_running_loop().time
    end = clock() + timeout
    try:
        async with asyncio.timeout_at(end) as waiting:
            sent = dict(await provided(headers) or {})
            bearer = await provided(token)
    except TimeoutError:
        if not waiting.expired():
            raise
        raise HostError(f"{method} {place.path} was not sent: headers or token gave nothing within {timeout:g} s") from None
    if bearer is not None:
        sent["Authorization"] = f"Bearer {bearer}"
    # A large one goes out in pieces, between which the loop turns.
    stream = io.BytesIO(body) if isinstance(body, bytes) and len(body) > 65536 else body
    limits = aiohttp.ClientTimeout(total=max(end - clock(), 0.001), sock_read=silence)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, trust_env=not is_loopback_host(place.hostname or "")) as session,
            session.request(method, url, headers=sent, data=stream, json=json, allow_redirects=False) as response,
        ):
            chunks, size = [], 0
            async for chunk in response.content.iter_chunked(65536):
                size += len(chunk)
                if size > max_body:
                    raise HostError(f"{place.path} at {place.netloc} answered more than {max_body} bytes: ask for less")
                chunks.append(chunk)
            return FetchResponse(response.status, dict(response.headers), b"".join(chunks))
    except aiohttp.ServerTimeoutError:
        raise HostError(f"{place.netloc} said nothing to {method} {place.path} for {silence:g} s") from None
    except TimeoutError:
        raise HostError(f"{place.netloc} did not answer {method} {place.path} within {timeout:g} s") from None
    except (aiohttp.ClientError, OSError, UnicodeError) as error:
        raise HostError(f"{place.netloc} cannot be reached: {unreachable(error)}") from error
