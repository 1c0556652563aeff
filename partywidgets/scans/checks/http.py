"""HTTP and HTTPS: one request, its phases, and conditions on what came back."""

from __future__ import annotations

import asyncio
import codecs
import json
import socket
import ssl
import zlib
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar, Literal, cast
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from pydantic import Field, field_validator

from ... import __version__
from ...duration import format_duration
from ..model import Evidence, Metric
from .base import CheckModel, Probe, ProbeContext
from .dial import DialError, Family, Phases, dial, explain, is_address, tls_context

BODY_BYTES = 1 << 20
"""How much of a body is read; the connection is closed after it."""
HEAD_BYTES = 64 * 1024
"""How large a response's head may be."""
READ_BYTES = 64 * 1024
"""How much is taken from a socket at once."""
REDIRECTS = 10

_SENSITIVE = ("authorization", "cookie", "proxy-authorization")


@dataclass(slots=True)
class Response:
    """What a server answered. `certificate` is the leaf as DER, when TLS was spoken."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    truncated: bool = False
    ip: str = ""
    certificate: bytes | None = None


class _Exchange(asyncio.Protocol):
    """Reads one response; `done` is resolved when it is whole, truncated or broken."""

    def __init__(self, request: bytes, head_only: bool, phases: Phases) -> None:
        import httptools

        self.request, self.head_only, self.phases = request, head_only, phases
        self.response = Response()
        self.done: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.parser = httptools.HttpResponseParser(self)
        self.parser_error = httptools.HttpParserError
        self.chunks: list[bytes] = []
        self.size = self.received = 0
        self.in_body = self.framed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.phases.enter("processing")
        cast(asyncio.Transport, transport).write(self.request)

    def data_received(self, data: bytes) -> None:
        if self.phases.current == "processing":
            self.phases.enter("transfer")
        self.received += len(data)
        try:
            self.parser.feed_data(data)
        except self.parser_error as error:
            self.fail(DialError("http", f"the answer is no HTTP: {str(error).lower() or 'malformed'}"))
        if not self.in_body and self.received > HEAD_BYTES:
            self.fail(DialError("http", f"the answer's head is longer than {HEAD_BYTES // 1024} KiB"))

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key in ("content-length", "transfer-encoding"):
            self.framed = True
        known = self.response.headers.get(key)
        self.response.headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.response.headers.clear()
            self.framed = False
            return
        self.in_body = True
        self.response.status = status
        if self.head_only or status in (101, 204, 304):
            self.finish()

    def on_body(self, body: bytes) -> None:
        room = BODY_BYTES - self.size
        self.chunks.append(body[:room])
        self.size += len(self.chunks[-1])
        if len(body) > room:
            self.response.truncated = True
            self.finish()

    def on_message_complete(self) -> None:
        if self.in_body:
            self.finish()

    def eof_received(self) -> bool:
        if not self.done.done():
            if self.in_body and not self.framed:
                self.finish()
            else:
                self.fail(
                    DialError(
                        "http", "the connection was closed " + ("in the middle of the answer" if self.received else "without an answer")
                    )
                )
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done.done():
            return
        if self.in_body and not self.framed and exc is None:
            self.finish()
        elif isinstance(exc, OSError):
            self.fail(explain(exc, "the target"))
        else:
            self.fail(DialError("http", "the connection was lost"))

    async def over(self, sock: socket.socket) -> Response:
        """The response to a request that was sent over a socket without TLS. Raises DialError; the socket stays the caller's."""
        loop = asyncio.get_running_loop()
        loop.add_reader(sock, self._readable, sock)
        try:
            return await self.done
        finally:
            loop.remove_reader(sock)

    def _readable(self, sock: socket.socket) -> None:
        if self.done.done():
            return
        try:
            received = sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.connection_lost(error)
            return
        if received:
            self.data_received(received)
        else:
            self.eof_received()

    def finish(self) -> None:
        if not self.done.done():
            self.phases.enter("")
            self.response.body = b"".join(self.chunks)
            self.done.set_result(self.response)

    def fail(self, error: DialError) -> None:
        if not self.done.done():
            self.phases.enter("")
            self.done.set_exception(error)


