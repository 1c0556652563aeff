"""DNS: one question to one server, its answer's code and records."""

from __future__ import annotations

import asyncio
import socket
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from ...duration import format_duration
from ...party.database import OUT_OF_FILES
from ..model import Evidence, Metric
from .base import CheckModel, Probe, ProbeContext
from .dial import DialError, is_address, resolve
from .tcp import place

if TYPE_CHECKING:
    import dns.message

RECORDS = 100
"""How many records of an answer are kept."""


class DnsCheck(CheckModel):
    """A question for `name` and `record`.

    `resolver` is the server asked, an address or name with an optional port (`1.1.1.1`, `127.0.0.1:5353`, `[::1]:53`); without it the
    system's servers are asked in turn until one answers. An answer that does not fit into UDP is fetched by TCP.
    Values: `rcode` (`NOERROR`, `NXDOMAIN`, …), `records` (as text), `count`, `ttl` (the smallest, null without records), `cnames`,
    `authoritative`, `authenticated` (DNSSEC, as the server says), `resolver`, `duration_ms`, `error`. Without conditions, `rcode ==
    'NOERROR'` must hold.
    """

    libraries: ClassVar[tuple[str, ...]] = (
        "dns.asyncbackend",
        "dns.asyncquery",
        "dns.flags",
        "dns.rcode",
        "dns.resolver",
        "dns.reversename",
    )
    value_names: ClassVar[frozenset[str] | None] = frozenset(
        "rcode records count ttl cnames authoritative authenticated resolver duration_ms error".split()
    )

    apart: ClassVar[bool] = True

    type: Literal["dns"] = "dns"
    name: str = Field(min_length=1, max_length=255)
    record: str = "A"
    resolver: str | None = None
    transport: Literal["udp", "tcp"] = "udp"

    @field_validator("record")
    @classmethod
    def _record(cls, record: str) -> str:
        import dns.exception
        import dns.rdatatype

        try:
            return dns.rdatatype.to_text(dns.rdatatype.from_text(record))
        except (dns.exception.DNSException, ValueError):
            raise ValueError(f"{record!r} is not a kind of DNS record; write for example A, AAAA, MX, TXT or CNAME") from None

    @field_validator("resolver")
    @classmethod
    def _resolver(cls, resolver: str | None) -> str | None:
        if resolver is not None:
            split_server(resolver)
        return resolver

    @property
    def target(self) -> str:
        """The question, and whom it asks."""
        return f"{self.name} {self.record}" + (f" @{self.resolver}" if self.resolver else "")

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """`rcode == 'NOERROR'`, unless the author says what must hold."""
        return () if self.conditions else ("rcode == 'NOERROR'",)

    async def probe(self, context: ProbeContext) -> Probe:
        """One question; the next server is asked where one does not answer."""
        import dns.flags
        import dns.rcode
        import dns.rdatatype

        probe = Probe(self.target)
        loop = asyncio.get_running_loop()
        started, answer, server = perf_counter(), None, ""
        try:
            async with asyncio.timeout_at(context.deadline):
                servers = await self._servers()
                for index, (address, port) in enumerate(servers):
                    server = place(address, port)
                    left = context.deadline - loop.time()
                    try:
                        answer = await self._ask(address, port, left / (len(servers) - index))
                        break
                    except DialError as error:
                        probe.error = (error.kind, error.message)
        except DialError as error:
            probe.error = (error.kind, error.message)
        except TimeoutError:
            probe.error = ("timeout", f"{server or 'the resolver'}: no answer within {format_duration(self.timeout)}")
        duration_ms = probe.took(perf_counter() - started)
        if answer is None:
            return probe
        wanted = dns.rdatatype.from_text(self.record)
        records = [rdata.to_text() for rrset in answer.answer if rrset.rdtype == wanted for rdata in rrset]
        cnames = [rdata.to_text() for rrset in answer.answer if rrset.rdtype == dns.rdatatype.CNAME for rdata in rrset]
        ttls = [int(rrset.ttl) for rrset in answer.answer if rrset.rdtype == wanted]
        rcode = dns.rcode.to_text(answer.rcode())
        probe.error = None
        probe.values = {
            "rcode": rcode,
            "records": sorted(records)[:RECORDS],
            "count": len(records),
            "ttl": min(ttls) if ttls else None,
            "cnames": cnames[:RECORDS],
            "authoritative": bool(answer.flags & dns.flags.AA),
            "authenticated": bool(answer.flags & dns.flags.AD),
            "resolver": server,
            "duration_ms": duration_ms,
        }
        probe.metrics.append(Metric("count", float(len(records))))
        probe.evidence.append(Evidence("dns-answer", "answer", answer.to_text()))
        probe.summary = (
            f"{rcode}, " + (", ".join(sorted(records)[:5]) if records else f"no {self.record} record") + f" in {duration_ms:.4g} ms"
        )
        return probe

    async def _servers(self) -> list[tuple[str, int]]:
        if self.resolver is None:
            import dns.resolver

            try:
                system = dns.resolver.get_default_resolver()
            except dns.resolver.NoResolverConfiguration as error:
                raise DialError("dns", f"this system names no DNS server ({error}); give the check a `resolver`") from None
            return [(str(server), system.port) for server in system.nameservers if is_address(str(server))][:3]
        host, port = split_server(self.resolver)
        return [address for _, address in await resolve(host, port)][:3]

    async def _ask(self, address: str, port: int, timeout: float) -> dns.message.Message:
        import dns.asyncbackend
        import dns.asyncquery
        import dns.exception
        import dns.flags
        import dns.message
        import dns.name
        import dns.reversename

        where = place(address, port)
        try:
            name: Any = dns.name.from_text(self.name)
            if self.record == "PTR" and is_address(self.name):
                name = dns.reversename.from_address(self.name)
            question = dns.message.make_query(name, self.record, use_edns=0, payload=1232)
            async with asyncio.timeout(timeout):
                if self.transport == "udp":
                    answer = await _ask_by_udp(question, address, port)
                    if not answer.flags & dns.flags.TC:
                        return answer
                return await dns.asyncquery.tcp(question, address, port=port, backend=dns.asyncbackend.get_backend("asyncio"))
        except TimeoutError:
            raise DialError("timeout", f"{where}: no answer within {format_duration(round(timeout, 3))}") from None
        except dns.exception.DNSException as error:
            raise DialError("parse", f"{where}: {str(error) or type(error).__name__}") from None
        except (OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno in OUT_OF_FILES:
                raise
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "the connection was closed"
            raise DialError("refused", f"{where}: {reason.lower()}") from None


async def _ask_by_udp(question: dns.message.Message, address: str, port: int) -> dns.message.Message:
    """The answer to a question; others' datagrams are passed over. The socket is connected: only then a closed port says so at once."""
    import dns.exception
    import dns.message

    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((address, port))
        await loop.sock_sendall(sock, question.to_wire())
        while True:
            wire = await loop.sock_recv(sock, 65535)
            try:
                answer = dns.message.from_wire(wire)
            except dns.exception.DNSException:
                if wire[:2] != question.id.to_bytes(2):
                    continue
                raise
            if question.is_response(answer):
                return answer


def split_server(text: str) -> tuple[str, int]:
    """Host and port of `1.1.1.1`, `127.0.0.1:5353`, `::1`, `[::1]:53` or a name. Raises ValueError."""
    host, port = text, "53"
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not a DNS server; write for example '1.1.1.1' or '[::1]:53'")
        port = rest[1:] or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is not a DNS server; write for example '1.1.1.1' or '127.0.0.1:5353'")
    return host, int(port)
