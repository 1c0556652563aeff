"""HTTP and HTTPS: one request, its phases, and conditions on what came back."""

from __future__ import annotations

import codecs
import ipaddress
import json
import zlib
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar, Literal
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from pydantic import Field, field_validator

from ... import __version__
from ..model import Evidence, Metric
from .asking import Asking
from .base import CheckModel, Probe, ProbeContext
from .dial import DialError, Family, Phases, TlsSettings, dial, is_address, tls_context
from .exchange import BODY_BYTES, Response, answered, transported

REDIRECTS = 10
ALPN = ("http/1.1",)
_METADATA = ("fd00:ec2::254", "100.100.100.200")
"""Where AWS and Alibaba Cloud have it beside 169.254.169.254."""

_SENSITIVE = ("authorization", "cookie", "proxy-authorization")
_CHARSETS = ("ascii", "utf-8", "utf-16", "utf-32", "iso8859", "cp", "koi8", "mac", "gb", "big5", "euc", "iso2022", "shift", "tis")
"""How Python's names begin of those in which pages are written. Others are not encodings of text, or take a minute for a MiB (punycode)."""


class HttpCheck(CheckModel):
    """A request to `url`.

    Values: `status`, `body` (parsed, when it is JSON, else text), `text` (the body as it came), `headers` (lower-case names),
    `duration_ms`, `certificate_expires_in` (null without TLS), `ip`, `redirects`, `size` (bytes of the body, at most 1 MiB is read),
    `error`. Without conditions, `status < 400` must hold.
    """

    libraries: ClassVar[tuple[str, ...]] = ("httptools", "cryptography.x509")
    value_names: ClassVar[frozenset[str] | None] = frozenset(
        {"status", "body", "text", "headers", "duration_ms", "certificate_expires_in", "ip", "redirects", "size", "error"}
    )

    ends_itself: ClassVar[bool] = True
    apart: ClassVar[bool] = True

    type: Literal["http"] = "http"
    url: str = Field(max_length=2048)
    method: str = Field(default="GET", pattern=r"^[A-Za-z]{1,20}$", description="a method of HTTP", examples=["GET"])
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | None = None
    follow: bool = False
    verify: bool = True
    ca_file: str | None = None
    server_name: str | None = None
    family: Family = "any"

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        if "${" not in url:
            split_url(url)
        return url

    @field_validator("headers")
    @classmethod
    def _headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not name or any(c in " \t\r\n:" for c in name) or any(c in "\r\n\0" for c in value):
                raise ValueError(f"the header {name!r} holds a character that no header may hold")
        return headers

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """`status < 400`, unless the author says what must hold."""
        return () if self.conditions else ("status < 400",)

    @property
    def target(self) -> str:
        """The URL as written, without a password."""
        return _shown(self.url)

    def tls_settings(self) -> tuple[TlsSettings, ...]:
        return ((self.verify, self.ca_file, ALPN),) if self.url.lower().startswith("https:") else ()

    async def probe(self, context: ProbeContext) -> Probe:
        """One request, with up to ten redirects if `follow`."""
        probe = Probe(self.target)
        async with Asking(probe, context, self.timeout) as asked:
            response, redirects = await self.request(context, asked.phases)
        duration_ms = asked.duration_ms
        if probe.error is not None:
            return probe
        text = response.body.decode(charset(response.headers.get("content-type", "")), "replace")
        expires_in = None if response.certificate is None else certificate_expiry(response.certificate) - datetime.now(UTC)
        probe.values = {
            "status": response.status,
            "headers": response.headers,
            "body": parsed(text),
            "text": text,
            "duration_ms": duration_ms,
            "certificate_expires_in": expires_in,
            "ip": response.ip,
            "redirects": redirects,
            "size": len(response.body),
        }
        probe.summary = f"HTTP {response.status} in {duration_ms:.4g} ms"
        probe.metrics += (_status(response.status), _size(len(response.body)))
        if expires_in is not None:
            probe.metrics.append(Metric("certificate_expires_in", round(expires_in.total_seconds(), 1), "s"))
        if text:
            probe.evidence.append(Evidence("http-body", "body", text, truncated=response.truncated))
        return probe

    async def request(self, context: ProbeContext, phases: Phases) -> tuple[Response, int]:
        """The last response, and how many redirects led to it. Raises DialError; the caller keeps the time."""
        try:
            place = _place(context.resolve(self.url))
        except ValueError:  # its text would show what the references hold
            raise DialError("internal", f"{self.target!r} is not a URL of a web server once its references are filled in") from None
        method, body = self.method.upper(), None if self.body is None else context.resolve(self.body).encode()
        headers = {name: context.resolve(value).strip() for name, value in self.headers.items()}  # a secret's file ends with a newline
        for name, value in headers.items():
            if any(c in "\r\n\0" for c in value):
                raise DialError("internal", f"what the header {name} refers to holds a line break")
        secret = {name for name, value in self.headers.items() if name.lower() in _SENSITIVE or context.resolve(value) != value}
        origin, near = place.origin, None
        redirects = 0
        while True:
            response = await self._exchange(place, method, headers, body, phases, near)
            near = is_near(response.ip) if near is None else near
            location = response.headers.get("location")
            if not self.follow or response.status not in (301, 302, 303, 307, 308) or location is None:
                return response, redirects
            redirects += 1
            if redirects > REDIRECTS:
                raise DialError("http", f"more than {REDIRECTS} redirects, the last one to {without_password(location)}")
            try:
                place = place_of(urljoin(place.url, location))
            except ValueError as error:
                raise DialError("http", f"a redirect to nowhere: {error}") from None
            if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                method, body = "HEAD" if method == "HEAD" else "GET", None
            if place.origin != origin:
                headers = {name: value for name, value in headers.items() if name not in secret}
                if body is not None and context.resolve(self.body or "") != self.body:
                    raise DialError(
                        "http", f"a redirect to {place.host} would take the body there, which holds a reference: ask that URL itself"
                    )

    async def _exchange(
        self, place: Place, method: str, headers: dict[str, str], body: bytes | None, phases: Phases, near: bool | None
    ) -> Response:
        """`near`: the check's own target is on this machine or its link; None while that is not known."""
        server_name = self.server_name or place.host
        request = request_bytes(place, method, headers, body)
        tls = tls_context(self.verify, self.ca_file, ALPN) if place.scheme == "https" else None
        sock, ip = await dial(place.host, place.port, phases, self.family)
        if near is False and is_near(ip):
            sock.close()
            raise DialError("http", f"a redirect leads to {ip}, an address of this machine or its link: ask that one by a check of its own")
        if tls is None:
            response = await answered(sock, request, method == "HEAD", phases)
        else:
            phases.enter("tls")
            response = await transported(sock, request, method == "HEAD", phases, tls, (server_name, place.port))
        response.ip = ip
        encoding = response.headers.get("content-encoding", "").lower()
        if encoding in ("gzip", "x-gzip", "deflate"):
            try:
                response.body = zlib.decompressobj(47).decompress(response.body, BODY_BYTES)
            except zlib.error as error:
                raise DialError("http", f"the body is not {encoding}: {error}") from None
        return response


