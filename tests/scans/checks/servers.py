"""Targets on loopback: a web server that misbehaves on request, a DNS server, banners, and certificates of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from partywidgets.scans.checks.base import CheckModel
from partywidgets.scans.judge import RunContext, run_check
from partywidgets.scans.model import CheckResult

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Served:
    """A server's port, and the requests that it saw."""

    port: int
    seen: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A TCP server on a free port of 127.0.0.1; its connections end with it."""
    writers: set[asyncio.StreamWriter] = set()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers.add(writer)
        try:
            # A cancelled handler must not look like a fault to asyncio's streams.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handler(reader, writer)
        finally:
            tasks.discard(task)
            writers.discard(writer)
            writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def answer(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    """An HTTP/1.1 response with its length."""
    given = {"content-length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return f"HTTP/1.1 {status}\r\n".encode() + b"".join(f"{n}: {v}\r\n".encode() for n, v in given.items()) + b"\r\n" + body


@contextlib.asynccontextmanager
async def web_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    """What each path does is in `respond`."""
    served = Served(0)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next((int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        served.seen.append(head + body.decode())
        await respond(head.split(" ")[1], head, body, writer)
        await writer.drain()

    async def respond(path: str, head: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        match path.strip("/").split("/"):
            case ["json"]:
                writer.write(answer(body=b'{"status": "ok", "queue": {"depth": 3}, "load": 0.5}', content_type="application/json"))
            case ["status", code]:
                writer.write(answer(f"{code} As Asked", b"<b>down</b>\x1b[2J"))
            case ["hang"]:
                await asyncio.Event().wait()
            case ["half"]:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
                await writer.drain()
                await asyncio.Event().wait()
            case ["cut"]:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut")
            case ["silent"]:
                return
            case ["garbage"]:
                writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            case ["head-bomb"]:
                with contextlib.suppress(ConnectionError):
                    for _ in range(2000):
                        writer.write(b"x" * 10 + b": y\r\n" if _ else b"HTTP/1.1 200 OK\r\n" + b"a: " + b"b" * 70000 + b"\r\n")
                        await writer.drain()
            case ["big"]:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + b"x" * 3_000_000)
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
            case ["until-close"]:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\nto the end")
            case ["chunked"]:
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[1, 2\r\n4\r\n, 3]\r\n0\r\n\r\n")
            case ["gzip"]:
                writer.write(answer(body=gzip.compress(b'{"zipped": true}'), content_encoding="gzip"))
            case ["continue"]:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(body=b"after"))
            case ["to", *rest]:
                writer.write(answer("302 Found", location="/" + "/".join(rest)))
            case ["loop"]:
                writer.write(answer("302 Found", location="/loop"))
            case ["away", port]:
                writer.write(answer("307 Temporary Redirect", location=f"http://localhost:{port}/json"))
            case ["echo"]:
                writer.write(answer(body=(head + body.decode()).encode(), content_type="text/plain; charset=utf-8"))
            case _:
                writer.write(answer("404 Not Found"))

    async with serving(handle, tls) as port:
        served.port = port
        yield served


@dataclass
class Authority:
    """A certificate authority; `ca_file` is what a client trusts."""

    directory: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test Authority")])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder(name, name, self.key.public_key(), 1, now - timedelta(days=400), now + timedelta(days=400))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        self.ca_file = str(self.directory / "ca.pem")
        Path(self.ca_file).write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def server_context(
        self, name: str = "localhost", *, begins: timedelta = timedelta(days=-30), ends: timedelta = timedelta(days=30)
    ) -> ssl.SSLContext:
        """A server's context with a certificate for `name` that is valid between two distances from now."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        leaf = (
            x509.CertificateBuilder(
                self.certificate.subject, subject, key.public_key(), x509.random_serial_number(), now + begins, now + ends
            )
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path = self.directory / f"{leaf.serial_number:x}.pem"
        path.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + leaf.public_bytes(serialization.Encoding.PEM)
            + self.certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def dns_answer(wire: bytes, by_tcp: bool) -> bytes | None:
    """What the DNS server says: by the question's name."""
    question = dns.message.from_wire(wire)
    name = str(question.question[0].name)
    response = dns.message.make_response(question)
    response.flags |= dns.flags.AA
    match name.split(".")[0]:
        case "silent":
            return None
        case "broken":
            return wire[:2] + b"\x80\x00\x00\x01\xff"
        case "missing":
            response.set_rcode(dns.rcode.NXDOMAIN)
        case "failing":
            response.set_rcode(dns.rcode.SERVFAIL)
        case "empty":
            pass
        case "large" if not by_tcp:
            response.flags |= dns.flags.TC
        case "alias":
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "shop.example."))
            response.answer.append(dns.rrset.from_text("shop.example.", 30, "IN", "A", "192.0.2.7"))
        case _:
            response.answer.append(dns.rrset.from_text(name, 300, "IN", "A", "192.0.2.2", "192.0.2.1"))
    return response.to_wire()


class _DnsOverUdp(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if b"shop" in data:  # what another resolver would have asked for
            self.transport.sendto(b"\0\0not for you", addr)
        reply = dns_answer(data, by_tcp=False)
        if reply is not None:
            self.transport.sendto(reply, addr)


@contextlib.asynccontextmanager
async def dns_server() -> AsyncIterator[str]:
    """A DNS server by UDP and TCP on one port; gives `host:port`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2))
        reply = dns_answer(await reader.readexactly(size), by_tcp=True)
        if reply is not None:
            writer.write(len(reply).to_bytes(2) + reply)
            await writer.drain()

    async with serving(handle) as port:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(_DnsOverUdp, local_addr=("127.0.0.1", port))
        try:
            yield f"127.0.0.1:{port}"
        finally:
            transport.close()


async def look(check: CheckModel, context: RunContext | None = None) -> CheckResult:
    """Runs a check, and holds what every result keeps: it goes over the wire and comes back the same."""
    result = await run_check(check, context)
    wire = result.to_wire()
    assert CheckResult.from_wire(wire).to_wire() == wire
    return result