class HttpCheck(CheckModel):
    """A request to `url`.

    Values: `status`, `body` (parsed, when it is JSON, else text), `headers` (lower-case names), `duration_ms`, `certificate_expires_in`
    (null without TLS), `ip`, `redirects`, `size` (bytes of the body, at most 1 MiB is read), `error`. Without conditions, `status < 400`
    must hold.
    """

    value_names: ClassVar[frozenset[str] | None] = frozenset(
        {"status", "body", "headers", "duration_ms", "certificate_expires_in", "ip", "redirects", "size", "error"}
    )

    ends_itself: ClassVar[bool] = True

    type: Literal["http"] = "http"
    url: str = Field(max_length=2048)
    method: str = Field(default="GET", pattern=r"^[A-Za-z]{1,20}$")
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

    async def probe(self, context: ProbeContext) -> Probe:
        """One request, with up to ten redirects if `follow`."""
        phases, probe = Phases(), Probe(self.target)
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(context.deadline):
                response, redirects = await self.request(context, phases)
        except DialError as error:
            probe.error = (error.kind, error.message)
        except TimeoutError:
            probe.error = ("timeout", f"no answer within {format_duration(self.timeout)}: it hung in {phases.current or 'the request'}")
        duration_ms = round((asyncio.get_running_loop().time() - started) * 1000, 3)
        phases.enter("")
        probe.phases_ms = {name: phases.ms.get(name, 0.0) for name in ("resolve", "connect", "tls", "processing", "transfer")}
        probe.metrics.append(Metric("duration_ms", duration_ms, "ms"))
        if probe.error is not None:
            return probe
        text = response.body.decode(charset(response.headers.get("content-type", "")), "replace")
        expires_in = None if response.certificate is None else certificate_expiry(response.certificate) - datetime.now(UTC)
        probe.values = {
            "status": response.status,
            "headers": response.headers,
            "body": parsed(text),
            "duration_ms": duration_ms,
            "certificate_expires_in": expires_in,
            "ip": response.ip,
            "redirects": redirects,
            "size": len(response.body),
        }
        probe.summary = f"HTTP {response.status} in {duration_ms:.4g} ms"
        probe.metrics += [Metric("status", float(response.status)), Metric("size", float(len(response.body)), "B")]
        if expires_in is not None:
            probe.metrics.append(Metric("certificate_expires_in", round(expires_in.total_seconds(), 1), "s"))
        if text:
            probe.evidence.append(Evidence("http-body", "body", text, truncated=response.truncated))
        return probe

    async def request(self, context: ProbeContext, phases: Phases) -> tuple[Response, int]:
        """The last response, and how many redirects led to it. Raises DialError; the caller keeps the time."""
        try:
            url = split_url(context.resolve(self.url))
        except ValueError:  # its text would show what the references hold
            raise DialError("internal", f"{self.target!r} is no URL of a web server once its references are filled in") from None
        method, body = self.method.upper(), None if self.body is None else context.resolve(self.body).encode()
        headers = {name: context.resolve(value).strip() for name, value in self.headers.items()}  # a secret's file ends with a newline
        for name, value in headers.items():
            if any(c in "\r\n\0" for c in value):
                raise DialError("internal", f"what the header {name} refers to holds a line break")
        origin = origin_of(url)
        redirects = 0
        while True:
            response = await self._exchange(url, method, headers, body, phases)
            location = response.headers.get("location")
            if not self.follow or response.status not in (301, 302, 303, 307, 308) or location is None:
                return response, redirects
            redirects += 1
            if redirects > REDIRECTS:
                raise DialError("http", f"more than {REDIRECTS} redirects, the last one to {without_password(location)[:200]}")
            try:
                url = split_url(urljoin(urlunsplit(url), location))
            except ValueError as error:
                raise DialError("http", f"a redirect to nowhere: {error}") from None
            if origin_of(url) != origin:
                headers = {name: value for name, value in headers.items() if name.lower() not in _SENSITIVE}
            if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                method, body = "HEAD" if method == "HEAD" else "GET", None

    async def _exchange(self, url: SplitResult, method: str, headers: dict[str, str], body: bytes | None, phases: Phases) -> Response:
        scheme, host, port = origin_of(url)
        secure = scheme == "https"
        server_name = self.server_name or host
        request = request_bytes(url, method, headers, body)
        tls = tls_context(self.verify, self.ca_file, ("http/1.1",)) if secure else None
        sock, ip = await dial(host, port, phases, self.family)
        if tls is None:
            response = await _answered(sock, request, method == "HEAD", phases)
        else:
            phases.enter("tls")
            response = await _transported(sock, request, method == "HEAD", phases, tls, (server_name, port))
        response.ip = ip
        encoding = response.headers.get("content-encoding", "").lower()
        if encoding in ("gzip", "x-gzip", "deflate"):
            try:
                response.body = zlib.decompressobj(47).decompress(response.body, BODY_BYTES)
            except zlib.error as error:
                raise DialError("http", f"the body is no {encoding}: {error}") from None
        return response


