"""One HTTP exchange over a connected socket: a request goes out, a response is read within its bounds, each phase timed."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass, field
from typing import cast

from .dial import DialError, Phases, explain

BODY_BYTES = 1 << 20
"""How much of a body is read; the connection is closed after it."""
HEAD_BYTES = 64 * 1024
"""How large a response's head may be."""
READ_BYTES = 64 * 1024
"""How much is taken from a socket at once."""


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
        self.parser_error, self.parser_upgrade = httptools.HttpParserError, httptools.HttpParserUpgrade
        self.fields: list[tuple[bytes, bytes]] = []
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
        except self.parser_upgrade:
            self.finish()  # 101: what follows is another protocol's
        except self.parser_error as error:
            self.fail(DialError("http", f"the answer is not HTTP: {str(error).lower() or 'malformed'}"))
        if not self.in_body and self.received > HEAD_BYTES:
            self.fail(DialError("http", f"the answer's head is longer than {HEAD_BYTES // 1024} KiB"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def _take_fields(self) -> None:
        """Headers, and trailers later on, into the response."""
        headers = self.response.headers
        for name, value in self.fields:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        self.fields.clear()

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.fields.clear()
            return
        self._take_fields()
        self.framed = "content-length" in self.response.headers or "transfer-encoding" in self.response.headers
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
        await asyncio.sleep(0)
        self._readable(sock)  # where others look as well, a near server has answered by now: watching the socket is a tenth of a look
        if self.done.done():
            return self.done.result()
        loop = asyncio.get_running_loop()
        descriptor = sock.fileno()  # given a socket, asyncio writes its whole name into an error that nobody sees, each time
        loop.add_reader(descriptor, self._readable, sock)
        try:
            return await self.done
        finally:
            loop.remove_reader(descriptor)

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
            self._take_fields()
            self.response.body = b"".join(self.chunks)
            self.done.set_result(self.response)

    def fail(self, error: DialError) -> None:
        if not self.done.done():
            self.phases.enter("")
            self.done.set_exception(error)


async def answered(sock: socket.socket, request: bytes, head_only: bool, phases: Phases) -> Response:
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
        return await transported(sock, request[sent:], head_only, phases)
    # A transport for one small request costs more than the request itself.
    try:
        return await _Exchange(b"", head_only, phases).over(sock)
    finally:
        sock.close()


async def transported(
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