@lru_cache(maxsize=10_000)
def is_near(ip: str) -> bool:
    """True for an address that means another machine to everybody else: this one, its link, where clouds tell a machine its keys."""
    address = ipaddress.ip_address(ip)
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_link_local or address.is_unspecified or str(address) in _METADATA


@lru_cache(maxsize=100)
def _status(status: int) -> Metric:
    return Metric("status", float(status))


@lru_cache(maxsize=1000)
def _size(size: int) -> Metric:
    return Metric("size", float(size), "B")


def split_url(url: str) -> SplitResult:
    """The parts of an http or https URL. Raises ValueError, never with a password in it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{without_password(url)!r} is not a URL of a web server; write https://host/path")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(f"{without_password(url)!r} has no valid port") from None
    if any(ord(c) <= 0x20 or ord(c) == 0x7F for c in url):
        raise ValueError(f"{without_password(url)!r} holds a blank or a control character; percent-encode it")
    return parts


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL says of where a request goes and how it begins. `port` is the scheme's own where the URL names none."""

    url: str
    scheme: str
    host: str
    port: int
    path: str
    lines: dict[str, str]
    """The headers that every request has."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """Who may see what was meant for this place."""
        return self.scheme, self.host, self.port


def place_of(url: str) -> Place:
    """The place of an http or https URL. Raises ValueError as `split_url`."""
    parts = split_url(url)
    host, port = parts.hostname or "", parts.port
    shown = host if is_address(host) and ":" not in host else f"[{host}]" if ":" in host else host.encode("idna").decode("ascii")
    lines = {
        "host": f"{shown}:{port}" if port else shown,
        "user-agent": f"partywidgets/{__version__}",
        "accept": "*/*",
        "connection": "close",
    }
    if parts.username is not None:
        lines["authorization"] = "Basic " + b64encode(f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()).decode()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(url, parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path, lines)


@lru_cache(maxsize=20_000)
def _place(url: str) -> Place:
    # Of URLs in a config alone, which are short: a peer's redirects may not fill a cache.
    return place_of(url)


def without_password(url: str) -> str:
    """The URL with any password shown as `***`."""
    scheme, sign, rest = url.partition("://")
    userinfo, at, host = rest.partition("@")
    if not sign or not at or "/" in userinfo:
        return url
    user, colon, _ = userinfo.partition(":")
    return f"{scheme}://{user}:***@{host}" if colon else url


@lru_cache(maxsize=20_000)
def _shown(url: str) -> str:
    return without_password(url)


def request_bytes(place: Place, method: str, headers: dict[str, str], body: bytes | None) -> bytes:
    """The request as it goes over the wire; HTTP/1.1, the connection closes after it."""
    lines = place.lines if body is None else {**place.lines, "content-length": str(len(body))}
    names = {name.lower() for name in headers}
    head = f"{method} {place.path} HTTP/1.1\r\n"
    head += "".join([f"{name}: {value}\r\n" for name, value in lines.items() if name not in names])
    head += "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return head.encode("utf-8") + b"\r\n" + (body or b"")


def charset(content_type: str) -> str:
    """The text encoding that a content type names, UTF-8 where it names none in which pages are written."""
    name = content_type.partition("charset=")[2].split(";")[0].strip().strip("\"'")
    try:
        found = codecs.lookup(name).name if name else "utf-8"
    except (LookupError, ValueError):
        return "utf-8"
    return found if found.startswith(_CHARSETS) else "utf-8"


def parsed(text: str) -> Any:
    """The JSON value of a text that is JSON, else the text."""
    if text[:1].isspace():
        text = text.lstrip("\ufeff \t\r\n")
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def certificate_expiry(der: bytes) -> datetime:
    """When a certificate ends, in UTC."""
    from cryptography import x509

    return x509.load_der_x509_certificate(der).not_valid_after_utc