async def _answered(sock: socket.socket, request: bytes, head_only: bool, phases: Phases) -> Response:
    """The response over a connected socket without TLS, which is closed after it. Raises DialError."""
    phases.enter("processing")
    try:
        sent = sock.send(request)
    except (BlockingIOError, InterruptedError):
        sent = 0
    except OSError as error:
        sock.close()
        raise explain(error, "the target") from None
    if sent < len(request):  # a long one: what is left goes out while the answer may come in already
        return await _transported(sock, request[sent:], head_only, phases)
    # A transport for one small request costs more than the request itself.
    try:
        return await _Exchange(b"", head_only, phases).over(sock)
    finally:
        sock.close()


async def _transported(
    sock: socket.socket,
    request: bytes,
    head_only: bool,
    phases: Phases,
    tls: ssl.SSLContext | None = None,
    server: tuple[str, int] = ("", 0),
) -> Response:
    """The response over a transport of the loop's, which is aborted after it. Raises DialError."""
    try:
        transport, exchange = await asyncio.get_running_loop().create_connection(
            lambda: _Exchange(request, head_only, phases), sock=sock, ssl=tls, server_hostname=None if tls is None else server[0]
        )
    except OSError as error:
        sock.close()
        raise explain(error, "the target" if tls is None else f"{server[0]}:{server[1]}") from None
    except BaseException:
        sock.close()
        raise
    try:
        response = await exchange.done
    finally:
        transport.abort()
    if tls is not None:
        tls_object: ssl.SSLObject = transport.get_extra_info("ssl_object")
        response.certificate = tls_object.getpeercert(True)
    return response


@lru_cache(maxsize=20_000)
def split_url(url: str) -> SplitResult:
    """The parts of an http or https URL. Raises ValueError, never with a password in it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{without_password(url)!r} is no URL of a web server; write https://host/path")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(f"{without_password(url)!r} has no valid port") from None
    if any(ord(c) <= 0x20 or ord(c) == 0x7F for c in url):
        raise ValueError(f"{without_password(url)!r} holds a blank or a control character; percent-encode it")
    return parts


@lru_cache(maxsize=20_000)
def origin_of(url: SplitResult) -> tuple[str, str, int]:
    """Scheme, host and port (the scheme's own where the URL names none) of what `split_url` took apart."""
    return url.scheme, url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


@lru_cache(maxsize=20_000)
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
    # Of URLs in a config alone, which are short: a peer's redirects may not fill a cache.
    return without_password(url)


def request_bytes(url: SplitResult, method: str, headers: dict[str, str], body: bytes | None) -> bytes:
    """The request as it goes over the wire; HTTP/1.1, the connection closes after it."""
    path, lines = _request_lines(url)
    if body is not None:
        lines = {**lines, "content-length": str(len(body))}
    names = {name.lower() for name in headers}
    head = f"{method} {path} HTTP/1.1\r\n"
    head += "".join([f"{name}: {value}\r\n" for name, value in lines.items() if name not in names])
    head += "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return head.encode("utf-8") + b"\r\n" + (body or b"")


@lru_cache(maxsize=20_000)
def _request_lines(url: SplitResult) -> tuple[str, dict[str, str]]:
    """The path that a request to a URL asks for, and the headers that every one has. Not to be changed."""
    host = url.hostname or ""
    shown = host if is_address(host) and ":" not in host else f"[{host}]" if ":" in host else host.encode("idna").decode("ascii")
    lines = {
        "host": f"{shown}:{url.port}" if url.port else shown,
        "user-agent": f"partywidgets/{__version__}",
        "accept": "*/*",
        "connection": "close",
    }
    if url.username is not None:
        lines["authorization"] = "Basic " + b64encode(f"{unquote(url.username)}:{unquote(url.password or '')}".encode()).decode()
    return (url.path or "/") + (f"?{url.query}" if url.query else ""), lines


def charset(content_type: str) -> str:
    """The text encoding that a content type names, UTF-8 where it names none that Python knows."""
    name = content_type.partition("charset=")[2].split(";")[0].strip().strip("\"'")
    try:
        return codecs.lookup(name).name if name else "utf-8"
    except (LookupError, ValueError):
        return "utf-8"


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
