"""icmp: echo requests, as ping sends them (RFC 792, RFC 4443)."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar, Literal

from pydantic import Field

from ...duration import PositiveSeconds
from ..model import ErrorClass, Metric
from .base import CheckModel, Probe, ProbeContext
from .dial import DialError, Family, Phases, explain, resolve

# Own code: icmplib, the library for it, had its last release in 2023, and an echo is one struct.
_HEAD = struct.Struct("!BBHHH")
_ASK = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
_PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}


class IcmpCheck(CheckModel):
    """`count` echo requests to `host`, `interval` seconds apart, with `size` bytes of payload each.

    Sent by an unprivileged ping socket where the system lets this process have one (`net.ipv4.ping_group_range`), else by a raw socket
    where it may open one (CAP_NET_RAW), else the status is unknown and the summary says what to allow.
    Values: `sent`, `received`, `loss_percent`, `rtt_min_ms`, `rtt_avg_ms`, `rtt_max_ms` (null without a reply), `ip`, `duration_ms`,
    `error`. Without conditions, `received > 0` must hold.
    """

    value_names: ClassVar[frozenset[str] | None] = frozenset(
        {"sent", "received", "loss_percent", "rtt_min_ms", "rtt_avg_ms", "rtt_max_ms", "ip", "duration_ms", "error"}
    )

    type: Literal["icmp"] = "icmp"
    host: str = Field(min_length=1, max_length=253)
    count: int = Field(default=3, ge=1, le=20)
    interval: PositiveSeconds = 0.2
    size: int = Field(default=56, ge=16, le=1400)
    family: Family = "any"

    unknown_errors: ClassVar[frozenset[ErrorClass]] = frozenset({"internal"})

    @property
    def target(self) -> str:
        """The host."""
        return self.host

    @property
    def implied_conditions(self) -> tuple[str, ...]:
        """One reply came, unless the author says what must hold."""
        return () if self.conditions else ("received > 0",)

    async def probe(self, context: ProbeContext) -> Probe:
        """Asks `count` times; at the deadline, what has come until then counts."""
        phases, probe, loop = Phases(), Probe(self.target), asyncio.get_running_loop()
        started, replies, sent, address = perf_counter(), list[float](), 0, ""
        try:
            async with asyncio.timeout_at(context.deadline):
                phases.enter("resolve")
                family, place = (await resolve(self.host, 0, self.family))[0]
                address = place[0]
                phases.enter("processing")
                with _opened(family) as echo:
                    echo.sock.connect((address, 0))
                    for number in range(self.count):
                        sent += 1
                        begun = loop.time()
                        left = (context.deadline - begun) / (self.count - number)
                        taken = await self._echo(echo, number + 1, max(left - 0.01, 0.01))
                        if taken is not None:
                            replies.append(taken)
                        if number + 1 < self.count:
                            await asyncio.sleep(min(self.interval, max(0.0, begun + left - loop.time())))
        except DialError as error:
            probe.error = (error.kind, error.message)
        except IndexError:
            probe.error = ("dns", f"{self.host}: no address of family {self.family}")
        except TimeoutError:
            if not address:
                probe.error = ("timeout", f"{self.host}: its name was not resolved in time")
        except OSError as error:
            failure = explain(error, self.host)
            probe.error = (failure.kind, failure.message)
        phases.enter("")
        duration_ms = round((perf_counter() - started) * 1000, 3)
        probe.phases_ms = {name: phases.ms.get(name, 0.0) for name in ("resolve", "processing")}
        probe.metrics.append(Metric("duration_ms", duration_ms, "ms"))
        if probe.error is None:
            _fill(probe, replies, sent, address, duration_ms)
        return probe

    async def _echo(self, echo: _Echo, number: int, seconds: float) -> float | None:
        """Seconds until the reply; None when there was none in time."""
        loop = asyncio.get_running_loop()
        payload = os.urandom(self.size)  # tells our reply from others' on a raw socket, which gets them all
        begun = perf_counter()
        await loop.sock_sendall(echo.sock, echo.request(number, payload))
        try:
            async with asyncio.timeout(seconds):
                while True:
                    if echo.is_reply(await loop.sock_recv(echo.sock, 65535), number, payload):
                        return perf_counter() - begun
        except TimeoutError:
            return None


def _fill(probe: Probe, replies: list[float], sent: int, address: str, duration_ms: float) -> None:
    """Values, metrics and summary of echoes that were sent. `replies` are in seconds."""
    milliseconds = [round(seconds * 1000, 3) for seconds in replies]
    loss = round(100 * (1 - len(replies) / sent), 1) if sent else 100.0
    probe.values = {
        "sent": sent,
        "received": len(replies),
        "loss_percent": loss,
        "rtt_min_ms": min(milliseconds, default=None),
        "rtt_avg_ms": round(sum(milliseconds) / len(milliseconds), 3) if milliseconds else None,
        "rtt_max_ms": max(milliseconds, default=None),
        "ip": address,
        "duration_ms": duration_ms,
    }
    probe.metrics += [Metric("loss_percent", loss, "%"), Metric("received", float(len(replies)))]
    probe.metrics += [Metric(f"rtt_{n}_ms", v, "ms") for n in ("min", "avg", "max") if (v := probe.values[f"rtt_{n}_ms"]) is not None]
    probe.summary = probe.fault = f"{len(replies)} of {sent} replies from {address}"
    if milliseconds:
        probe.summary += f", {probe.values['rtt_avg_ms']:.4g} ms on average"


@dataclass(slots=True)
class _Echo:
    """A socket that sends echo requests. `raw`: it gets every ICMP packet of its peer, over IPv4 with the IP head."""

    sock: socket.socket
    family: socket.AddressFamily
    raw: bool

    def __enter__(self) -> _Echo:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    def request(self, number: int, payload: bytes) -> bytes:
        """The packet. Of a ping socket the kernel sets id and checksum, over IPv6 always the checksum (RFC 3542 §3.1)."""
        identity = os.getpid() & 0xFFFF
        head = _HEAD.pack(_ASK[self.family], 0, 0, identity, number)
        return _HEAD.pack(_ASK[self.family], 0, checksum(head + payload), identity, number) + payload

    def is_reply(self, packet: bytes, number: int, payload: bytes) -> bool:
        """Whether a packet is the reply to that request."""
        if self.raw and self.family == socket.AF_INET:
            packet = packet[(packet[0] & 0x0F) * 4 :] if packet else b""
        if len(packet) < _HEAD.size:
            return False
        kind, _, _, _, sequence = _HEAD.unpack_from(packet)
        return kind == _REPLY[self.family] and sequence == number and packet[_HEAD.size :] == payload


def checksum(packet: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet[: len(packet) & ~1])) + (packet[-1] << 8 if len(packet) & 1 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _opened(family: socket.AddressFamily) -> _Echo:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            sock = socket.socket(family, kind, _PROTOCOL[family])
        except OSError:
            continue
        sock.setblocking(False)
        return _Echo(sock, family, kind == socket.SOCK_RAW)
    raise DialError(
        "internal",
        "this process may not ping: give it CAP_NET_RAW, or its group ping sockets (sysctl net.ipv4.ping_group_range='0 2147483647')",
    )
